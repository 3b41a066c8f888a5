//! Runs a plan: asks the store, works off what is missing, tells listeners.
//!
//! [`run`] is the way in; [`foresee`] says what it would do. What a kind of stage does is a
//! [`Stage`], which works with a [`Context`]: it reads [`Input`]s, publishes outputs, figures and
//! notes, and says how far it is. Whoever wants to know of it is a [`Listener`] of [`Event`]s.

mod announce;
mod context;
pub(crate) mod coordinates;
mod error;
mod event;
mod fetch;
mod foresee;
mod gather;
mod input;
mod lookup;
mod manner;
mod missing;
mod outcome;
mod reads;
mod runner;
mod signal;
mod stage;
mod standing;
mod state;
mod status;
mod work;

#[cfg(test)]
mod tests;

pub use announce::sentence;
pub use context::Context;
pub use error::StageError;
pub use event::{Event, EventKind, Listener, Measured, Outcome, Progress, Transfer};
pub use fetch::Fetch;
pub use foresee::{Foreseen, Outlook, foresee};
pub use input::{Input, Output};
pub use manner::Manner;
pub use missing::{Failure, Missing};
pub use outcome::{Ending, MemberReport, RunReport};
pub use runner::{Planned, run};
pub use signal::{Signal, Stop};
pub use stage::{Resource, Stage};
pub use standing::{Standing, WorkState};
pub use status::Status;
pub use work::panic_message;
