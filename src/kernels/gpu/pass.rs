//! A pass, forward and in reverse: from tensors to tensors.

use super::buffer::{Buffer, Elements};
use super::launch::Bindings;
use super::plans::Planned;
use crate::precision::Precision;
use crate::program::Program;
use burn::tensor::{DType, Shape};
use burn_cubecl::CubeDevice;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use cubecl::client::Client;
use cubecl::ir::{ElemType, FloatKind};

impl Buffer {
    pub fn upload(client: &Client, numbers: &[f32]) -> Self {
        let numbers = if numbers.is_empty() { &[0.0] } else { numbers };
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_ne_bytes()).collect();
        Self { handle: client.create_from_slice(&bytes), length: numbers.len() }
    }

    /// The memory of a tensor, made contiguous.
    pub fn of(tensor: CubeTensor) -> Self {
        let tensor = into_contiguous(tensor);
        match tensor.meta.shape().num_elements() {
            0 => Self::empty(&tensor.client, 0),
            length => Self { handle: tensor.handle, length },
        }
    }

    /// `[length]`
    pub fn tensor(self, client: &Client, device: &CubeDevice) -> CubeTensor {
        let shape = Shape::new([self.length]);
        CubeTensor::new_contiguous(client.clone(), device.clone(), shape, self.handle, DType::F32)
    }
}

/// What a pass is given.
#[derive(Debug, Clone)]
pub(super) struct ForwardInputs {
    /// The inputs end to end, each `[n, c, h, w]`, `f32`.
    pub inputs: CubeTensor,
    /// `[weights]`, `[mixing]`, `[running]`
    pub weights: CubeTensor,
    pub mixing: CubeTensor,
    pub running: CubeTensor,
    /// `[factors][n]`, end to end.
    pub factors: Vec<f32>,
    pub epsilon: f32,
    /// Of the arena. The kernels read and write any, and sum in `f32`.
    pub precision: Precision,
}

/// What a pass leaves behind.
#[derive(Debug, Clone)]
pub(super) struct ForwardOutputs {
    /// The outputs end to end, each `[n, c, h, w]`.
    pub outputs: CubeTensor,
    /// `[running]`: what the batch had where norms looked at it, else what was given.
    pub observed: CubeTensor,
    /// What the reverse pass needs.
    pub arena: CubeTensor,
    pub numbers: CubeTensor,
}

/// The gradients of a pass.
#[derive(Debug, Clone)]
pub(super) struct Gradients {
    /// `[weights]` where it was asked for, else a single number.
    pub weights: CubeTensor,
    /// `[mixing]`
    pub mixing: CubeTensor,
    /// Of the inputs end to end, where it was asked for; else a single number.
    pub inputs: CubeTensor,
}

/// One pass.
pub(super) fn forward(program: &Program, planned: &Planned, given: ForwardInputs) -> ForwardOutputs {
    let (client, device) = (given.inputs.client.clone(), given.inputs.device.clone());
    let plan = &planned.plan;
    let [inputs, weights, mixing, running] = [given.inputs, given.weights, given.mixing, given.running].map(Buffer::of);
    let factors = Buffer::upload(&client, &given.factors);
    let dtype = dtype(given.precision);
    let arena = Buffer::room(&client, plan.arena, dtype.size());
    let numbers = Buffer::empty(&client, plan.numbers);
    let outputs = Buffer::empty(&client, plan.outputs.iter().map(|(_, numbers)| numbers).sum());
    let observed = Buffer::empty(&client, program.running);
    let format = format(dtype);
    let elements = Elements { client: &client, format };
    elements.copy(&running, &observed, program.running);
    elements.prepare(&numbers, &mixing, &factors, plan.front);
    let mut first = 0;
    for input in &plan.inputs {
        elements.take_in(&arena, &inputs, first, *input);
        first += input.1;
    }
    let bindings = Bindings {
        client: &client,
        format,
        images: planned.images,
        epsilon: given.epsilon,
        arena,
        numbers,
        weights,
        table: planned.table(&client, &device),
        vectors: [running, observed],
    };
    plan.forward.iter().for_each(|launch| launch.run(&bindings));
    let mut first = 0;
    for output in &plan.outputs {
        elements.take_out(&bindings.arena, &outputs, first, *output);
        first += output.1;
    }
    let Bindings { arena, numbers, vectors: [_, observed], .. } = bindings;
    let [outputs, numbers] = [outputs, numbers].map(|buffer| buffer.tensor(&client, &device));
    let shape = Shape::new([arena.length]);
    let arena = CubeTensor::new_contiguous(client.clone(), device.clone(), shape, arena.handle, dtype);
    // A network without a norm has no running statistics.
    let shape = Shape::new([program.running]);
    let observed = CubeTensor::new_contiguous(client, device, shape, observed.handle, DType::F32);
    ForwardOutputs { outputs, observed, arena, numbers }
}

/// The reverse of a pass that was made with the same plan. `gradient` is that of the outputs,
/// `[outputs]`.
pub(super) fn reverse(
    program: &Program,
    planned: &Planned,
    [arena, numbers, weights, gradient]: [CubeTensor; 4],
) -> Gradients {
    let (client, device, format) = (arena.client.clone(), arena.device.clone(), format(arena.dtype));
    let plan = &planned.plan;
    let [arena, numbers, weights, gradient] = [arena, numbers, weights, gradient].map(Buffer::of);
    let elements = Elements { client: &client, format };
    let of_weights = Buffer::empty(&client, if planned.purpose.weights { program.weights } else { 0 });
    let of_mixing = Buffer::empty(&client, program.mixing);
    elements.clear(&of_weights);
    elements.clear(&of_mixing);
    let bindings = Bindings {
        client: &client,
        format,
        images: planned.images,
        epsilon: 0.0,
        arena,
        numbers,
        weights,
        table: planned.table(&client, &device),
        vectors: [of_weights, of_mixing],
    };
    let mut first = 0;
    for seed in &plan.seeds {
        elements.take_in(&bindings.arena, &gradient, first, *seed);
        first += seed.1;
    }
    plan.reverse.iter().for_each(|launch| launch.run(&bindings));
    let entered = planned.images * program.input_elements();
    let of_inputs = Buffer::empty(&client, if planned.purpose.inputs { entered } else { 0 });
    // An input that nobody read has no gradient.
    elements.clear(&of_inputs);
    let mut first = 0;
    for (place, (_, numbers)) in plan.input_gradients.iter().zip(&plan.inputs) {
        if let Some(place) = place {
            elements.take_out(&bindings.arena, &of_inputs, first, (*place, *numbers));
        }
        first += numbers;
    }
    let Bindings { vectors: [of_weights, of_mixing], .. } = bindings;
    let [weights, mixing, inputs] = [of_weights, of_mixing, of_inputs].map(|buffer| buffer.tensor(&client, &device));
    Gradients { weights, mixing, inputs }
}

/// Burn's word for a precision's number format.
pub(crate) fn dtype(precision: Precision) -> DType {
    match precision {
        Precision::F32 => DType::F32,
        Precision::Bf16 => DType::BF16,
        #[cfg(test)]
        Precision::F16 => DType::F16,
    }
}

/// The kernels' word for a number format.
fn format(dtype: DType) -> ElemType {
    ElemType::Float(match dtype {
        DType::BF16 => FloatKind::BF16,
        DType::F16 => FloatKind::F16,
        _ => FloatKind::F32,
    })
}
