//! A pipeline as it will run: layers merged, matrix multiplied, references resolved, nothing left to guess.

use super::{Node, Origin};
use indexmap::IndexMap;
use std::path::PathBuf;

/// All that a run needs to know of its file.
#[derive(Debug, Clone)]
pub struct Pipeline {
    pub name: String,
    /// The file that was named on the command line.
    pub path: PathBuf,
    /// Where data sets lie: `data.root`, else `DARTS_RUN_DATA`, else the folder `data`.
    pub data_root: PathBuf,
    /// In an order in which every stage comes after what it reads.
    pub members: Vec<Member>,
}

/// One stage of a pipeline at one point of its matrix.
#[derive(Debug, Clone)]
pub struct Member {
    /// `search`, or `search[seed=1]` where a matrix multiplies it.
    pub name: String,
    /// `search`
    pub stage: String,
    /// The point of the matrix; empty for a plain stage.
    pub point: IndexMap<String, serde_json::Value>,
    /// `search`, `derive`, …
    pub kind: String,
    /// The kind's keys with matrix values filled in and without the reference keys.
    pub params: Node,
    /// For each reference key, the indices into [`Pipeline::members`] that it names.
    pub inputs: IndexMap<String, Vec<usize>>,
    pub runtime: Runtime,
    /// The place of the stage's name.
    pub origin: Origin,
}

/// How to run, as against what: changes here never change a result's key.
#[derive(Debug, Clone, PartialEq)]
pub struct Runtime {
    /// `cpu`, `cuda`, or `cuda:1`. The backend is part of a key (as `numerics`), the index is not.
    pub device: String,
    /// Threads for kernels; all cores where absent.
    pub threads: Option<usize>,
    /// A checkpoint after so many steps; none by steps where absent.
    pub checkpoint_steps: Option<u64>,
    /// A checkpoint after so many seconds.
    pub checkpoint_seconds: f64,
}
