//! Acting so that games give rewards: a network is learned by playing.
//!
//! [`Play`] is the task: each epoch its [`Actor`] plays a rollout of the [`GameSet`] with the network as
//! it is, and [`Ppo`] says what the frames are worth to learn from. [`episodes`] tests it.

mod actor;
mod advantages;
mod episodes;
mod game;
mod play;
mod ppo;
mod rewards;
mod rollouts;
mod settings;

pub use actor::{Acted, Actor};
pub use advantages::{Discount, Rewarded, explained, normalise};
pub use episodes::{Manner, Played, Session, episodes};
pub use game::{GameKind, GameSet, Part};
pub use play::Play;
pub use ppo::{ACTION, KNOWN, KNOWN_NUMBERS, Known, Losses, POLICY, Ppo, Rated, VALUE};
pub use rewards::RewardScale;
pub use rollouts::PolicySettings;
pub use settings::KIND;
