//! How a stage's unfinished work stands, kept in the store while a run is at it, so that another
//! process can tell.

use super::{Progress, StageError, announce::sentence};
use crate::{machine, plan::Key, store::Store};
use serde::{Deserialize, Serialize};
use std::{
    process,
    time::{Duration, Instant},
};

/// Between two times at which a stage that works says how far it is.
const PACE: Duration = Duration::from_secs(2);

/// How the work on a member stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    pub pipeline: String,
    /// `search[seed=1]`
    pub member: String,
    /// The machine, and the process on it, that was at it last.
    pub machine: String,
    pub process: u32,
    /// When that was, as Unix time in seconds.
    pub at: u64,
    #[serde(flatten)]
    pub state: WorkState,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum WorkState {
    /// At work, or killed at it: whether it is, the key's lock tells.
    Working {
        /// Epochs completed, and in all; 0 where the work has none.
        epoch: usize,
        epochs: usize,
        /// Estimated time to the end; absent where that is not known.
        remaining_seconds: Option<f64>,
    },
    Failed {
        message: String,
    },
    /// Stopped by a signal.
    Interrupted,
}

/// Keeps in the store how a member's work stands. Where it cannot be written nobody is told of the
/// work, which goes on all the same.
pub(super) struct Reporter<'a> {
    store: &'a Store,
    key: Key,
    standing: Standing,
    told: Instant,
}

impl<'a> Reporter<'a> {
    /// Says that the work begins.
    pub fn new(store: &'a Store, key: Key, pipeline: &str, member: &str) -> Self {
        let standing = Standing {
            pipeline: pipeline.to_owned(),
            member: member.to_owned(),
            machine: machine::name(),
            process: process::id(),
            at: 0,
            state: WorkState::Working { epoch: 0, epochs: 0, remaining_seconds: None },
        };
        let mut reporter = Self { store, key, standing, told: Instant::now() };
        reporter.tell();
        reporter
    }

    /// Says how far it is, now and then.
    pub fn progress(&mut self, progress: &Progress) {
        if self.told.elapsed() >= PACE {
            let Progress { epoch, epochs, remaining, .. } = *progress;
            let remaining_seconds = remaining.map(|time| time.as_secs_f64());
            self.standing.state = WorkState::Working { epoch, epochs, remaining_seconds };
            self.tell();
        }
    }

    /// Says why it came to no result.
    pub fn failed(mut self, error: &StageError) {
        self.standing.state = match error {
            StageError::Interrupted => WorkState::Interrupted,
            error => WorkState::Failed { message: sentence(error) },
        };
        self.tell();
    }

    /// Of work that is finished there is nothing to say.
    pub fn finished(self) {
        if let Err(error) = self.store.remove_standing(self.key) {
            tracing::debug!("it is still said how `{}` stood: {error}", self.standing.member);
        }
    }

    fn tell(&mut self) {
        self.told = Instant::now();
        self.standing.at = machine::unix_time();
        if let Err(error) = self.store.set_standing(self.key, &self.standing) {
            tracing::debug!("how `{}` stands is not told: {error}", self.standing.member);
        }
    }
}
