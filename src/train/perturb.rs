//! What the weights' step sees in the place of *p(α)*, so that weights are fitted which do well
//! around the alphas too. The alphas' step sees *p(α)* itself.

mod mean_shift;

use super::Position;
use crate::model::{Mixing, generator, host};
use burn::tensor::{Tensor, TensorData};
pub use mean_shift::MeanShift;
use rand::Rng;
use std::ops::Range;

/// How mixing weights are moved, and how far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Perturb {
    pub kind: PerturbKind,
    /// Farthest that one weight is moved near the end of a search. The distance grows with the
    /// epoch from a tenth of it: `radius/10 + 0.9 · radius · epoch/epochs`, as in the code of
    /// SmoothDARTS and MS-DARTS.
    pub radius: f64,
    /// The first epoch, from 0, in which weights are moved.
    pub from_epoch: usize,
}

/// Where to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PerturbKind {
    /// To a random point near by (Chen and Hsieh, "SmoothDARTS", arXiv 2002.05283, SDARTS-RS).
    Random,
    MeanShift(MeanShift),
}

/// Where the weights of each edge lie in each table.
type EdgeRanges<'a> = [(&'a str, Vec<Range<usize>>)];

/// The numbers of each table, row after row.
type Tables = Vec<Vec<f64>>;

impl Perturb {
    /// The candidates' weights that the weights' step sees instead of `weights`,
    /// `[edges, candidates]` a table as they are; `None` in epochs that are left alone. What is
    /// drawn depends on the position alone; `loss` is that of the step's batch where candidates
    /// are mixed so.
    pub fn moved(
        &self,
        mixing: Mixing,
        position: Position,
        edges: &EdgeRanges<'_>,
        weights: &[Tensor<2>],
        loss: impl Fn(Vec<Tensor<2>>) -> f64,
    ) -> Option<Vec<Tensor<2>>> {
        if position.epoch < self.from_epoch {
            return None;
        }
        let around = Around { edges, region: Region::of(mixing), reach: self.reach(&position), position };
        let start: Tables =
            weights.iter().map(|table| host(table.clone()).into_iter().map(f64::from).collect()).collect();
        let tensors = |point: &Tables| -> Vec<Tensor<2>> {
            let tensor = |(numbers, like): (&Vec<f64>, &Tensor<2>)| {
                let numbers: Vec<f32> = numbers.iter().map(|&number| number as f32).collect();
                Tensor::from_data(TensorData::new(numbers, like.dims()), &like.device())
            };
            point.iter().zip(weights).map(tensor).collect()
        };
        let end = match self.kind {
            PerturbKind::Random => around.projected(around.draw(&start, 0)),
            PerturbKind::MeanShift(shift) => shift.shifted(start, &around, |point| loss(tensors(point))),
        };
        Some(tensors(&end))
    }

    fn reach(&self, position: &Position) -> f64 {
        self.radius * (0.1 + 0.9 * position.epoch as f64 / position.epochs.max(1) as f64)
    }
}

/// Where an edge's mixing weights may lie.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Region {
    /// From 0 on, with the sum 1.
    Simplex,
    /// Each from 0 to 1: where candidates do not compete there is no sum to keep. Neither paper has
    /// this case.
    Cube,
}

impl Region {
    fn of(mixing: Mixing) -> Self {
        if mixing == Mixing::Sigmoid { Self::Cube } else { Self::Simplex }
    }
}

/// The surroundings in which points are drawn.
#[derive(Debug, Clone, Copy)]
struct Around<'a> {
    edges: &'a EdgeRanges<'a>,
    region: Region,
    /// Farthest that one weight is moved.
    reach: f64,
    position: Position,
}

impl Around<'_> {
    /// `point` plus `U(−reach, reach)` in each weight that an edge has; draws of one position are
    /// numbered.
    fn draw(&self, point: &Tables, number: usize) -> Tables {
        let Position { seed, pass, .. } = self.position;
        let mut random = generator(b"perturb_", seed, pass, number as u64);
        let mut within = || (f64::from(random.next_u32()) * 2_f64.powi(-31) - 1.0) * self.reach;
        let mut point = point.clone();
        self.each_edge(&mut point, |weights| weights.iter_mut().for_each(|weight| *weight += within()));
        point
    }

    /// The point brought back to where mixing weights lie, as the code of both papers does it: cut
    /// off at 0 and 1, then divided by the sum. Of an edge whose weights are all cut off the
    /// largest stays, as 1.
    fn projected(&self, mut point: Tables) -> Tables {
        self.each_edge(&mut point, |weights| {
            let largest = (0..weights.len()).reduce(|best, at| if weights[at] > weights[best] { at } else { best });
            weights.iter_mut().for_each(|weight| *weight = weight.clamp(0.0, 1.0));
            if self.region == Region::Cube {
                return;
            }
            let sum: f64 = weights.iter().sum();
            match largest {
                Some(largest) if sum == 0.0 => weights[largest] = 1.0,
                _ => weights.iter_mut().for_each(|weight| *weight /= sum),
            }
        });
        point
    }

    /// What `change` makes of the weights of each edge; columns that an edge does not use stay as
    /// they are.
    fn each_edge(&self, point: &mut Tables, mut change: impl FnMut(&mut [f64])) {
        for ((_, edges), numbers) in self.edges.iter().zip(point) {
            edges.iter().for_each(|edge| change(&mut numbers[edge.clone()]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        tasks::Batch,
        train::{AlphaConfig, Learner, tiny},
    };

    fn batch() -> Batch {
        tiny::batches().remove(0)
    }

    fn learner(mixing: Mixing, perturb: Perturb) -> Learner {
        let config =
            tiny::with(AlphaConfig { perturb: Some(perturb), mixing: mixing.into(), ..AlphaConfig::default() });
        let mut learner = tiny::learner(tiny::SPACE, &config);
        learner.position = Position { epoch: 5, epochs: 10, step: 1, steps: 4, seed: 2, pass: 42 };
        learner
    }

    /// It reaches `0.3/10 + 0.9 · 0.3 · 5/10` far, before the sum is divided by.
    #[test]
    fn a_random_point_lies_near_by_and_where_mixing_weights_lie() {
        let perturb = Perturb { kind: PerturbKind::Random, radius: 0.3, from_epoch: 5 };
        for mixing in [Mixing::Softmax, Mixing::Sigmoid, Mixing::GUMBEL, Mixing::SPARSESTMAX] {
            let mut learner = learner(mixing, perturb);
            let reach = perturb.reach(&learner.position);
            assert!((reach - 0.165).abs() < 1e-12, "{reach}");
            let (batch, before) = (batch(), learner.mixing());
            let [moved, again] = [(); 2].map(|()| learner.perturbed(&batch).unwrap());
            let (before, moved) = (host(before[0].clone()), host(moved[0].clone()));
            assert_eq!(moved, host(again[0].clone()));
            assert_ne!(moved, before);
            for (row, width) in [3, 1, 2].into_iter().enumerate() {
                let (before, moved) = (&before[3 * row..3 * row + 3], &moved[3 * row..3 * row + 3]);
                assert!(moved[width..].iter().all(|&weight| weight == 0.0), "{moved:?}");
                assert!(moved.iter().all(|weight| (0.0..=1.0).contains(weight)), "{mixing:?}: {moved:?}");
                if mixing == Mixing::Sigmoid {
                    let far = before.iter().zip(moved).map(|(before, moved)| (before - moved).abs());
                    assert!(far.fold(0.0, f32::max) <= 0.1651, "{before:?} to {moved:?}");
                } else {
                    assert!((moved.iter().sum::<f32>() - 1.0).abs() < 1e-6, "{mixing:?}: {moved:?}");
                }
            }
            learner.position.epoch = 4;
            assert!(learner.perturbed(&batch).is_none());
        }
    }

    #[test]
    fn an_edge_that_loses_all_its_weights_keeps_the_largest() {
        let learner = learner(Mixing::Softmax, Perturb { kind: PerturbKind::Random, radius: 1.0, from_epoch: 0 });
        let edges = learner.model.edges();
        let around = Around { edges: &edges, region: Region::Simplex, reach: 1.0, position: learner.position };
        let point = vec![vec![-0.3, -0.1, -0.2, -0.5, 0.0, 0.0, 3.0, 0.5, 0.0]];
        let expected = [0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 2.0 / 3.0, 1.0 / 3.0, 0.0];
        for (found, expected) in around.projected(point)[0].iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
        }
    }
}
