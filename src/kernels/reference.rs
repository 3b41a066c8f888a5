//! Programs by burn's own operators, one after another: what every engine is held to.

use super::Pass;
use super::program::{Activation, Branch, Frame, Map, PoolKind, Program, Read, Step};
use burn::tensor::{
    Tensor, activation,
    module::{batch_norm, batch_norm_train, conv2d, max_pool2d},
    ops::{ConvOptions, MaxPoolOptions, PadMode},
};

/// Tensors of a pass: the program's inputs end to end, and the vectors.
#[derive(Clone)]
pub(super) struct Inputs {
    pub maps: Tensor<1>,
    pub weights: Tensor<1>,
    pub mixing: Tensor<1>,
    pub running: Tensor<1>,
}

/// The outputs end to end, and the observed statistics.
pub(super) fn run(pass: &Pass, inputs: &Inputs) -> (Tensor<1>, Tensor<1>) {
    let program = &*pass.program;
    let mut walk = Walk { pass, inputs, maps: vec![None; program.maps.len()], observed: inputs.running.clone() };
    let mut first = 0;
    for &map in &program.inputs {
        let Map { channels, height, width, .. } = program.maps[map];
        let shape = [walk.images(), channels, height, width];
        let length = shape.iter().product();
        walk.maps[map] = Some(inputs.maps.clone().narrow(0, first, length).reshape(shape));
        first += length;
    }
    for step in &program.steps {
        let written = walk.step(step);
        walk.maps[step.output()] = Some(written);
    }
    let outputs = program.outputs.iter().map(|&map| flat(walk.map(map))).collect();
    (Tensor::cat(outputs, 0), walk.observed)
}

struct Walk<'a> {
    pass: &'a Pass,
    inputs: &'a Inputs,
    maps: Vec<Option<Tensor<4>>>,
    observed: Tensor<1>,
}

fn flat(x: Tensor<4>) -> Tensor<1> {
    let length = x.dims().iter().product::<usize>();
    x.reshape([length])
}

impl Walk<'_> {
    fn program(&self) -> &Program {
        &self.pass.program
    }

    fn images(&self) -> usize {
        self.inputs.maps.dims()[0] / self.program().input_elements()
    }

    fn map(&self, map: usize) -> Tensor<4> {
        self.maps[map].clone().expect("written before it is read")
    }

    fn weights<const D: usize>(&self, at: usize, shape: [usize; D]) -> Tensor<D> {
        let length: usize = shape.iter().product();
        self.inputs.weights.clone().narrow(0, at, length).reshape(shape)
    }

    fn read(&mut self, read: &Read) -> Tensor<4> {
        let channels = read.first..read.first + read.channels;
        let x = self.map(read.map);
        let [images, _, height, width] = x.dims();
        let mut x = x.slice([0..images, channels, 0..height, 0..width]);
        if let Some(norm) = read.norm.map(|norm| self.program().norms[norm]) {
            let affine = |at: Option<usize>, otherwise: f32| match at {
                Some(at) => self.weights(at, [norm.channels]),
                None => Tensor::full([norm.channels], otherwise, &x.device()),
            };
            let (scale, shift) = (affine(norm.scale, 1.0), affine(norm.shift, 0.0));
            let running = self.inputs.running.clone();
            let (mean, variance) = (norm.mean..norm.mean + norm.channels, norm.variance..norm.variance + norm.channels);
            if self.pass.training {
                let found = batch_norm_train(x, scale, shift, self.pass.epsilon);
                let count = (images * height * width) as f64;
                let unbiased = found.variance.inner().mul_scalar(count / (count - 1.0).max(1.0));
                let observed = self.observed.clone();
                self.observed = observed.slice_assign([mean], found.mean.inner()).slice_assign([variance], unbiased);
                x = found.output;
            } else {
                let (mean, variance) = (running.clone().slice([mean]), running.slice([variance]));
                x = batch_norm(x, scale, shift, mean, variance, self.pass.epsilon);
            }
        }
        match read.activation {
            Activation::None => x,
            Activation::Relu => activation::relu(x),
        }
    }

    fn source(&mut self, source: &[Read]) -> Tensor<4> {
        Tensor::cat(source.iter().map(|read| self.read(read)).collect(), 1)
    }

    fn step(&mut self, step: &Step) -> Tensor<4> {
        let map = self.program().maps[step.output()];
        let images = self.images();
        match step {
            Step::Convolve { branches, .. } => {
                let parts = branches.iter().map(|branch| self.branch(branch, [map.height, map.width])).collect();
                Tensor::cat(parts, 1)
            }
            Step::Pool { pool, .. } => {
                let x = self.source(&pool.source);
                pooled(x, &pool.frame, pool.kind, [map.height, map.width])
            }
            Step::Combine { terms, .. } => {
                let device = self.inputs.maps.device();
                let mut sum = Tensor::zeros([images, map.channels, map.height, map.width], &device);
                for term in terms {
                    let mut x = self.read(&term.read);
                    if let Some(at) = term.weight {
                        x = x * self.inputs.mixing.clone().narrow(0, at, 1).reshape([1, 1, 1, 1]);
                    }
                    if let Some(row) = term.factor {
                        let factors = &self.pass.factors[row * images..][..images];
                        x = x * Tensor::<1>::from_floats(factors, &device).reshape([images, 1, 1, 1]);
                    }
                    let parts = (0..map.channels).map(|channel| {
                        let past = channel.checked_sub(term.at).filter(|past| past % term.spread == 0);
                        match past.map(|past| past / term.spread).filter(|past| *past < term.read.channels) {
                            Some(from) => x.clone().slice([0..images, from..from + 1, 0..map.height, 0..map.width]),
                            None => Tensor::zeros([images, 1, map.height, map.width], &device),
                        }
                    });
                    sum = sum + Tensor::cat(parts.collect(), 1);
                }
                sum
            }
        }
    }

    fn branch(&mut self, branch: &Branch, sides: [usize; 2]) -> Tensor<4> {
        let mut x = self.source(&branch.source);
        let inputs = x.dims()[1];
        if let Some(depthwise) = branch.depthwise {
            let [height, width] = depthwise.frame.kernel;
            let weight = self.weights(depthwise.weight, [inputs, 1, height, width]);
            x = convolve(x, weight, &depthwise.frame, inputs, sides);
        }
        let Some(dense) = branch.dense else { return x };
        let [height, width] = dense.frame.kernel;
        let weight = self.weights(dense.weight, [branch.channels, inputs / dense.groups, height, width]);
        let z = convolve(x, weight, &dense.frame, dense.groups, sides);
        match dense.bias {
            Some(at) => z + self.weights(at, [branch.channels]).reshape([1, branch.channels, 1, 1]),
            None => z,
        }
    }
}

/// Cut and padded so that a window without padding steps over it `to` times.
fn framed(x: Tensor<4>, frame: &Frame, to: [usize; 2], padding: f32) -> Tensor<4> {
    let [images, channels, height, width] = x.dims();
    let axis = |axis: usize, side: usize| {
        let reach = (frame.kernel[axis] - 1) * frame.dilation[axis] + 1;
        let start = frame.start[axis];
        let end = start + ((to[axis] - 1) * frame.stride[axis] + reach) as isize;
        let kept = start.max(0).unsigned_abs()..end.min(side as isize).unsigned_abs();
        (kept, start.min(0).unsigned_abs(), (end - side as isize).max(0).unsigned_abs())
    };
    let ((rows, top, bottom), (columns, left, right)) = (axis(0, height), axis(1, width));
    let kept = x.slice([0..images, 0..channels, rows, columns]);
    kept.pad((left, right, top, bottom), PadMode::Constant(padding))
}

fn convolve(x: Tensor<4>, weight: Tensor<4>, frame: &Frame, groups: usize, to: [usize; 2]) -> Tensor<4> {
    let options = ConvOptions::new(frame.stride, [0; 2], frame.dilation, groups);
    conv2d(framed(x, frame, to, 0.0), weight, None, options)
}

fn pooled(x: Tensor<4>, frame: &Frame, kind: PoolKind, to: [usize; 2]) -> Tensor<4> {
    match kind {
        PoolKind::Max => {
            let options = MaxPoolOptions::new(frame.kernel).with_stride(frame.stride).with_dilation(frame.dilation);
            max_pool2d(framed(x, frame, to, f32::NEG_INFINITY), options)
        }
        PoolKind::Mean => {
            let channels = x.dims()[1];
            let ones = Tensor::ones([channels, 1, frame.kernel[0], frame.kernel[1]], &x.device());
            let counts = convolve(x.ones_like(), ones.clone(), frame, channels, to);
            convolve(x, ones, frame, channels, to) / counts
        }
    }
}
