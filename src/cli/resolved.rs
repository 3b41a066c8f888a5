//! `darts-run FILE --resolve`: the pipeline as it would run, as YAML.

use super::{Complaint, ExitClass};
use crate::{config::Pipeline, run::Planned};
use serde::Serialize;
use std::collections::BTreeMap;

/// A pipeline with nothing left to default.
#[derive(Serialize)]
struct Resolved<'a> {
    name: &'a str,
    data_root: String,
    stages: Vec<Stage<'a>>,
}

/// One member, in the order in which members run.
#[derive(Serialize)]
struct Stage<'a> {
    name: &'a str,
    kind: &'a str,
    /// What is hashed into its key.
    params: serde_json::Value,
    /// The members that each reference names.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    inputs: BTreeMap<&'a str, Vec<&'a str>>,
    device: &'a str,
}

/// The pipeline as YAML, every default filled in.
pub(super) fn yaml(pipeline: &Pipeline, planned: &[Planned]) -> Result<String, Complaint> {
    let name = |member: &usize| pipeline.members[*member].name.as_str();
    let stages = pipeline.members.iter().zip(planned).map(|(member, planned)| Stage {
        name: &member.name,
        kind: &member.kind,
        params: planned.stage.params(),
        inputs: member
            .inputs
            .iter()
            .map(|(slot, members)| (slot.as_str(), members.iter().map(name).collect()))
            .collect(),
        device: &member.runtime.device,
    });
    let resolved = Resolved {
        name: &pipeline.name,
        data_root: pipeline.data_root.display().to_string(),
        stages: stages.collect(),
    };
    serde_yaml::to_string(&resolved).map_err(|error| Complaint::caused(ExitClass::Failed, &error))
}
