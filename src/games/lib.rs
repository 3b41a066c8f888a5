//! Games for reinforcement learning, several copies side by side.
//!
//! 1. [`Catch`] and [`Procgen`] are what a person wants of a game; `open` checks it and starts.
//! 2. What is open is [`Games`]: look at all copies with `observe`, move them all with `act`.
//! 3. `save` gives bytes and `restore` takes them: a run that goes on sees what an uninterrupted one
//!    would have seen, to the bit.
//!
//! Both have [`Levels`]: those to learn on, and others to test on that were never seen.
//!
//! [`Catch`] is built in. [`Procgen`] is a library in C++ that a person has in a folder. It ends its
//! process when something is wrong, so it runs in a child: this same program, whose `main` asks
//! [`child`] first.

mod catch;
mod error;
mod games;
mod levels;
mod procgen;
mod random;
mod state;

pub use catch::{Catch, CatchGames};
pub use error::GameError;
pub use games::{Games, Observation, Space};
pub use levels::Levels;
#[doc(hidden)]
pub use procgen::direct;
pub use procgen::{Game, Launch, Mode, Procgen, child};
