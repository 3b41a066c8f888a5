//! Stochastic gradient descent with momentum (Sutskever et al., ICML 2013, for Nesterov's), on one
//! vector.

use crate::kernels::vector;
use burn::tensor::Tensor;

/// Settings of `Sgd`; the learning rate comes with each step.
#[derive(Debug, Clone, PartialEq)]
pub struct SgdConfig {
    pub momentum: f64,
    pub nesterov: bool,
    /// Added to the gradient as `weight_decay · w`.
    pub weight_decay: f64,
}

/// PyTorch's SGD: no dampening, and the first velocity is the first gradient.
#[derive(Debug, Clone)]
pub struct Sgd {
    config: SgdConfig,
    /// `v`, as long as the weights; none before the first step.
    velocity: Option<Tensor<1>>,
}

impl Sgd {
    pub fn new(config: SgdConfig) -> Self {
        Self { config, velocity: None }
    }

    /// `None` before the first step.
    pub fn velocity(&self) -> Option<&Tensor<1>> {
        self.velocity.as_ref()
    }

    /// Goes on from a velocity of an earlier run.
    pub fn restore(&mut self, velocity: Option<Tensor<1>>) {
        self.velocity = velocity;
    }

    /// Where a step without Nesterov would lead that is not taken: `w − η (μv + g + λw)`, DARTS'
    /// virtual step.
    ///
    /// # Shapes
    /// both `[len]` → `[len]`
    pub fn ahead(&self, weights: Tensor<1>, gradient: Tensor<1>, learning_rate: f64) -> Tensor<1> {
        let SgdConfig { momentum, weight_decay, .. } = self.config;
        let mut direction = gradient + weights.clone().mul_scalar(weight_decay);
        if let Some(velocity) = &self.velocity {
            direction = direction + velocity.clone().mul_scalar(momentum);
        }
        weights - direction.mul_scalar(learning_rate)
    }

    /// `g' = g + λw`, `v = μv + g'`, `w − η v`; with Nesterov `w − η (g' + μv)`.
    ///
    /// # Shapes
    /// both `[len]` → `[len]`
    pub fn step(&mut self, weights: Tensor<1>, gradient: Tensor<1>, learning_rate: f64) -> Tensor<1> {
        let SgdConfig { momentum, nesterov, weight_decay } = self.config;
        let velocity = self.velocity.take().unwrap_or_else(|| weights.zeros_like());
        let (weights, velocity) = if vector::is_on_cpu(&weights) {
            let [decay, momentum, rate] = [weight_decay, momentum, learning_rate].map(|value| value as f32);
            let [weights, velocity] = vector::update([weights, velocity], [gradient], |[w, v], [g]| {
                let g = g + w * decay;
                let v = v * momentum + g;
                let direction = if nesterov { g + v * momentum } else { v };
                [w - direction * rate, v]
            });
            (weights, velocity)
        } else {
            let gradient = gradient + weights.clone().mul_scalar(weight_decay);
            let velocity = velocity.mul_scalar(momentum) + gradient.clone();
            let direction = if nesterov { gradient + velocity.clone().mul_scalar(momentum) } else { velocity.clone() };
            (weights - direction.mul_scalar(learning_rate), velocity)
        };
        self.velocity = Some(velocity);
        weights
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    /// By hand, w = 1, g = 2 then 1, η = 0.1, μ = 0.5, λ = 0.1:
    /// g' = 2.1, v = 2.1, w = 0.79; then g' = 1.079, v = 1.05 + 1.079 = 2.129, w = 0.79 − 0.2129.
    /// Nesterov: w = 1 − 0.1 (2.1 + 0.5 · 2.1) = 0.685.
    #[test]
    fn two_steps_by_hand() {
        let device = Device::flex();
        let at = |x: f32| Tensor::<1>::from_floats([x], &device);
        let mut sgd = Sgd::new(SgdConfig { momentum: 0.5, nesterov: false, weight_decay: 0.1 });
        assert!((sgd.ahead(at(1.0), at(2.0), 0.1).into_scalar::<f32>() - 0.79).abs() < 1e-6, "no velocity yet");
        let w = sgd.step(at(1.0), at(2.0), 0.1);
        let ahead = sgd.ahead(w.clone(), at(1.0), 0.1).into_scalar::<f32>();
        let w = sgd.step(w, at(1.0), 0.1).into_scalar::<f32>();
        assert_eq!(ahead, w, "the step that is then taken");
        assert!((w - 0.5771).abs() < 1e-6, "{w}");
        let mut nesterov = Sgd::new(SgdConfig { momentum: 0.5, nesterov: true, weight_decay: 0.1 });
        let w = nesterov.step(at(1.0), at(2.0), 0.1).into_scalar::<f32>();
        assert!((w - 0.685).abs() < 1e-6, "{w}");
    }
}
