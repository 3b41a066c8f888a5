//! Gathers what a member reads from what others came to.

use super::{Failure, Input, Missing, Outcome, Output, reads::Reads, runner::Run, state::State};
use crate::{config::Member, store::ObjectRef};
use indexmap::IndexMap;
use std::collections::BTreeMap;

impl Run<'_> {
    /// Of a member all of whose inputs came to an end.
    pub(super) fn reads(&self, state: &State, at: usize) -> Reads {
        let (mut inputs, mut missing) = (IndexMap::new(), IndexMap::new());
        for (slot, members) in &self.pipeline.members[at].inputs {
            let are_read = self.stages[at].stage.reads(slot);
            let of = |of: &usize| self.input(state, *of, are_read);
            inputs.insert(slot.clone(), members.iter().filter_map(of).collect());
            let lacks = members.iter().filter(|of| state.record(**of).is_none());
            missing.insert(slot.clone(), lacks.map(|of| self.missing(state, *of)).collect());
        }
        Reads { inputs, missing }
    }

    /// A member that came to a result, with those outputs that `are_read`: all, where that is not
    /// said.
    fn input(&self, state: &State, at: usize, are_read: Option<&[&str]>) -> Option<Input> {
        let (record, prepared) = (state.record(at)?, state.tasks[at].prepared.as_ref()?);
        let Member { name, stage, kind, point, .. } = &self.pipeline.members[at];
        let is_read = |name: &String| are_read.is_none_or(|names| names.contains(&name.as_str()));
        let output = |(name, object): (&String, &ObjectRef)| {
            (name.clone(), Output { store: self.store.clone(), object: *object })
        };
        Some(Input {
            member: name.clone(),
            stage: stage.clone(),
            kind: kind.clone(),
            point: point.clone(),
            outputs: record.outputs.iter().filter(|(name, _)| is_read(name)).map(output).collect(),
            metrics: record.metrics.clone(),
            summary: record.summary.clone(),
            notes: record.notes.clone(),
            params: prepared.manifest.params.clone(),
            key: prepared.key,
        })
    }

    /// A member that came to an end without a result.
    fn missing(&self, state: &State, at: usize) -> Missing {
        let Member { name, stage, kind, point, .. } = &self.pipeline.members[at];
        Missing {
            member: name.clone(),
            stage: stage.clone(),
            kind: kind.clone(),
            point: point.clone(),
            failures: self.failures(state, at).into_values().collect(),
        }
    }

    /// The failures that left a member without a result: its own, or those of what it reads.
    fn failures(&self, state: &State, at: usize) -> BTreeMap<usize, Failure> {
        let member = &self.pipeline.members[at];
        match state.tasks[at].end.as_ref().map(|end| &end.outcome) {
            Some(Outcome::Failed { message }) => {
                [(at, Failure { member: member.name.clone(), message: message.clone() })].into()
            }
            Some(Outcome::Skipped { .. }) => {
                member.inputs.values().flatten().flat_map(|&of| self.failures(state, of)).collect()
            }
            _ => BTreeMap::new(),
        }
    }
}
