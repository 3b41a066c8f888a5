//! `darts-run FILE --resolve`: the pipeline as it would run, as YAML, which is a pipeline that runs
//! the same.
//!
//! Keys that all members of a stage have in common stand in the stage, a value of the matrix as
//! `${matrix.seed}`. What else differs from member to member is a variant.

use super::{Complaint, ExitClass};
use crate::{
    config::{Member, Pipeline, Runtime},
    run::{Planned, coordinates},
};
use indexmap::IndexMap;
use serde::Serialize;
use serde_json::{Map, Value as Json, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// A pipeline with nothing left to default.
#[derive(Serialize)]
struct Resolved<'a> {
    name: &'a str,
    data: Data,
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    matrix: &'a IndexMap<String, Vec<Json>>,
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    variants: IndexMap<String, Map<String, Json>>,
    stages: IndexMap<&'a str, Stage<'a>>,
}

#[derive(Serialize)]
struct Data {
    root: PathBuf,
}

#[derive(Serialize)]
struct Stage<'a> {
    #[serde(flatten)]
    keys: BTreeMap<&'a str, Map<String, Json>>,
    runtime: &'a Runtime,
}

/// A member with keys of it.
type Keyed<'a> = (&'a Member, &'a Map<String, Json>);

/// The pipeline as YAML, every default filled in.
pub(super) fn yaml(pipeline: &Pipeline, planned: &[Planned]) -> Result<String, Complaint> {
    let failed = |error: &dyn std::error::Error| Complaint::caused(ExitClass::Failed, error);
    let seen = |path: &Path| std::path::absolute(Path::new(".").join(path)).map_err(|error| failed(&error));
    let (folder, root) = (seen(pipeline.folder())?, seen(&pipeline.data_root)?);
    let mut by_stage: IndexMap<&str, Vec<Keyed<'_>>> = IndexMap::new();
    for (member, planned) in pipeline.members.iter().zip(planned) {
        by_stage.entry(&member.stage).or_default().push((member, &planned.settings.written));
    }
    let (mut variants, mut stages) = (IndexMap::new(), IndexMap::new());
    for (name, members) in by_stage {
        let (mut keys, own) = split(&members);
        let first = members[0].0;
        add(&first.references, &mut keys);
        // An axis of one value, or one that changes nothing, multiplies the stage all the same.
        let said = Json::from(keys.clone()).to_string();
        let unsaid = |axis: &&String| first.mentions.contains(axis) && !said.contains(&format!("${{matrix.{axis}}}"));
        let decide = deciding(&members, &own);
        let axes: Vec<&String> = first.point.keys().filter(|axis| decide.contains(axis) || unsaid(axis)).collect();
        if !axes.is_empty() {
            let each = |value: &dyn Fn(&String) -> String| {
                axes.iter().fold(name.to_owned(), |text, axis| format!("{text}-{}", value(axis)))
            };
            keys.insert("with".to_owned(), each(&|axis| format!("${{matrix.{axis}}}")).into());
            for ((member, _), own) in members.iter().zip(own) {
                variants.insert(each(&|axis| coordinates::shown(&member.point[axis])), own);
            }
        }
        stages.insert(name, Stage { keys: [(first.kind.as_str(), keys)].into(), runtime: &first.runtime });
    }
    let resolved = Resolved { name: &pipeline.name, data: Data { root }, matrix: &pipeline.matrix, variants, stages };
    let text = serde_yaml::to_string(&resolved).map_err(|error| failed(&error))?;
    // A file's name may hold a line break.
    let folder = folder.display().to_string();
    Ok(format!("# Files are named as seen from `{}`.\n{text}", folder.escape_debug()))
}

/// Puts keys among others, those of a map among those of the map that is there.
fn add(references: &Map<String, Json>, keys: &mut Map<String, Json>) {
    for (key, value) in references {
        match (value, keys.get_mut(key).and_then(Json::as_object_mut)) {
            (Json::Object(inside), Some(keys)) => add(inside, keys),
            _ => drop(keys.insert(key.clone(), value.clone())),
        }
    }
}

/// What the members' keys have in common, and what each has besides.
fn split(members: &[Keyed<'_>]) -> (Map<String, Json>, Vec<Map<String, Json>>) {
    let (mut common, mut own) = (Map::new(), vec![Map::new(); members.len()]);
    let keys: BTreeSet<&String> = members.iter().flat_map(|(_, keys)| keys.keys()).collect();
    for key in keys {
        let values: Option<Vec<(&Member, &Json)>> =
            members.iter().map(|(member, keys)| Some((*member, keys.get(key)?))).collect();
        if let Some(value) = values.as_deref().and_then(shared) {
            common.insert(key.clone(), value);
            continue;
        }
        let maps: Option<Vec<_>> = values
            .and_then(|values| values.into_iter().map(|(member, value)| Some((member, value.as_object()?))).collect());
        let besides: Vec<Option<Json>> = match maps {
            Some(maps) => {
                let (inside, besides) = split(&maps);
                common.insert(key.clone(), inside.into());
                besides.into_iter().map(|keys| Some(keys.into())).collect()
            }
            None => members.iter().map(|(_, keys)| keys.get(key).cloned()).collect(),
        };
        for (own, value) in own.iter_mut().zip(besides) {
            own.extend(value.map(|value| (key.clone(), value)));
        }
    }
    (common, own)
}

/// What stands for the values of all members: one value, or that of an axis.
fn shared(values: &[(&Member, &Json)]) -> Option<Json> {
    let (first, value) = *values.first()?;
    if values.iter().all(|(_, other)| *other == value) {
        return Some(value.clone());
    }
    let is_it = |axis: &&String| values.iter().all(|(member, value)| member.point.get(*axis) == Some(*value));
    first.point.keys().find(is_it).map(|axis| json!(format!("${{matrix.{axis}}}")))
}

/// The axes that what members have by themselves depends on.
fn deciding<'a>(members: &[Keyed<'a>], own: &[Map<String, Json>]) -> Vec<&'a String> {
    let decides = |axis: &&String| {
        let mut elsewhere = BTreeMap::new();
        members.iter().zip(own).any(|((member, _), own)| {
            let others =
                member.point.iter().filter(|(other, _)| other != axis).map(|(_, value)| coordinates::shown(value));
            *elsewhere.entry(others.collect::<Vec<_>>()).or_insert(own) != own
        })
    };
    members[0].0.point.keys().filter(decides).collect()
}
