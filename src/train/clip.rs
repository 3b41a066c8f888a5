//! Clipping by the global norm: one norm over all weights, as PyTorch's `clip_grad_norm_`.

use crate::kernels::vector;
use burn::tensor::Tensor;

/// Row length of the sum below: partial sums keep f32 accurate over millions of squares.
const ROW: usize = 1024;

/// The Euclidean norm of a vector, `[1]`.
pub fn norm(vector: &Tensor<1>) -> Tensor<1> {
    let [length] = vector.dims();
    if vector::is_on_cpu(vector) {
        return Tensor::from_floats([vector::sum_of_squares(vector.clone()).sqrt() as f32], &vector.device());
    }
    let squares = vector.clone().square();
    let rows = length / ROW;
    if rows == 0 {
        return squares.sum().sqrt();
    }
    let whole = squares.clone().slice_dim(0, 0..rows * ROW).reshape([rows, ROW]).sum_dim(1).sum();
    let rest = if rows * ROW < length { whole.clone() + squares.slice_dim(0, rows * ROW..length).sum() } else { whole };
    rest.sqrt()
}

/// Which gradients are clipped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Clipped {
    /// That of the weights: DARTS' clip covers the network's weights, and the alphas are no part of
    /// them.
    #[default]
    Weights,
    /// All that moves in a step, together: where one optimiser has both (RL-DARTS).
    All,
}

/// Scales both gradients down, by one factor, to where they have norm `limit` together; returns
/// them with the norm they had.
pub fn clip_together(gradients: [Tensor<1>; 2], limit: f64) -> ([Tensor<1>; 2], Tensor<1>) {
    let [weights, alphas] = [&gradients[0], &gradients[1]].map(norm);
    let norm = (weights.square() + alphas.square()).sqrt();
    (gradients.map(|gradient| scaled(gradient, &norm, limit)), norm)
}

/// Scales `gradient` down to norm `limit` where it is longer; returns it with the norm it had.
pub fn clip_norm(gradient: Tensor<1>, limit: f64) -> (Tensor<1>, Tensor<1>) {
    let norm = norm(&gradient);
    (scaled(gradient, &norm, limit), norm)
}

/// A part of what has this norm, times what brings the whole down to norm `limit`.
fn scaled(gradient: Tensor<1>, norm: &Tensor<1>, limit: f64) -> Tensor<1> {
    // The small constant is PyTorch's; it is part of the reference's numbers.
    let factor = norm.clone().add_scalar(1e-6).recip().mul_scalar(limit).clamp_max(1.0);
    if !vector::is_on_cpu(&gradient) {
        return gradient * factor;
    }
    let factor = factor.into_scalar::<f32>();
    // On the CPU nobody waits to know the factor, and most gradients are short.
    if factor == 1.0 {
        return gradient;
    }
    let [clipped] = vector::update([gradient], [], |[g], []| [g * factor]);
    clipped
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn a_long_gradient_is_cut_to_the_limit_and_a_short_one_stays() {
        let device = Device::flex();
        let long = Tensor::<1>::ones([5000], &device);
        let (clipped, before) = clip_norm(long, 5.0);
        assert!((before.into_scalar::<f32>() - 5000_f32.sqrt()).abs() < 1e-3);
        assert!((norm(&clipped).into_scalar::<f32>() - 5.0).abs() < 1e-4);
        let short = Tensor::<1>::from_floats([3.0, 4.0], &device);
        let (same, before) = clip_norm(short, 5.5);
        assert_eq!(before.into_scalar::<f32>(), 5.0);
        assert_eq!(crate::model::host(same), [3.0, 4.0]);
    }

    #[test]
    fn two_gradients_that_are_clipped_together_keep_their_shares() {
        let at = |x: f32| Tensor::<1>::from_floats([x], &Device::flex());
        let ([weights, alphas], before) = clip_together([at(3.0), at(-4.0)], 1.0);
        assert_eq!(before.into_scalar::<f32>(), 5.0);
        let found = [weights, alphas].map(|gradient| gradient.into_scalar::<f32>());
        assert!((found[0] - 0.6).abs() < 1e-5 && (found[1] + 0.8).abs() < 1e-5, "{found:?}");
        let ([weights, _], _) = clip_together([at(3.0), at(-4.0)], 5.5);
        assert_eq!(weights.into_scalar::<f32>(), 3.0);
    }
}
