//! A search space as its file declares it.

use super::canonical;
use super::cell::{CellKind, CellShape};
use super::consistency;
use super::extends;
use super::labels::Labels;
use super::notation::Notation;
use super::operation::Operation;
use super::skeleton::{Known, Skeleton, SkeletonDefaults};
use crate::config::{Fields, Node, Problems, Value};
use crate::machine;
use crate::space::derivation::rule::Derivation;
use crate::space::genotype::text::GenotypeText;
use crate::space::network::Norms;
use crate::space::primitives::{options::Role, steps::Steps};
use crate::store::Digest;
use indexmap::IndexMap;
use std::{
    io,
    path::{Path, PathBuf},
};

/// A search space: operations, cells, skeletons, the rule that derives a cell. Checked: names refer
/// to something, edges go forwards, operations keep what an edge needs kept.
#[derive(Debug, Clone)]
pub struct Space {
    pub name: String,
    /// A sentence on where it comes from.
    pub about: String,
    /// How its cells are customarily written.
    pub genotype_text: GenotypeText,
    /// A table of trained accuracies; the path is as written, joined to the folder of the space's
    /// file.
    pub benchmark: Option<PathBuf>,
    digest: Digest,
    text: String,
    derivation: Derivation,
    pub(in crate::space) kinds: Vec<CellKind>,
    pub(in crate::space) operations: IndexMap<String, Operation>,
    /// The operation that is a skip connection.
    pub(in crate::space) skip: Option<String>,
    pub(in crate::space) shape: CellShape,
    pub(in crate::space) labels: Labels,
    pub(in crate::space) notation: Notation,
    pub(in crate::space) blocks: IndexMap<String, Steps>,
    pub(in crate::space) norms: Norms,
    pub(in crate::space) skeletons: IndexMap<String, Skeleton>,
}

/// A space's file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SpaceFileError {
    #[error("failed to read search space `{path}`")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// All complaints, each with its place.
    #[error("search space `{path}` is not valid")]
    Invalid { path: PathBuf, problems: Problems },
}

impl Space {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// Where the file cannot be read, or all that is wrong with it.
    pub fn read(path: &Path) -> Result<Self, SpaceFileError> {
        let text = machine::read_text(path).map_err(|source| SpaceFileError::Read { path: path.to_owned(), source })?;
        Self::parse(path, text).map_err(|problems| SpaceFileError::Invalid { path: path.to_owned(), problems })
    }

    /// Reads `text`; `path` is what complaints call it and what relative paths in it are relative
    /// to, that of a space which it extends among them.
    ///
    /// # Errors
    /// All that is wrong with the text, each with its place.
    pub fn parse(path: &Path, text: impl Into<String>) -> Result<Self, Problems> {
        let text = text.into();
        let (node, extends) = extends::read(path, text.clone())?;
        let text = if extends { canonical::text(&node) } else { text };
        let mut problems = Problems::new();
        let mut fields = Fields::open(&node, "a search space", &mut problems);
        let name = fields.required_text("name");
        let about = fields.text("about").unwrap_or_default();
        let forms = [
            ("cell_string", GenotypeText::CellString),
            ("namedtuple", GenotypeText::NamedTuple),
            ("yaml", GenotypeText::Yaml),
        ];
        let genotype_text = fields.choice("genotype_text", GenotypeText::Yaml, &forms);
        consistency::names(&node, genotype_text, fields.problems());
        let benchmark = fields.text("benchmark").map(|table| path.parent().unwrap_or(Path::new("")).join(table));

        let operations = read_named(&mut fields, "operations", true, |name, node, _, problems| {
            Some(Operation::read(name, node, problems))
        });
        let derivation = fields.required_node("derive").map(|node| (node, Derivation::read(node, fields.problems())));
        if let Some((node, derivation)) = &derivation {
            consistency::excluded(node, derivation, &operations, fields.problems());
        }
        let derivation = derivation.map(|(_, derivation)| derivation);
        let excluded = derivation.as_ref().map_or(&[][..], |derivation| &derivation.exclude);

        let shape =
            fields.required_node("cell").map(|node| CellShape::read(node, fields.problems())).unwrap_or_default();
        let kinds = read_named(&mut fields, "cells", true, |name, node, _, problems| {
            Some(CellKind::read(name, node, &shape, &operations, excluded, problems))
        });
        consistency::tables(&node, &kinds, fields.problems());
        consistency::residual(&node, &shape, &kinds, fields.problems());
        consistency::node_steps(&node, &shape, &kinds, fields.problems());
        let skip = fields.text("skip");
        if let Some(name) = &skip {
            let place = fields.origin_of("skip").clone();
            consistency::skip(name, &place, &kinds, &operations, fields.problems());
        }

        let labels =
            fields.required_node("labels").map(|node| Labels::read(node, fields.problems())).unwrap_or_default();
        let blocks = read_named(&mut fields, "blocks", false, |name, node, _, problems| {
            Some(Steps::read(node, &format!("block `{name}`"), Role::Body, problems))
        });
        let kind_names: Vec<&str> = kinds.keys().map(String::as_str).collect();
        let block_names: Vec<&str> = blocks.keys().map(String::as_str).collect();
        let known = Known { kinds: &kind_names, blocks: &block_names };
        let skeletons = read_named(&mut fields, "skeletons", true, |name, node, earlier, problems| {
            Skeleton::read(name, node, earlier, &known, problems)
        });
        consistency::lattices(&node, &kinds, &skeletons, fields.problems());
        let norms = fields.map("norms", norms);
        let notation = fields.node("notation").map(|node| Notation::read(node, &operations, fields.problems()));
        let notation = notation.unwrap_or_default();
        fields.close();

        let kinds = kinds.into_values().collect();
        let Some(derivation) = derivation else { return Err(problems) };
        let digest = canonical::digest(&node);
        let space = Self {
            name,
            about,
            genotype_text,
            benchmark,
            digest,
            text,
            derivation,
            kinds,
            operations,
            skip,
            shape,
            labels,
            notation,
            blocks,
            norms,
            skeletons,
        };
        problems.into_result(space)
    }

    /// The digest of what the file says: comments, layout, `about` and `notation` do not count, the
    /// order of keys does, as tables are initialised in it.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The text of its file; of a space that extends another, the whole space written out.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// In the order of the file.
    pub fn cell_kinds(&self) -> &[CellKind] {
        &self.kinds
    }

    pub fn cell_kind(&self, name: &str) -> Option<&CellKind> {
        self.kinds.iter().find(|kind| kind.name == name)
    }

    /// Inputs of a cell: states 0 and up to this.
    pub fn inputs(&self) -> usize {
        self.shape.inputs.len()
    }

    /// States of a searched cell that are not inputs.
    pub fn nodes(&self) -> usize {
        self.shape.nodes
    }

    /// The searched edges, (source, target), in the order of the alpha tables' rows: by target,
    /// then by source.
    pub fn edges(&self) -> &[(usize, usize)] {
        &self.shape.edges
    }

    /// The sources of the edges into `state`, rising.
    pub(in crate::space) fn sources(&self, state: usize) -> impl Iterator<Item = usize> + '_ {
        self.edges().iter().filter(move |(_, target)| *target == state).map(|(source, _)| *source)
    }

    /// The states that make up the output of a cell with so many nodes, unless its genotype says
    /// otherwise.
    pub fn output_states(&self, nodes: usize) -> Vec<usize> {
        self.shape.output.states(self.inputs(), nodes)
    }

    /// What a row and a column of an alpha table are of: `0→2 skip_connect`, edge and operation. Of
    /// a lattice, where every placed cell has rows of its own, the cell is told first, counted from
    /// 0. `None` where the table has no operations, or no such row or column.
    pub fn entry_name(&self, alphas: &str, row: usize, column: usize) -> Option<String> {
        let kind = self.kinds.iter().find(|kind| kind.alphas == alphas)?;
        let (cell, row) = (row / kind.candidates.len(), row % kind.candidates.len());
        let (operation, (source, target)) = (kind.candidates[row].get(column)?, self.edges().get(row)?);
        let cell = if cell > 0 { format!("cell {cell}, ") } else { String::new() };
        Some(format!("{cell}{source}→{target} {operation}"))
    }

    /// Names of all operations, candidates or not.
    pub fn operations(&self) -> impl Iterator<Item = &str> + Clone {
        self.operations.keys().map(String::as_str)
    }

    pub fn derivation(&self) -> &Derivation {
        &self.derivation
    }

    pub fn skeleton_names(&self) -> impl Iterator<Item = &str> + Clone {
        self.skeletons.keys().map(String::as_str)
    }

    /// Whether the networks of a skeleton can have an auxiliary head.
    pub fn has_auxiliary(&self, skeleton: &str) -> bool {
        self.skeletons.get(skeleton).is_some_and(|skeleton| skeleton.auxiliary.is_some())
    }

    /// What a network of `skeleton` is like unless told; `None` where there is no such skeleton.
    pub fn skeleton_defaults(&self, skeleton: &str) -> Option<SkeletonDefaults> {
        self.skeletons.get(skeleton).map(|skeleton| skeleton.defaults)
    }
}

/// `norms: {epsilon: 1e-5, statistics: running}`
fn norms(keys: &mut Fields<'_>) -> Norms {
    let usual = Norms::default();
    Norms {
        epsilon: keys.number("epsilon", usual.epsilon, 1e-12..=1.0, "a number from 1e-12 to 1"),
        of_batch: keys.choice("statistics", usual.of_batch, &[("running", false), ("batch", true)]),
    }
}

/// The map under `key`, each member read by `read`, which sees those before it.
fn read_named<T>(
    fields: &mut Fields<'_>,
    key: &'static str,
    required: bool,
    mut read: impl FnMut(&str, &Node, &IndexMap<String, T>, &mut Problems) -> Option<T>,
) -> IndexMap<String, T> {
    let mut members = IndexMap::new();
    let Some(node) = (if required { fields.required_node(key) } else { fields.node(key) }) else { return members };
    let Value::Map(map) = &node.value else {
        fields.wrong(key, node, "a map of names");
        return members;
    };
    if map.is_empty() && required {
        fields.wrong(key, node, "a map of one name or more");
    }
    for (name, entry) in map {
        if let Some(member) = read(name, &entry.node, &members, fields.problems()) {
            members.insert(name.clone(), member);
        }
    }
    members
}

#[cfg(test)]
mod tests;
