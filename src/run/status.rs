//! How a stage stands: what a run would do with it, and what is known of the work on it.

use super::{Foreseen, Outlook, Standing, WorkState};
use crate::plan::DirtyReason;
use serde::Serialize;

/// How a stage stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Status {
    /// Its result is in the store.
    Fresh,
    /// It has a result, of something else than what is asked for now.
    Stale {
        reasons: Vec<DirtyReason>,
    },
    NeverRun,
    /// A process is at it, and may have said how far it is.
    Running {
        #[serde(flatten)]
        work: Option<Standing>,
    },
    /// The last try failed.
    Failed(Standing),
    /// A process was at it, and a run goes on from its checkpoint.
    Stopped,
    /// What it reads is made first.
    Waiting {
        on: Vec<String>,
    },
    /// What it reads is not there, or not yet.
    Unknown {
        why: String,
    },
}

impl Status {
    /// Of what a run would do, and what is known of the work on it that is not finished;
    /// `is_running` says whether a process is at it.
    pub fn of(foreseen: &Foreseen, standing: Option<Standing>, is_running: bool) -> Self {
        match (&foreseen.outlook, standing) {
            (Outlook::Cached, _) => Self::Fresh,
            (Outlook::Waits { on }, _) => Self::Waiting { on: on.clone() },
            (Outlook::Unknown { why }, _) => Self::Unknown { why: why.clone() },
            (Outlook::Runs { .. }, work) if is_running => Self::Running { work },
            (Outlook::Runs { .. }, Some(standing @ Standing { state: WorkState::Failed { .. }, .. })) => {
                Self::Failed(standing)
            }
            (Outlook::Runs { from_checkpoint: true, .. }, _) => Self::Stopped,
            (Outlook::Runs { reasons, .. }, _) if reasons[..] == [DirtyReason::NeverRun] => Self::NeverRun,
            (Outlook::Runs { reasons, .. }, _) => Self::Stale { reasons: reasons.clone() },
        }
    }
}
