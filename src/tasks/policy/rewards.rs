//! Rewards brought to one scale, whatever the game: divided by the deviation of the returns so far
//! (`VecNormalize` of OpenAI's baselines).

use serde::{Deserialize, Serialize};

/// The returns of all actors so far, by their moments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RewardScale {
    /// Discounted return of each actor's episode.
    returns: Vec<f64>,
    mean: f64,
    variance: f64,
    count: f64,
}

/// Discount of the returns that rewards are measured against, and the most that a reward may become:
/// those of baselines, whatever the discount of the advantages.
const GAMMA: f64 = 0.99;
const MOST: f64 = 10.0;
const EPSILON: f64 = 1e-8;

impl RewardScale {
    pub fn new(actors: usize) -> Self {
        Self { returns: vec![0.0; actors], mean: 0.0, variance: 1.0, count: 1e-4 }
    }

    /// The rewards of a step by the scale, which takes them in first. `ends` says whose episode ended with
    /// them.
    pub fn scaled(&mut self, rewards: &[f32], ends: &[bool]) -> Vec<f32> {
        for (known, &reward) in self.returns.iter_mut().zip(rewards) {
            *known = GAMMA * *known + f64::from(reward);
        }
        self.take_in();
        let deviation = (self.variance + EPSILON).sqrt();
        let scaled = rewards.iter().map(|&reward| (f64::from(reward) / deviation).clamp(-MOST, MOST) as f32).collect();
        self.returns.iter_mut().zip(ends).filter(|(_, ended)| **ended).for_each(|(known, _)| *known = 0.0);
        scaled
    }

    /// The moments of what was known and of the actors' returns, pooled.
    fn take_in(&mut self) {
        let more = self.returns.len() as f64;
        let mean = self.returns.iter().sum::<f64>() / more;
        let variance = self.returns.iter().map(|known| (known - mean).powi(2)).sum::<f64>() / more;
        let (all, apart) = (self.count + more, mean - self.mean);
        let squares = self.variance * self.count + variance * more + apart * apart * self.count * more / all;
        self.mean += apart * more / all;
        (self.variance, self.count) = (squares / all, all);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rewards_are_divided_by_the_deviation_of_returns_and_never_large() {
        let mut scale = RewardScale::new(2);
        // Returns 3 and -3 have a deviation of 3, but for what is there at first.
        let scaled = scale.scaled(&[3.0, -3.0], &[false, true]);
        assert!((scaled[0] - 1.0).abs() < 1e-3 && scaled[0] == -scaled[1], "{scaled:?}");
        assert_eq!(scale.returns, [3.0, 0.0]);
        let mut still = RewardScale::new(1);
        (0..1000).for_each(|_| drop(still.scaled(&[0.0], &[false])));
        assert_eq!(still.scaled(&[1.0], &[false])[0], 10.0);
        let kept: RewardScale = serde_json::from_str(&serde_json::to_string(&still).unwrap()).unwrap();
        assert_eq!(kept, still);
    }
}
