//! What moves weights, or alphas.

use super::{
    adam::{Adam, AdamConfig, AdamState},
    sgd::{Sgd, SgdConfig},
};
use burn::tensor::Tensor;

/// Which rule, and its settings; the learning rate comes with each step.
#[derive(Debug, Clone, PartialEq)]
pub enum OptimiserConfig {
    Sgd(SgdConfig),
    Adam(AdamConfig),
}

/// A rule with its state.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "a training has two")]
pub enum Optimiser {
    Sgd(Sgd),
    Adam(Adam),
}

/// What the next step depends on.
#[derive(Debug, Clone, Default)]
pub struct OptimiserState {
    /// Each as long as what is moved, in the order of [`Optimiser::names`]; none before the first
    /// step.
    pub tensors: Vec<Tensor<1>>,
    /// Steps taken, where a rule counts them.
    pub steps: u32,
}

impl Optimiser {
    pub fn new(config: OptimiserConfig) -> Self {
        match config {
            OptimiserConfig::Sgd(config) => Self::Sgd(Sgd::new(config)),
            OptimiserConfig::Adam(config) => Self::Adam(Adam::new(config)),
        }
    }

    /// # Shapes
    /// both `[len]` → `[len]`
    pub fn step(&mut self, weights: Tensor<1>, gradient: Tensor<1>, learning_rate: f64) -> Tensor<1> {
        match self {
            Self::Sgd(sgd) => sgd.step(weights, gradient, learning_rate),
            Self::Adam(adam) => adam.step(weights, gradient, learning_rate),
        }
    }

    /// Where a step would lead that is not taken. SGD's is one with its momentum and without
    /// Nesterov's look ahead; Adam's is one along the gradient alone, whose derivative is known:
    /// `w − η (g + λw)`.
    ///
    /// # Shapes
    /// both `[len]` → `[len]`
    pub fn ahead(&self, weights: Tensor<1>, gradient: Tensor<1>, learning_rate: f64) -> Tensor<1> {
        match self {
            Self::Sgd(sgd) => sgd.ahead(weights, gradient, learning_rate),
            Self::Adam(adam) => {
                let direction = gradient + weights.clone().mul_scalar(adam.config().weight_decay);
                weights - direction.mul_scalar(learning_rate)
            }
        }
    }

    /// What a checkpoint keeps.
    pub fn state(&self) -> OptimiserState {
        match self {
            Self::Sgd(sgd) => OptimiserState { tensors: sgd.velocity().cloned().into_iter().collect(), steps: 0 },
            Self::Adam(adam) => adam.state().map_or_else(OptimiserState::default, |state| OptimiserState {
                tensors: vec![state.first.clone(), state.second.clone()],
                steps: state.steps,
            }),
        }
    }

    /// The names of what [`state`](Self::state) has after a step.
    pub fn names(&self) -> &'static [&'static str] {
        match self {
            Self::Sgd(_) => &["velocity"],
            Self::Adam(_) => &["first", "second"],
        }
    }

    /// Goes on from a state of [`state`](Self::state).
    pub fn restore(&mut self, state: OptimiserState) {
        let OptimiserState { tensors, steps } = state;
        let mut tensors = tensors.into_iter();
        match self {
            Self::Sgd(sgd) => sgd.restore(tensors.next()),
            Self::Adam(adam) => {
                let state = tensors.next().zip(tensors.next());
                adam.restore(state.map(|(first, second)| AdamState { first, second, steps }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    /// By hand: 1 − 0.1 (2 + 0.5 · 1), whatever the moments are.
    #[test]
    fn a_step_ahead_by_adam_is_along_the_gradient_and_takes_nothing_along() {
        let at = |x: f32| Tensor::<1>::from_floats([x], &Device::flex());
        let config = AdamConfig { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-8, weight_decay: 0.5 };
        let mut adam = Optimiser::new(OptimiserConfig::Adam(config));
        adam.step(at(1.0), at(-7.0), 0.1);
        let ahead = adam.ahead(at(1.0), at(2.0), 0.1).into_scalar::<f32>();
        assert!((ahead - 0.75).abs() < 1e-6, "{ahead}");
        assert_eq!(adam.state().steps, 1);
    }
}
