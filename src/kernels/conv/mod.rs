//! 2-d convolution, grouped or not: full, pointwise and depthwise are one operator.
//!
//! `out[n, o, oy, ox] = Σ_{i, ky, kx} weight[o, i, ky, kx] * x[n, i', oy * sy + ky * dy - py, ox * sx + kx * dx - px]`, where `i`
//! counts the inputs of `o`'s group and `i'` is that input's channel; pixels outside of the map are zero.
//!
//! - [`reference`]: burn's `conv2d`.
//! - [`cpu`]: one image after another, staged so that each tap is a shifted read of long rows, with a register-blocked
//!   product over them ([`product`]). The gradient of the weight is summed over a number of blocks of images that
//!   depends on the batch alone.

mod cpu;
mod product;
pub(super) mod reference;

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;
use burn_flex::FlexTensor;

use super::Window;

/// Convolves on burn's CPU backend.
///
/// # Shapes
/// `x` `[n, in, h, w]`, `weight` `[out, in / groups, kh, kw]` → `[n, out, oh, ow]`
///
/// # Panics
/// When the shapes do not fit each other, as burn's operator does.
pub(super) fn convolve(x: Tensor<4>, weight: Tensor<4>, window: Window, groups: usize) -> Tensor<4> {
    Tensor::from_dispatch(Dispatch::native_conv(x.into_dispatch(), weight.into_dispatch(), window, groups))
}

/// Routes from a device to its convolution.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait ConvOperator: Backend {
    fn native_conv(x: FloatTensor<Self>, weight: FloatTensor<Self>, window: Window, groups: usize)
    -> FloatTensor<Self>;
}

impl ConvOperator for Flex {
    fn native_conv(x: FlexTensor, weight: FlexTensor, window: Window, groups: usize) -> FlexTensor {
        cpu::convolve(&x, &weight, window, groups)
    }
}

/// The backward step: the gradients of the input and of the weight, whichever are asked for.
#[derive(Debug)]
struct ConvGradient;

/// What the backward step needs.
#[derive(Debug, Clone)]
struct Saved {
    x: NodeId,
    weight: NodeId,
    window: Window,
    groups: usize,
}

impl Backward<Flex, 2> for ConvGradient {
    type State = Saved;

    fn backward(self, ops: Ops<Saved, 2>, gradients: &mut Gradients, checkpointer: &mut Checkpointer) {
        let [x_node, weight_node] = ops.parents;
        let Saved { x, weight, window, groups } = ops.state;
        let gradient = gradients.consume::<Flex>(&ops.node);
        let x: FlexTensor = checkpointer.retrieve_node_output(x);
        let weight: FlexTensor = checkpointer.retrieve_node_output(weight);
        if let Some(node) = weight_node {
            let weight_gradient = cpu::weight_gradient(&x, &weight, &gradient, window, groups);
            gradients.register::<Flex>(node.id, weight_gradient);
        }
        if let Some(node) = x_node {
            gradients.register::<Flex>(node.id, cpu::input_gradient(&x, &weight, &gradient, window, groups));
        }
    }
}

impl<C: CheckpointStrategy> ConvOperator for Autodiff<Flex, C> {
    fn native_conv(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        window: Window,
        groups: usize,
    ) -> FloatTensor<Self> {
        match ConvGradient.prepare::<C>([x.node(), weight.node()]).compute_bound().stateful() {
            OpsKind::Tracked(mut prepared) => {
                let saved = Saved { x: prepared.checkpoint(&x), weight: prepared.checkpoint(&weight), window, groups };
                let output = Flex::native_conv(x.into_primitive(), weight.into_primitive(), window, groups);
                prepared.finish(saved, output)
            }
            OpsKind::UnTracked(prepared) => {
                prepared.finish(Flex::native_conv(x.into_primitive(), weight.into_primitive(), window, groups))
            }
        }
    }
}
