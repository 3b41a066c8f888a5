//! The loop: take a member whose inputs are there, answer it from the store or do its work, tell
//! what came of it. Several lanes may be at it side by side.

use super::{
    EventKind, Listener, Manner, MemberReport, Outcome, RunReport, Signal, Stage, StageError, Stop,
    announce::{Announcer, sentence},
    lookup::{Found, look_up},
    state::{End, Halt, Prepared, State, Turn},
};
use crate::{
    config::{Effective, Member, Pipeline},
    plan::Key,
    store::{Record, Store},
};
use rayon::ThreadPool;
use std::{
    fs,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, Builder},
    time::{Duration, Instant},
};

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
    manner: &Manner,
) -> RunReport {
    assert_eq!(stages.len(), pipeline.members.len(), "one planned stage for each member");
    Run { pipeline, stages, store, stop, announcer: Announcer::new(listener), manner }.work_off()
}

pub(super) struct Run<'a> {
    pub pipeline: &'a Pipeline,
    /// In the order of the members.
    pub stages: Vec<Planned>,
    pub store: &'a Store,
    pub stop: &'a Stop,
    pub announcer: Announcer<'a>,
    pub manner: &'a Manner,
}

/// What the lanes of a run share.
struct Shared {
    state: Mutex<State>,
    /// Told when a member came to its end, or to a wait.
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Run<'_> {
    fn work_off(&self) -> RunReport {
        self.announcer.say(EventKind::RunStarted {
            pipeline: self.pipeline.name.clone(),
            stages: self.stages.len(),
            store: self.store.root().display().to_string(),
        });
        let shared = Shared { state: Mutex::new(State::new(self.stages.len())), changed: Condvar::new() };
        thread::scope(|scope| {
            let (first, others) = self.manner.lanes.split_first().unzip();
            for lane in others.into_iter().flatten() {
                let name = "lane".to_owned();
                let shared = &shared;
                if let Err(error) = Builder::new().name(name).spawn_scoped(scope, || self.lane(shared, Some(lane))) {
                    let message = format!("fewer stages run side by side: no thread could be started: {error}");
                    self.announcer.say(EventKind::Warning { stage: None, message });
                }
            }
            self.lane(&shared, first);
        });
        let mut state = shared.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        self.skip_rest(&mut state);
        let count = |test: fn(&Outcome) -> bool| {
            state.tasks.iter().filter_map(|task| task.end.as_ref()).filter(|end| test(&end.outcome)).count()
        };
        self.announcer.say(EventKind::RunFinished {
            cached: count(|outcome| matches!(outcome, Outcome::Cached)),
            ran: count(|outcome| matches!(outcome, Outcome::Ran { .. })),
            failed: count(|outcome| matches!(outcome, Outcome::Failed { .. })),
        });
        self.report(state)
    }

    /// One member after another, until none is left to start.
    fn lane(&self, shared: &Shared, threads: Option<&ThreadPool>) {
        while let Some(turn) = self.next(shared) {
            let prepared = match &turn.prepared {
                Some(prepared) => Ok(prepared.clone()),
                None if self.manner.may_make(turn.at) => self.prepare(turn.at, &turn.reads),
                None => self.depends_on(turn.at, &turn.reads),
            };
            if let Ok(prepared) = &prepared {
                // Known at once, so that no other lane begins equal work.
                shared.lock().tasks[turn.at].prepared = Some(prepared.clone());
            }
            let end = prepared.and_then(|prepared| self.try_member(&turn, &prepared, threads));
            self.conclude(&mut shared.lock(), &turn, end);
            shared.changed.notify_all();
        }
    }

    /// The next member to work on, once there is one; `None` where none will come any more.
    fn next(&self, shared: &Shared) -> Option<Turn> {
        let mut state = shared.lock();
        loop {
            self.skip_hopeless(&mut state);
            let ready: Vec<usize> = (0..self.stages.len()).filter(|&at| self.is_ready(&state, at)).collect();
            if ready.is_empty() && !state.is_working() {
                return None;
            }
            if let (false, Some(signal)) = (ready.is_empty(), self.stop.signal()) {
                state.halted = Some(Halt::Stopped(signal));
            }
            if state.halted.is_some() {
                return None;
            }
            for &at in &ready {
                let is_early = state.tasks[at].asked.is_some_and(|asked| asked.elapsed() < POLL);
                if !is_early && let Some(device) = self.device_for(&state, at) {
                    state.tasks[at].working_on = Some(device.clone());
                    let reads = self.reads(&state, at);
                    let prepared = state.tasks[at].prepared.clone();
                    return Some(Turn { at, device, prepared, reads, healed: state.healed.len() });
                }
            }
            self.tell_of_waiting(&mut state, &ready);
            state = shared.changed.wait_timeout(state, POLL).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The device on which a member can start now. A GPU is for one member at a time, and of equal
    /// work the first is done, and the others find it.
    fn device_for(&self, state: &State, at: usize) -> Option<String> {
        let working = || state.tasks.iter().filter(|task| task.working_on.is_some());
        let key = state.tasks[at].key();
        if key.is_some() && working().any(|task| task.key() == key) {
            return None;
        }
        let is_free =
            |device: &&String| *device == "cpu" || working().all(|task| task.working_on.as_ref() != Some(*device));
        self.pipeline.members[at].runtime.devices.iter().find(is_free).cloned()
    }

    /// Says, once for each member, that another run works on it.
    fn tell_of_waiting(&self, state: &mut State, ready: &[usize]) {
        let waits = ready.iter().find(|&&at| state.tasks[at].asked.is_some() && self.device_for(state, at).is_some());
        if let Some(&at) = waits
            && !std::mem::replace(&mut state.tasks[at].waited, true)
        {
            self.announcer.say(EventKind::StageWaiting { stage: self.pipeline.members[at].name.clone() });
        }
    }

    /// Brings a member to its end, or says nothing where another process is at it.
    fn try_member(
        &self,
        turn: &Turn,
        prepared: &Prepared,
        threads: Option<&ThreadPool>,
    ) -> Result<Option<End>, StageError> {
        let member = &self.pipeline.members[turn.at];
        let (key, is_wanted_again) = (prepared.key, self.manner.again.contains(&turn.at));
        if !is_wanted_again && let Found::Whole(record) = look_up(self.store, key, &member.name, &self.announcer)? {
            return Ok(Some(self.cached(member, key, *record)));
        }
        if !self.manner.may_make(turn.at) {
            // Another machine may have made it a moment ago, and a network's file system asks anew
            // for what lies in a folder when that is opened.
            let _ = self.store.record_path(key).parent().map(fs::read_dir);
            return match look_up(self.store, key, &member.name, &self.announcer)? {
                Found::Whole(record) => Ok(Some(self.cached(member, key, *record))),
                _ => Err(StageError::failed("its result is not in the store, and it was not to be made")),
            };
        }
        let Some(_lock) = self.store.try_lock(key)? else { return Ok(None) };
        // Whoever held the lock a moment ago may have made it.
        let found = look_up(self.store, key, &member.name, &self.announcer)?;
        if !is_wanted_again && let Found::Whole(record) = found {
            return Ok(Some(self.cached(member, key, *record)));
        }
        self.work(turn, prepared, found, threads).map(Some)
    }

    /// Notes what came of a member's turn.
    fn conclude(&self, state: &mut State, turn: &Turn, end: Result<Option<End>, StageError>) {
        let task = &mut state.tasks[turn.at];
        task.working_on = None;
        let end = match end {
            Ok(None) => {
                task.asked = Some(Instant::now());
                return;
            }
            Ok(Some(end)) => end,
            Err(StageError::Interrupted) => {
                state.halted = Some(Halt::Stopped(self.stop.signal().unwrap_or(Signal::Interrupt)));
                End { outcome: Outcome::Interrupted, record: None, error: Some(StageError::Interrupted) }
            }
            Err(error) => {
                if self.heals(state, turn, &error) {
                    return;
                }
                if matches!(error, StageError::Store(_)) {
                    state.halted = Some(Halt::StoreFailed);
                } else if self.manner.fail_fast {
                    state.halted = state.halted.or(Some(Halt::MemberFailed));
                }
                End { outcome: Outcome::Failed { message: sentence(&error) }, record: None, error: Some(error) }
            }
        };
        self.finish(state, turn.at, end);
    }

    /// Where a member read what turned out damaged or lost, those that published it are looked up
    /// again, and so made again; then the reader has its turn once more. Once each: a disk that
    /// damages all that it is given would keep a run busy for ever.
    fn heals(&self, state: &mut State, turn: &Turn, error: &StageError) -> bool {
        let Some(path) = error.damaged() else { return false };
        // Another lane met it first, and what published it is being made again.
        let is_under_way = state.healed[turn.healed..].iter().any(|healed| healed == path);
        if !is_under_way {
            let makers = state.published_by(|object| self.store.object_path(&object.digest) == *path);
            if makers.is_empty() || makers.iter().any(|&of| state.tasks[of].healed) {
                return false;
            }
            self.announcer.warn(&self.pipeline.members[turn.at].name, sentence(error));
            for of in makers {
                (state.tasks[of].end, state.tasks[of].healed) = (None, true);
            }
            state.healed.push(path.to_owned());
        }
        // Made again, it may be of other bytes: not every device gives the same ones.
        state.tasks[turn.at].prepared = None;
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

    fn is_ready(&self, state: &State, at: usize) -> bool {
        let task = &state.tasks[at];
        task.end.is_none()
            && task.working_on.is_none()
            && self.pipeline.members[at].inputs.iter().all(|(slot, members)| {
                let has_come = |of: &usize| state.record(*of).is_some();
                // A failure is as much to be told as a result: what gathers waits for every end.
                let has_ended = |of: &usize| state.tasks[*of].end.is_some();
                if self.stages[at].stage.gathers(slot) {
                    members.iter().all(has_ended) && members.iter().any(has_come)
                } else {
                    members.iter().all(has_come)
                }
            })
    }

    /// Ends the members that read what will not come. Members stand after what they read: one pass
    /// is enough.
    fn skip_hopeless(&self, state: &mut State) {
        for at in 0..self.stages.len() {
            if state.tasks[at].end.is_none()
                && let Some(because) = self.hopeless(state, at)
            {
                self.skip(state, at, because);
            }
        }
    }

    /// Why a member cannot run; `None` while it may.
    fn hopeless(&self, state: &State, at: usize) -> Option<String> {
        self.pipeline.members[at].inputs.iter().find_map(|(slot, members)| {
            let mut lacks = members.iter().map(|&of| self.lacks(state, of));
            if !self.stages[at].stage.gathers(slot) {
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
    fn lacks(&self, state: &State, at: usize) -> Option<String> {
        let what = match state.tasks[at].end.as_ref()?.outcome {
            Outcome::Cached | Outcome::Ran { .. } => return None,
            Outcome::Failed { .. } => "failed",
            Outcome::Interrupted => "was interrupted",
            Outcome::Skipped { .. } => "was skipped",
        };
        Some(format!("`{}` {what}", self.pipeline.members[at].name))
    }

    fn skip_rest(&self, state: &mut State) {
        let because = match state.halted {
            Some(Halt::StoreFailed) => "the store failed",
            Some(Halt::MemberFailed) => "another stage failed",
            _ => "the run was stopped",
        };
        for at in 0..self.stages.len() {
            if state.tasks[at].end.is_none() {
                self.skip(state, at, because.to_owned());
            }
        }
    }

    fn skip(&self, state: &mut State, at: usize, because: String) {
        self.finish(state, at, End { outcome: Outcome::Skipped { because }, record: None, error: None });
    }

    fn finish(&self, state: &mut State, at: usize, end: End) {
        let member = &self.pipeline.members[at];
        self.announcer.say(EventKind::StageFinished {
            stage: member.name.clone(),
            kind: member.kind.clone(),
            position: at + 1,
            outcome: end.outcome.clone(),
            summary: end.record.as_ref().and_then(|record| record.summary.clone()),
        });
        state.tasks[at].end = Some(end);
    }

    fn report(&self, state: State) -> RunReport {
        let members = self.pipeline.members.iter().zip(state.tasks).map(|(member, task)| {
            let key = task.key();
            let End { outcome, record, error } = task.end.expect("every member came to an end");
            MemberReport { name: member.name.clone(), outcome, key, record, error }
        });
        let stopped = match state.halted {
            Some(Halt::Stopped(signal)) => Some(signal),
            _ => None,
        };
        RunReport { members: members.collect(), stopped }
    }
}
