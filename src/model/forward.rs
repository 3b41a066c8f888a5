//! One pass through layers: which primitive is which operator.

use super::{DropPath, Views, layers, noise::Draws};
use crate::space::network::tensor_name;
use crate::space::network::{Chain, Layer, LayerKind, Nonlinearity, Norms};
use burn::tensor::{Tensor, TensorData, activation, module};
use std::cell::RefCell;

/// The weight of a new batch in the running statistics (PyTorch's default, which both reference
/// code bases keep).
const MOMENTUM: f64 = 0.1;

/// What a pass is for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mode {
    /// Batch norm looks at the batch, the auxiliary head is asked, paths of a discrete network are
    /// dropped.
    Train { drop_path: Option<DropPath> },
    /// Batch norm looks at the running statistics, unless a space says otherwise.
    Evaluate,
}

/// One pass: the tensors it reads, and the batch statistics it leaves behind.
pub struct Forward<'a> {
    mode: Mode,
    norms: Norms,
    weights: &'a Views,
    running: &'a Views,
    draws: Draws,
    /// For each running statistic, what this batch had.
    observed: RefCell<Vec<Option<Tensor<1>>>>,
}

impl<'a> Forward<'a> {
    pub(super) fn new((mode, norms): (Mode, Norms), weights: &'a Views, running: &'a Views, draws: Draws) -> Self {
        Self { mode, norms, weights, running, draws, observed: RefCell::new(vec![None; running.len()]) }
    }

    /// Layers in sequence.
    ///
    /// # Shapes
    /// `[batch, c, h, w]` → the last layer's `output`
    pub fn chain(&self, chain: &Chain, x: Tensor<4>) -> Tensor<4> {
        chain.layers.iter().fold(x, |x, layer| self.layer(layer, x))
    }

    /// One layer.
    pub(super) fn layer(&self, layer: &Layer, x: Tensor<4>) -> Tensor<4> {
        match &layer.kind {
            LayerKind::Identity => x,
            LayerKind::Zero { .. } => {
                let (batch, size) = (x.dims()[0], layer.output);
                Tensor::zeros([batch, size.channels, size.height, size.width], &x.device())
            }
            LayerKind::Noise { number, .. } => {
                let (batch, size) = (x.dims()[0], layer.output);
                let numbers = self.draws.numbers(*number, batch, size.elements());
                let shape = [batch, size.channels, size.height, size.width];
                Tensor::from_data(TensorData::new(numbers, shape), &x.device())
            }
            LayerKind::Relu => activation::relu(x),
            LayerKind::Nonlinearity(function) => match function {
                Nonlinearity::Tanh => activation::tanh(x),
                Nonlinearity::Sigmoid => activation::sigmoid(x),
                Nonlinearity::Swish => activation::silu(x),
                Nonlinearity::HardSwish => activation::hard_swish(x),
                Nonlinearity::Gelu => activation::gelu(x),
                Nonlinearity::LeakyRelu { slope } => activation::leaky_relu(x, *slope),
            },
            LayerKind::Affine { scale, shift } => x.mul_scalar(*scale).add_scalar(*shift),
            LayerKind::Upsample { by } => layers::upsample(x, *by),
            LayerKind::PixelShuffle { by } => layers::pixel_shuffle(x, *by),
            LayerKind::Conv(conv) => {
                let weight = self.weights.get(&tensor_name(&layer.label, "weight"));
                let bias = conv.bias.then(|| self.weights.get(&tensor_name(&layer.label, "bias")));
                layers::conv(x, weight, bias, conv)
            }
            LayerKind::FactorizedReduce { first, second } => self.factorized_reduce(first, second, x),
            LayerKind::BatchNorm { .. } => self.batch_norm(&layer.label, x),
            LayerKind::MaxPool(pool) => layers::max_pool(x, pool),
            LayerKind::AvgPool(pool) => layers::avg_pool(x, pool),
            LayerKind::GlobalAvgPool => {
                let [batch, channels, height, width] = x.dims();
                x.reshape([batch, channels, height * width]).mean_dim(2).reshape([batch, channels, 1, 1])
            }
            LayerKind::Linear => {
                let weight = self.weights.get::<2>(&tensor_name(&layer.label, "weight"));
                let bias = self.weights.get::<1>(&tensor_name(&layer.label, "bias"));
                let batch = x.dims()[0];
                let [classes, features] = weight.dims();
                let scores = module::linear(x.reshape([batch, features]), weight.transpose(), Some(bias));
                scores.reshape([batch, classes, 1, 1])
            }
            LayerKind::Sum(chains) => {
                chains.iter().map(|chain| self.chain(chain, x.clone())).reduce(|sum, term| sum + term).unwrap_or(x)
            }
            LayerKind::Concat(chains) => {
                Tensor::cat(chains.iter().map(|chain| self.chain(chain, x.clone())).collect(), 1)
            }
        }
    }

    /// Halves the sides without losing a pixel: one half of the channels sees even pixels, the
    /// other odd ones.
    fn factorized_reduce(&self, first: &str, second: &str, x: Tensor<4>) -> Tensor<4> {
        let [batch, channels, height, width] = x.dims();
        let shifted = x.clone().slice([0..batch, 0..channels, 1..height, 1..width]);
        let halve = |label: &str, x| {
            let weight: Tensor<4> = self.weights.get(&tensor_name(label, "weight"));
            layers::pointwise(x, weight, 2)
        };
        Tensor::cat(vec![halve(first, x), halve(second, shifted)], 1)
    }

    fn batch_norm(&self, label: &str, x: Tensor<4>) -> Tensor<4> {
        let scale = self.weights.find::<1>(&tensor_name(label, "weight"));
        let shift = self.weights.find::<1>(&tensor_name(label, "bias"));
        let (mean, variance) = (tensor_name(label, "running_mean"), tensor_name(label, "running_var"));
        let Norms { epsilon, of_batch } = self.norms;
        if self.mode == Mode::Evaluate && !of_batch {
            let (mean, variance) = (self.running.get::<1>(&mean), self.running.get::<1>(&variance));
            return layers::batch_norm_eval(x, scale, shift, mean, variance, epsilon);
        }
        let [batch, _, height, width] = x.dims();
        let count = (batch * height * width) as f64;
        let normalised = layers::batch_norm_train(x, scale, shift, epsilon);
        // The running variance is unbiased, the one that normalises is not. A single value has no
        // variance.
        let unbiased = normalised.variance.inner().mul_scalar(count / (count - 1.0).max(1.0));
        self.observe(&mean, normalised.mean.inner());
        self.observe(&variance, unbiased);
        normalised.output
    }

    fn observe(&self, name: &str, value: Tensor<1>) {
        let at = self.running.position(name).expect("a batch norm's running statistics are in the group");
        self.observed.borrow_mut()[at] = Some(value);
    }

    /// What the batch had where a batch norm ran here, in the place of what stands in `others`.
    pub(super) fn observed_over(self, others: Tensor<1>) -> Tensor<1> {
        let observed = self.observed.into_inner();
        if observed.iter().all(Option::is_none) {
            return others;
        }
        let of = |(at, value): (usize, Option<Tensor<1>>)| {
            value.unwrap_or_else(|| others.clone().slice([self.running.stretch(at)]))
        };
        Tensor::cat(observed.into_iter().enumerate().map(of).collect(), 0)
    }
}

/// The running statistics after a pass: `old + 0.1 · (batch − old)`. In this form a statistic that
/// no batch norm touched, as it is in both, stays the same to the bit.
pub(super) fn statistics_after(old: Tensor<1>, batch: Tensor<1>) -> Tensor<1> {
    old.clone() + (batch - old).mul_scalar(MOMENTUM)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{TensorGroup, host, noise::Noise, tensor_group::Layout},
        space::network::FeatureMap,
    };
    use burn::tensor::Device;
    use std::sync::Arc;

    /// By their definitions, in double precision.
    #[test]
    fn nonlinearities_are_what_papers_say() {
        let device = Device::flex();
        let nothing = TensorGroup::from_host(Arc::new(Layout::new([])), Vec::new(), &device).views();
        let forward =
            Forward::new((Mode::Evaluate, Norms::default()), &nothing, &nothing, Noise::default().next_pass());
        let size = FeatureMap { channels: 5, height: 1, width: 1 };
        let xs = [-4.0_f32, -1.0, 0.0, 0.5, 3.5];
        let of = |function| {
            let kind = LayerKind::Nonlinearity(function);
            let layer = Layer { label: String::new(), kind, input: size, output: size, tensors: Vec::new() };
            host(forward.layer(&layer, Tensor::from_data(TensorData::new(xs.to_vec(), [1, 5, 1, 1]), &device)))
        };
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        // Φ of −4, −1, 0, 0.5 and 3.5, from a table.
        let normal = [3.167_124e-5, 0.158_655_254, 0.5, 0.691_462_461, 0.999_767_371];
        for (at, x) in xs.into_iter().map(f64::from).enumerate() {
            for (function, expected) in [
                (Nonlinearity::Tanh, x.tanh()),
                (Nonlinearity::Sigmoid, sigmoid(x)),
                (Nonlinearity::Swish, x * sigmoid(x)),
                (Nonlinearity::HardSwish, x * (x + 3.0).clamp(0.0, 6.0) / 6.0),
                (Nonlinearity::Gelu, x * normal[at]),
                (Nonlinearity::LeakyRelu { slope: 0.2 }, if x < 0.0 { 0.2 * x } else { x }),
            ] {
                let found = f64::from(of(function)[at]);
                assert!((found - expected).abs() < 2e-6 * expected.abs().max(1.0), "{function:?} of {x}: {found}");
            }
        }
    }
}
