//! A search space as its file declares it.

use super::cell::{CellKind, CellShape};
use super::derive::Derivation;
use super::hint::did_you_mean;
use super::labels::Labels;
use super::operation::Operation;
use super::skeleton::{Known, Skeleton};
use super::step::{Site, Steps};
use crate::config::{Fields, Node, Problems, Value};
use crate::store::Digest;
use indexmap::IndexMap;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// A search space: operations, cells, skeletons, the rule that derives a cell. Checked: names refer to something, edges
/// go forwards, operations keep what an edge needs kept.
#[derive(Debug, Clone)]
pub struct Space {
    pub name: String,
    /// A sentence on where it comes from.
    pub about: String,
    /// How its cells are customarily written.
    pub genotype_text: GenotypeText,
    /// A table of trained accuracies; the path is as written, joined to the folder of the space's file.
    pub benchmark: Option<PathBuf>,
    digest: Digest,
    derivation: Derivation,
    kinds: Vec<CellKind>,
    pub(super) operations: IndexMap<String, Operation>,
    pub(super) shape: CellShape,
    pub(super) labels: Labels,
    pub(super) blocks: IndexMap<String, Steps>,
    pub(super) skeletons: IndexMap<String, Skeleton>,
}

/// A text form of a genotype.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GenotypeText {
    /// `|op~0|+|op~0|op~1|`, as NAS-Bench-201 writes it.
    CellString,
    /// `Genotype(normal=[('op', 1), …], normal_concat=range(2, 6))`, as the DARTS code prints it.
    NamedTuple,
    /// This project's own.
    Yaml,
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
    pub fn read(path: &Path) -> Result<Self, SpaceFileError> {
        let text = fs::read_to_string(path).map_err(|source| SpaceFileError::Read { path: path.to_owned(), source })?;
        Self::parse(path, text).map_err(|problems| SpaceFileError::Invalid { path: path.to_owned(), problems })
    }

    /// Reads `text`; `path` is what complaints call it and what relative paths in it are relative to.
    pub fn parse(path: &Path, text: impl Into<String>) -> Result<Self, Problems> {
        let node = Node::parse(path, text)?;
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
        let benchmark = fields.text("benchmark").map(|table| path.parent().unwrap_or(Path::new("")).join(table));

        let operations = read_named(&mut fields, "operations", true, |name, node, _, problems| {
            Some(Operation::read(name, node, problems))
        });
        let derivation = fields.required_node("derive").map(|node| (node, Derivation::read(node, fields.problems())));
        if let Some((node, derivation)) = &derivation {
            check_excluded(node, derivation, &operations, fields.problems());
        }
        let derivation = derivation.map(|(_, derivation)| derivation);
        let excluded = derivation.as_ref().map_or(&[][..], |derivation| &derivation.exclude);

        let shape =
            fields.required_node("cell").map(|node| CellShape::read(node, fields.problems())).unwrap_or_default();
        let kinds = read_named(&mut fields, "cells", true, |name, node, _, problems| {
            Some(CellKind::read(name, node, &shape, &operations, excluded, problems))
        });
        check_alphas(&node, &kinds, fields.problems());

        let labels =
            fields.required_node("labels").map(|node| Labels::read(node, fields.problems())).unwrap_or_default();
        let blocks = read_named(&mut fields, "blocks", false, |name, node, _, problems| {
            Some(Steps::read(node, &format!("block `{name}`"), Site::Body, problems))
        });
        let kind_names: Vec<&str> = kinds.keys().map(String::as_str).collect();
        let block_names: Vec<&str> = blocks.keys().map(String::as_str).collect();
        let known = Known { kinds: &kind_names, blocks: &block_names };
        let skeletons = read_named(&mut fields, "skeletons", true, |name, node, earlier, problems| {
            Skeleton::read(name, node, earlier, &known, problems)
        });
        fields.close();

        let kinds = kinds.into_values().collect();
        let Some(derivation) = derivation else { return Err(problems) };
        let digest = digest(&node);
        let space = Self {
            name,
            about,
            genotype_text,
            benchmark,
            digest,
            derivation,
            kinds,
            operations,
            shape,
            labels,
            blocks,
            skeletons,
        };
        problems.into_result(space)
    }

    /// The digest of what the file says: comments, layout and `about` do not count, the order of keys does, as tables are
    /// initialised in it.
    pub fn digest(&self) -> Digest {
        self.digest
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

    /// The searched edges, (source, target), in the order of the alpha tables' rows: by target, then by source.
    pub fn edges(&self) -> &[(usize, usize)] {
        &self.shape.edges
    }

    /// The sources of the edges into `state`, rising.
    pub(super) fn sources(&self, state: usize) -> impl Iterator<Item = usize> + '_ {
        self.edges().iter().filter(move |(_, target)| *target == state).map(|(source, _)| *source)
    }

    /// The states that make up the output of a cell with so many nodes, unless its genotype says otherwise.
    pub fn output_states(&self, nodes: usize) -> Vec<usize> {
        self.shape.output.states(self.inputs(), nodes)
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

    /// Width and size that a skeleton has unless told; `None` where there is no such skeleton.
    pub fn skeleton_defaults(&self, skeleton: &str) -> Option<(usize, usize)> {
        self.skeletons.get(skeleton).map(|skeleton| (skeleton.channels, skeleton.size))
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

fn check_excluded(
    node: &Node,
    derivation: &Derivation,
    operations: &IndexMap<String, Operation>,
    problems: &mut Problems,
) {
    let origin = &node.get("exclude").unwrap_or(node).origin;
    for name in derivation.exclude.iter().filter(|name| !operations.contains_key(*name)) {
        let hint = did_you_mean(name, operations.keys().map(String::as_str), "the operations are");
        problems.add_with_hint(origin, format!("unknown operation `{name}` in `exclude`"), hint);
    }
}

/// Each kind has a table of its own.
fn check_alphas(node: &Node, kinds: &IndexMap<String, CellKind>, problems: &mut Problems) {
    for (position, kind) in kinds.values().enumerate() {
        let shared = kinds.values().take(position).find(|earlier| earlier.alphas == kind.alphas);
        if let Some(earlier) = shared
            && !kind.alphas.is_empty()
            && let Some(alphas) = node.get("cells").and_then(|cells| cells.get(&kind.name)?.get("alphas"))
        {
            let message = format!("`{}` is the table of cell kind `{}` already", kind.alphas, earlier.name);
            problems.add(&alphas.origin, message);
        }
    }
}

fn digest(node: &Node) -> Digest {
    let mut canonical = String::new();
    write_canonical(node, true, &mut canonical);
    Digest::of(canonical.as_bytes())
}

/// Compact JSON with the keys in the order of the file, whatever order a JSON library would give them.
fn write_canonical(node: &Node, top: bool, text: &mut String) {
    match &node.value {
        Value::Map(map) => {
            text.push('{');
            let mut comma = "";
            for (key, entry) in map.iter().filter(|(key, _)| !(top && *key == "about")) {
                text.push_str(comma);
                text.push_str(&serde_json::Value::from(key.as_str()).to_string());
                text.push(':');
                write_canonical(&entry.node, false, text);
                comma = ",";
            }
            text.push('}');
        }
        Value::List(items) => {
            text.push('[');
            for (position, item) in items.iter().enumerate() {
                if position > 0 {
                    text.push(',');
                }
                write_canonical(item, false, text);
            }
            text.push(']');
        }
        _ => text.push_str(&node.to_json().to_string()),
    }
}
