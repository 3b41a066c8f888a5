//! The work of one member whose inputs are there: what its result depends on, and making it.

use super::{
    Context, EventKind, Failure, Fetch, Input, Missing, Outcome, Output, Resource, StageError,
    announce::sentence,
    context::{Made, Situation},
    lookup::reasons,
    runner::{End, Planned, Prepared, Run, Task},
};
use crate::{
    config::Member,
    plan::{DirtyReason, InputDigest, Manifest, SCHEMA},
    store::{Digest, ObjectRef, Record},
};
use indexmap::IndexMap;
use std::{
    any::Any,
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Instant, SystemTime},
};

/// The name, among an input's outputs, of what its record says: no stage can publish one of this
/// name by accident.
const RECORD: &str = "(record)";

impl Run<'_> {
    /// What the member's result depends on, once what it reads that no stage made is there. Asked
    /// for once all its inputs are.
    pub(super) fn prepare(&self, at: usize) -> Result<Prepared, StageError> {
        let stage = &self.tasks[at].planned.stage;
        let member = &self.pipeline.members[at].name;
        guarded(|| stage.fetch(&Fetch { member, stop: self.stop, announcer: self.announcer }))?;
        self.depends_on(at)
    }

    /// What the member's result depends on, as things are.
    pub(super) fn depends_on(&self, at: usize) -> Result<Prepared, StageError> {
        let Planned { version, settings, stage } = &self.tasks[at].planned;
        let mut resources = BTreeMap::new();
        for (name, resource) in stage.resources() {
            let digest = match resource {
                Resource::Content(digest) => digest,
                Resource::Path(path) => {
                    self.store.digest_path(&path).map_err(|error| StageError::input(sentence(&error)))?
                }
                Resource::Listing(path) => {
                    self.store.digest_listing(&path).map_err(|error| StageError::input(sentence(&error)))?
                }
            };
            resources.insert(name, digest);
        }
        let mut inputs = BTreeMap::new();
        for (slot, members) in &self.pipeline.members[at].inputs {
            let content = |of| self.content_of(of, stage.reads(slot), stage.reads_records());
            inputs.insert(slot.clone(), self.present(members).map(content).collect());
        }
        let missing = self.pipeline.members[at].inputs.values().flat_map(|members| self.missing(members));
        let manifest = Manifest {
            schema: SCHEMA,
            kind: self.pipeline.members[at].kind.clone(),
            version: *version,
            params: settings.hashed.clone().into(),
            inputs,
            resources,
            missing: missing.map(|missing| (missing.member.clone(), missing.why())).collect(),
            numerics: stage.numerics(),
        };
        Ok(Prepared { key: manifest.key(), manifest })
    }

    /// Output name → digest of a finished member, of the outputs that `are_read`.
    fn content_of(&self, at: usize, are_read: Option<&[&str]>, with_record: bool) -> InputDigest {
        let outputs = self.outputs(at, are_read);
        let mut content: BTreeMap<_, _> = outputs.map(|(name, object)| (name.clone(), object.digest)).collect();
        if with_record {
            content.insert(RECORD.to_owned(), Digest::of(self.input(at, are_read).to_json().to_string().as_bytes()));
        }
        InputDigest(content)
    }

    /// Runs the stage and publishes its record: for the caller that holds the key's lock.
    pub(super) fn work(&self, at: usize, prepared: &Prepared, broken: Vec<String>) -> Result<End, StageError> {
        let Prepared { manifest, key } = prepared;
        let member = &self.pipeline.members[at];
        self.announcer.say(EventKind::StageStarted {
            stage: member.name.clone(),
            kind: member.kind.clone(),
            position: at + 1,
            reasons: reasons(self.store, &self.pipeline.name, &member.name, manifest, broken, &self.announcer)
                .iter()
                .map(DirtyReason::to_string)
                .collect(),
        });
        let mut context = Context::new(Situation {
            member,
            key: *key,
            inputs: self.inputs(at),
            missing: member.inputs.iter().map(|(slot, of)| (slot.clone(), self.missing(of).collect())).collect(),
            store: self.store,
            stop: self.stop,
            announcer: self.announcer,
        });
        let started = unix_seconds();
        let clock = Instant::now();
        let stage = &self.tasks[at].planned.stage;
        guarded(|| stage.run(&mut context))?;
        let (wall, spent) = (clock.elapsed(), context.spent());
        let Made { outputs, metrics, summary, notes, resumed } = context.into_made();
        let record = Record {
            manifest: serde_json::to_value(manifest).expect("a manifest is JSON"),
            outputs,
            metrics,
            summary,
            notes,
            started,
            finished: unix_seconds(),
            wall_seconds: spent.as_secs_f64(),
            resumed: resumed.clone(),
            program: env!("CARGO_PKG_VERSION").to_owned(),
        };
        self.store.write_record(*key, &record)?;
        self.remember(member, *key);
        if let Err(error) = self.store.remove_work(*key) {
            self.announcer.warn(&member.name, sentence(&error));
        }
        Ok(End { outcome: Outcome::Ran { wall, resumed }, record: Some(record), error: None })
    }

    fn inputs(&self, at: usize) -> IndexMap<String, Vec<Input>> {
        let stage = &self.tasks[at].planned.stage;
        let inputs = self.pipeline.members[at].inputs.iter().map(|(slot, members)| {
            let are_read = stage.reads(slot);
            (slot.clone(), self.present(members).map(|of| self.input(of, are_read)).collect())
        });
        inputs.collect()
    }

    /// Those of the members that have a result.
    fn present<'a>(&'a self, members: &'a [usize]) -> impl Iterator<Item = usize> + 'a {
        members.iter().copied().filter(|&of| self.has_record(of))
    }

    /// The others, which all came to an end.
    fn missing<'a>(&'a self, members: &'a [usize]) -> impl Iterator<Item = Missing> + 'a {
        members.iter().filter(|&&of| !self.has_record(of)).map(|&of| {
            let Member { name, stage, kind, point, .. } = &self.pipeline.members[of];
            Missing {
                member: name.clone(),
                stage: stage.clone(),
                kind: kind.clone(),
                point: point.clone(),
                failures: self.failures(of).into_values().collect(),
            }
        })
    }

    /// The failures that left a member without a result: its own, or those of what it reads.
    fn failures(&self, at: usize) -> BTreeMap<usize, Failure> {
        let member = &self.pipeline.members[at];
        match self.tasks[at].end.as_ref().map(|end| &end.outcome) {
            Some(Outcome::Failed { message }) => {
                [(at, Failure { member: member.name.clone(), message: message.clone() })].into()
            }
            Some(Outcome::Skipped { .. }) => {
                member.inputs.values().flatten().flat_map(|&of| self.failures(of)).collect()
            }
            _ => BTreeMap::new(),
        }
    }

    /// The outputs of a finished member that `are_read`: all, where that is not said.
    fn outputs(&self, at: usize, are_read: Option<&[&str]>) -> impl Iterator<Item = (&String, &ObjectRef)> {
        let (_, record) = self.finished(at);
        record.outputs.iter().filter(move |(name, _)| are_read.is_none_or(|names| names.contains(&name.as_str())))
    }

    fn input(&self, at: usize, are_read: Option<&[&str]>) -> Input {
        let member = &self.pipeline.members[at];
        let (Prepared { manifest, key }, record) = self.finished(at);
        let output = |(name, object): (&String, &ObjectRef)| {
            (name.clone(), Output { store: self.store.clone(), object: *object })
        };
        Input {
            member: member.name.clone(),
            stage: member.stage.clone(),
            kind: member.kind.clone(),
            point: member.point.clone(),
            outputs: self.outputs(at, are_read).map(output).collect(),
            metrics: record.metrics.clone(),
            summary: record.summary.clone(),
            notes: record.notes.clone(),
            params: manifest.params.clone(),
            key: *key,
        }
    }

    fn finished(&self, at: usize) -> (&Prepared, &Record) {
        let Task { prepared, end, .. } = &self.tasks[at];
        let record = end.as_ref().and_then(|end| end.record.as_ref());
        (prepared.as_ref().expect("a finished member was prepared"), record.expect("a member that is read is finished"))
    }
}

/// A panic of a stage becomes its failure. A context that a panic went through is only dropped, so
/// that nothing half-done in it is seen.
fn guarded(work: impl FnOnce() -> Result<(), StageError>) -> Result<(), StageError> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|panic| Err(StageError::failed(format!("internal error: {}", panic_message(&*panic)))))
}

fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// What a panic says.
pub fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic without a message")
}
