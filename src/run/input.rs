//! What a stage sees of a stage that it reads.

use super::StageError;
use crate::plan::Key;
use indexmap::IndexMap;
use serde_json::{Value as Json, json};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// One finished member: who it is, what it published, what it had to say.
///
/// Only the outputs enter the reader's key by themselves. A stage that reads any of the rest says so with
/// [`Stage::reads_records`](super::Stage::reads_records), or it would answer from the store with stale figures.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// `search[seed=1]`
    pub member: String,
    /// `search`
    pub stage: String,
    pub kind: String,
    /// The point of the matrix; empty for a plain stage.
    pub point: IndexMap<String, Json>,
    /// Output name → checked, read-only file in the store.
    pub outputs: BTreeMap<String, PathBuf>,
    pub metrics: IndexMap<String, f64>,
    pub summary: Option<String>,
    pub notes: BTreeMap<String, Json>,
    /// The hashed parameters of the stage that made it, all defaults filled in.
    pub params: Json,
    pub key: Key,
}

impl Input {
    /// The file of one output.
    pub fn output(&self, name: &str) -> Result<&Path, StageError> {
        self.outputs
            .get(name)
            .map(PathBuf::as_path)
            .ok_or_else(|| StageError::input(format!("stage `{}` has no output `{name}`", self.member)))
    }

    /// All but the outputs' bytes, for the key of a stage that reads it.
    pub(super) fn to_json(&self) -> Json {
        json!({
            "member": self.member,
            "stage": self.stage,
            "kind": self.kind,
            "point": self.point.iter().collect::<Vec<_>>(),
            "outputs": self.outputs.keys().collect::<Vec<_>>(),
            // As text: a figure that is not finite is no JSON number, and must count as well.
            "metrics": self.metrics.iter().map(|(name, value)| (name, value.to_string())).collect::<Vec<_>>(),
            "summary": self.summary,
            "notes": self.notes,
            "params": self.params,
            "key": self.key.to_string(),
        })
    }
}
