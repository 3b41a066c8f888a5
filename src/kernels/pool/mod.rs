//! Maximum and mean of square windows.
//!
//! `[n, c, h, w]` → `[n, c, oh, ow]`, each channel of each image by itself. Pixels of the padding are never the maximum
//! and are not counted in the mean. Of equal maxima the first in reading order takes the gradient, and a NaN is larger
//! than any number (the last one takes the gradient), as PyTorch has it.
//!
//! - [`reference`]: burn's operators.
//! - [`cpu`]: planes are staged so that each tap is a shifted read of long rows; the backward step finds the maxima again
//!   instead of keeping their places.

mod cpu;
pub(super) mod reference;

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::Tensor;
use burn_flex::FlexTensor;

use crate::space::network::Pool;

/// Maximum of each window on burn's CPU backend.
pub(super) fn max(x: Tensor<4>, pool: &Pool) -> Tensor<4> {
    Tensor::from_dispatch(Dispatch::native_max_pool(x.into_dispatch(), *pool))
}

/// Mean of each window on burn's CPU backend.
pub(super) fn avg(x: Tensor<4>, pool: &Pool) -> Tensor<4> {
    Tensor::from_dispatch(Dispatch::native_avg_pool(x.into_dispatch(), *pool))
}

/// Routes from a device to its pooling.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait PoolOperator: Backend {
    fn native_max_pool(x: FloatTensor<Self>, pool: Pool) -> FloatTensor<Self>;
    fn native_avg_pool(x: FloatTensor<Self>, pool: Pool) -> FloatTensor<Self>;
}

impl PoolOperator for Flex {
    fn native_max_pool(x: FlexTensor, pool: Pool) -> FlexTensor {
        cpu::max(&x, pool)
    }

    fn native_avg_pool(x: FlexTensor, pool: Pool) -> FlexTensor {
        cpu::avg(&x, pool)
    }
}

/// The backward step of the maximum; it needs the input.
#[derive(Debug)]
struct MaxGradient;

impl Backward<Flex, 1> for MaxGradient {
    type State = (NodeId, Pool);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, checkpointer: &mut Checkpointer) {
        let [node] = ops.parents;
        let (x, pool) = ops.state;
        let gradient = gradients.consume::<Flex>(&ops.node);
        let x: FlexTensor = checkpointer.retrieve_node_output(x);
        if let Some(node) = node {
            gradients.register::<Flex>(node.id, cpu::max_gradient(&x, &gradient, pool));
        }
    }
}

/// The backward step of the mean; it needs the input's sides.
#[derive(Debug)]
struct AvgGradient;

impl Backward<Flex, 1> for AvgGradient {
    type State = ([usize; 2], Pool);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let [node] = ops.parents;
        let (sides, pool) = ops.state;
        let gradient = gradients.consume::<Flex>(&ops.node);
        if let Some(node) = node {
            gradients.register::<Flex>(node.id, cpu::avg_gradient(&gradient, sides, pool));
        }
    }
}

impl<C: CheckpointStrategy> PoolOperator for Autodiff<Flex, C> {
    fn native_max_pool(x: FloatTensor<Self>, pool: Pool) -> FloatTensor<Self> {
        match MaxGradient.prepare::<C>([x.node()]).compute_bound().stateful() {
            OpsKind::Tracked(mut prepared) => {
                let saved = prepared.checkpoint(&x);
                prepared.finish((saved, pool), cpu::max(&x.into_primitive(), pool))
            }
            OpsKind::UnTracked(prepared) => prepared.finish(cpu::max(&x.into_primitive(), pool)),
        }
    }

    fn native_avg_pool(x: FloatTensor<Self>, pool: Pool) -> FloatTensor<Self> {
        match AvgGradient.prepare::<C>([x.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let [_, _, height, width] = x.shape().dims();
                prepared.finish(([height, width], pool), cpu::avg(&x.into_primitive(), pool))
            }
            OpsKind::UnTracked(prepared) => prepared.finish(cpu::avg(&x.into_primitive(), pool)),
        }
    }
}
