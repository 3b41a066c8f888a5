//! What an epoch leaves to be told.

use super::{
    TableRecord,
    diagnosis::{Benefit, CellCounts},
};
use crate::{space::Genotype, tasks::Figures};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// What an epoch came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// From 1.
    pub epoch: usize,
    /// Of the weights, at the epoch's first step.
    pub learning_rate: f64,
    /// Over the epoch's examples, each as the network was when it met them. The loss is that of the
    /// training.
    pub train: Figures,
    /// On the examples that are watched and not fitted; absent where there are none, or this epoch
    /// did not look.
    pub watched: Option<Figures>,
    /// Of a supernet.
    pub tables: Vec<TableRecord>,
    /// Of a search.
    pub diagnosis: Option<DiagnosisRecord>,
}

/// What an epoch's diagnosis found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DiagnosisRecord {
    /// The cells that the space's rule takes from the epoch's mixing weights.
    pub derived: Genotype,
    /// By cell kind.
    pub counts: IndexMap<String, CellCounts>,
    /// The first measure of the supernet with the derived cells alone, on the examples that are
    /// watched; absent where they were not looked at.
    pub discretised: Option<f64>,
    /// On the images that the weights are fitted on, and on others; absent where it is not
    /// measured.
    pub benefit_fit: Option<Benefit>,
    pub benefit_held_out: Option<Benefit>,
    /// The largest of the Hessian of the loss on held-out images in the alphas.
    pub eigenvalue: Option<f64>,
}
