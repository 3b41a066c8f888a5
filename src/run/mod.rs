//! Runs a plan: asks the store, works off what is missing, tells listeners.

mod event;

pub use event::{Event, EventKind, Listener, Outcome, Progress};
