//! In what order weights and alphas move, and on which images. One file a strategy, so that the difference
//! between two is what one sees.

pub mod single_level;
pub mod weights_only;

use burn::tensor::{Int, Tensor};

/// The learning rates of one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    pub weights: f64,
    pub alphas: f64,
}

/// What a step leaves to be looked at.
pub struct StepOutcome {
    /// `[1]`
    pub loss: Tensor<1>,
    /// `[batch, classes]`
    pub logits: Tensor<2>,
    /// `[batch]`
    pub labels: Tensor<1, Int>,
    /// Norm of the weights' gradient before clipping, `[1]`.
    pub gradient_norm: Tensor<1>,
}
