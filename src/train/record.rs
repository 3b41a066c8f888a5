//! What an epoch leaves to be told.

use super::DiagnosisRecord;
use serde::{Deserialize, Serialize};

/// What an epoch came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// From 1.
    pub epoch: usize,
    /// Of the weights, at the epoch's first step.
    pub learning_rate: f64,
    /// Mean over the epoch's images, each as the network was when it met them; with the auxiliary head's share and smoothed labels
    /// where there are such.
    pub train_loss: f64,
    pub train_accuracy_percent: f64,
    /// On the images that are watched and not fitted; absent where there are none, or this epoch did not look.
    pub watched_loss: Option<f64>,
    pub watched_accuracy_percent: Option<f64>,
    pub watched_top5_percent: Option<f64>,
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
