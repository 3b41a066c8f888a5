//! Games for reinforcement learning, several copies side by side.
//!
//! 1. [`Catch`] is what a person wants of a game; `open` checks it and starts.
//! 2. What is open is [`Games`]: look at all copies with `observe`, move them all with `act`.
//! 3. `save` gives bytes and `restore` takes them: a run that goes on sees what an uninterrupted one
//!    would have seen, to the bit.
//!
//! Games have [`Levels`]: those to learn on, and others to test on that were never seen.

mod catch;
mod error;
mod games;
mod levels;
mod random;
mod state;

pub use catch::{Catch, CatchGames};
pub use error::GameError;
pub use games::{Games, Observation, Space};
pub use levels::Levels;
