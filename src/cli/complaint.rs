//! What a command says when it cannot do what was asked, and the exit code that goes with it.

use crate::{observe, run, store::StoreError};
use std::{error::Error, io::Write};

/// Kinds of failure that callers tell apart by exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitClass {
    Failed,
    Usage,
    Input,
    Store,
    ExpectationMissed,
}

impl ExitClass {
    pub fn code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Input => 3,
            Self::Store => 4,
            Self::ExpectationMissed => 5,
        }
    }
}

/// A failure at the edge: what, why, and the way out.
#[derive(Debug)]
pub struct Complaint {
    pub class: ExitClass,
    /// A lower-case fragment, or a rendered block of its own where it ends in a line break.
    pub message: String,
    pub hint: Option<String>,
}

impl Complaint {
    pub fn new(class: ExitClass, message: impl Into<String>) -> Self {
        Self { class, message: message.into(), hint: None }
    }

    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(ExitClass::Usage, message).hint("`darts-run --help` shows what can be asked")
    }

    pub fn input(message: impl Into<String>) -> Self {
        Self::new(ExitClass::Input, message)
    }

    /// An error with its causes, joined by colons.
    pub fn caused(class: ExitClass, error: &dyn Error) -> Self {
        Self::new(class, run::sentence(error))
    }

    /// What the store could not do, and how what it lost is had again.
    pub fn store(error: &StoreError) -> Self {
        let complaint = Self::caused(ExitClass::Store, error);
        match error {
            StoreError::Lost { .. } | StoreError::Damaged { .. } => {
                complaint.hint("run the pipeline again: the stage makes it anew")
            }
            _ => complaint,
        }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// With a hint where there is one to give.
    pub fn hinted(mut self, hint: Option<impl Into<String>>) -> Self {
        self.hint = hint.map(Into::into);
        self
    }

    /// Says it on stderr.
    pub fn print(&self) {
        let mut text = if self.message.ends_with('\n') {
            // Its colours are ours; what it quotes was looked at where it was rendered.
            observe::without_hidden(&self.message, &['\n', '\x1b'])
        } else {
            format!("error: {}\n", observe::without_hidden(&self.message, &['\n']))
        };
        if let Some(hint) = &self.hint {
            text += &format!(" hint: {}\n", observe::without_hidden(hint, &['\n']));
        }
        tell(&text);
    }
}

/// Says on stderr what a person should know before there is anything that listens.
pub(super) fn warn(message: &str) {
    tell(&format!("warning: {}\n", observe::without_hidden(message, &[])));
}

/// Says what a command has found beside what it was asked for.
pub(super) fn note(text: &str) {
    tell(&format!("note: {}\n", observe::without_hidden(text, &[])));
}

/// Writes to stderr, to which nobody may listen.
pub(super) fn tell(text: &str) {
    // Where stderr is gone there is nobody to tell.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
