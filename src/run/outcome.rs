//! What came of a run, for whoever called it.

use super::{Outcome, Signal, StageError};
use crate::{plan::Key, store::Record};

/// What came of one member.
#[derive(Debug)]
pub struct MemberReport {
    pub name: String,
    pub outcome: Outcome,
    /// Known once all inputs were.
    pub key: Option<Key>,
    /// What it made, now or earlier; `None` where it did not finish.
    pub record: Option<Record>,
    /// Why it failed, with hint and causes.
    pub error: Option<StageError>,
}

/// What came of a run: every member, in the pipeline's order.
#[derive(Debug)]
pub struct RunReport {
    pub members: Vec<MemberReport>,
    /// The signal that stopped the run before its end.
    pub stopped: Option<Signal>,
}

/// How a run ended: decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Done,
    /// A stage failed.
    Failed,
    /// What a stage was to read is wrong or missing.
    Input,
    /// The store could not be read or written.
    Store,
    /// All stages are done, and a figure is not what the pipeline expects.
    ExpectMissed,
    /// Stopped by a signal, resumable.
    Stopped(Signal),
}

impl RunReport {
    /// How the run ended. Where several things went wrong: a stop before the store, inputs,
    /// failures, expectations.
    pub fn ending(&self) -> Ending {
        if let Some(signal) = self.stopped {
            return Ending::Stopped(signal);
        }
        let failed_by = |test: fn(&StageError) -> bool| self.members.iter().filter_map(|m| m.error.as_ref()).any(test);
        if failed_by(|error| matches!(error, StageError::Store(_))) {
            Ending::Store
        } else if failed_by(|error| matches!(error, StageError::Input { .. })) {
            Ending::Input
        } else if self.members.iter().any(|member| member.record.is_none()) {
            Ending::Failed
        } else if self.expect_missed().next().is_some() {
            Ending::ExpectMissed
        } else {
            Ending::Done
        }
    }

    /// Expectations that members noted as missed, member and text, whether they ran now or earlier.
    pub fn expect_missed(&self) -> impl Iterator<Item = (&str, String)> {
        self.members.iter().flat_map(|member| {
            let notes = member.record.iter().filter_map(|record| record.notes.get(super::context::EXPECT_MISSED));
            notes.filter_map(|note| note.as_array()).flatten().map(|miss| {
                let text = miss.as_str().map_or_else(|| miss.to_string(), str::to_owned);
                (member.name.as_str(), text)
            })
        })
    }
}

impl Ending {
    /// The process's exit code, as documented in the README.
    pub fn exit_code(self) -> i32 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Input => 3,
            Self::Store => 4,
            Self::ExpectMissed => 5,
            Self::Stopped(signal) => signal.exit_code(),
        }
    }
}
