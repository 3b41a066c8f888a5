//! Holds engines to the reference: programs of all kinds, in value and in every gradient, on random shapes.

use super::program::{Branch, Dense, Depthwise, Frame, Map, Norm, PoolKind, PoolStep, Program, Read, Step, Term};
use super::reference::{self, Inputs};
use super::{Kernels, Pass, Plans, Precision};
use burn::tensor::{Device, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;

/// A program under construction, with weights laid out as they come.
struct Draft {
    program: Program,
    random: ChaCha8Rng,
}

impl Draft {
    fn new(seed: u64, channels: usize, height: usize, width: usize) -> Self {
        let program = Program { maps: vec![Map { channels, height, width, statistics: false }], ..Program::default() };
        Self { program, random: ChaCha8Rng::seed_from_u64(seed) }
    }

    fn map(&mut self, channels: usize, height: usize, width: usize) -> usize {
        self.program.maps.push(Map { channels, height, width, statistics: false });
        self.program.maps.len() - 1
    }

    fn weights(&mut self, length: usize) -> usize {
        self.program.weights += length;
        self.program.weights - length
    }

    fn whole(&self, map: usize) -> Read {
        Read { map, first: 0, channels: self.program.maps[map].channels, norm: None, relu: false }
    }

    fn norm(&mut self, read: Read, affine: bool) -> Read {
        self.program.maps[read.map].statistics = true;
        let (scale, shift) = match affine {
            true => (Some(self.weights(read.channels)), Some(self.weights(read.channels))),
            false => (None, None),
        };
        let mean = self.program.running;
        self.program.running += 2 * read.channels;
        let Read { map, first, channels, .. } = read;
        self.program.norms.push(Norm { map, first, channels, scale, shift, mean, variance: mean + channels });
        Read { norm: Some(self.program.norms.len() - 1), ..read }
    }

    fn mixing(&mut self) -> Option<usize> {
        self.program.mixing += 1;
        Some(self.program.mixing - 1)
    }

    /// Sides of what a frame makes of a map.
    fn sides(&self, map: usize, frame: &Frame) -> [usize; 2] {
        let map = self.program.maps[map];
        [(map.height, 0), (map.width, 1)].map(|(side, axis)| {
            let reach = (frame.kernel[axis] - 1) * frame.dilation[axis];
            let padded = side as isize + (-frame.start[axis]).max(0) * 2 - frame.start[axis].max(0);
            (padded as usize - reach - 1) / frame.stride[axis] + 1
        })
    }

    /// A separable, depthwise or dense branch of `source`; its channels begin at `first`.
    fn branch(&mut self, source: Vec<Read>, kind: Kind, frame: Frame, channels: usize, first: usize) -> Branch {
        let inputs: usize = source.iter().map(|read| read.channels).sum();
        let depthwise = match kind {
            Kind::Dense { .. } => None,
            _ => Some(Depthwise { weight: self.weights(inputs * frame.taps()), frame }),
        };
        let dense = match kind {
            Kind::Depthwise => None,
            Kind::Separable => {
                Some(Dense { weight: self.weights(inputs * channels), bias: None, frame: Frame::PIXEL, groups: 1 })
            }
            Kind::Dense { groups, bias } => {
                let weight = self.weights(channels * inputs / groups * frame.taps());
                Some(Dense { weight, bias: bias.then(|| self.weights(channels)), frame, groups })
            }
        };
        let channels = if dense.is_none() { inputs } else { channels };
        Branch { source, depthwise, dense, first, channels }
    }

    fn convolve(&mut self, branches: Vec<Branch>) -> usize {
        let first = &branches[0];
        let frame = first.depthwise.map_or_else(|| first.dense.unwrap().frame, |depthwise| depthwise.frame);
        let [height, width] = self.sides(first.source[0].map, &frame);
        let channels = branches.iter().map(|branch| branch.channels).sum();
        let output = self.map(channels, height, width);
        self.program.steps.push(Step::Convolve { branches, output });
        output
    }

    fn pool(&mut self, source: Vec<Read>, frame: Frame, kind: PoolKind) -> usize {
        let [height, width] = self.sides(source[0].map, &frame);
        let output = self.map(source.iter().map(|read| read.channels).sum(), height, width);
        self.program.steps.push(Step::Pool { pool: PoolStep { source, frame, kind }, output });
        output
    }

    fn combine(&mut self, terms: Vec<Term>, channels: usize, like: usize) -> usize {
        let Map { height, width, .. } = self.program.maps[like];
        let output = self.map(channels, height, width);
        self.program.steps.push(Step::Combine { terms, output });
        output
    }

    /// Ends in scores: all of a map's pixels are summed by a window as large as the map.
    fn finish(mut self, map: usize) -> Self {
        let Map { height, width, .. } = self.program.maps[map];
        let frame = Frame { kernel: [height, width], ..Frame::PIXEL };
        let source = vec![self.whole(map)];
        let branch = self.branch(source, Kind::Dense { groups: 1, bias: true }, frame, 3, 0);
        let scores = self.convolve(vec![branch]);
        self.program.outputs.push(scores);
        self
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Depthwise,
    Separable,
    Dense { groups: usize, bias: bool },
}

fn frame(kernel: usize, stride: usize, dilation: usize) -> Frame {
    let start = [-(((kernel - 1) * dilation / 2) as isize); 2];
    Frame { kernel: [kernel; 2], stride: [stride; 2], start, dilation: [dilation; 2] }
}

/// A program with numbers for all that it is given.
struct Drawn {
    program: Arc<Program>,
    images: usize,
    x: Vec<f32>,
    weights: Vec<f32>,
    mixing: Vec<f32>,
    running: Vec<f32>,
    factors: Arc<Vec<f32>>,
    /// The gradient of the outputs.
    towards: Vec<f32>,
}

/// Outputs, observed statistics, and the gradients of input, weights and mixing weights.
type Results = [Vec<f32>; 5];

const NAMES: [&str; 5] =
    ["outputs", "observed", "gradient of the input", "gradient of the weights", "gradient of the mixing weights"];

impl Drawn {
    fn new(draft: Draft, images: usize) -> Self {
        let Draft { program, mut random } = draft;
        program.check().unwrap();
        let input = program.maps[0];
        let mut numbers =
            |length: usize| -> Vec<f32> { (0..length).map(|_| random.random_range(-1.0f32..1.0)).collect() };
        let outputs: usize = program.outputs.iter().map(|&map| program.maps[map].channels * images).sum();
        let drops = numbers(program.factors * images).into_iter();
        Self {
            x: numbers(images * input.channels * input.height * input.width),
            weights: numbers(program.weights),
            mixing: numbers(program.mixing.max(1)),
            // Variances are not negative.
            running: numbers(program.running).into_iter().map(f32::abs).collect(),
            factors: Arc::new(drops.map(|factor| if factor < -0.4 { 0.0 } else { 1.25 }).collect()),
            towards: numbers(outputs),
            images,
            program: Arc::new(program),
        }
    }

    fn results(
        &self,
        device: &Device,
        training: bool,
        run: impl Fn(Pass, &Inputs) -> (Tensor<1>, Tensor<1>),
    ) -> Results {
        let device = device.clone().autodiff();
        let vector =
            |numbers: &Vec<f32>| Tensor::<1>::from_data(TensorData::new(numbers.clone(), [numbers.len()]), &device);
        let input = self.program.maps[0];
        let shape = [self.images, input.channels, input.height, input.width];
        let inputs = Inputs {
            x: Tensor::<4>::from_data(TensorData::new(self.x.clone(), shape), &device).require_grad(),
            weights: vector(&self.weights).require_grad(),
            mixing: vector(&self.mixing).require_grad(),
            running: vector(&self.running),
        };
        let pass = Pass {
            program: self.program.clone(),
            training,
            epsilon: 1e-5,
            factors: self.factors.clone(),
            plans: Plans::default(),
            precision: Precision::F32,
        };
        let (outputs, observed) = run(pass, &inputs);
        let gradients = (outputs.clone() * vector(&self.towards)).sum().backward();
        let flat = |found: Option<Vec<f32>>, length| found.unwrap_or_else(|| vec![0.0; length]);
        [
            host(outputs),
            host(observed),
            flat(inputs.x.grad(&gradients).map(host), self.x.len()),
            flat(inputs.weights.grad(&gradients).map(host), self.weights.len()),
            flat(inputs.mixing.grad(&gradients).map(host), self.mixing.len()),
        ]
    }
}

fn by_engine(pass: Pass, inputs: &Inputs) -> (Tensor<1>, Tensor<1>) {
    let Inputs { x, weights, mixing, running } = inputs;
    let found = Kernels::Native.run(pass, x.clone(), weights.clone(), mixing.clone(), running.clone());
    (found.outputs, found.observed)
}

/// Runs a program on `device` and by the reference, in training and in evaluation, and compares.
#[track_caller]
fn hold(draft: Draft, images: usize, device: &Device, tolerance: f32, what: &str) {
    let drawn = Drawn::new(draft, images);
    for training in [true, false] {
        let expected = drawn.results(&Device::flex(), training, |pass, inputs| reference::run(&pass, inputs));
        let found = drawn.results(device, training, by_engine);
        for ((found, expected), name) in found.iter().zip(&expected).zip(NAMES) {
            close(found, expected, tolerance, &format!("{what}, training {training}: {name}"));
        }
    }
}

/// A small supernet in training on `device`.
pub(super) fn small_supernet_on(images: usize, device: &Device) -> Results {
    Drawn::new(small_supernet(0, 9, 10, 12), images).results(device, true, by_engine)
}

fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

#[track_caller]
fn close(found: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(1e-3f32, |most, value| most.max(value.abs()));
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        let error = (found - expected).abs() / largest;
        assert!(error < tolerance, "{what}: value {at} is {found} and not {expected}, {error:.1e} of the largest");
    }
}

/// Largest differences that rounding makes, of the largest value: in one operator, and through a network with batch norms
/// over few values.
const ONE_OPERATOR: f32 = 3e-5;
const NETWORK: f32 = 1e-4;

/// Odd and even sides, maps narrower and wider than a vector, one image and more than a block.
const SHAPES: [(usize, usize, usize, usize); 6] =
    [(1, 3, 5, 7), (5, 4, 8, 8), (2, 2, 9, 17), (3, 5, 4, 33), (7, 9, 6, 6), (2, 17, 16, 16)];

/// Every program of this file, on `device`.
pub(super) fn all(device: &Device) {
    for (seed, &(images, channels, height, width)) in (0..).zip(&SHAPES) {
        let shape = format!("{images} images of {channels}x{height}x{width}");
        for (kernel, stride, dilation) in [(3, 1, 1), (5, 1, 1), (3, 1, 2), (5, 1, 2), (3, 2, 1), (5, 2, 2), (1, 2, 1)]
        {
            for kind in [
                Kind::Depthwise,
                Kind::Separable,
                Kind::Dense { groups: 1, bias: false },
                Kind::Dense { groups: channels, bias: true },
            ] {
                let mut draft = Draft::new(seed, channels, height, width);
                let outputs = match kind {
                    Kind::Dense { groups, .. } if groups > 1 => 2 * channels,
                    // Enough for windows of three rows to be taken by pairs of rows.
                    _ => 10,
                };
                let source = vec![Read { relu: true, ..draft.whole(0) }];
                let branch = draft.branch(source, kind, frame(kernel, stride, dilation), outputs, 0);
                let z = draft.convolve(vec![branch]);
                let draft = draft.finish(z);
                hold(
                    draft,
                    images,
                    device,
                    ONE_OPERATOR,
                    &format!("{shape}, kernel {kernel} stride {stride} dilation {dilation}"),
                );
            }
        }
        for kind in [PoolKind::Max, PoolKind::Mean] {
            for frame in [frame(3, 1, 1), frame(3, 2, 1), Frame { kernel: [2; 2], stride: [2; 2], ..Frame::PIXEL }] {
                let mut draft = Draft::new(seed, channels, height, width);
                let source = vec![draft.whole(0)];
                let pooled = draft.pool(source, frame, kind);
                let read = draft.whole(pooled);
                let read = draft.norm(read, false);
                let weight = draft.mixing();
                let term = Term { read, at: 0, spread: 1, weight, factor: None };
                let node = draft.combine(vec![term], channels, pooled);
                hold(draft.finish(node), images, device, ONE_OPERATOR, &format!("{shape}, {kind:?} pool, {frame:?}"));
            }
        }
        hold(
            small_supernet(seed, channels, height, width),
            images,
            device,
            NETWORK,
            &format!("{shape}, a small supernet"),
        );
    }
}

/// A stem and a cell with all that programs can say: branches of one source, a second stage that reads a norm behind a ReLU,
/// a pool that two nodes read, a concatenation, an affine norm, factors, shuffled channels, a rectified term, a reduction.
fn small_supernet(seed: u64, channels: usize, height: usize, width: usize) -> Draft {
    let mut draft = Draft::new(seed, channels, height, width);
    let width_of_cell = 6;
    let source = vec![draft.whole(0)];
    let stem = draft.branch(source, Kind::Dense { groups: 1, bias: false }, frame(3, 1, 1), width_of_cell, 0);
    let stem = draft.convolve(vec![stem]);
    let read = draft.whole(stem);
    let read = draft.norm(read, true);
    let term = |read, weight, factor| Term { read, at: 0, spread: 1, weight, factor };
    let state = draft.combine(vec![term(read, None, None)], width_of_cell, stem);

    let rectified = Read { relu: true, ..draft.whole(state) };
    let mut branches = Vec::new();
    for (at, (kernel, dilation)) in [(3, 1), (5, 1), (3, 2), (5, 2)].into_iter().enumerate() {
        let first = at * width_of_cell;
        branches.push(draft.branch(vec![rectified], Kind::Separable, frame(kernel, 1, dilation), width_of_cell, first));
    }
    let first_stage = draft.convolve(branches);
    let part = |at: usize| Read { map: first_stage, first: at * 6, channels: 6, norm: None, relu: false };
    let mut second = Vec::new();
    for at in 0..2 {
        let read = draft.norm(part(at), false);
        let source = vec![Read { relu: true, ..read }];
        second.push(draft.branch(source, Kind::Separable, frame(3 + 2 * at, 1, 1), 6, at * 6));
    }
    let second_stage = draft.convolve(second);
    let source = vec![draft.whole(state)];
    let pooled = draft.pool(source, frame(3, 1, 1), PoolKind::Max);
    let mut terms = Vec::new();
    for at in 0..2 {
        let read = Read { map: second_stage, first: at * 6, channels: 6, norm: None, relu: false };
        let read = draft.norm(read, false);
        terms.push(term(read, draft.mixing(), None));
        let read = draft.norm(part(2 + at), at == 1);
        terms.push(term(read, draft.mixing(), Some(at)));
    }
    draft.program.factors = 2;
    terms.push(term(draft.whole(state), draft.mixing(), None));
    let read = draft.whole(pooled);
    let read = draft.norm(read, false);
    terms.push(term(read, draft.mixing(), None));
    let node = draft.combine(terms, 6, state);

    // Another node reads the same pool, a rectified map and shuffled halves of the first node.
    let again = draft.whole(pooled);
    let again = draft.norm(again, false);
    let shut = Read { relu: true, ..draft.norm(part(3), false) };
    let mut terms = vec![term(again, draft.mixing(), None), term(shut, draft.mixing(), Some(0))];
    for half in 0..2 {
        let read = Read { map: node, first: half * 3, channels: 3, norm: None, relu: false };
        terms.push(Term { read, at: half, spread: 2, weight: None, factor: None });
    }
    let other = draft.combine(terms, 6, state);

    // The next cell reads the concatenation, halved.
    let concat = vec![Read { relu: true, ..draft.whole(node) }, Read { relu: true, ..draft.whole(other) }];
    let halve = Frame { stride: [2; 2], ..Frame::PIXEL };
    let shifted = Frame { start: [1; 2], ..halve };
    let [rows, cols] = draft.sides(node, &halve);
    let same = draft.sides(node, &shifted) == [rows, cols];
    let first = draft.branch(concat.clone(), Kind::Dense { groups: 1, bias: false }, halve, 4, 0);
    let frame = if same { shifted } else { halve };
    let second = draft.branch(concat, Kind::Dense { groups: 1, bias: false }, frame, 4, 4);
    let reduced = draft.convolve(vec![first, second]);
    let read = draft.whole(reduced);
    let read = draft.norm(read, true);
    let last = draft.combine(vec![term(read, None, None)], 8, reduced);
    draft.finish(last)
}

#[test]
fn the_processor_is_held_to_the_reference() {
    all(&Device::flex());
}

#[cfg(any(feature = "cuda", feature = "wgpu"))]
#[test]
fn a_gpu_is_held_to_the_reference() {
    if let Some(device) = super::gpu::gpu() {
        all(&device);
    }
}
