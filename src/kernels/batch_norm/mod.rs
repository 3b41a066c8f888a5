//! Batch normalisation over `n`, `h` and `w` (Ioffe & Szegedy 2015), with and without scale and shift.

pub(super) mod reference;

use burn::tensor::{Device, Tensor};

/// What [`batch_norm_train`](crate::kernels::Kernels::batch_norm_train) gives.
#[derive(Debug, Clone)]
pub struct BatchNormOutput {
    /// `[n, c, h, w]`
    pub output: Tensor<4>,
    /// Mean of the batch `[c]`, without gradient.
    pub mean: Tensor<1>,
    /// Biased variance of the batch `[c]` (divided by `n * h * w`), without epsilon and without gradient.
    pub variance: Tensor<1>,
}

/// Scale and shift where given, else ones and zeros.
fn affine(
    scale: Option<Tensor<1>>,
    shift: Option<Tensor<1>>,
    channels: usize,
    device: &Device,
) -> (Tensor<1>, Tensor<1>) {
    (
        scale.unwrap_or_else(|| Tensor::ones([channels], device)),
        shift.unwrap_or_else(|| Tensor::zeros([channels], device)),
    )
}
