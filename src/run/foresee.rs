//! What a run would do and why, without doing it.

use super::{
    Listener, Manner, Outcome, Stop,
    announce::{Announcer, sentence},
    lookup::{Found, look_up},
    runner::{Planned, Run},
    state::{End, State},
};
use crate::{
    config::{Member, Pipeline},
    plan::{DirtyReason, Key},
    store::{Store, StoreError},
};
use serde::Serialize;
use std::collections::BTreeSet;

/// What a run would do with a member.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "outlook", rename_all = "snake_case")]
pub enum Outlook {
    /// Its result is in the store.
    Cached,
    /// It would be made: why, and whether from a checkpoint on.
    Runs { reasons: Vec<DirtyReason>, from_checkpoint: bool },
    /// What it reads would be made first. What comes of that decides whether it runs.
    Waits { on: Vec<String> },
    /// What it reads is not there, or not yet: the run would fetch it or fail.
    Unknown { why: String },
}

/// A member's outlook.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Foreseen {
    /// `search[seed=1]`
    pub stage: String,
    pub kind: String,
    #[serde(flatten)]
    pub outlook: Outlook,
    /// Of its result, once all that it reads is there.
    pub key: Option<Key>,
    /// How long its result took, or the one before it, in all the processes that worked on it.
    pub last_seconds: Option<f64>,
}

/// Looks at each member of a pipeline, in their order, as [`run`](super::run) would come to it;
/// `stages` are as for that. Nothing is made or fetched. What is found damaged is set aside, as a
/// run would, and the listener hears of it.
///
/// # Errors
/// Where the store cannot be read.
pub fn foresee(
    pipeline: &Pipeline,
    stages: Vec<Planned>,
    store: Option<&Store>,
    listener: &dyn Listener,
) -> Result<Vec<Foreseen>, StoreError> {
    let Some(store) = store else { return Ok(anew(pipeline)) };
    let (stop, manner) = (Stop::new(), Manner::default());
    let run = Run { pipeline, stages, store, stop: &stop, announcer: Announcer::new(listener), manner: &manner };
    let mut state = State::new(pipeline.members.len());
    let mut foreseen: Vec<Foreseen> = Vec::with_capacity(pipeline.members.len());
    for at in 0..pipeline.members.len() {
        let mut of = run.foresee(&mut state, at)?;
        // Of equal work the first is done, and the others find it.
        let equal = foreseen.iter().find(|other| of.key.is_some() && other.key == of.key);
        if let (Outlook::Runs { .. }, Some(equal)) = (&of.outlook, equal) {
            of.outlook = Outlook::Waits { on: vec![equal.stage.clone()] };
        }
        foreseen.push(of);
    }
    Ok(foreseen)
}

/// As it is where there is no store yet.
fn anew(pipeline: &Pipeline) -> Vec<Foreseen> {
    let outlook = |member: &Member| match names(pipeline, member.inputs.values().flatten().copied()) {
        on if on.is_empty() => Outlook::Runs { reasons: vec![DirtyReason::NeverRun], from_checkpoint: false },
        on => Outlook::Waits { on },
    };
    let foreseen = |member: &Member| Foreseen {
        stage: member.name.clone(),
        kind: member.kind.clone(),
        outlook: outlook(member),
        key: None,
        last_seconds: None,
    };
    pipeline.members.iter().map(foreseen).collect()
}

/// Of some members, each once.
fn names(pipeline: &Pipeline, members: impl Iterator<Item = usize>) -> Vec<String> {
    let members: BTreeSet<usize> = members.collect();
    members.into_iter().map(|of| pipeline.members[of].name.clone()).collect()
}

impl Run<'_> {
    fn foresee(&self, state: &mut State, at: usize) -> Result<Foreseen, StoreError> {
        let (outlook, key) = self.outlook(state, at)?;
        let member = &self.pipeline.members[at];
        let last_seconds = state.record(at).map(|record| record.wall_seconds).or_else(|| {
            let last = self.store.last(&self.pipeline.name, &member.name).ok()??;
            Some(self.store.record(last).ok()??.wall_seconds)
        });
        Ok(Foreseen { stage: member.name.clone(), kind: member.kind.clone(), outlook, key, last_seconds })
    }

    fn outlook(&self, state: &mut State, at: usize) -> Result<(Outlook, Option<Key>), StoreError> {
        let member = &self.pipeline.members[at];
        let on =
            names(self.pipeline, member.inputs.values().flatten().copied().filter(|&of| state.record(of).is_none()));
        if !on.is_empty() {
            return Ok((Outlook::Waits { on }, None));
        }
        if let Some(why) = self.stages[at].stage.lacks() {
            return Ok((Outlook::Unknown { why }, None));
        }
        let prepared = match self.depends_on(at, &self.reads(state, at)) {
            Ok(prepared) => prepared,
            Err(error) => return Ok((Outlook::Unknown { why: sentence(&error) }, None)),
        };
        let key = prepared.key;
        let broken = match look_up(self.store, key, &member.name, &self.announcer)? {
            Found::Whole(record) => {
                state.tasks[at].prepared = Some(prepared);
                state.tasks[at].end = Some(End { outcome: Outcome::Cached, record: Some(*record), error: None });
                return Ok((Outlook::Cached, Some(key)));
            }
            Found::Broken { outputs } => outputs,
            Found::Nothing => Vec::new(),
        };
        let reasons = self.reasons(&member.name, &prepared.manifest, broken);
        let from_checkpoint = self.store.work_path(key).read_dir().is_ok_and(|mut files| files.next().is_some());
        Ok((Outlook::Runs { reasons, from_checkpoint }, Some(key)))
    }
}
