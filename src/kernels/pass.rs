//! What a pass of a program is given, and what it gives.

use super::precision::Precision;
use super::profile::Clock;
use super::program::Program;
use burn::tensor::Tensor;
use std::sync::Arc;

/// What changes from pass to pass, beside the tensors.
#[derive(Debug, Clone)]
pub struct Pass {
    pub program: Arc<Program>,
    /// Whether batch norms look at the batch, else at the running statistics.
    pub training: bool,
    pub epsilon: f64,
    /// Of the maps that are kept.
    pub precision: Precision,
    /// `[program.factors][images]`: what each image of a term is multiplied with.
    pub factors: Arc<Vec<f32>>,
    /// Those of this program.
    pub plans: Plans,
    /// Where there is one, the processor's engine says how long each step takes.
    pub clock: Option<Clock>,
}

/// Which gradients a reverse pass is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub inputs: bool,
    pub weights: bool,
    pub mixing: bool,
}

/// The processor plans nothing ahead.
#[cfg(not(any(feature = "cuda", feature = "wgpu")))]
#[derive(Debug, Clone, Default)]
pub struct Plans {}
#[cfg(any(feature = "cuda", feature = "wgpu"))]
pub use super::gpu::Plans;

/// What a pass gives.
#[derive(Debug, Clone)]
pub struct PassOutput {
    /// The program's outputs end to end, each `[n, c, h, w]`.
    pub outputs: Tensor<1>,
    /// `[running]`, without gradient: where a batch norm ran in training the batch's mean and
    /// unbiased variance, elsewhere what was given.
    pub observed: Tensor<1>,
}
