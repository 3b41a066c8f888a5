//! What an epoch leaves to be told.

use super::DiagnosisRecord;
use crate::tasks::Figures;
use serde::{Deserialize, Serialize};

/// What an epoch came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// From 1.
    pub epoch: usize,
    /// Of the weights, at the epoch's first step.
    pub learning_rate: f64,
    /// Over the epoch's examples, each as the network was when it met them. The loss is that of the training.
    pub train: Figures,
    /// On the examples that are watched and not fitted; absent where there are none, or this epoch did not look.
    pub watched: Option<Figures>,
    /// Of a supernet.
    pub tables: Vec<TableRecord>,
    /// Of a search.
    pub diagnosis: Option<DiagnosisRecord>,
}

/// The numbers that weigh edges after an epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BetaRecord {
    pub label: String,
    /// `[edges]`
    pub values: Vec<f32>,
}

/// An alpha table after an epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableRecord {
    pub label: String,
    /// `[edges, candidates]`
    pub alphas: Vec<Vec<f32>>,
    /// Where edges are normalised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub betas: Option<BetaRecord>,
    /// The mixing weights of the candidates: the alphas after the relaxation, times the edge's share where edges are normalised;
    /// `[edges, candidates]`. Of candidates that are drawn, the probability of each.
    pub weights: Vec<Vec<f32>>,
    /// Of each edge, in nats; see [`entropy`](super::diagnosis::entropy()).
    pub entropy: Vec<f64>,
}
