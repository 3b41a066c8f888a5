//! A pipeline as it will run: layers merged, matrix multiplied, references resolved, nothing left
//! to guess.

use super::{Node, Origin, Runtime};
use indexmap::IndexMap;
use serde_json::Value as Json;
use std::path::{Path, PathBuf};

/// All that a run needs to know of its file.
#[derive(Debug, Clone)]
pub struct Pipeline {
    pub name: String,
    /// The file that was named on the command line.
    pub path: PathBuf,
    /// Where data sets lie: `data.root`, else `DARTS_RUN_DATA`, else the folder `data`.
    pub data_root: PathBuf,
    /// The axes that multiply stages, with their values.
    pub matrix: IndexMap<String, Vec<Json>>,
    /// In an order in which every stage comes after what it reads.
    pub members: Vec<Member>,
}

impl Pipeline {
    /// The folder of the pipeline's file: what relative paths in it start from.
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }
}

/// One stage of a pipeline at one point of its matrix.
#[derive(Debug, Clone)]
pub struct Member {
    /// `search`, or `search[seed=1]` where a matrix multiplies it.
    pub name: String,
    /// `search`
    pub stage: String,
    /// The point of the matrix; empty for a plain stage.
    pub point: IndexMap<String, Json>,
    /// `search`, `derive`, …
    pub kind: String,
    /// The kind's keys with matrix values filled in and without the reference keys.
    pub params: Node,
    /// The axes that its stage is multiplied by since its own keys mention them.
    pub mentions: Vec<String>,
    /// The reference keys as they are written, those of a map in it.
    pub references: serde_json::Map<String, Json>,
    /// For each reference key, the indices into [`Pipeline::members`] that it names.
    pub inputs: IndexMap<String, Vec<usize>>,
    pub runtime: Runtime,
    /// The place of the stage's name.
    pub origin: Origin,
}
