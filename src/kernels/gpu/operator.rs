//! A program on a GPU as an operator of burn, with its gradient.
//!
//! Under burn's fusion an operator is recorded first and executed later, so both passes are tensors
//! in, tensors out: what the reverse pass needs of the forward pass are two tensors like any other.

use super::pass::{ForwardInputs, forward, reverse};
use super::plan::Purpose;
use super::plans::Planned;
use crate::operator::NetworkOperator;
use crate::pass::Pass;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, AutodiffBackend, Backend, TensorMetadata, backend_extension};
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{Cube, CubeBackend};
use std::sync::Arc;

/// Both passes of a program. The four tensors of the forward pass are outputs, observed statistics,
/// and what the reverse pass needs; the three of the reverse pass the gradients of weights, mixing
/// weights and inputs; those of weights and inputs are a single number where they are not asked
/// for.
#[backend_extension(Cube, Fusion: cfg(feature = "cuda"))]
pub(crate) trait GpuNetwork: Backend {
    #[fusion(meta = fusion::forward)]
    fn gpu_network_forward(
        inputs: FloatTensor<Self>,
        weights: FloatTensor<Self>,
        mixing: FloatTensor<Self>,
        running: FloatTensor<Self>,
        pass: Pass,
        purpose: Purpose,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    #[fusion(meta = fusion::reverse)]
    fn gpu_network_reverse(
        arena: FloatTensor<Self>,
        numbers: FloatTensor<Self>,
        weights: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        pass: Pass,
        purpose: Purpose,
        images: usize,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

/// The plan of a pass.
///
/// # Panics
/// Where a batch is too large for the GPU's buffers: burn's operators have no other way to say so.
fn planned(pass: &Pass, images: usize, purpose: Purpose) -> Arc<Planned> {
    pass.plans.plan(&pass.program, images, purpose).expect("a program that was checked, and a batch that fits the GPU")
}

impl GpuNetwork for CubeBackend {
    fn gpu_network_forward(
        inputs: CubeTensor,
        weights: CubeTensor,
        mixing: CubeTensor,
        running: CubeTensor,
        pass: Pass,
        purpose: Purpose,
    ) -> (CubeTensor, CubeTensor, CubeTensor, CubeTensor) {
        let images = inputs.shape()[0] / pass.program.input_elements();
        let planned = planned(&pass, images, purpose);
        let (factors, epsilon, precision) = (pass.factors.to_vec(), pass.epsilon as f32, pass.precision);
        let done = forward(
            &pass.program,
            &planned,
            ForwardInputs { inputs, weights, mixing, running, factors, epsilon, precision },
        );
        (done.outputs, done.observed, done.arena, done.numbers)
    }

    fn gpu_network_reverse(
        arena: CubeTensor,
        numbers: CubeTensor,
        weights: CubeTensor,
        gradient: CubeTensor,
        pass: Pass,
        purpose: Purpose,
        images: usize,
    ) -> (CubeTensor, CubeTensor, CubeTensor) {
        let planned = planned(&pass, images, purpose);
        let found = reverse(&pass.program, &planned, [arena, numbers, weights, gradient]);
        (found.weights, found.mixing, found.inputs)
    }
}

/// What a recorded pass will give.
#[cfg(feature = "cuda")]
mod fusion {
    use super::{Pass, Purpose, planned};
    use burn::backend::fusion::custom::TensorSpec;
    use burn::tensor::{DType, Shape};

    fn vector(length: usize) -> TensorSpec {
        TensorSpec::new(Shape::new([length]), DType::F32)
    }

    pub(super) fn forward(
        inputs: &TensorSpec,
        _weights: &TensorSpec,
        _mixing: &TensorSpec,
        _running: &TensorSpec,
        pass: &Pass,
        purpose: &Purpose,
    ) -> (TensorSpec, TensorSpec, TensorSpec, TensorSpec) {
        let planned = planned(pass, inputs.shape[0] / pass.program.input_elements(), *purpose);
        let outputs = planned.plan.outputs.iter().map(|(_, numbers)| numbers).sum();
        let arena = TensorSpec::new(Shape::new([planned.plan.arena]), super::super::pass::dtype(pass.precision));
        (vector(outputs), vector(pass.program.running), arena, vector(planned.plan.numbers))
    }

    pub(super) fn reverse(
        _arena: &TensorSpec,
        _numbers: &TensorSpec,
        weights: &TensorSpec,
        _gradient: &TensorSpec,
        pass: &Pass,
        purpose: &Purpose,
        images: &usize,
    ) -> (TensorSpec, TensorSpec, TensorSpec) {
        let entered = if purpose.inputs { *images * pass.program.input_elements() } else { 1 };
        let of_weights = if purpose.weights { weights.clone() } else { vector(1) };
        (of_weights, vector(pass.program.mixing.max(1)), vector(entered))
    }
}

impl NetworkOperator for Cube {
    fn native_network(
        inputs: FloatTensor<Self>,
        weights: FloatTensor<Self>,
        mixing: FloatTensor<Self>,
        running: FloatTensor<Self>,
        pass: Pass,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let purpose = Purpose { of_batch: pass.training, reverse: false, inputs: false, weights: false };
        let (outputs, observed, _, _) = Self::gpu_network_forward(inputs, weights, mixing, running, pass, purpose);
        (outputs, observed)
    }
}

/// The backward step: the gradients of weights and mixing weights, and of the inputs where they are
/// tracked.
#[derive(Debug)]
struct NetworkGradient;

#[derive(Debug, Clone)]
struct Saved {
    arena: FloatTensor<Cube>,
    numbers: FloatTensor<Cube>,
    weights: FloatTensor<Cube>,
    pass: Pass,
    purpose: Purpose,
    images: usize,
}

impl Backward<Cube, 3> for NetworkGradient {
    type State = Saved;

    fn backward(self, ops: Ops<Saved, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let [inputs, weights, mixing] = ops.parents;
        let gradient = gradients.consume::<Cube>(&ops.node);
        let Saved { arena, numbers, weights: values, pass, purpose, images } = ops.state;
        let (of_weights, of_mixing, of_inputs) =
            Cube::gpu_network_reverse(arena, numbers, values, gradient, pass, purpose, images);
        for (node, gradient) in [(weights, of_weights), (mixing, of_mixing), (inputs, of_inputs)] {
            if let Some(node) = node {
                gradients.register::<Cube>(node.id, gradient);
            }
        }
    }
}

impl<C: CheckpointStrategy> NetworkOperator for Autodiff<Cube, C> {
    fn native_network(
        inputs: FloatTensor<Self>,
        weights: FloatTensor<Self>,
        mixing: FloatTensor<Self>,
        running: FloatTensor<Self>,
        pass: Pass,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let nodes = [inputs.node(), weights.node(), mixing.node()];
        let wanted = [inputs.is_tracked(), weights.is_tracked()];
        let images = inputs.primitive().shape()[0] / pass.program.input_elements();
        let tensors = [inputs, weights, mixing, running];
        let [inputs, weights, mixing, running] = tensors.map(|tensor| tensor.into_primitive());
        let (outputs, observed) = match NetworkGradient.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let [inputs_wanted, weights_wanted] = wanted;
                let purpose =
                    Purpose { of_batch: pass.training, reverse: true, inputs: inputs_wanted, weights: weights_wanted };
                let values = weights.clone();
                let (outputs, observed, arena, numbers) =
                    Cube::gpu_network_forward(inputs, weights, mixing, running, pass.clone(), purpose);
                let saved = Saved { arena, numbers, weights: values, pass, purpose, images };
                (prepared.finish(saved, outputs), observed)
            }
            OpsKind::UnTracked(prepared) => {
                let (outputs, observed) = Cube::native_network(inputs, weights, mixing, running, pass);
                (prepared.finish(outputs), observed)
            }
        };
        (outputs, Self::from_inner(observed))
    }
}
