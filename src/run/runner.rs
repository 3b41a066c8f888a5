//! The loop: take a member whose inputs are there, answer it from the store or do its work, tell
//! what came of it.

use super::{
    EventKind, Listener, MemberReport, Outcome, RunReport, Signal, Stage, StageError, Stop,
    announce::{Announcer, sentence},
    lookup::{Found, look_up},
};
use crate::{
    config::{Effective, Member, Pipeline},
    plan::{Key, Manifest},
    store::{Record, Store, StoreError},
};
use std::{thread, time::Duration};

/// How often a run asks again for what another process holds.
const POLL: Duration = Duration::from_millis(100);

/// One member's stage, ready to be run.
pub struct Planned {
    /// Version of the stage kind, bumped when the meaning of its parameters or outputs changes.
    pub version: u32,
    /// What its keys turned out to be, all defaults filled in; what is hashed of them enters its
    /// key.
    pub settings: Effective,
    pub stage: Box<dyn Stage>,
}

/// Runs a pipeline: `stages` holds a stage for each of its members, in their order.
///
/// A member that fails takes along only those that read it; those that gather go on with what else
/// they name. After a stop, or a failure of the store, nothing more starts. Results that are in the
/// store are not made again; with all of them there, nothing is written.
///
/// # Panics
/// If `stages` and the members differ in number. A panic of a stage becomes its failure, and the
/// panic hook tells its place.
pub fn run(
    pipeline: &Pipeline,
    stages: Vec<Planned>,
    store: &Store,
    stop: &Stop,
    listener: &dyn Listener,
) -> RunReport {
    assert_eq!(stages.len(), pipeline.members.len(), "one planned stage for each member");
    let mut run = Run::new(pipeline, stages, store, stop, listener);
    run.work_off();
    run.into_report()
}

pub(super) struct Run<'a> {
    pub pipeline: &'a Pipeline,
    pub store: &'a Store,
    pub stop: &'a Stop,
    pub announcer: Announcer<'a>,
    /// In the order of the members.
    pub tasks: Vec<Task>,
    /// Why nothing more starts.
    halted: Option<Halt>,
}

pub(super) struct Task {
    pub planned: Planned,
    pub prepared: Option<Prepared>,
    pub end: Option<End>,
    /// The wait for another process was announced.
    waited: bool,
    /// An output was found damaged when it was read, and the member looked up a second time.
    healed: bool,
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
enum Halt {
    Stopped(Signal),
    StoreFailed,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        pipeline: &'a Pipeline,
        stages: Vec<Planned>,
        store: &'a Store,
        stop: &'a Stop,
        listener: &'a dyn Listener,
    ) -> Self {
        let task = |planned| Task { planned, prepared: None, end: None, waited: false, healed: false };
        let tasks = stages.into_iter().map(task).collect();
        Self { pipeline, store, stop, announcer: Announcer::new(listener), tasks, halted: None }
    }
}

impl Run<'_> {
    fn work_off(&mut self) {
        self.announcer.say(EventKind::RunStarted {
            pipeline: self.pipeline.name.clone(),
            stages: self.tasks.len(),
            store: self.store.root().display().to_string(),
        });
        loop {
            self.skip_hopeless();
            let ready: Vec<usize> = (0..self.tasks.len()).filter(|&at| self.is_ready(at)).collect();
            if ready.is_empty() {
                break;
            }
            if let Some(signal) = self.stop.signal() {
                self.halted = Some(Halt::Stopped(signal));
            }
            if self.halted.is_some() {
                break;
            }
            if !ready.iter().any(|&at| self.attempt(at)) {
                self.wait_for(ready[0]);
            }
        }
        self.skip_rest();
        let count = |test: fn(&Outcome) -> bool| {
            self.tasks.iter().filter_map(|task| task.end.as_ref()).filter(|end| test(&end.outcome)).count()
        };
        self.announcer.say(EventKind::RunFinished {
            cached: count(|outcome| matches!(outcome, Outcome::Cached)),
            ran: count(|outcome| matches!(outcome, Outcome::Ran { .. })),
            failed: count(|outcome| matches!(outcome, Outcome::Failed { .. })),
        });
    }

    /// Brings a member to its end, or says `false` where another process is at it.
    fn attempt(&mut self, at: usize) -> bool {
        let end = match self.try_member(at) {
            Ok(None) => return false,
            Ok(Some(end)) => end,
            Err(StageError::Interrupted) => {
                self.halted = Some(Halt::Stopped(self.stop.signal().unwrap_or(Signal::Interrupt)));
                End { outcome: Outcome::Interrupted, record: None, error: Some(StageError::Interrupted) }
            }
            Err(error) => {
                if self.heals(at, &error) {
                    return true;
                }
                if matches!(error, StageError::Store(_)) {
                    self.halted = Some(Halt::StoreFailed);
                }
                End { outcome: Outcome::Failed { message: sentence(&error) }, record: None, error: Some(error) }
            }
        };
        self.finish(at, end);
        true
    }

    fn try_member(&mut self, at: usize) -> Result<Option<End>, StageError> {
        let member = &self.pipeline.members[at];
        let prepared = match self.tasks[at].prepared.clone() {
            Some(prepared) => prepared,
            None => {
                let prepared = self.prepare(at)?;
                self.tasks[at].prepared.insert(prepared).clone()
            }
        };
        let key = prepared.key;
        if let Found::Whole(record) = look_up(self.store, key, &member.name, &self.announcer)? {
            return Ok(Some(self.cached(member, key, *record)));
        }
        let Some(_lock) = self.store.try_lock(key)? else { return Ok(None) };
        // Whoever held the lock a moment ago may have made it.
        let broken = match look_up(self.store, key, &member.name, &self.announcer)? {
            Found::Whole(record) => return Ok(Some(self.cached(member, key, *record))),
            Found::Broken { outputs } => outputs,
            Found::Nothing => Vec::new(),
        };
        self.work(at, &prepared, broken).map(Some)
    }

    /// Where a member read what turned out damaged or lost, those that published it are looked up
    /// again, and so made again; then the reader has its turn once more. Once each: a disk that
    /// damages all that it is given would keep a run busy for ever.
    fn heals(&mut self, at: usize, error: &StageError) -> bool {
        let StageError::Store(StoreError::Damaged { path, .. } | StoreError::Lost { path }) = error else {
            return false;
        };
        let is_of = |task: &Task| {
            let record = task.end.as_ref().and_then(|end| end.record.as_ref());
            record.is_some_and(|record| {
                record.outputs.values().any(|object| self.store.object_path(&object.digest) == *path)
            })
        };
        let makers: Vec<usize> = (0..self.tasks.len()).filter(|&of| is_of(&self.tasks[of])).collect();
        if makers.is_empty() || makers.iter().any(|&of| self.tasks[of].healed) {
            return false;
        }
        self.announcer.warn(&self.pipeline.members[at].name, sentence(error));
        for of in makers {
            (self.tasks[of].end, self.tasks[of].healed) = (None, true);
        }
        // Made again, it may be of other bytes: not every device gives the same ones.
        self.tasks[at].prepared = None;
        true
    }

    fn cached(&self, member: &Member, key: Key, record: Record) -> End {
        self.remember(member, key);
        // A run killed just after it published leaves its checkpoints. Where they cannot be removed
        // they only take space. Under the lock: somebody may be at work on an output that was lost
        // since.
        if self.store.work_path(key).exists()
            && let Ok(Some(_lock)) = self.store.try_lock(key)
        {
            let _ = self.store.remove_work(key);
        }
        End { outcome: Outcome::Cached, record: Some(record), error: None }
    }

    /// Keeps the key as the member's newest, where it is not already. Only explanations hang on it:
    /// a warning will do.
    pub(super) fn remember(&self, member: &Member, key: Key) {
        match self.store.last(&self.pipeline.name, &member.name) {
            Ok(Some(known)) if known == key.digest() => return,
            Ok(_) => {}
            Err(error) => self.announcer.warn(&member.name, sentence(&error)),
        }
        if let Err(error) = self.store.set_last(&self.pipeline.name, &member.name, key.digest()) {
            self.announcer.warn(&member.name, sentence(&error));
        }
    }

    pub(super) fn has_record(&self, at: usize) -> bool {
        self.tasks[at].end.as_ref().is_some_and(|end| end.record.is_some())
    }

    fn is_ready(&self, at: usize) -> bool {
        let Task { planned, end, .. } = &self.tasks[at];
        end.is_none()
            && self.pipeline.members[at].inputs.iter().all(|(slot, members)| {
                let has_come = |of: &usize| self.has_record(*of);
                // A failure is as much to be told as a result: what gathers waits for every end.
                let has_ended = |of: &usize| self.tasks[*of].end.is_some();
                if planned.stage.gathers(slot) {
                    members.iter().all(has_ended) && members.iter().any(has_come)
                } else {
                    members.iter().all(has_come)
                }
            })
    }

    /// Ends the members that read what will not come. Members stand after what they read: one pass
    /// is enough.
    fn skip_hopeless(&mut self) {
        for at in 0..self.tasks.len() {
            if self.tasks[at].end.is_none()
                && let Some(because) = self.hopeless(at)
            {
                self.skip(at, because);
            }
        }
    }

    /// Why a member cannot run; `None` while it may.
    fn hopeless(&self, at: usize) -> Option<String> {
        self.pipeline.members[at].inputs.iter().find_map(|(slot, members)| {
            let mut lacks = members.iter().map(|&of| self.lacks(of));
            if !self.tasks[at].planned.stage.gathers(slot) {
                return lacks.find_map(|lack| lack);
            }
            let all: Vec<String> = lacks.collect::<Option<_>>()?;
            match &all[..] {
                [only] => Some(only.clone()),
                [first, ..] => Some(format!("none of {} members is there: {first}", all.len())),
                [] => None,
            }
        })
    }

    /// Why a member's result will not come; `None` while it may.
    fn lacks(&self, at: usize) -> Option<String> {
        let what = match self.tasks[at].end.as_ref()?.outcome {
            Outcome::Cached | Outcome::Ran { .. } => return None,
            Outcome::Failed { .. } => "failed",
            Outcome::Interrupted => "was interrupted",
            Outcome::Skipped { .. } => "was skipped",
        };
        Some(format!("`{}` {what}", self.pipeline.members[at].name))
    }

    fn skip_rest(&mut self) {
        let because = match self.halted {
            Some(Halt::StoreFailed) => "the store failed",
            _ => "the run was stopped",
        };
        for at in 0..self.tasks.len() {
            if self.tasks[at].end.is_none() {
                self.skip(at, because.to_owned());
            }
        }
    }

    fn skip(&mut self, at: usize, because: String) {
        self.finish(at, End { outcome: Outcome::Skipped { because }, record: None, error: None });
    }

    fn finish(&mut self, at: usize, end: End) {
        let member = &self.pipeline.members[at];
        self.announcer.say(EventKind::StageFinished {
            stage: member.name.clone(),
            kind: member.kind.clone(),
            position: at + 1,
            outcome: end.outcome.clone(),
            summary: end.record.as_ref().and_then(|record| record.summary.clone()),
        });
        self.tasks[at].end = Some(end);
    }

    fn wait_for(&mut self, at: usize) {
        if !std::mem::replace(&mut self.tasks[at].waited, true) {
            self.announcer.say(EventKind::StageWaiting { stage: self.pipeline.members[at].name.clone() });
        }
        thread::sleep(POLL);
    }

    fn into_report(self) -> RunReport {
        let members = self.pipeline.members.iter().zip(self.tasks).map(|(member, task)| {
            let End { outcome, record, error } = task.end.expect("every member came to an end");
            let key = task.prepared.map(|prepared| prepared.key);
            MemberReport { name: member.name.clone(), outcome, key, record, error }
        });
        let stopped = self.halted.and_then(|halt| match halt {
            Halt::Stopped(signal) => Some(signal),
            Halt::StoreFailed => None,
        });
        RunReport { members: members.collect(), stopped }
    }
}
