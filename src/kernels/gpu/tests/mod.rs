//! The engine held to burn's own operators: values and every gradient of programs drawn at random.

mod programs;
mod reference;

use self::programs::{Inputs, random_program};
use super::{Given, Plans, Purpose, forward, reverse};
use crate::kernels::Precision;
use burn::backend::DispatchDevice;
use burn::tensor::{DType, Device, DeviceType, Shape};
use burn_cubecl::CubeDevice;
use burn_cubecl::tensor::CubeTensor;
use cubecl::client::Client;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// A GPU of this machine, or what stands in for one.
pub(in crate::kernels) fn gpu() -> Option<Device> {
    #[cfg(feature = "cuda")]
    let kind = DeviceType::Cuda;
    #[cfg(not(feature = "cuda"))]
    let kind = DeviceType::Wgpu;
    let found = Device::enumerate(kind).into_vec().into_iter().next();
    if found.is_none() {
        println!("no GPU and no software Vulkan on this machine: the GPU's kernels were not run");
    }
    found
}

fn cube_device() -> Option<CubeDevice> {
    match gpu()?.as_dispatch() {
        DispatchDevice::Cube(device) => Some(device.clone()),
        _ => None,
    }
}

fn upload(client: &Client, device: &CubeDevice, numbers: &[f32], shape: &[usize]) -> CubeTensor {
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_ne_bytes()).collect();
    let handle = client.create_from_slice(&bytes);
    CubeTensor::new_contiguous(client.clone(), device.clone(), Shape::from(shape.to_vec()), handle, DType::F32)
}

fn download(tensor: CubeTensor) -> Vec<f32> {
    let numbers = tensor.meta.shape().num_elements();
    let bytes = tensor.client.read_one(tensor.handle).unwrap();
    let all: Vec<f32> = bytes.chunks_exact(4).map(|part| f32::from_ne_bytes(part.try_into().unwrap())).collect();
    all[..numbers].to_vec()
}

/// What a pass and its reverse give: outputs, observed, gradients of weights, mixing weights and input.
type Results = [Vec<f32>; 5];

const NAMES: [&str; 5] = ["outputs", "observed", "weights", "mixing", "input"];

fn on_gpu(device: &CubeDevice, inputs: &Inputs, purpose: Purpose) -> Results {
    let precision = Precision::F32;
    let client = device.client();
    let program = &inputs.program;
    let tensor = |numbers: &[f32]| upload(&client, device, numbers, &[numbers.len()]);
    let map = program.maps[0];
    let shape = [inputs.images, map.channels, map.height, map.width];
    let planned = Plans::default().plan(program, inputs.images, purpose).unwrap();
    let given = Given {
        x: upload(&client, device, &inputs.x, &shape),
        weights: tensor(&inputs.weights),
        mixing: tensor(&inputs.mixing),
        running: tensor(&inputs.running),
        factors: inputs.factors.clone(),
        epsilon: 1e-5,
        precision,
    };
    let weights = given.weights.clone();
    let done = forward(program, &planned, given);
    let mut results = [download(done.outputs), download(done.observed), Vec::new(), Vec::new(), Vec::new()];
    if purpose.reverse {
        let gradient = tensor(&inputs.gradient);
        let reversed = reverse(program, &planned, [done.arena, done.numbers, weights, gradient]);
        results[2] = download(reversed.weights);
        results[3] = download(reversed.mixing);
        results[4] = download(reversed.input);
    }
    results
}

/// Largest difference, relative to the largest number of the reference. Both sides compute in `f32` and differ in the order
/// of sums; norms over few positions magnify what differs.
const TOLERANCE: f32 = 2e-4;

/// Holds results to those of the reference. All gradients share one scale: a gradient that a norm takes out again is nothing
/// but the rounding of those that went into it.
fn assert_close(found: &[Vec<f32>], expected: &[Vec<f32>], what: &str) {
    let largest = |of: &[Vec<f32>]| of.iter().flatten().fold(0.1_f32, |largest, number| largest.max(number.abs()));
    for (group, name) in NAMES.iter().enumerate().take(found.len()) {
        let scale = if group < 2 { largest(&expected[group..=group]) } else { largest(&expected[2..]) };
        assert_eq!(found[group].len(), expected[group].len(), "{what}: {name}");
        for (at, (found, expected)) in found[group].iter().zip(&expected[group]).enumerate() {
            assert!(
                (found - expected).abs() <= TOLERANCE * scale,
                "{what}: {name} {at} is {found} and not {expected}, scale {scale}"
            );
        }
    }
}

#[test]
fn random_programs_give_what_burns_operators_give() {
    let Some(device) = cube_device() else { return };
    for seed in 0..40 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let inputs = random_program(&mut rng);
        for of_batch in [true, false] {
            let purpose = Purpose { of_batch, reverse: true, input: true };
            let expected = reference::results(&inputs, purpose);
            let found = on_gpu(&device, &inputs, purpose);
            assert_close(&found, &expected, &format!("program {seed}, norms of the batch {of_batch}"));
            // A pass that will not be reversed uses places again.
            let found = on_gpu(&device, &inputs, Purpose { of_batch, reverse: false, input: false });
            assert_close(&found[..2], &expected, &format!("program {seed}, forward only"));
        }
    }
}
