//! What a network's outputs are worth.

use super::{Measure, Score, Targets};
use crate::model::Outputs;
use burn::tensor::Tensor;
use std::fmt;

/// The loss that a training descends on, and what a person reads beside it.
pub trait Objective: fmt::Debug + Send + Sync {
    /// In the order in which they are shown; a line has room for the first.
    fn measures(&self) -> &[Measure];

    /// The loss of a training pass, a mean over the batch, with all that only helps training
    /// (smoothed labels, auxiliary heads).
    ///
    /// # Shapes
    /// → `[1]`
    fn loss(&self, outputs: &Outputs, targets: &Targets) -> Tensor<1>;

    /// The loss that an evaluated network is judged by, a mean over the batch.
    ///
    /// # Shapes
    /// → `[1]`
    fn evaluation_loss(&self, outputs: &Outputs, targets: &Targets) -> Tensor<1>;

    /// The sums of all measures over a batch, without its loss. Waits for the device.
    fn score(&self, outputs: &Outputs, targets: &Targets) -> Score;
}
