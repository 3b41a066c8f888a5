//! What a stage is given to work with: its inputs, a place for its outputs, an ear for what it has
//! to say.

use super::{
    EventKind, Input, Missing, Progress, StageError, Stop, announce::Announcer, reads::Reads, standing::Reporter,
};
use crate::{
    config::{Member, Runtime},
    plan::Key,
    store::{ObjectRef, Store, StoreError},
};
use indexmap::IndexMap;
use serde_json::Value as Json;
use std::{
    cell::RefCell,
    collections::BTreeMap,
    io::{self, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// The note that lists missed expectations.
pub(super) const EXPECT_MISSED: &str = "expect_missed";

/// One stage's view of a run.
pub struct Context<'a> {
    member: &'a Member,
    runtime: Runtime,
    key: Key,
    reads: &'a Reads,
    store: &'a Store,
    stop: &'a Stop,
    announcer: Announcer<'a>,
    reporter: RefCell<Reporter<'a>>,
    work: Option<PathBuf>,
    made: Made,
    began: Instant,
    /// What the processes took that this one goes on from.
    before: Duration,
}

/// What a stage made so far.
#[derive(Debug, Default)]
pub(super) struct Made {
    pub outputs: BTreeMap<String, ObjectRef>,
    pub metrics: IndexMap<String, f64>,
    pub summary: Option<String>,
    pub notes: BTreeMap<String, Json>,
    pub resumed: Option<String>,
}

/// What the runner knows of the member it is about to run.
pub(super) struct Situation<'a> {
    pub member: &'a Member,
    /// The member's own, of whose devices one is left.
    pub runtime: Runtime,
    pub key: Key,
    pub reads: &'a Reads,
    pub store: &'a Store,
    pub stop: &'a Stop,
    pub announcer: Announcer<'a>,
    pub reporter: Reporter<'a>,
}

impl<'a> Context<'a> {
    pub(super) fn new(situation: Situation<'a>) -> Self {
        let Situation { member, runtime, key, reads, store, stop, announcer, reporter } = situation;
        let reporter = RefCell::new(reporter);
        let (made, began, before) = (Made::default(), Instant::now(), Duration::ZERO);
        Self { member, runtime, key, reads, store, stop, announcer, reporter, work: None, made, began, before }
    }

    pub(super) fn into_made(self) -> (Made, Reporter<'a>) {
        (self.made, self.reporter.into_inner())
    }

    /// `search[seed=1]`
    pub fn member(&self) -> &str {
        &self.member.name
    }

    /// `search`
    pub fn kind(&self) -> &str {
        &self.member.kind
    }

    /// What the result will be kept under.
    pub fn key(&self) -> Key {
        self.key
    }

    /// How to run: nothing of it may change a result.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// What the reference key `slot` names, in the pipeline's order; nothing where the key was left
    /// out. Of a key that is gathered, those that are there.
    pub fn inputs(&self, slot: &str) -> &[Input] {
        self.reads.inputs.get(slot).map_or(&[], Vec::as_slice)
    }

    /// What the reference key `slot`, one that is gathered, names and is not there, in the
    /// pipeline's order.
    pub fn missing(&self, slot: &str) -> &[Missing] {
        self.reads.missing.get(slot).map_or(&[], Vec::as_slice)
    }

    /// What the reference key `slot` names, where that must be one.
    ///
    /// # Errors
    /// Where it names none or several: a fault of the stage kind.
    pub fn input(&self, slot: &str) -> Result<&Input, StageError> {
        match self.inputs(slot) {
            [input] => Ok(input),
            inputs => Err(StageError::input(format!(
                "`{slot}` of stage `{}` must name one stage, found {}",
                self.member.name,
                inputs.len()
            ))),
        }
    }

    /// Publishes the output `name`: what `write` writes is kept under its digest, or not at all
    /// where `write` fails.
    ///
    /// # Errors
    /// Where `write` fails, or the store cannot be written.
    pub fn publish(
        &mut self,
        name: &str,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<ObjectRef, StageError> {
        if self.made.outputs.contains_key(name) {
            return Err(StageError::failed(format!("output `{name}` is published twice")));
        }
        let mut writer = self.store.object()?;
        write(&mut writer).map_err(StoreError::io("write in", self.store.root()))?;
        let object = writer.finish()?;
        self.made.outputs.insert(name.to_owned(), object);
        Ok(object)
    }

    /// As [`publish`](Self::publish), for bytes that are in memory.
    ///
    /// # Errors
    /// Where the store cannot be written.
    pub fn publish_bytes(&mut self, name: &str, bytes: &[u8]) -> Result<ObjectRef, StageError> {
        self.publish(name, |w| w.write_all(bytes))
    }

    /// Keeps a figure of the result; figures are shown in the order in which they were first given.
    pub fn metric(&mut self, name: impl Into<String>, value: f64) {
        self.made.metrics.insert(name.into(), value);
    }

    /// Keeps one line that says what came out: `skip_connect, 93.2 %`.
    pub fn summary(&mut self, text: impl Into<String>) {
        self.made.summary = Some(text.into());
    }

    /// Keeps something structured beside the figures.
    pub fn note(&mut self, topic: impl Into<String>, value: Json) {
        self.made.notes.insert(topic.into(), value);
    }

    /// Keeps that a figure is not what the pipeline expects: the stage succeeds, every run that
    /// shows it exits with 5.
    pub fn expect_missed(&mut self, text: impl Into<String>) {
        let misses = self.made.notes.entry(EXPECT_MISSED.to_owned()).or_insert_with(|| Json::Array(Vec::new()));
        if let Json::Array(misses) = misses {
            misses.push(Json::String(text.into()));
        }
    }

    /// Shows how far the work is. May be called every step: listeners thin it out.
    pub fn progress(&self, progress: Progress) {
        self.reporter.borrow_mut().progress(&progress);
        self.say(EventKind::Progress { stage: self.stage(), progress });
    }

    /// Shows a finished epoch, counted from 1, with its metrics in the order to show them.
    pub fn epoch_finished(&self, epoch: usize, epochs: usize, metrics: Vec<(String, f64)>) {
        self.say(EventKind::EpochFinished { stage: self.stage(), epoch, epochs, metrics });
    }

    /// Shows something that a person should know and that does not stop the work.
    pub fn warn(&self, message: impl Into<String>) {
        self.announcer.warn(&self.member.name, message);
    }

    /// Says which of a person's files or folders the stage reads.
    pub fn reads(&self, path: &Path) {
        self.say(EventKind::StageReads { stage: self.stage(), path: path.display().to_string() });
    }

    /// Says that the work goes on from a checkpoint, for example `at` `epoch 3`, up to which it
    /// took `spent`.
    pub fn resumed(&mut self, at: impl Into<String>, spent: Duration) {
        let at = at.into();
        self.before = spent;
        self.say(EventKind::StageResumed { stage: self.stage(), at: at.clone() });
        self.made.resumed = Some(at);
    }

    /// How long the work took so far, in this process and in those that it goes on from.
    pub fn spent(&self) -> Duration {
        self.before + self.began.elapsed()
    }

    /// Shows that a checkpoint was saved after `step` steps in all.
    pub fn checkpoint_saved(&self, step: u64) {
        self.say(EventKind::CheckpointSaved { stage: self.stage(), step });
    }

    /// The folder for checkpoints, made at the first call. It belongs to this key alone, outlives a
    /// stop, a failure and a crash, and is removed after success.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn work(&mut self) -> Result<&Path, StageError> {
        let work = match self.work.take() {
            Some(work) => work,
            None => self.store.make_work(self.key)?,
        };
        Ok(self.work.insert(work))
    }

    /// Whether a signal asked to stop: then save a checkpoint and return
    /// [`StageError::Interrupted`].
    pub fn stop_requested(&self) -> bool {
        self.stop.requested()
    }

    fn stage(&self) -> String {
        self.member.name.clone()
    }

    fn say(&self, kind: EventKind) {
        self.announcer.say(kind);
    }
}
