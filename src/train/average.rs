//! A mean of the weights over the steps of a training, the late ones counting more.

use crate::kernels::vector;
use burn::tensor::Tensor;
use std::mem;

/// Exponential moving average of weights and running statistics: `a ← a + (1 − d)(w − a)` after
/// each step.
///
/// The decay `d` grows as `min(decay, (1 + t) / (10 + t))` with the steps `t` taken, so that the
/// first weights are soon forgotten (TensorFlow's rule for `num_updates`).
#[derive(Debug, Clone)]
pub struct Average {
    decay: f64,
    steps: u64,
    /// `[layout.len()]` of the weights.
    weights: Tensor<1>,
    /// `[layout.len()]` of the running statistics.
    running: Tensor<1>,
}

impl Average {
    /// Begins at the values given.
    pub fn new(decay: f64, weights: Tensor<1>, running: Tensor<1>) -> Self {
        Self { decay, steps: 0, weights, running }
    }

    pub fn weights(&self) -> &Tensor<1> {
        &self.weights
    }

    pub fn running(&self) -> &Tensor<1> {
        &self.running
    }

    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Goes on from an earlier run.
    pub fn restore(&mut self, steps: u64, weights: Tensor<1>, running: Tensor<1>) {
        (self.steps, self.weights, self.running) = (steps, weights, running);
    }

    /// After a step that left `weights` and `running`.
    pub fn add(&mut self, weights: Tensor<1>, running: Tensor<1>) {
        self.steps += 1;
        let steps = self.steps as f64;
        let share = 1.0 - self.decay.min((1.0 + steps) / (10.0 + steps));
        move_towards(&mut self.weights, weights, share);
        move_towards(&mut self.running, running, share);
    }
}

/// `a ← a + share (b − a)`
fn move_towards(average: &mut Tensor<1>, new: Tensor<1>, share: f64) {
    let old = mem::replace(average, Tensor::empty([0], &new.device()));
    *average = if vector::is_on_cpu(&old) {
        let share = share as f32;
        let [moved] = vector::update([old], [new], |[old], [new]| [old + (new - old) * share]);
        moved
    } else {
        old.clone() + (new - old).mul_scalar(share)
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    /// By hand: d₁ = 2/11, d₂ = 3/12; then the decay itself.
    #[test]
    fn early_weights_are_soon_forgotten() {
        let at = |x: f32| Tensor::<1>::from_floats([x], &Device::flex());
        let value = |average: &Average| average.weights().clone().into_scalar::<f32>();
        let mut average = Average::new(0.2, at(0.0), at(1.0));
        average.add(at(1.0), at(1.0));
        assert!((value(&average) - 9.0 / 11.0).abs() < 1e-6);
        average.add(at(2.0), at(1.0));
        assert!((value(&average) - (0.2 * 9.0 / 11.0 + 0.8 * 2.0)).abs() < 1e-6);
        assert_eq!(average.running().clone().into_scalar::<f32>(), 1.0);
    }
}
