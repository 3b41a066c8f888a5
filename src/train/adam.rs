//! Adam, on one vector (Kingma and Ba, arXiv 1412.6980), as PyTorch computes it.

use burn::tensor::Tensor;

/// Settings of `Adam`; the learning rate comes with each step.
#[derive(Debug, Clone, PartialEq)]
pub struct AdamConfig {
    pub beta_1: f64,
    pub beta_2: f64,
    pub epsilon: f64,
    /// Added to the gradient as `weight_decay · α` (not decoupled).
    pub weight_decay: f64,
}

/// PyTorch's Adam, with its state.
#[derive(Debug, Clone)]
pub struct Adam {
    config: AdamConfig,
    state: Option<AdamState>,
}

/// What the next step depends on. Both moments are as long as what is moved.
#[derive(Debug, Clone)]
pub struct AdamState {
    /// Moving mean of the gradients, not yet corrected for its bias towards 0.
    pub first: Tensor<1>,
    /// Moving mean of their squares, likewise.
    pub second: Tensor<1>,
    /// Steps taken.
    pub steps: u32,
}

impl Adam {
    pub fn new(config: AdamConfig) -> Self {
        Self { config, state: None }
    }

    pub fn config(&self) -> &AdamConfig {
        &self.config
    }

    /// `None` before the first step.
    pub fn state(&self) -> Option<&AdamState> {
        self.state.as_ref()
    }

    /// Goes on from the state of an earlier run.
    pub fn restore(&mut self, state: Option<AdamState>) {
        self.state = state;
    }

    /// `α − η m̂ / (√v̂ + ε)` with both moments corrected for their bias (algorithm 1).
    pub fn step(&mut self, alphas: Tensor<1>, gradient: Tensor<1>, learning_rate: f64) -> Tensor<1> {
        let AdamConfig { beta_1, beta_2, epsilon, weight_decay } = self.config;
        let gradient = gradient + alphas.clone().mul_scalar(weight_decay);
        let AdamState { first, second, steps } = self.state.take().unwrap_or_else(|| AdamState {
            first: gradient.zeros_like(),
            second: gradient.zeros_like(),
            steps: 0,
        });
        let steps = steps + 1;
        let first = first.mul_scalar(beta_1) + gradient.clone().mul_scalar(1.0 - beta_1);
        let second = second.mul_scalar(beta_2) + gradient.square().mul_scalar(1.0 - beta_2);
        let correction = |beta: f64| 1.0 - beta.powi(i32::try_from(steps).unwrap_or(i32::MAX));
        let scale = learning_rate / correction(beta_1);
        let deviation = second.clone().sqrt().div_scalar(correction(beta_2).sqrt()).add_scalar(epsilon);
        let alphas = alphas - first.clone().div(deviation).mul_scalar(scale);
        self.state = Some(AdamState { first, second, steps });
        alphas
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    /// The first corrected step is η · sign(g), whatever the gradient's size.
    #[test]
    fn the_first_step_is_the_learning_rate_against_the_gradient() {
        let device = Device::flex();
        let config = AdamConfig { beta_1: 0.5, beta_2: 0.999, epsilon: 1e-8, weight_decay: 0.0 };
        let alphas = Tensor::<1>::from_floats([1.0, 1.0], &device);
        let gradient = Tensor::<1>::from_floats([1e-3, -20.0], &device);
        let after = crate::model::host(Adam::new(config).step(alphas, gradient, 0.01));
        for (found, expected) in after.iter().zip([0.99, 1.01]) {
            assert!((found - expected).abs() < 1e-5, "{found}");
        }
    }
}
