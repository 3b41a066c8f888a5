//! How far the members of a run are.

use super::{Outcome, Signal, StageError, reads::Reads};
use crate::{
    plan::{Key, Manifest},
    store::{ObjectRef, Record},
};
use std::{path::PathBuf, time::Instant};

/// What a run knows of its members, in their order.
pub(super) struct State {
    pub tasks: Vec<Task>,
    /// Why nothing more starts.
    pub halted: Option<Halt>,
    /// Files of the store that were found damaged, whose makers were made to work again.
    pub healed: Vec<PathBuf>,
}

#[derive(Default)]
pub(super) struct Task {
    pub prepared: Option<Prepared>,
    pub end: Option<End>,
    /// The device of the lane that is at it.
    pub working_on: Option<String>,
    /// When another process was last found at it.
    pub asked: Option<Instant>,
    /// The wait for another process was announced.
    pub waited: bool,
    /// An output was found damaged when it was read, and the member looked up a second time.
    pub healed: bool,
}

#[derive(Clone)]
pub(super) struct Prepared {
    pub manifest: Manifest,
    pub key: Key,
}

pub(super) struct End {
    pub outcome: Outcome,
    pub record: Option<Record>,
    pub error: Option<StageError>,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Halt {
    Stopped(Signal),
    StoreFailed,
    /// Where a run is to end at the first failure.
    MemberFailed,
}

/// A member that a lane is to work on, and all that it must know for that.
pub(super) struct Turn {
    pub at: usize,
    pub device: String,
    pub prepared: Option<Prepared>,
    pub reads: Reads,
    /// How many files had been healed when it began.
    pub healed: usize,
}

impl State {
    pub fn new(members: usize) -> Self {
        Self { tasks: (0..members).map(|_| Task::default()).collect(), halted: None, healed: Vec::new() }
    }

    /// What a member came to, where it came to a result.
    pub fn record(&self, at: usize) -> Option<&Record> {
        self.tasks[at].end.as_ref()?.record.as_ref()
    }

    pub fn is_working(&self) -> bool {
        self.tasks.iter().any(|task| task.working_on.is_some())
    }

    /// The members with such an output.
    pub fn published_by(&self, is_it: impl Fn(&ObjectRef) -> bool) -> Vec<usize> {
        let publishes = |at: &usize| self.record(*at).is_some_and(|record| record.outputs.values().any(&is_it));
        (0..self.tasks.len()).filter(publishes).collect()
    }
}

impl Task {
    /// Known once all that it reads is there.
    pub fn key(&self) -> Option<Key> {
        self.prepared.as_ref().map(|prepared| prepared.key)
    }
}
