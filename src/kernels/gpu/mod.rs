//! Executes a [`Program`] on a GPU, forward and in reverse, with kernels of our own.
//!
//! - [`kernel`]: what runs on the GPU.
//! - [`plan`]: where everything lies and which kernels run, for a program and a number of images; made once.
//! - [`launch`]: one kernel and its arguments.
//!
//! A pass has two buffers: the **arena** (maps, their gradients and scratch, in the maps' number format) and the **numbers**
//! (`f32`). Both are allocated at the start of a pass and handed from the forward to the reverse pass; nothing is allocated
//! per operator. The launches of a pass are a fixed list over fixed places, as a graph capture would want them.

mod kernel;
mod launch;
mod plan;
#[cfg(test)]
mod tests;

use self::kernel::{REGION, UNITS, copy};
use self::launch::{Buffer, Pass};
use self::plan::Plan;
pub use self::plan::{PlanError, Purpose};
use super::program::Program;
use burn::tensor::{DType, Shape};
use burn_cubecl::CubeDevice;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use cubecl::client::Client;
use cubecl::ir::{AddressType, ElemType, FloatKind};
use cubecl::prelude::{CubeCount, CubeDim};
use cubecl::server::Handle;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Executes one program; keeps the plans that it has made.
#[derive(Debug)]
pub struct Engine {
    program: Program,
    plans: Mutex<HashMap<(CubeDevice, usize, Purpose), Arc<Ready>>>,
}

/// A plan and its table on the GPU.
#[derive(Debug)]
struct Ready {
    plan: Plan,
    table: Buffer,
}

/// What a pass is given.
#[derive(Debug, Clone)]
pub struct Given {
    /// `[n, c, h, w]`, `f32`
    pub x: CubeTensor,
    /// `[weights]`, `[mixing]`, `[running]`
    pub weights: CubeTensor,
    pub mixing: CubeTensor,
    pub running: CubeTensor,
    /// `[factors][n]`, end to end.
    pub factors: Vec<f32>,
    pub epsilon: f32,
}

/// What a pass leaves behind.
#[derive(Debug, Clone)]
pub struct Done {
    /// The outputs end to end, `[n, classes]` each.
    pub outputs: CubeTensor,
    /// `[running]`: what the batch had where norms looked at it, else what was given.
    pub observed: CubeTensor,
    /// What the reverse pass needs.
    pub arena: CubeTensor,
    pub numbers: CubeTensor,
}

/// The gradients of a pass.
#[derive(Debug, Clone)]
pub struct Gradients {
    /// `[weights]`, `[mixing]`
    pub weights: CubeTensor,
    pub mixing: CubeTensor,
    /// `[n, c, h, w]`, where it was asked for.
    pub input: Option<CubeTensor>,
}

impl Engine {
    pub fn new(program: Program) -> Self {
        Self { program, plans: Mutex::default() }
    }

    /// One pass.
    ///
    /// # Errors
    /// A program that does not pass [`Program::check`], and batches that are too large.
    pub fn forward(&self, given: Given, purpose: Purpose) -> Result<Done, PlanError> {
        let images = given.x.meta.shape()[0];
        let (client, device) = (given.x.client.clone(), given.x.device.clone());
        let ready = self.ready(&client, &device, images, purpose)?;
        let plan = &ready.plan;
        let (x, weights) = (buffer(given.x), buffer(given.weights));
        let (mixing, running) = (buffer(given.mixing), buffer(given.running));
        let factors = upload(&client, &given.factors);
        let (arena, numbers) = (empty(&client, plan.arena), empty(&client, plan.numbers));
        let outputs = empty(&client, plan.outputs.iter().map(|(_, numbers)| numbers).sum());
        let observed = empty(&client, self.program.running);
        let elements = Elements { client: &client };
        elements.copy(&running, &observed, self.program.running);
        elements.prepare(&numbers, &mixing, &factors, plan.front);
        elements.take_in(&arena, &x, plan.input);
        let pass = Pass {
            client: &client,
            format: F32,
            images,
            epsilon: given.epsilon,
            arena,
            numbers,
            weights,
            table: ready.table.clone(),
            vectors: [running, observed],
        };
        plan.forward.iter().for_each(|launch| launch.run(&pass));
        let mut first = 0;
        for output in &plan.outputs {
            elements.take_out(&pass.arena, &outputs, output.0, first, output.1);
            first += output.1;
        }
        let Pass { arena, numbers, vectors: [_, observed], .. } = pass;
        let tensor = |buffer| tensor(&client, &device, buffer);
        Ok(Done {
            outputs: tensor(outputs),
            observed: tensor(observed),
            arena: tensor(arena),
            numbers: tensor(numbers),
        })
    }

    /// The reverse of a pass that was made for it. `gradient` is that of the outputs, `[outputs]`.
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    pub fn reverse(
        &self,
        images: usize,
        purpose: Purpose,
        [arena, numbers, weights, gradient]: [CubeTensor; 4],
    ) -> Result<Gradients, PlanError> {
        let (client, device) = (arena.client.clone(), arena.device.clone());
        let ready = self.ready(&client, &device, images, purpose)?;
        let plan = &ready.plan;
        let gradient = buffer(gradient);
        let elements = Elements { client: &client };
        let of_weights = empty(&client, self.program.weights);
        let of_mixing = empty(&client, self.program.mixing);
        elements.clear(&of_weights, self.program.weights);
        let pass = Pass {
            client: &client,
            format: F32,
            images,
            epsilon: 0.0,
            arena: buffer(arena),
            numbers: buffer(numbers),
            weights: buffer(weights),
            table: ready.table.clone(),
            vectors: [of_weights, of_mixing],
        };
        let mut first = 0;
        for seed in &plan.seeds {
            elements.seed(&pass.arena, &gradient, first, *seed);
            first += seed.1;
        }
        plan.reverse.iter().for_each(|launch| launch.run(&pass));
        let input = plan.input_gradient.map(|place| {
            let numbers = plan.input.1;
            let input = empty(&client, numbers);
            elements.take_out(&pass.arena, &input, place, 0, numbers);
            let map = self.program.maps[0];
            let shape = Shape::new([images, map.channels, map.height, map.width]);
            CubeTensor::new_contiguous(client.clone(), device.clone(), shape, input.handle, DType::F32)
        });
        let Pass { vectors: [of_weights, of_mixing], .. } = pass;
        let tensor = |buffer| tensor(&client, &device, buffer);
        Ok(Gradients { weights: tensor(of_weights), mixing: tensor(of_mixing), input })
    }

    fn ready(
        &self,
        client: &Client,
        device: &CubeDevice,
        images: usize,
        purpose: Purpose,
    ) -> Result<Arc<Ready>, PlanError> {
        // A plan that was made is whole, whatever happened to the thread that made it.
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (device.clone(), images, purpose);
        if let Some(ready) = plans.get(&key) {
            return Ok(ready.clone());
        }
        let plan = Plan::new(&self.program, images, purpose)?;
        let bytes: Vec<u8> = plan.table.iter().flat_map(|word| word.to_le_bytes()).collect();
        let table = Buffer { handle: client.create_from_slice(&bytes), length: plan.table.len() };
        let ready = Arc::new(Ready { plan, table });
        plans.insert(key, ready.clone());
        Ok(ready)
    }
}

const F32: ElemType = ElemType::Float(FloatKind::F32);

/// Buffers have room for a number at least: an empty one cannot be bound.
fn empty(client: &Client, numbers: usize) -> Buffer {
    Buffer { handle: client.empty(numbers.max(1) * size_of::<f32>()), length: numbers.max(1) }
}

fn upload(client: &Client, numbers: &[f32]) -> Buffer {
    let numbers = if numbers.is_empty() { &[0.0] } else { numbers };
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_ne_bytes()).collect();
    Buffer { handle: client.create_from_slice(&bytes), length: numbers.len() }
}

fn buffer(tensor: CubeTensor) -> Buffer {
    let tensor = into_contiguous(tensor);
    let length = tensor.meta.shape().num_elements();
    if length == 0 { empty(&tensor.client, 0) } else { Buffer { handle: tensor.handle, length } }
}

fn tensor(client: &Client, device: &CubeDevice, buffer: Buffer) -> CubeTensor {
    let shape = Shape::new([buffer.length]);
    CubeTensor::new_contiguous(client.clone(), device.clone(), shape, buffer.handle, DType::F32)
}

/// Launches that move numbers into the buffers of a pass and out of them.
struct Elements<'a> {
    client: &'a Client,
}

impl Elements<'_> {
    fn grid(&self, count: usize) -> (CubeCount, CubeDim) {
        let cubes = (count.div_ceil(UNITS as usize) as u32).max(1);
        // In two dimensions, as one has 65,535 cubes at most.
        let wide = cubes.min(32_768);
        (CubeCount::Static(wide, cubes.div_ceil(wide), 1), CubeDim::new_1d(UNITS))
    }

    fn copy(&self, from: &Buffer, to: &Buffer, count: usize) {
        let (cubes, units) = self.grid(count);
        copy::copy::launch(self.client, cubes, units, address(count), from.arg(), to.arg(), count as u32);
    }

    fn clear(&self, to: &Buffer, count: usize) {
        let (cubes, units) = self.grid(count);
        copy::clear::launch(self.client, cubes, units, address(count), to.arg(), count as u32);
    }

    fn prepare(&self, numbers: &Buffer, mixing: &Buffer, factors: &Buffer, front: [usize; 4]) {
        let (cubes, units) = self.grid(front.iter().sum());
        let [plain, ones, mixed, dropped] = front.map(|count| count as u32);
        let (numbers, mixing, factors) = (numbers.arg(), mixing.arg(), factors.arg());
        let address = AddressType::U32;
        copy::prepare::launch(self.client, cubes, units, address, numbers, mixing, factors, plain, ones, mixed, dropped);
    }

    fn take_in(&self, arena: &Buffer, from: &Buffer, place: (usize, usize)) {
        self.seed(arena, from, 0, place);
    }

    /// `arena[place.0 + i] = from[first + i]`
    fn seed(&self, arena: &Buffer, from: &Buffer, first: usize, place: (usize, usize)) {
        let (cubes, units) = self.grid(place.1);
        let (region, first, count) = ((place.0 / REGION) as u32, first as u32, place.1 as u32);
        let address = address(arena.length);
        copy::take_in::launch(self.client, cubes, units, address, arena.arg(), from.arg(), region, first, count, F32);
    }

    fn take_out(&self, arena: &Buffer, to: &Buffer, place: usize, first: usize, count: usize) {
        let (cubes, units) = self.grid(count);
        let (region, first, count) = ((place / REGION) as u32, first as u32, count as u32);
        let address = address(arena.length);
        copy::take_out::launch(self.client, cubes, units, address, arena.arg(), to.arg(), region, first, count, F32);
    }
}

/// The indices that a buffer of this length needs.
fn address(length: usize) -> AddressType {
    if length > i32::MAX as usize { AddressType::U64 } else { AddressType::U32 }
}
