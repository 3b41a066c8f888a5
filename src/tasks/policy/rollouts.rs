//! How rollouts are played and learned from.

use super::{Discount, Ppo};

/// How a game is played and learned from. The numbers are those of OpenAI's `train-procgen`
/// (Cobbe et al. 2020, arXiv 1912.01588).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PolicySettings {
    /// Copies of the game that are played side by side.
    pub actors: usize,
    /// Steps of each in an epoch.
    pub steps: usize,
    /// How often an epoch's frames are learned from.
    pub passes: usize,
    pub discount: Discount,
    pub ppo: Ppo,
    /// Whether rewards are divided by the deviation of returns.
    pub scale_rewards: bool,
    /// Whether the advantages of a minibatch are brought to mean 0 and deviation 1.
    pub normalise_advantages: bool,
}

impl Default for PolicySettings {
    fn default() -> Self {
        Self {
            actors: 64,
            steps: 256,
            passes: 3,
            discount: Discount { gamma: 0.999, lambda: 0.95 },
            ppo: Ppo { clip: 0.2, value_weight: 0.5, entropy_weight: 0.01 },
            scale_rewards: true,
            normalise_advantages: true,
        }
    }
}

impl PolicySettings {
    /// Frames that are played in an epoch.
    pub fn frames_per_epoch(&self) -> usize {
        self.actors * self.steps
    }
}
