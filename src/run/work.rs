//! The work of one member whose inputs are there: what its result depends on, and making it.

use super::{
    Context, EventKind, Fetch, Outcome, Resource, StageError,
    announce::sentence,
    context::{Made, Situation},
    lookup::{Found, reasons},
    reads::Reads,
    runner::{Planned, Run},
    standing::Reporter,
    state::{End, Prepared, Turn},
};
use crate::{
    machine,
    plan::{DirtyReason, Manifest, SCHEMA},
    store::Record,
};
use rayon::ThreadPool;
use std::{
    any::Any,
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Instant,
};

impl Run<'_> {
    /// What the member's result depends on, once what it reads that no stage made is there.
    pub(super) fn prepare(&self, at: usize, reads: &Reads) -> Result<Prepared, StageError> {
        let member = &self.pipeline.members[at].name;
        let fetch = Fetch { member, stop: self.stop, announcer: self.announcer };
        guarded(|| self.stages[at].stage.fetch(&fetch))?;
        self.depends_on(at, reads)
    }

    /// What the member's result depends on, as things are.
    pub(super) fn depends_on(&self, at: usize, reads: &Reads) -> Result<Prepared, StageError> {
        let Planned { version, settings, stage } = &self.stages[at];
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
        let missing = reads.missing.values().flatten();
        let manifest = Manifest {
            schema: SCHEMA,
            kind: self.pipeline.members[at].kind.clone(),
            version: *version,
            params: settings.hashed.clone().into(),
            inputs: reads.digests(stage.reads_records()),
            resources,
            missing: missing.map(|missing| (missing.member.clone(), missing.why())).collect(),
            numerics: stage.numerics(),
        };
        Ok(Prepared { key: manifest.key(), manifest })
    }

    /// Runs the stage on a lane's threads and publishes its record: for the caller that holds the
    /// key's lock and `found` this under the key.
    pub(super) fn work(
        &self,
        turn: &Turn,
        prepared: &Prepared,
        found: Found,
        threads: Option<&ThreadPool>,
    ) -> Result<End, StageError> {
        let Prepared { manifest, key } = prepared;
        let member = &self.pipeline.members[turn.at];
        let (reasons, before) = match found {
            Found::Whole(record) => (vec![DirtyReason::Wanted], Some(record)),
            Found::Broken { outputs } => (self.reasons(&member.name, manifest, outputs), None),
            Found::Nothing => (self.reasons(&member.name, manifest, Vec::new()), None),
        };
        self.announcer.say(EventKind::StageStarted {
            stage: member.name.clone(),
            kind: member.kind.clone(),
            position: turn.at + 1,
            reasons: reasons.iter().map(DirtyReason::to_string).collect(),
        });
        let mut context = Context::new(Situation {
            member,
            runtime: member.runtime.clone().on(&turn.device),
            key: *key,
            reads: &turn.reads,
            store: self.store,
            stop: self.stop,
            announcer: self.announcer,
            reporter: Reporter::new(self.store, *key, &self.pipeline.name, &member.name),
        });
        let started = machine::unix_time();
        let clock = Instant::now();
        let stage = &self.stages[turn.at].stage;
        let mut work = || guarded(|| stage.run(&mut context));
        let done = match threads {
            None => work(),
            Some(threads) => threads.install(work),
        };
        let (wall, spent) = (clock.elapsed(), context.spent());
        let (made, reporter) = context.into_made();
        if let Err(error) = done {
            reporter.failed(&error);
            return Err(error);
        }
        let Made { outputs, metrics, summary, notes, resumed } = made;
        let record = Record {
            manifest: serde_json::to_value(manifest).expect("a manifest is JSON"),
            outputs,
            metrics,
            summary,
            notes,
            started,
            finished: machine::unix_time(),
            wall_seconds: spent.as_secs_f64(),
            resumed: resumed.clone(),
            program: env!("CARGO_PKG_VERSION").to_owned(),
        };
        if let Some(before) = before
            && let [_, others] = before.compare_outputs(&record)
            && !others.is_empty()
        {
            self.announcer.warn(&member.name, format!("made again, it has other bytes in {}", others.join(", ")));
        }
        self.store.write_record(*key, &record)?;
        reporter.finished();
        self.remember(member, *key);
        if let Err(error) = self.store.remove_work(*key) {
            self.announcer.warn(&member.name, sentence(&error));
        }
        Ok(End { outcome: Outcome::Ran { wall, resumed }, record: Some(record), error: None })
    }

    /// Why a member runs.
    pub(super) fn reasons(&self, member: &str, manifest: &Manifest, broken: Vec<String>) -> Vec<DirtyReason> {
        reasons(self.store, &self.pipeline.name, member, manifest, broken, &self.announcer)
    }
}

/// A panic of a stage becomes its failure. A context that a panic went through is only dropped, so
/// that nothing half-done in it is seen.
fn guarded(work: impl FnOnce() -> Result<(), StageError>) -> Result<(), StageError> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|panic| Err(StageError::failed(format!("internal error: {}", panic_message(&*panic)))))
}

/// What a panic says.
pub fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic without a message")
}
