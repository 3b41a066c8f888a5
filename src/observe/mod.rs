//! What a person sees while a run goes: listeners of its events, all of them on stderr.
//!
//! | file | what it is |
//! | --- | --- |
//! | `bars` | a terminal: one bar for the running stage, one permanent line for each finished one |
//! | `lines` | no terminal: plain lines without control characters |
//! | `jsonl` | every event as a line of JSON in a file |
//! | `fan` | one listener made of several |
//! | `status` | how stages stand, on stdout |
//! | `outlook` | what a run would do, on stdout |
//!
//! The wording (`phrases`, `quantity`, `bar_line`, `transcript`) is pure text and knows no
//! terminal.

mod bar_line;
mod bars;
mod fan;
mod jsonl;
mod lines;
mod look;
mod outlook;
mod phrases;
mod quantity;
mod status;
mod transcript;

pub use bars::Bars;
pub use fan::Fan;
pub use jsonl::{Jsonl, is_of_events};
pub use lines::Lines;
pub use look::Look;
pub(crate) use look::{Tone, fold, is_hidden, without_hidden};
pub use outlook::{explained, outlook};
pub use quantity::{ago, bytes, duration, number, percent};
pub use status::{status, unfinished};

use crate::run::Listener;
use std::{io::stderr, sync::Arc};

/// The listener that suits stderr: bars on a terminal, plain lines elsewhere.
pub fn on_stderr() -> Arc<dyn Listener> {
    let look = Look::of_stderr();
    if look.moves { Arc::new(Bars::on_stderr(look)) } else { Arc::new(Lines::new(look, stderr())) }
}
