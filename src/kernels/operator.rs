//! A program as one operator of burn, with its gradient.

use super::cpu;
use super::pass::{Pass, PassOutput, Wanted};
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, AutodiffBackend, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{Tensor, TensorData};
use burn_flex::FlexTensor;
use std::sync::{Arc, Mutex, PoisonError};

/// Runs a program on a device that [has programs](super::Kernels::has_programs).
///
/// # Shapes
/// `inputs`: those of the program end to end, each `[n, c, h, w]`; `weights`, `mixing` and `running`
/// as long as the program says, `mixing` one longer where that is 0.
///
/// # Panics
/// When the shapes are not those of the program, and where a batch is too large for a GPU's buffers.
pub fn run(pass: Pass, inputs: Tensor<1>, weights: Tensor<1>, mixing: Tensor<1>, running: Tensor<1>) -> PassOutput {
    let program = &pass.program;
    assert!(inputs.dims()[0].is_multiple_of(program.input_elements()), "the program's inputs");
    let lengths = [weights.dims()[0], mixing.dims()[0], running.dims()[0]];
    assert_eq!(lengths, [program.weights, program.mixing.max(1), program.running], "the program's vectors");
    let (outputs, observed) = Dispatch::native_network(
        inputs.into_dispatch(),
        weights.into_dispatch(),
        mixing.into_dispatch(),
        running.into_dispatch(),
        pass,
    );
    PassOutput { outputs: Tensor::from_dispatch(outputs), observed: Tensor::from_dispatch(observed) }
}

/// Routes from a device to its engine.
#[backend_extension(Flex, Cube: cfg(any(feature = "cuda", feature = "wgpu")), Autodiff)]
pub(crate) trait NetworkOperator: Backend {
    /// Outputs and observed statistics.
    fn native_network(
        inputs: FloatTensor<Self>,
        weights: FloatTensor<Self>,
        mixing: FloatTensor<Self>,
        running: FloatTensor<Self>,
        pass: Pass,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
}

impl NetworkOperator for Flex {
    fn native_network(
        inputs: FlexTensor,
        weights: FlexTensor,
        mixing: FlexTensor,
        running: FlexTensor,
        pass: Pass,
    ) -> (FlexTensor, FlexTensor) {
        let (outputs, observed, _) = forward([&inputs, &weights, &mixing, &running], pass, false);
        (outputs, observed)
    }
}

fn forward(
    [inputs, weights, mixing, running]: [&FlexTensor; 4],
    pass: Pass,
    keep: bool,
) -> (FlexTensor, FlexTensor, cpu::State) {
    let [inputs, weights, mixing, running] = [inputs, weights, mixing, running].map(FlexTensor::to_contiguous);
    let inputs = values(&inputs);
    let images = inputs.len() / pass.program.input_elements();
    let vectors = [values(&weights), &values(&mixing)[..pass.program.mixing], values(&running)];
    let (output, state) = cpu::forward(pass, images, inputs, vectors, keep);
    (vector(output.outputs), vector(output.observed), state)
}

/// The values of a contiguous `f32` tensor.
pub(super) fn values(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().expect("programs are given f32 tensors, which have been made contiguous")
}

fn vector(values: Vec<f32>) -> FlexTensor {
    let shape = [values.len()];
    FlexTensor::from_data(TensorData::new(values, shape))
}

/// The backward step: the gradients of what is tracked of inputs, weights and mixing weights.
#[derive(Debug)]
struct NetworkGradient;

/// The state is taken by the one backward pass that a graph sees.
#[derive(Debug, Clone)]
struct Saved {
    forward: Arc<Mutex<Option<cpu::State>>>,
}

impl Backward<Flex, 3> for NetworkGradient {
    type State = Saved;

    fn backward(self, ops: Ops<Saved, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let [inputs, weights, mixing] = ops.parents;
        let gradient = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let state = ops.state.forward.lock().unwrap_or_else(PoisonError::into_inner).take();
        let state = state.expect("a graph is walked once");
        let wanted = Wanted { inputs: inputs.is_some(), weights: weights.is_some(), mixing: mixing.is_some() };
        let found = cpu::backward(state, values(&gradient), wanted);
        if let Some(node) = weights {
            gradients.register::<Flex>(node.id, vector(found.weights));
        }
        if let Some(node) = mixing {
            let mut of_mixing = found.mixing;
            of_mixing.resize(of_mixing.len().max(1), 0.0);
            gradients.register::<Flex>(node.id, vector(of_mixing));
        }
        if let Some((node, of_inputs)) = inputs.zip(found.inputs) {
            gradients.register::<Flex>(node.id, vector(of_inputs));
        }
    }
}

impl<C: CheckpointStrategy> NetworkOperator for Autodiff<Flex, C> {
    fn native_network(
        inputs: FloatTensor<Self>,
        weights: FloatTensor<Self>,
        mixing: FloatTensor<Self>,
        running: FloatTensor<Self>,
        pass: Pass,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let nodes = [inputs.node(), weights.node(), mixing.node()];
        let tensors = [inputs.primitive(), weights.primitive(), mixing.primitive(), running.primitive()];
        let (outputs, observed) = match NetworkGradient.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let (outputs, observed, state) = forward(tensors, pass, true);
                let saved = Saved { forward: Arc::new(Mutex::new(Some(state))) };
                (prepared.finish(saved, outputs), observed)
            }
            OpsKind::UnTracked(prepared) => {
                let (outputs, observed, _) = forward(tensors, pass, false);
                (prepared.finish(outputs), observed)
            }
        };
        (outputs, Self::from_inner(observed))
    }
}
