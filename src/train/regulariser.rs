//! What is added to the objective of the alphas, besides the loss: keys that stand by themselves,
//! each off at 0.

use super::Position;
use crate::{
    model::{TensorGroup, host},
    space::network::Exit,
};
use burn::tensor::{Tensor, TensorData};
use std::ops::Range;

/// The weight of each term.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Regulariser {
    /// *λ* of `λ(t) · mean over edges of logsumexp(α)` (Ye et al., "β-DARTS", arXiv 2203.01665,
    /// "beta decay"): holds the largest weight of an edge back. `λ(t)` grows along a line, from 0
    /// in the first epoch to this in the last.
    pub beta_decay: f64,
    /// *w* of `−w · mean over alphas of (sigmoid(α) − 0.5)²` (Chu et al., "FairDARTS", arXiv
    /// 1911.12126, the zero-one loss): drives each weight to 0 or 1.
    pub zero_one: f64,
    /// *w* of `w · expected multiply-adds`, as a share of those of the whole supernet.
    pub multiply_adds: f64,
    /// *w* of `w · Σ over whole ways through a lattice of Σ (γ_next − γ)` over neighbours on the way, γ
    /// the alphas of the maps (Wu et al., arXiv 2101.06658, as far as the code derived from the authors'
    /// tells): with a positive weight γ falls along a way, which favours early exits. The sum telescopes
    /// to the last map's alpha minus the first's.
    pub order: f64,
}

impl Regulariser {
    /// The gradient of all terms but [`multiply_adds`](Self::multiply_adds) in the alphas, as long as
    /// they; `None` where there is nothing to add. `edges` says where the alphas of each edge lie in each
    /// table, as [`Model::edges`](crate::model::Model::edges) does; betas are no part of them.
    pub fn gradient(
        &self,
        edges: &[(&str, Vec<Range<usize>>)],
        exit: Option<&Exit>,
        alphas: &TensorGroup,
        position: &Position,
    ) -> Option<Tensor<1>> {
        if (Self { multiply_adds: 0.0, ..*self }) == Self::default() || edges.is_empty() {
            return None;
        }
        let numbers = host(alphas.values());
        let mut gradient = vec![0.0_f32; numbers.len()];
        let all = || edges.iter().flat_map(|(_, edges)| edges);
        let decay = self.beta_decay * position.share_of_epochs() / all().count() as f64;
        let zero_one = self.zero_one / all().map(Range::len).sum::<usize>() as f64;
        for (label, edges) in edges {
            let range = alphas.layout().iter().find(|(name, ..)| name == label).map(|(.., range)| range);
            let table = range.expect("an alpha table is in its group");
            for edge in edges {
                let alphas: Vec<f64> = numbers[table.clone()][edge.clone()].iter().copied().map(f64::from).collect();
                let most = alphas.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let total: f64 = alphas.iter().map(|alpha| (alpha - most).exp()).sum();
                for (slope, alpha) in gradient[table.clone()][edge.clone()].iter_mut().zip(alphas) {
                    // logsumexp's derivative is the softmax.
                    let softmax = (alpha - most).exp() / total;
                    let sigmoid = 1.0 / (1.0 + (-alpha).exp());
                    let away = 2.0 * (sigmoid - 0.5) * sigmoid * (1.0 - sigmoid);
                    *slope = (decay * softmax - zero_one * away) as f32;
                }
            }
        }
        if let Some(exit) = exit.filter(|_| self.order.abs() > 0.0) {
            let label = edges[exit.table].0;
            let range = alphas.layout().iter().find(|(name, ..)| *name == label).map(|(.., range)| range);
            let first = range.expect("an alpha table is in its group").start;
            for &end in &exit.ends {
                gradient[first + end] += self.order as f32;
                gradient[first] -= self.order as f32;
            }
        }
        let length = [gradient.len()];
        Some(Tensor::from_data(TensorData::new(gradient, length), &alphas.values().device()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{Layout, Mixing},
        train::{AlphaConfig, tiny},
    };
    use burn::tensor::Device;
    use std::sync::Arc;

    const HALF_WAY: Position = Position { epoch: 2, epochs: 5, step: 0, steps: 1, seed: 0, pass: 0 };

    /// Edges of 3, 1 and 2 candidates: the derivatives of the two sums, written out.
    #[test]
    fn gradients_are_those_of_a_page() {
        let mut learner = tiny::learner(tiny::SPACE, &tiny::config(Mixing::Sigmoid));
        let ln = f64::ln;
        let alphas = [0.0, ln(2.0), 0.0, 0.7, 9.0, 9.0, ln(3.0), 0.0, 9.0];
        learner
            .state
            .alphas
            .set(Tensor::from_floats(alphas.map(|alpha| alpha as f32), &learner.state.alphas.values().device()));
        let edges = learner.model.edges();
        let gradient = |regulariser: Regulariser, position: Position| {
            regulariser.gradient(&edges, None, &learner.state.alphas, &position).map(host)
        };
        // Half of 6, over three edges: 1 times the softmax.
        let beta = gradient(Regulariser { beta_decay: 6.0, ..Regulariser::default() }, HALF_WAY).unwrap();
        let expected = [0.25, 0.5, 0.25, 1.0, 0.0, 0.0, 0.75, 0.25, 0.0];
        assert!(beta.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-6), "{beta:?}");
        // −3/6 · 2 (s − 1/2) s (1 − s): s is 2/3 of ln 2, 3/4 of ln 3, 1/2 of 0.
        let zero_one = gradient(Regulariser { zero_one: 3.0, ..Regulariser::default() }, HALF_WAY).unwrap();
        for (at, expected) in [(0, 0.0), (1, -1.0 / 27.0), (6, -3.0 / 64.0), (7, 0.0), (4, 0.0), (8, 0.0)] {
            assert!((zero_one[at] - expected).abs() < 1e-6, "{at}: {zero_one:?}");
        }
        let both =
            gradient(Regulariser { beta_decay: 6.0, zero_one: 3.0, ..Regulariser::default() }, HALF_WAY).unwrap();
        let sums = beta.iter().zip(&zero_one).zip(both).map(|((a, b), sum)| (a + b - sum).abs());
        assert!(sums.into_iter().all(|difference| difference < 1e-6));
        let first = gradient(Regulariser { beta_decay: 6.0, ..Regulariser::default() }, Position::default()).unwrap();
        assert!(first.iter().all(|slope| *slope == 0.0), "{first:?}");
        assert!(gradient(Regulariser::default(), HALF_WAY).is_none());
        assert!(gradient(Regulariser { multiply_adds: 1.0, ..Regulariser::default() }, HALF_WAY).is_none());
    }

    /// By the counts of a golden file: of a lattice of two cells and two steps six ways are whole.
    #[test]
    fn the_order_term_pulls_at_the_ends_of_ways() {
        let device = Device::flex();
        let layout = Layout::new([("a".to_owned(), vec![2, 2]), ("gamma".to_owned(), vec![1, 19])]);
        let alphas = TensorGroup::from_host(Arc::new(layout), vec![0.5; 23], &device);
        let exit = Exit { table: 1, states: (1..20).collect(), ends: vec![4, 7, 9, 13, 15, 18] };
        let edges = [("a", vec![0..2, 2..4]), ("gamma", std::iter::once(0..19).collect())];
        let regulariser = Regulariser { order: 0.25, ..Regulariser::default() };
        let gradient = host(regulariser.gradient(&edges, Some(&exit), &alphas, &HALF_WAY).unwrap());
        let of = |map: usize| match map {
            0 => -1.5,
            4 | 7 | 9 | 13 | 15 | 18 => 0.25,
            _ => 0.0,
        };
        let expected: Vec<f32> = [0.0; 4].into_iter().chain((0..19).map(of)).collect();
        assert_eq!(gradient, expected);
    }

    /// It is added to the gradient before Adam, whose first moment shows it.
    #[test]
    fn a_step_of_the_alphas_takes_the_sum() {
        let regulariser = Regulariser { beta_decay: 4.0, zero_one: 2.0, ..Regulariser::default() };
        let config = tiny::with(AlphaConfig { regulariser, mixing: Mixing::Sigmoid.into(), ..AlphaConfig::default() });
        let mut learner = tiny::learner(tiny::SPACE, &config);
        learner.position = HALF_WAY;
        let alphas = learner.state.alphas.to_host();
        let more = host(regulariser.gradient(&learner.model.edges(), None, &learner.state.alphas, &HALF_WAY).unwrap());
        learner.step_alphas(learner.state.alphas.values().ones_like(), 0.01);
        let first = host(learner.state.alpha_optimiser.state().tensors.remove(0));
        for ((found, more), alpha) in first.into_iter().zip(more).zip(alphas) {
            let expected = 0.5 * (1.0 + more + 1e-3 * alpha);
            assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
        }
    }
}
