//! One candidate of each edge, drawn with the probabilities of the softmax, and a gradient for all
//! of them.

use super::{
    draw::generator,
    ragged::{masked, one_hot},
};
use crate::space::network::AlphaTable;
use burn::tensor::{Tensor, TensorData, activation};
use rand::Rng;

/// The hard Gumbel softmax, straight through (Dong and Yang, "GDAS", arXiv 1910.04465, eq. 6 and
/// 7): with `logits = (log softmax(α) + noise) / τ` the weights are 1 for the largest logit of an
/// edge and 0 for the others, and their gradient is that of `softmax(logits)`.
///
/// All candidates are computed, so that each gets a gradient of its own, `⟨G, o_k⟩`. The reference
/// computes the drawn one alone, for speed, and hands the others `⟨G, 1⟩`, as if each gave ones.
///
/// The noise is a pure function of the seed, of the number of the pass and of the place in the
/// network: a resumed search draws what an uninterrupted one would have drawn, and the gradient of
/// a pass meets the noise of its forward half.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gumbel {
    /// *τ*, above 0.
    pub temperature: f64,
    pub seed: u64,
    /// Counts the draws of a search.
    pub pass: u64,
}

impl Gumbel {
    /// The weights of the table numbered `number`.
    ///
    /// # Shapes
    /// `[edges, candidates]` → the same
    pub(super) fn table(self, number: usize, table: &AlphaTable, alpha: Tensor<2>) -> Tensor<2> {
        let shape = [table.rows(), table.columns()];
        let noise = TensorData::new(self.noise(number, table.rows() * table.columns()), shape);
        let noise = Tensor::from_data(noise, &alpha.device());
        let logits = (activation::log_softmax(masked(table, alpha), 1) + noise).div_scalar(self.temperature);
        let hard = one_hot(table, logits.clone());
        let soft = activation::softmax(logits, 1);
        // The difference is 0 to the bit.
        (soft.clone() - soft.detach()) + hard
    }

    /// So many draws from the standard Gumbel distribution, `−ln(−ln u)`.
    fn noise(self, number: usize, count: usize) -> Vec<f32> {
        let mut random = generator(b"gumbel__", self.seed, self.pass, number as u64);
        // Never 0 nor 1, whose logarithms are no use.
        let mut uniform = || (f64::from(random.next_u32()) + 0.5) * 2_f64.powi(-32);
        (0..count).map(|_| -(-uniform().ln()).ln() as f32).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        Relaxation, host,
        tiny::{alphas, table},
    };
    use super::*;

    fn draw(pass: u64, temperature: f64) -> Gumbel {
        Gumbel { temperature, seed: 3, pass }
    }

    /// Gumbel's trick: the largest of `log p_k + noise_k` is `k` with probability `p_k`, whatever
    /// the temperature.
    #[test]
    fn each_candidate_is_drawn_as_often_as_its_probability_says() {
        let alpha = [0.7_f32, -0.4, 0.1, 5.0];
        let (table, group) = (table(&[3, 1]), alphas([2, 3], vec![alpha[0], alpha[1], alpha[2], -2.0, alpha[3], 0.0]));
        let total: f32 = alpha[..3].iter().map(|a| a.exp()).sum();
        let draws = 4000;
        let mut counts = [0.0; 6];
        for pass in 0..draws {
            let drawn = Relaxation::Gumbel(draw(pass, 0.1)).weights(std::slice::from_ref(&table), &group.views());
            for (count, weight) in counts.iter_mut().zip(host(drawn[0].clone())) {
                assert!(weight == 0.0 || weight == 1.0);
                *count += weight;
            }
        }
        for (count, alpha) in counts[..3].iter().zip(alpha) {
            let (found, expected) = (count / draws as f32, alpha.exp() / total);
            assert!((found - expected).abs() < 0.03, "{found} is not {expected}");
        }
        // A single candidate is always drawn, a column that the edge lacks never.
        assert_eq!(counts[3..], [draws as f32, 0.0, 0.0]);
    }

    #[test]
    fn another_pass_another_table_and_another_seed_draw_anew() {
        let noise = draw(7, 1.0).noise(1, 8);
        assert_eq!(noise, draw(7, 0.5).noise(1, 8));
        for other in
            [draw(8, 1.0).noise(1, 8), draw(7, 1.0).noise(2, 8), Gumbel { seed: 4, ..draw(7, 1.0) }.noise(1, 8)]
        {
            assert_ne!(noise, other);
        }
    }

    /// By hand: with `y = softmax((log softmax(α) + noise) / τ)` the gradient along b is
    /// `(c_k − p_k Σ c) / τ`, `c_k = y_k (b_k − Σ_m y_m b_m)`; and `Σ c = 0`.
    #[test]
    fn the_gradient_is_that_of_the_soft_sample() {
        let (alpha, benefit) = ([0.3_f64, -0.2, 0.9], [2.0_f64, -1.0, 0.5]);
        let gumbel = draw(5, 2.0);
        let logits: Vec<f64> =
            alpha.iter().zip(gumbel.noise(0, 3)).map(|(a, noise)| (a + f64::from(noise)) / 2.0).collect();
        let total: f64 = logits.iter().map(|x| x.exp()).sum();
        let soft: Vec<f64> = logits.iter().map(|x| x.exp() / total).collect();
        let mean: f64 = soft.iter().zip(benefit).map(|(y, b)| y * b).sum();

        let group = alphas([1, 3], alpha.map(|a| a as f32).to_vec());
        let leaves = group.leaves();
        let weights = Relaxation::Gumbel(gumbel).weights(&[table(&[3])], &leaves).remove(0);
        let drawn = host(weights.clone());
        assert_eq!(drawn.iter().sum::<f32>(), 1.0);
        assert!(drawn.contains(&1.0));
        let by = Tensor::<2>::from_data([benefit.map(|b| b as f32)], &weights.device());
        let found = host(group.gradient(&leaves, &(weights * by).sum().backward()));
        for ((found, y), b) in found.into_iter().zip(soft).zip(benefit) {
            let expected = y * (b - mean) / 2.0;
            assert!((f64::from(found) - expected).abs() < 1e-6, "{found} is not {expected}");
        }
    }
}
