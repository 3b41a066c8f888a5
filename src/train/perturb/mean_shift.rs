//! The mean of the surroundings, weighed towards where the loss is high.

use super::{Around, Tables};

/// MS-DARTS (arXiv 2108.09996; the author's code): points are drawn around the mixing weights, and
/// these move to the points' mean, again and again. A point counts as a Gaussian kernel of its
/// distance says, and more where its loss is higher: a push away from what the weights are good at,
/// as by an adversary. The loss is of the batch that the weights' step is on, in evaluation mode,
/// at the point brought back to the simplex; the mean is of the points as they were drawn. Costs
/// `samples · rounds` forward passes a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MeanShift {
    /// Points a round.
    pub samples: usize,
    pub rounds: usize,
    /// Of the kernel, in the distance of a table's weights, which are taken as one vector.
    pub bandwidth: f64,
}

impl MeanShift {
    /// Where the shift from `start` ends; `loss` is of mixing weights.
    pub(super) fn shifted(&self, start: Tables, around: &Around<'_>, loss: impl Fn(&Tables) -> f64) -> Tables {
        let mut centre = start;
        for round in 0..self.rounds {
            let drawn: Vec<Tables> =
                (0..self.samples).map(|sample| around.draw(&centre, round * self.samples + sample)).collect();
            let projected: Vec<Tables> = drawn.iter().map(|point| around.projected(point.clone())).collect();
            let losses: Vec<f64> = projected.iter().map(&loss).collect();
            for (table, centre) in centre.iter_mut().enumerate() {
                let distances = projected.iter().map(|point| distance(centre, &point[table]));
                let shares = self.shares(&losses, distances);
                *centre = mean(shares.into_iter().zip(drawn.iter().map(|point| &point[table])));
            }
        }
        centre
    }

    /// Of each point in the mean: `softmax(loss)_n · exp(−(distance_n / bandwidth)² / 2)`, divided
    /// by the sum, which takes away the kernel's constant too. In one softmax, no factor
    /// underflows.
    fn shares(&self, losses: &[f64], distances: impl Iterator<Item = f64>) -> Vec<f64> {
        let exponent = |(loss, distance): (&f64, f64)| loss - (distance / self.bandwidth).powi(2) / 2.0;
        let exponents: Vec<f64> = losses.iter().zip(distances).map(exponent).collect();
        let most = exponents.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let shares: Vec<f64> = exponents.iter().map(|exponent| (exponent - most).exp()).collect();
        let sum: f64 = shares.iter().sum();
        shares.into_iter().map(|share| share / sum).collect()
    }
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

fn mean<'a>(points: impl Iterator<Item = (f64, &'a Vec<f64>)>) -> Vec<f64> {
    let mut sum: Vec<f64> = Vec::new();
    for (share, point) in points {
        sum.resize(point.len(), 0.0);
        sum.iter_mut().zip(point).for_each(|(sum, number)| *sum += share * number);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::super::{Perturb, PerturbKind, Region};
    use super::*;
    use crate::{
        model::{Mixing, host},
        train::{AlphaConfig, Position, tiny},
    };

    /// Section 6's formulas as they stand, with the constant and the softmax by itself.
    #[test]
    fn one_round_is_the_kernels_mean_of_the_drawn_points() {
        let learner = tiny::learner(tiny::SPACE, &tiny::config(Mixing::Softmax));
        let edges = learner.model.edges();
        let position = Position { seed: 3, ..Position::default() };
        let around = Around { edges: &edges, region: Region::Simplex, reach: 0.4, position };
        let start = vec![vec![0.2, 0.3, 0.5, 1.0, 0.0, 0.0, 0.6, 0.4, 0.0]];
        let loss = |point: &Tables| 3.0 * point[0][0] - point[0][7];
        let shift = MeanShift { samples: 3, rounds: 1, bandwidth: 0.3 };
        let found = shift.shifted(start.clone(), &around, loss);

        let drawn: Vec<Tables> = (0..3).map(|number| around.draw(&start, number)).collect();
        assert!(drawn[0][0].iter().zip(&start[0]).all(|(a, b)| (a - b).abs() <= 0.4));
        let projected: Vec<Tables> = drawn.iter().map(|point| around.projected(point.clone())).collect();
        let total: f64 = projected.iter().map(|point| loss(point).exp()).sum();
        let weights: Vec<f64> = projected
            .iter()
            .map(|point| {
                let d = point[0].iter().zip(&start[0]).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt() / 0.3;
                let kernel = (-d * d / 2.0).exp() / (0.3 * (2.0 * std::f64::consts::PI).sqrt());
                loss(point).exp() / total * kernel
            })
            .collect();
        for (at, found) in found[0].iter().enumerate() {
            let sum: f64 = weights.iter().zip(&drawn).map(|(weight, point)| weight * point[0][at]).sum();
            let expected = sum / weights.iter().sum::<f64>();
            assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
        }
        // The second round starts where the first ended, with draws of its own.
        let twice = MeanShift { rounds: 2, ..shift }.shifted(start, &around, loss);
        let drawn: Vec<Tables> = (3..6).map(|number| around.draw(&found, number)).collect();
        let bound = |side: fn(f64, f64) -> f64, first: f64| drawn.iter().map(|point| point[0][0]).fold(first, side);
        assert!((bound(f64::min, 9.0)..=bound(f64::max, -9.0)).contains(&twice[0][0]), "{twice:?}");
    }

    #[test]
    fn it_climbs_and_stays_within_reach_of_the_table_of_each_edge() {
        let learner = tiny::learner(tiny::SPACE, &tiny::config(Mixing::Softmax));
        let edges = learner.model.edges();
        let start = vec![vec![0.4, 0.3, 0.3, 1.0, 0.0, 0.0, 0.5, 0.5, 0.0]];
        let mut climbed = 0.0;
        for pass in 0..20 {
            let position = Position { pass, ..Position::default() };
            let around = Around { edges: &edges, region: Region::Simplex, reach: 0.2, position };
            let shift = MeanShift { samples: 8, rounds: 1, bandwidth: 1.0 };
            let found = shift.shifted(start.clone(), &around, |point| 100.0 * point[0][0]);
            climbed += (found[0][0] - 0.4) / 20.0;
            assert!(found[0].iter().zip(&start[0]).all(|(a, b)| (a - b).abs() <= 0.2), "{found:?}");
            assert_eq!([found[0][4], found[0][5], found[0][8]], [0.0; 3]);
        }
        // Not in each draw: the loss is of the point on the simplex, the mean of the points as they
        // were drawn.
        assert!(climbed > 0.05, "a higher loss weighs more: {climbed}");
    }

    /// The loss is that of the batch of the step: another batch, another shift. The learner is as
    /// it was.
    #[test]
    fn on_a_network_the_batch_decides() {
        let kind = PerturbKind::MeanShift(MeanShift { samples: 3, rounds: 2, bandwidth: 1.0 });
        let perturb = Perturb { kind, radius: 0.5, from_epoch: 0 };
        let config = tiny::with(AlphaConfig { perturb: Some(perturb), ..AlphaConfig::default() });
        let learner = tiny::learner(tiny::SPACE, &config);
        let before = learner.state.running.to_host();
        let moved = |batch| host(learner.perturbed(&batch).unwrap().remove(0));
        let batches = tiny::batches();
        let [first, second] = [0, 1].map(|at: usize| moved(batches[at].clone()));
        assert_ne!(first, second);
        assert_eq!(first, moved(batches[0].clone()));
        assert_eq!(learner.state.running.to_host(), before);
    }
}
