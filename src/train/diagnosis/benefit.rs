//! What candidates are worth to a batch: `c_k = −⟨G, o_k⟩ = −∂L/∂p_k`, by how much the loss falls
//! with an edge's weight on candidate *k*.
//!
//! This is what alphas descend on, before the relaxation. Measured on images that the weights are
//! fitted on and on independent ones, it shows what "Single-DARTS" (arXiv 2108.08128) explains
//! collapse by: half-trained convolutions help the former and look like noise on the latter, where
//! operations without weights get ahead.

use super::candidate_kind::{CandidateKind, CandidateKinds};
use crate::{model::host, tasks::Batch, train::Learner};
use serde::{Deserialize, Serialize};

/// Mean of `c_k` over the candidates of a kind, all edges of all tables, in loss per unit of
/// mixing weight; a table's cells add up. Zero operations are not counted: theirs is exactly 0 on
/// any images, and their share of the candidates would only scale the mean. Absent where a supernet
/// has no such candidates, or the mean is no number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Benefit {
    pub learnable: Option<f64>,
    pub parameter_free: Option<f64>,
}

/// Over `batches`, in training mode, as alphas meet them. The running statistics that the passes
/// come to are dropped.
pub(super) fn mean(learner: &Learner, kinds: &CandidateKinds, batches: &[Batch]) -> Benefit {
    let (mut learnable, mut parameter_free) = (Mean::default(), Mean::default());
    for batch in batches {
        for (table, gradient) in learner.own_mixing_gradient(batch).into_iter().enumerate() {
            let [_, columns] = gradient.dims();
            for (at, slope) in host(gradient).into_iter().enumerate() {
                match kinds.get(table, at / columns, at % columns) {
                    Some(CandidateKind::Learnable) => learnable.add(-f64::from(slope)),
                    Some(CandidateKind::ParameterFree) => parameter_free.add(-f64::from(slope)),
                    Some(CandidateKind::Zero) | None => {}
                }
            }
        }
    }
    Benefit { learnable: learnable.value(), parameter_free: parameter_free.value() }
}

#[derive(Default)]
struct Mean {
    sum: f64,
    count: usize,
}

impl Mean {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1;
    }

    fn value(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64).filter(|mean| mean.is_finite())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::Mixing, train::tiny};
    use burn::tensor::Tensor;

    /// By central differences of the loss in the mixing weights, candidate by candidate.
    #[test]
    fn it_is_how_fast_the_loss_falls_with_a_candidates_weight() {
        let learner = tiny::learner(tiny::SPACE, &tiny::config(Mixing::Sigmoid));
        let batch = tiny::batches().remove(0);
        let mixing = learner.mixing().remove(0);
        let falls = |row: usize, column: usize| {
            let loss = |step: f32| {
                let mut numbers = host(mixing.clone());
                numbers[row * 3 + column] += step;
                let moved = Tensor::<1>::from_floats(numbers.as_slice(), &mixing.device()).reshape([3, 3]);
                f64::from(learner.pass_at(&learner.state.weights, &[moved], &batch).loss.into_scalar::<f32>())
            };
            (loss(-2e-3) - loss(2e-3)) / 4e-3
        };
        // [[none, skip, conv], [skip], [conv, none]]
        let found = mean(&learner, &CandidateKinds::of(learner.model.network()), std::slice::from_ref(&batch));
        let expected = [(falls(0, 2) + falls(2, 0)) / 2.0, (falls(0, 1) + falls(1, 0)) / 2.0];
        for (found, expected) in [found.learnable, found.parameter_free].into_iter().zip(expected) {
            let found = found.unwrap();
            assert!((found - expected).abs() < 0.01 * expected.abs() + 1e-4, "{found} is not {expected}");
        }
        assert!((expected[0] - expected[1]).abs() > 1e-2, "the two differ: {expected:?}");
    }
}
