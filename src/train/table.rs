//! An alpha table after an epoch.

use serde::{Deserialize, Serialize};

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
    /// The mixing weights of the candidates: the alphas after the relaxation, times the edge's
    /// share where edges are normalised; `[edges, candidates]`. Of candidates that are drawn, the
    /// probability of each.
    pub weights: Vec<Vec<f32>>,
    /// Of each edge, in nats; see [`entropy`](super::entropy()).
    pub entropy: Vec<f64>,
}
