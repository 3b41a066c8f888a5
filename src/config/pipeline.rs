//! A pipeline as it will run: layers merged, matrix multiplied, references resolved, nothing left
//! to guess.

use super::{Node, Origin, Runtime};
use indexmap::IndexMap;
use serde_json::Value as Json;
use std::{
    collections::{BTreeSet, HashMap},
    path::{Path, PathBuf},
};

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

    /// The members that `name` means: one, `search[seed=1]`, or all of a stage, `search`.
    pub fn named(&self, name: &str) -> Vec<usize> {
        let is_meant = |member: &Member| member.name == name || member.stage == name;
        (0..self.members.len()).filter(|&at| is_meant(&self.members[at])).collect()
    }

    /// These members and all that they read, at first or second hand, in their order.
    pub fn needed_for(&self, members: impl IntoIterator<Item = usize>) -> BTreeSet<usize> {
        let (mut needed, mut open) = (BTreeSet::new(), Vec::from_iter(members));
        while let Some(at) = open.pop() {
            if needed.insert(at) {
                open.extend(self.members[at].inputs.values().flatten());
            }
        }
        needed
    }

    /// These members and all that read them, at first or second hand, in their order.
    pub fn behind(&self, members: impl IntoIterator<Item = usize>) -> BTreeSet<usize> {
        let mut behind = BTreeSet::from_iter(members);
        // Members stand after what they read: one pass is enough.
        for (at, member) in self.members.iter().enumerate() {
            if member.inputs.values().flatten().any(|of| behind.contains(of)) {
                behind.insert(at);
            }
        }
        behind
    }

    /// Leaves no members but these, of which none may read another one.
    ///
    /// # Panics
    /// Where one does.
    pub fn keep(&mut self, kept: &BTreeSet<usize>) {
        let place: HashMap<usize, usize> = kept.iter().enumerate().map(|(to, &from)| (from, to)).collect();
        let mut at = 0..;
        self.members.retain(|_| at.next().is_some_and(|at| kept.contains(&at)));
        for of in self.members.iter_mut().flat_map(|member| member.inputs.values_mut()).flatten() {
            *of = place[of];
        }
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
