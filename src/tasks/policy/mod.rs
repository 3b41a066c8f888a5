//! Acting so that games give rewards.

mod advantages;
mod ppo;
mod rewards;

pub use advantages::{Discount, Rewarded, normalise};
pub use ppo::{ACTION, KNOWN, KNOWN_NUMBERS, Known, Losses, POLICY, Ppo, VALUE};
pub use rewards::RewardScale;
