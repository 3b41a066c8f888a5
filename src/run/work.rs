//! The work of one member whose inputs are there: what its result depends on, and making it.

use super::{
    Context, EventKind, Fetch, Input, Outcome, Resource, StageError,
    announce::sentence,
    context::{Made, Situation},
    lookup::reasons,
    runner::{End, Planned, Prepared, Run, Task},
};
use crate::{
    config::Member,
    plan::{InputDigest, Manifest, SCHEMA},
    store::{Digest, ObjectRef, Record},
};
use indexmap::IndexMap;
use std::{
    any::Any,
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Instant, SystemTime},
};

/// The name, among an input's outputs, of what its record says: no stage can publish one of this name by accident.
const RECORD: &str = "(record)";

impl Run<'_> {
    /// What the member's result depends on. Asked for once all its inputs are there.
    pub(super) fn prepare(&self, at: usize) -> Result<Prepared, StageError> {
        let Planned { version, stage } = &self.tasks[at].planned;
        let member = &self.pipeline.members[at].name;
        guarded(|| stage.fetch(&Fetch { member, stop: self.stop, announcer: self.announcer }))?;
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
            let of_slot: Vec<_> = members.iter().map(|&of| self.content_of(of, stage.reads_records())).collect();
            inputs.insert(slot.clone(), of_slot);
        }
        let manifest = Manifest {
            schema: SCHEMA,
            kind: self.pipeline.members[at].kind.clone(),
            version: *version,
            params: stage.params(),
            inputs,
            resources,
            numerics: stage.numerics(),
        };
        Ok(Prepared { key: manifest.key(), manifest })
    }

    /// Output name → digest of a finished member.
    fn content_of(&self, at: usize, with_record: bool) -> InputDigest {
        let (_, record) = self.finished(at);
        let mut content: BTreeMap<_, _> =
            record.outputs.iter().map(|(name, object)| (name.clone(), object.digest)).collect();
        if with_record {
            content.insert(RECORD.to_owned(), Digest::of(self.input(at).to_json().to_string().as_bytes()));
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
            reasons: reasons(self.store, &self.pipeline.name, &member.name, manifest, broken),
        });
        let mut context = Context::new(Situation {
            member,
            pipeline: &self.pipeline.name,
            key: *key,
            inputs: self.checked_inputs(member)?,
            store: self.store,
            stop: self.stop,
            announcer: self.announcer,
        });
        let started = unix_seconds();
        let clock = Instant::now();
        let stage = &self.tasks[at].planned.stage;
        guarded(|| stage.run(&mut context))?;
        let Made { outputs, metrics, summary, notes, resumed } = context.into_made();
        let wall = clock.elapsed();
        let record = Record {
            manifest: serde_json::to_value(manifest).expect("a manifest is JSON"),
            outputs,
            metrics,
            summary,
            notes,
            started,
            finished: unix_seconds(),
            wall_seconds: wall.as_secs_f64(),
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

    /// The member's inputs, every output of which was looked at just now.
    fn checked_inputs(&self, member: &Member) -> Result<IndexMap<String, Vec<Input>>, StageError> {
        let mut inputs = IndexMap::new();
        for (slot, members) in &member.inputs {
            for &at in members {
                for object in self.finished(at).1.outputs.values() {
                    self.store.verify(object)?;
                }
            }
            inputs.insert(slot.clone(), members.iter().map(|&at| self.input(at)).collect());
        }
        Ok(inputs)
    }

    fn input(&self, at: usize) -> Input {
        let member = &self.pipeline.members[at];
        let (Prepared { manifest, key }, record) = self.finished(at);
        let path = |(name, object): (&String, &ObjectRef)| (name.clone(), self.store.object_path(&object.digest));
        Input {
            member: member.name.clone(),
            stage: member.stage.clone(),
            kind: member.kind.clone(),
            point: member.point.clone(),
            outputs: record.outputs.iter().map(path).collect(),
            metrics: record.metrics.clone(),
            summary: record.summary.clone(),
            notes: record.notes.clone(),
            params: manifest.params.clone(),
            key: *key,
            wall_seconds: record.wall_seconds,
        }
    }

    fn finished(&self, at: usize) -> (&Prepared, &Record) {
        let Task { prepared, end, .. } = &self.tasks[at];
        let record = end.as_ref().and_then(|end| end.record.as_ref());
        (prepared.as_ref().expect("a finished member was prepared"), record.expect("a member that is read is finished"))
    }
}

/// A panic of a stage becomes its failure. A context that a panic went through is only dropped, so that nothing half-done
/// in it is seen.
fn guarded(work: impl FnOnce() -> Result<(), StageError>) -> Result<(), StageError> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|panic| Err(StageError::failed(format!("internal error: {}", panic_message(&*panic)))))
}

fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic without a message")
}
