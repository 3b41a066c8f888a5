//! Batch normalisation over `n`, `h` and `w` (Ioffe & Szegedy 2015, arXiv:1502.03167, algorithm 1).
//!
//! With `m = n * h * w`, for each channel:
//!
//! ```text
//! mean = Σ x / m        variance = Σ (x - mean)² / m
//! output = (x - mean) / sqrt(variance + epsilon) * scale + shift
//! ```
//!
//! - [`reference`]: burn's operators. Normalisation by given statistics is burn's on every device: it is one pass.
//! - [`cpu`]: training, value and gradient each as one operator, a channel at a time while it is in the cache.

mod cpu;
pub(super) mod reference;

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, AutodiffBackend, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{Device, Tensor};
use burn_flex::FlexTensor;

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

/// Normalises by the batch's statistics on burn's CPU backend.
pub(super) fn train(x: Tensor<4>, scale: Option<Tensor<1>>, shift: Option<Tensor<1>>, epsilon: f64) -> BatchNormOutput {
    let (scale, shift) = affine(scale, shift, x.dims()[1], &x.device());
    let (output, mean, variance) =
        Dispatch::native_batch_norm(x.into_dispatch(), scale.into_dispatch(), shift.into_dispatch(), epsilon);
    BatchNormOutput {
        output: Tensor::from_dispatch(output),
        mean: Tensor::from_dispatch(mean),
        variance: Tensor::from_dispatch(variance),
    }
}

/// Routes from a device to its batch norm.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait BatchNormOperator: Backend {
    /// Output, mean and biased variance.
    fn native_batch_norm(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

impl BatchNormOperator for Flex {
    fn native_batch_norm(
        x: FlexTensor,
        scale: FlexTensor,
        shift: FlexTensor,
        epsilon: f64,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        cpu::train(&x, &scale, &shift, epsilon)
    }
}

/// The backward step: the gradients of input, scale and shift.
#[derive(Debug)]
struct BatchNormGradient;

/// What the backward step needs.
#[derive(Debug, Clone)]
struct Saved {
    x: NodeId,
    scale: NodeId,
    mean: FlexTensor,
    variance: FlexTensor,
    epsilon: f64,
}

impl Backward<Flex, 3> for BatchNormGradient {
    type State = Saved;

    fn backward(self, ops: Ops<Saved, 3>, gradients: &mut Gradients, checkpointer: &mut Checkpointer) {
        let [x_node, scale_node, shift_node] = ops.parents;
        let Saved { x, scale, mean, variance, epsilon } = ops.state;
        let gradient = gradients.consume::<Flex>(&ops.node);
        let x: FlexTensor = checkpointer.retrieve_node_output(x);
        let scale: FlexTensor = checkpointer.retrieve_node_output(scale);
        let (of_x, of_scale, of_shift) = cpu::gradients(&x, &scale, &gradient, &mean, &variance, epsilon);
        for (node, value) in [(x_node, of_x), (scale_node, of_scale), (shift_node, of_shift)] {
            if let Some(node) = node {
                gradients.register::<Flex>(node.id, value);
            }
        }
    }
}

impl<C: CheckpointStrategy> BatchNormOperator for Autodiff<Flex, C> {
    fn native_batch_norm(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let nodes = [x.node(), scale.node(), shift.node()];
        let (output, mean, variance) = cpu::train(x.primitive(), scale.primitive(), shift.primitive(), epsilon);
        let output = match BatchNormGradient.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(mut prepared) => {
                let saved = Saved {
                    x: prepared.checkpoint(&x),
                    scale: prepared.checkpoint(&scale),
                    mean: mean.clone(),
                    variance: variance.clone(),
                    epsilon,
                };
                prepared.finish(saved, output)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        };
        (output, Self::from_inner(mean), Self::from_inner(variance))
    }
}
