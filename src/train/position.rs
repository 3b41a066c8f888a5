//! Where a training is, as far as what it does depends on that.

use crate::model::{Gumbel, Mixing, Mixings, Relaxation, Relaxations, between};

/// What schedules follow and what draws are made from. It is set before each step, and is no part
/// of a checkpoint: the steps taken say it all, so that a resumed training draws what an
/// uninterrupted one would have drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// From 0.
    pub epoch: usize,
    pub epochs: usize,
    /// From 0; `steps` after the epoch's last.
    pub step: usize,
    /// Steps in the epoch.
    pub steps: usize,
    pub seed: u64,
    /// Counts the draws of mixing weights; moved on by a strategy that draws more than once in a
    /// step.
    pub pass: u64,
}

impl Position {
    /// Draws of a step: a bilevel one has one for the alphas and one for the weights.
    pub const DRAWS: u64 = 2;

    /// Of all steps those that are taken: 0 before the first, 1 after the last.
    pub fn share_of_steps(&self) -> f64 {
        (self.epoch * self.steps + self.step) as f64 / (self.epochs * self.steps).max(1) as f64
    }

    /// 0 in the first epoch, 1 in the last. Of a single epoch 0.
    pub fn share_of_epochs(&self) -> f64 {
        self.epoch as f64 / (self.epochs.max(2) - 1) as f64
    }

    /// Weight of auxiliary skip connections: 1 in the first epoch, falling along a line to 0 at the
    /// end. DARTS-'s paper (arXiv 2009.01027) says that it decays; that it does so epoch by epoch
    /// and along a line is our choice.
    pub fn auxiliary_skip(&self) -> f64 {
        1.0 - self.epoch as f64 / self.epochs.max(1) as f64
    }

    /// What a pass of training is mixed by, level by level.
    pub fn relaxations(&self, mixings: Mixings) -> Relaxations {
        mixings.relaxations(|mixing| self.relaxation(mixing))
    }

    /// The same of one level.
    pub fn relaxation(&self, mixing: Mixing) -> Relaxation {
        match mixing {
            Mixing::Gumbel { temperature, final_temperature } => Relaxation::Gumbel(Gumbel {
                temperature: between(temperature, final_temperature, self.share_of_epochs()),
                seed: self.seed,
                pass: self.pass,
            }),
            other => other.evaluated(self.share_of_steps()),
        }
    }
}

/// Before the first step of a training of one.
impl Default for Position {
    fn default() -> Self {
        Self { epoch: 0, epochs: 1, step: 0, steps: 1, seed: 0, pass: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// GDAS' code: `tau_max - (tau_max - tau_min) * epoch / (epochs - 1)`. SSN's:
    /// `(epoch * steps + step) / (epochs * steps)`.
    #[test]
    fn temperatures_follow_epochs_and_radii_follow_steps() {
        let at = |epoch, step| Position { epoch, epochs: 5, step, steps: 4, ..Position::default() };
        let temperature = |position: Position| match position.relaxation(Mixing::GUMBEL) {
            Relaxation::Gumbel(gumbel) => gumbel.temperature,
            other => unreachable!("{other:?}"),
        };
        for (position, expected) in [(at(0, 3), 10.0), (at(2, 0), 5.05), (at(4, 0), 0.1), (Position::default(), 10.0)] {
            assert!((temperature(position) - expected).abs() < 1e-12, "{position:?}");
        }
        for (position, expected) in [(at(0, 0), 0.0), (at(2, 2), 0.5), (at(4, 3), 0.95), (at(4, 4), 1.0)] {
            assert_eq!(position.relaxation(Mixing::SPARSESTMAX), Relaxation::Sparsestmax { radius: expected });
        }
    }
}
