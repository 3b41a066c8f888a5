//! A program executed with burn's own operators, step by step, on the processor.

use super::Results;
use super::programs::Inputs;
use crate::kernels::gpu::Purpose;
use crate::kernels::program::{Branch, Frame, PoolKind, PoolStep, Program, Read, Step, Term};
use burn::tensor::ops::{ConvOptions, MaxPoolOptions, PadMode};
use burn::tensor::{Device, Tensor, TensorData, activation, module};

struct Pass<'a> {
    program: &'a Program,
    maps: Vec<Option<Tensor<4>>>,
    weights: Tensor<1>,
    mixing: Tensor<1>,
    running: Tensor<1>,
    factors: Vec<Tensor<4>>,
    of_batch: bool,
}

pub(super) fn results(inputs: &Inputs, purpose: Purpose) -> Results {
    let device = Device::flex().autodiff();
    let vector = |numbers: &[f32]| Tensor::<1>::from_data(TensorData::new(numbers.to_vec(), [numbers.len()]), &device);
    let (program, images) = (&inputs.program, inputs.images);
    let map = program.maps[0];
    let shape = [images, map.channels, map.height, map.width];
    let x = Tensor::<4>::from_data(TensorData::new(inputs.x.clone(), shape), &device).require_grad();
    let (weights, mixing) = (vector(&inputs.weights).require_grad(), vector(&inputs.mixing).require_grad());
    let rows = inputs.factors.chunks(images);
    let mut pass = Pass {
        program,
        maps: vec![None; program.maps.len()],
        weights: weights.clone(),
        mixing: mixing.clone(),
        running: vector(&inputs.running),
        factors: rows.map(|row| vector(row).reshape([images, 1, 1, 1])).collect(),
        of_batch: purpose.of_batch,
    };
    pass.maps[0] = Some(x.clone());
    for step in &program.steps {
        let written = match step {
            Step::Convolve { branches, output } => {
                Tensor::cat(branches.iter().map(|branch| pass.branch(branch, *output)).collect(), 1)
            }
            Step::Pool { pool, output } => pass.pool(pool, *output),
            Step::Combine { terms, output } => pass.combine(terms, *output, images),
        };
        pass.maps[step.output()] = Some(written);
    }
    let outputs: Vec<Tensor<1>> = program.outputs.iter().map(|&map| pass.map(map).reshape([-1])).collect();
    let outputs = Tensor::cat(outputs, 0);
    let gradients = (outputs.clone() * vector(&inputs.gradient)).sum().backward();
    let host = |tensor: Tensor<1>| -> Vec<f32> { tensor.into_data().try_to_vec().unwrap() };
    let gradient = |of: Tensor<1>| host(of.grad(&gradients).unwrap_or_else(|| of.inner().zeros_like()));
    let input = x.grad(&gradients).unwrap_or_else(|| x.clone().inner().zeros_like());
    [host(outputs.inner()), pass.observed(), gradient(weights), gradient(mixing), host(input.reshape([-1]))]
}

impl Pass<'_> {
    fn map(&self, map: usize) -> Tensor<4> {
        self.maps[map].clone().unwrap()
    }

    fn weight(&self, start: usize, count: usize) -> Tensor<1> {
        self.weights.clone().narrow(0, start, count)
    }

    /// Mean and biased variance of each channel, `[1, c, 1, 1]`, and the number of values.
    fn moments(x: &Tensor<4>) -> (Tensor<4>, Tensor<4>, usize) {
        let [n, c, h, w] = x.dims();
        let rows = x.clone().swap_dims(0, 1).reshape([c, n * h * w]);
        let mean = rows.clone().mean_dim(1);
        let variance = (rows - mean.clone()).powi_scalar(2).mean_dim(1);
        (mean.reshape([1, c, 1, 1]), variance.reshape([1, c, 1, 1]), n * h * w)
    }

    fn read(&self, read: &Read) -> Tensor<4> {
        let mut x = self.map(read.map).narrow(1, read.first, read.channels);
        if let Some(norm) = read.norm.map(|norm| self.program.norms[norm]) {
            let width = norm.channels;
            let given = |start: usize| self.running.clone().narrow(0, start, width).reshape([1, width, 1, 1]);
            let (mean, variance) = if self.of_batch {
                let (mean, variance, _) = Self::moments(&x);
                (mean, variance)
            } else {
                (given(norm.mean), given(norm.variance))
            };
            x = (x - mean) / (variance + 1e-5).sqrt();
            if let Some(scale) = norm.scale {
                x = x * self.weight(scale, width).reshape([1, width, 1, 1]);
            }
            if let Some(shift) = norm.shift {
                x = x + self.weight(shift, width).reshape([1, width, 1, 1]);
            }
        }
        if read.relu { activation::relu(x) } else { x }
    }

    fn source(&self, reads: &[Read]) -> Tensor<4> {
        Tensor::cat(reads.iter().map(|read| self.read(read)).collect(), 1)
    }

    /// Cut and padded so that a window without padding steps over it `to` times.
    fn framed(x: Tensor<4>, frame: &Frame, to: [usize; 2], padding: f32) -> Tensor<4> {
        let [n, c, h, w] = x.dims();
        let axis = |axis: usize, side: usize| {
            let reach = (frame.kernel[axis] - 1) * frame.dilation[axis] + 1;
            let (start, length) = (frame.start[axis], (to[axis] - 1) * frame.stride[axis] + reach);
            let end = start + length as isize;
            let (before, after) = ((-start).max(0) as usize, (end - side as isize).max(0) as usize);
            (start.max(0) as usize..(end.min(side as isize)) as usize, before, after)
        };
        let ((rows, top, bottom), (columns, left, right)) = (axis(0, h), axis(1, w));
        x.slice([0..n, 0..c, rows, columns]).pad((left, right, top, bottom), PadMode::Constant(padding))
    }

    fn convolved(x: Tensor<4>, weight: Tensor<4>, frame: &Frame, groups: usize, to: [usize; 2]) -> Tensor<4> {
        let options = ConvOptions::new(frame.stride, [0, 0], frame.dilation, groups);
        module::conv2d(Self::framed(x, frame, to, 0.0), weight, None, options)
    }

    fn branch(&self, branch: &Branch, output: usize) -> Tensor<4> {
        let map = self.program.maps[output];
        let to = [map.height, map.width];
        let mut x = self.source(&branch.source);
        let inputs = x.dims()[1];
        if let Some(depthwise) = branch.depthwise {
            let [kh, kw] = depthwise.frame.kernel;
            let weight = self.weight(depthwise.weight, inputs * kh * kw).reshape([inputs, 1, kh, kw]);
            x = Self::convolved(x, weight, &depthwise.frame, inputs, to);
        }
        if let Some(dense) = branch.dense {
            let [kh, kw] = dense.frame.kernel;
            let (outputs, inputs) = (branch.channels, inputs / dense.groups);
            let weight = self.weight(dense.weight, outputs * inputs * kh * kw).reshape([outputs, inputs, kh, kw]);
            x = Self::convolved(x, weight, &dense.frame, dense.groups, to);
            if let Some(bias) = dense.bias {
                x = x + self.weight(bias, outputs).reshape([1, outputs, 1, 1]);
            }
        }
        x
    }

    fn pool(&self, pool: &PoolStep, output: usize) -> Tensor<4> {
        let map = self.program.maps[output];
        let (to, frame) = ([map.height, map.width], &pool.frame);
        let x = self.source(&pool.source);
        match pool.kind {
            PoolKind::Max => {
                let options = MaxPoolOptions::new(frame.kernel).with_stride(frame.stride).with_dilation(frame.dilation);
                module::max_pool2d(Self::framed(x, frame, to, -1e30), options)
            }
            PoolKind::Mean => {
                let channels = x.dims()[1];
                let ones = Tensor::ones([channels, 1, frame.kernel[0], frame.kernel[1]], &x.device());
                let counted = Self::convolved(x.ones_like(), ones.clone(), frame, channels, to);
                Self::convolved(x, ones, frame, channels, to) / counted
            }
        }
    }

    fn combine(&self, terms: &[Term], output: usize, images: usize) -> Tensor<4> {
        let map = self.program.maps[output];
        let device = self.weights.device();
        let channel = |channel: usize| {
            let mut sum = Tensor::<4>::zeros([images, 1, map.height, map.width], &device);
            for term in terms {
                let x = self.read(&term.read);
                for at in (0..term.read.channels).filter(|at| term.at + at * term.spread == channel) {
                    let mut x = x.clone().slice([0..images, at..at + 1]);
                    if let Some(weight) = term.weight {
                        x = x * self.mixing.clone().narrow(0, weight, 1).reshape([1, 1, 1, 1]);
                    }
                    if let Some(row) = term.factor {
                        x = x * self.factors[row].clone();
                    }
                    sum = sum + x;
                }
            }
            sum
        };
        Tensor::cat((0..map.channels).map(channel).collect(), 1)
    }

    fn observed(&self) -> Vec<f32> {
        let host = |tensor: Tensor<1>| -> Vec<f32> { tensor.into_data().try_to_vec().unwrap() };
        let mut observed = host(self.running.clone().inner());
        for norm in self.program.norms.iter().filter(|_| self.of_batch) {
            let x = self.map(norm.map);
            let images = x.dims()[0];
            let (mean, variance, count) = Self::moments(&x.slice([0..images, norm.first..norm.first + norm.channels]));
            let unbiased = variance * (count as f32 / (count as f32 - 1.0).max(1.0));
            observed[norm.mean..norm.mean + norm.channels].copy_from_slice(&host(mean.inner().reshape([-1])));
            observed[norm.variance..norm.variance + norm.channels]
                .copy_from_slice(&host(unbiased.inner().reshape([-1])));
        }
        observed
    }
}
