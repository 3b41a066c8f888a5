//! Holds engines to the reference: programs of all kinds, in value and in every gradient, on many
//! shapes.

mod random;
mod rounded;

use super::draft::{Draft, Kind, frame, small_supernet};
use super::program::{Activation, Frame, PoolKind, Program, Read, Term};
use super::reference::{self, Inputs};
use super::{Pass, Plans, Precision, run};
use burn::tensor::{Device, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;

/// A program with numbers for all that it is given.
#[derive(Clone)]
struct Drawn {
    program: Arc<Program>,
    inputs: Vec<f32>,
    weights: Vec<f32>,
    mixing: Vec<f32>,
    running: Vec<f32>,
    factors: Arc<Vec<f32>>,
    /// The gradient of the outputs.
    towards: Vec<f32>,
}

/// Outputs, observed statistics, and the gradients of inputs, weights and mixing weights.
type Results = [Vec<f32>; 5];

const NAMES: [&str; 5] =
    ["outputs", "observed", "gradient of the inputs", "gradient of the weights", "gradient of the mixing weights"];

/// Draws of numbers after the first, at most.
const MOST_DRAWS: u64 = 8;

/// How often numbers are moved to see how far results do.
const MOVES: u64 = 3;

/// What a pass is tracked for.
#[derive(Clone, Copy, PartialEq)]
enum Tracked {
    /// Inputs, weights and mixing weights.
    All,
    /// Weights and mixing weights, as in a training.
    Weights,
    /// Mixing weights alone, as in a step of the alphas.
    Mixing,
    /// Inputs alone.
    Inputs,
    /// Nothing, as in an evaluation.
    Nothing,
}

impl Drawn {
    fn new(program: Program, images: usize, random: &mut ChaCha8Rng) -> Self {
        program.check().unwrap();
        let mut numbers =
            |length: usize| -> Vec<f32> { (0..length).map(|_| random.random_range(-1.0f32..1.0)).collect() };
        let outputs: usize = program.outputs.iter().map(|&map| program.maps[map].elements() * images).sum();
        let drops = numbers(program.factors * images).into_iter();
        Self {
            inputs: numbers(images * program.input_elements()),
            weights: numbers(program.weights),
            mixing: numbers(program.mixing.max(1)),
            // Variances are positive.
            running: numbers(program.running).into_iter().map(|number| number.abs() + 0.1).collect(),
            factors: Arc::new(drops.map(|factor| if factor < -0.4 { 0.0 } else { 1.25 }).collect()),
            towards: numbers(outputs),
            program: Arc::new(program),
        }
    }

    /// Numbers that judge an engine. Where the reference itself comes to other results once all that
    /// it is given is moved in its last bits, as where a batch norm divides by next to nothing,
    /// others are drawn.
    fn well_posed(program: Program, images: usize, random: &mut ChaCha8Rng, rounding: Rounding) -> Self {
        let first = Self::new(program.clone(), images, random);
        let others = (0..MOST_DRAWS).map(ChaCha8Rng::seed_from_u64);
        let others = others.map(|mut random| Self::new(program.clone(), images, &mut random));
        let mut draws = std::iter::once(first).chain(others);
        draws.find(|drawn| drawn.movement(rounding) < rounding.tolerance / 4.0).expect("some numbers judge an engine")
    }

    /// How far the reference's results move, of the largest value.
    fn movement(&self, rounding: Rounding) -> f32 {
        let results = |drawn: &Self, training| drawn.results(&Device::flex(), training, Tracked::All, by_reference);
        let mut most = 0.0_f32;
        for training in [true, false] {
            let still = results(self, training);
            for seed in 0..MOVES {
                let moved = results(&self.moved(&mut ChaCha8Rng::seed_from_u64(seed)), training);
                most = errors(&moved, &still, rounding).map(|(.., error)| error).fold(most, f32::max);
            }
        }
        most
    }

    /// All inputs and weights moved by up to two units in their last place.
    fn moved(&self, random: &mut ChaCha8Rng) -> Self {
        let mut moved = self.clone();
        for number in moved.inputs.iter_mut().chain(&mut moved.weights) {
            *number *= 1.0 + random.random_range(-2_i8..=2) as f32 * f32::EPSILON;
        }
        moved
    }

    /// Gradients that nothing was tracked for are empty.
    fn results(
        &self,
        device: &Device,
        training: bool,
        tracked: Tracked,
        run: impl Fn(Pass, Inputs) -> (Tensor<1>, Tensor<1>),
    ) -> Results {
        let device = if tracked == Tracked::Nothing { device.clone() } else { device.clone().autodiff() };
        let vector =
            |numbers: &Vec<f32>| Tensor::<1>::from_data(TensorData::new(numbers.clone(), [numbers.len()]), &device);
        let of_inputs = matches!(tracked, Tracked::All | Tracked::Inputs);
        let of_weights = matches!(tracked, Tracked::All | Tracked::Weights);
        let of_mixing = of_weights || tracked == Tracked::Mixing;
        let (maps, weights, mixing) = (vector(&self.inputs), vector(&self.weights), vector(&self.mixing));
        let inputs = Inputs {
            maps: if of_inputs { maps.require_grad() } else { maps },
            weights: if of_weights { weights.require_grad() } else { weights },
            mixing: if of_mixing { mixing.require_grad() } else { mixing },
            running: vector(&self.running),
        };
        let pass = Pass {
            clock: None,
            program: self.program.clone(),
            training,
            epsilon: 1e-5,
            precision: Precision::F32,
            factors: self.factors.clone(),
            plans: Plans::default(),
        };
        let Inputs { maps, weights, mixing, .. } = inputs.clone();
        let (outputs, observed) = run(pass, inputs);
        let (scores, observed) = (host(outputs.clone()), host(observed));
        if tracked == Tracked::Nothing {
            return [scores, observed, Vec::new(), Vec::new(), Vec::new()];
        }
        let gradients = (outputs * vector(&self.towards)).sum().backward();
        let of = |is_tracked: bool, tensor: Tensor<1>| {
            let found = || tensor.grad(&gradients).map_or_else(|| vec![0.0; tensor.dims()[0]], host);
            if is_tracked { found() } else { Vec::new() }
        };
        [scores, observed, of(of_inputs, maps), of(of_weights, weights), of(of_mixing, mixing)]
    }
}

/// Outputs and observed statistics.
type Engine = fn(Pass, Inputs) -> (Tensor<1>, Tensor<1>);

fn by_reference(pass: Pass, inputs: Inputs) -> (Tensor<1>, Tensor<1>) {
    reference::run(&pass, &inputs)
}

fn in_bf16(pass: Pass, inputs: Inputs) -> (Tensor<1>, Tensor<1>) {
    by_engine(Pass { precision: Precision::Bf16, ..pass }, inputs)
}

fn by_engine(pass: Pass, inputs: Inputs) -> (Tensor<1>, Tensor<1>) {
    let Inputs { maps, weights, mixing, running } = inputs;
    let found = run(pass, maps, weights, mixing, running);
    (found.outputs, found.observed)
}

/// How far results may be off: engine and reference compute in `f32` and differ in the order of
/// sums.
#[derive(Clone, Copy)]
struct Rounding {
    /// Of the largest value.
    tolerance: f32,
    /// Least of the largest values.
    floor: f32,
    /// Whether all gradients share the largest value: a gradient that a norm takes out again is
    /// nothing but the rounding of those that went into it.
    shared: bool,
}

/// Of one operator, of a network with batch norms over few values, and of anything that programs
/// can say.
const ONE_OPERATOR: Rounding = Rounding { tolerance: 3e-5, floor: 1e-3, shared: false };
const NETWORK: Rounding = Rounding { tolerance: 1e-4, ..ONE_OPERATOR };
const ANYTHING: Rounding = Rounding { tolerance: 2e-4, floor: 0.1, shared: true };

/// Runs a program on `device` and by the reference, in training and in evaluation, tracked for all
/// and for less, and compares.
#[track_caller]
fn hold(program: Program, images: usize, random: &mut ChaCha8Rng, device: &Device, rounding: Rounding, what: &str) {
    let drawn = Drawn::well_posed(program, images, random, rounding);
    for training in [true, false] {
        let expected = drawn.results(&Device::flex(), training, Tracked::All, by_reference);
        for tracked in [Tracked::All, Tracked::Weights, Tracked::Mixing, Tracked::Nothing] {
            let found = drawn.results(device, training, tracked, by_engine);
            compare(&found, &expected, rounding, &format!("{what}, training {training}"));
        }
    }
}

#[track_caller]
fn compare(found: &Results, expected: &Results, rounding: Rounding, what: &str) {
    for (group, name) in NAMES.into_iter().enumerate().filter(|(group, _)| !found[*group].is_empty()) {
        assert_eq!(found[group].len(), expected[group].len(), "{what}: {name}");
    }
    for (group, at, error) in errors(found, expected, rounding) {
        let (name, found, expected) = (NAMES[group], found[group][at], expected[group][at]);
        assert!(
            error < rounding.tolerance,
            "{what}: {name} {at} is {found} and not {expected}, {error:.1e} of the largest"
        );
    }
}

/// Group and place of each number that was found, and how far it is off, of the largest value.
fn errors(found: &Results, expected: &Results, rounding: Rounding) -> impl Iterator<Item = (usize, usize, f32)> {
    (0..NAMES.len()).flat_map(move |group| {
        let scale = if rounding.shared && group >= 2 { &expected[2..] } else { &expected[group..=group] };
        let largest = scale.iter().flatten().fold(rounding.floor, |most, value| most.max(value.abs()));
        let pairs = found[group].iter().zip(&expected[group]).enumerate();
        pairs.map(move |(at, (found, expected))| (group, at, (found - expected).abs() / largest))
    })
}

/// A small supernet in training on `device`.
pub(super) fn small_supernet_on(images: usize, device: &Device, precision: Precision) -> Results {
    let drawn = Drawn::new(small_supernet(9, 10, 12), images, &mut ChaCha8Rng::seed_from_u64(0));
    drawn.results(device, true, Tracked::All, |pass, inputs| by_engine(Pass { precision, ..pass }, inputs))
}

fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

/// Odd and even sides, maps narrower and wider than a vector, one image and more than a block.
const SHAPES: [(usize, usize, usize, usize); 6] =
    [(1, 3, 5, 7), (5, 4, 8, 8), (2, 2, 9, 17), (3, 5, 4, 33), (7, 9, 6, 6), (2, 17, 16, 16)];

/// Kernel, stride, dilation.
const WINDOWS: [(usize, usize, usize); 7] =
    [(3, 1, 1), (5, 1, 1), (3, 1, 2), (5, 1, 2), (3, 2, 1), (5, 2, 2), (1, 2, 1)];

/// Every program, on `device`.
fn all(device: &Device) {
    let mut random = ChaCha8Rng::seed_from_u64(0);
    for (images, channels, height, width) in SHAPES {
        let shape = format!("{images} images of {channels}x{height}x{width}");
        let draft = || Draft::new(channels, height, width);
        for (kernel, stride, dilation) in WINDOWS {
            for kind in [
                Kind::Depthwise,
                Kind::Separable,
                Kind::Dense { groups: 1, bias: false },
                Kind::Dense { groups: channels, bias: true },
            ] {
                let outputs = match kind {
                    Kind::Dense { groups, .. } if groups > 1 => 2 * channels,
                    // Enough for windows of three rows to be taken by tiles of rows.
                    _ => 10,
                };
                let mut draft = draft();
                let source = vec![Read { activation: Activation::Relu, ..draft.whole(0) }];
                let branch = draft.branch(source, kind, frame(kernel, stride, dilation), outputs, 0);
                let z = draft.convolve(vec![branch]);
                let what = format!("{shape}, kernel {kernel} stride {stride} dilation {dilation}");
                hold(draft.finish(z), images, &mut random, device, ONE_OPERATOR, &what);
            }
        }
        for kind in [PoolKind::Max, PoolKind::Mean] {
            for frame in [frame(3, 1, 1), frame(3, 2, 1), Frame { kernel: [2; 2], stride: [2; 2], ..Frame::PIXEL }] {
                let mut draft = draft();
                let source = vec![draft.whole(0)];
                let pooled = draft.pool(source, frame, kind);
                let read = draft.whole(pooled);
                let read = draft.norm(read, false);
                let weight = draft.mixing();
                let term = Term { read, at: 0, spread: 1, weight, factor: None };
                let node = draft.combine(vec![term], channels, pooled);
                let what = format!("{shape}, {kind:?} pool, {frame:?}");
                hold(draft.finish(node), images, &mut random, device, ONE_OPERATOR, &what);
            }
        }
        let supernet = small_supernet(channels, height, width);
        hold(supernet.clone(), images, &mut random, device, NETWORK, &format!("{shape}, a small supernet"));
        let mut gathered = supernet.clone();
        gathered.gather();
        hold(gathered, images, &mut random, device, NETWORK, &format!("{shape}, a small supernet, gathered"));
        let outputs = (0..supernet.maps.len()).collect();
        let what = format!("{shape}, a small supernet whose maps are its outputs");
        hold(Program { outputs, ..supernet }, images, &mut random, device, NETWORK, &what);
    }
    // Windows of few channels are taken by tiles only where there are many pixels.
    let mut draft = Draft::new(4, 75, 74);
    let source = vec![draft.whole(0)];
    let branch = draft.branch(source, Kind::Dense { groups: 1, bias: true }, frame(3, 1, 1), 5, 0);
    let z = draft.convolve(vec![branch]);
    hold(draft.finish(z), 3, &mut random, device, ONE_OPERATOR, "few channels, many pixels");
    for seed in 0..40_usize {
        let mut random = ChaCha8Rng::seed_from_u64(seed as u64);
        let (mut program, images) = random::program(&mut random);
        // Any map may be an output beside the scores, whoever reads it.
        if seed % 2 == 1 {
            program.outputs.push(seed % program.maps.len());
        }
        hold(program, images, &mut random, device, ANYTHING, &format!("program {seed}"));
    }
}

#[test]
fn the_processor_is_held_to_the_reference() {
    all(&Device::flex());
}

#[test]
fn a_gradient_has_the_same_bits_whatever_else_is_asked_for() {
    for seed in 0..60_usize {
        let mut random = ChaCha8Rng::seed_from_u64(seed as u64);
        let (mut program, images) = random::program(&mut random);
        if seed % 2 == 1 {
            program.outputs.push(seed % program.maps.len());
        }
        let drawn = Drawn::new(program, images, &mut random);
        let engines: [(bool, Engine); 4] = [(true, by_engine), (false, by_engine), (true, in_bf16), (false, in_bf16)];
        for (training, engine) in engines {
            let all = drawn.results(&Device::flex(), training, Tracked::All, engine);
            for tracked in [Tracked::Weights, Tracked::Mixing, Tracked::Inputs] {
                let found = drawn.results(&Device::flex(), training, tracked, engine);
                for ((found, all), name) in
                    found.iter().zip(&all).zip(NAMES).filter(|((found, _), _)| !found.is_empty())
                {
                    assert!(found == all, "program {seed}, training {training}: {name}");
                }
            }
        }
    }
}

#[cfg(any(feature = "cuda", feature = "wgpu"))]
#[test]
#[ignore = "needs a GPU, or a software Vulkan in its place"]
fn a_gpu_is_held_to_the_reference() {
    all(&gpu());
}

#[cfg(any(feature = "cuda", feature = "wgpu"))]
fn gpu() -> Device {
    use burn::tensor::DeviceType;
    #[cfg(feature = "cuda")]
    let kind = DeviceType::Cuda;
    #[cfg(not(feature = "cuda"))]
    let kind = DeviceType::Wgpu;
    Device::enumerate(kind).into_vec().first().expect("a GPU, or a software Vulkan in its place").clone()
}

#[cfg(any(feature = "cuda", feature = "wgpu"))]
#[test]
#[ignore = "needs a GPU whose driver has bf16 (CUDA) or f16 (wgpu), or a software Vulkan in its place"]
fn a_gpu_whose_maps_have_sixteen_bits_is_near_the_reference() {
    use burn::backend::{Backend, Dispatch};
    // Eight significant bits and eleven.
    let (precision, rounding) = if cfg!(feature = "cuda") { (Precision::Bf16, 8.0) } else { (Precision::F16, 1.0) };
    let device = gpu();
    assert!(Dispatch::supports_dtype(device.as_dispatch(), super::gpu::dtype(precision)), "no `{precision}` here");
    rounded::near(&device, precision, rounding);
}
