//! Telling the listener what happens, each thing with its time.

use super::{Event, EventKind, Listener};
use std::time::Instant;

/// The listener and the moment from which its events count.
#[derive(Clone, Copy)]
pub(super) struct Announcer<'a> {
    listener: &'a dyn Listener,
    started: Instant,
}

impl<'a> Announcer<'a> {
    pub fn new(listener: &'a dyn Listener) -> Self {
        Self { listener, started: Instant::now() }
    }

    pub fn say(&self, kind: EventKind) {
        self.listener.hear(&Event { elapsed: self.started.elapsed(), kind });
    }

    pub fn warn(&self, stage: &str, message: impl Into<String>) {
        self.say(EventKind::Warning { stage: Some(stage.to_owned()), message: message.into() });
    }
}

/// An error and its causes in one line: `failed to write `x`: not a directory`.
pub fn sentence(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        // Some errors of libraries repeat their cause in their own message.
        if !text.ends_with(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{run::StageError, store::StoreError};
    use std::io;

    #[test]
    fn a_sentence_holds_every_cause_once() {
        let error = StageError::from(StoreError::io("write", "x")(io::Error::other("cable cut")));
        assert_eq!(sentence(&error), "failed to write `x`: cable cut");
        let error = StageError::Input { message: "no file `x`".to_owned(), hint: Some("fetch it".to_owned()) };
        assert_eq!(sentence(&error), "no file `x`; fetch it");
    }
}
