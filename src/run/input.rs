//! What a stage sees of a stage that it reads.

use super::{StageError, coordinates::Coordinates};
use crate::{
    plan::Key,
    store::{ObjectRef, Store},
};
use indexmap::IndexMap;
use serde_json::{Value as Json, json};
use std::{collections::BTreeMap, io::Read, path::PathBuf};

/// One finished member: who it is, what it published, what it had to say.
///
/// Only the outputs enter the reader's key by themselves. A stage that reads any of the rest says
/// so with [`Stage::reads_records`](super::Stage::reads_records), or it would answer from the store
/// with stale figures.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// `search[seed=1]`
    pub member: String,
    /// `search`
    pub stage: String,
    pub kind: String,
    /// The point of the matrix; empty for a plain stage.
    pub point: Coordinates,
    pub outputs: BTreeMap<String, Output>,
    pub metrics: IndexMap<String, f64>,
    pub summary: Option<String>,
    pub notes: BTreeMap<String, Json>,
    /// The hashed parameters of the stage that made it, all defaults filled in.
    pub params: Json,
    pub key: Key,
}

/// What a finished member published under one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    pub(super) store: Store,
    pub(super) object: ObjectRef,
}

impl Output {
    /// Where it lies, to be named. To be read it is by [`read`](Self::read).
    pub fn path(&self) -> PathBuf {
        self.store.object_path(&self.object.digest)
    }

    /// How many bytes it has.
    pub fn size(&self) -> u64 {
        self.object.bytes
    }

    /// Reads it, and hashes it on the way: what `read` made of it comes back only where all bytes
    /// are those that were published.
    ///
    /// # Errors
    /// Where they are not. The runner then has the member that published it run again.
    pub fn read<T>(&self, read: impl FnOnce(&mut dyn Read) -> T) -> Result<T, StageError> {
        Ok(self.store.read(&self.object, read)?)
    }

    /// All its bytes.
    ///
    /// # Errors
    /// Those of [`read`](Self::read).
    pub fn bytes(&self) -> Result<Vec<u8>, StageError> {
        Ok(self.store.bytes(&self.object)?)
    }

    /// All its text.
    ///
    /// # Errors
    /// Those of [`read`](Self::read), and where it is no UTF-8.
    pub fn text(&self) -> Result<String, StageError> {
        String::from_utf8(self.bytes()?)
            .map_err(|error| StageError::failed(format!("`{}` is no text: {error}", self.path().display())))
    }
}

impl Input {
    /// One output.
    ///
    /// # Errors
    /// Where the stage published none of that name.
    pub fn output(&self, name: &str) -> Result<&Output, StageError> {
        self.outputs
            .get(name)
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
