//! Genotypes: which operations a cell keeps.

use super::hint::did_you_mean;
use super::{GenotypeText, KeptEdges, Space, genotype_text};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::{fs, io, path::Path, path::PathBuf};

/// One chosen cell for each kind, in the order of the space.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Genotype {
    pub cells: IndexMap<String, CellGenotype>,
}

/// A cell's nodes and output. States are numbered with the inputs first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellGenotype {
    /// For each node the edges that it sums.
    pub nodes: Vec<Vec<Choice>>,
    /// The states that make up the output.
    pub output: Vec<usize>,
}

/// An edge that is kept, with its operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    pub operation: String,
    /// The state it reads.
    pub source: usize,
}

/// A genotype cannot be read, written or used.
#[derive(Debug, thiserror::Error)]
pub enum GenotypeError {
    #[error("failed to read genotype `{path}`")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("no genotype in the text")]
    Empty,
    #[error("line {line}, column {column}: {message}")]
    Syntax { line: usize, column: usize, message: String, hint: Option<String> },
    #[error("unknown cell kind `{kind}`")]
    UnknownKind { kind: String, hint: String },
    #[error("cell kind `{kind}` is missing")]
    MissingKind { kind: String },
    #[error("cell kind `{kind}` is there twice")]
    RepeatedKind { kind: String },
    #[error("unknown operation `{operation}` in cell kind `{kind}`")]
    UnknownOperation { kind: String, operation: String, hint: String },
    #[error("cell kind `{kind}` has no nodes")]
    NoNodes { kind: String },
    #[error("state {state} of cell kind `{kind}` has no incoming edge")]
    NoEdges { kind: String, state: usize },
    #[error("state {state} of cell kind `{kind}` reads state {source_state}, which is not before it")]
    Source { kind: String, state: usize, source_state: usize },
    #[error("cell kind `{kind}` outputs state {state}, its nodes are states {first} to {last}")]
    Output { kind: String, state: usize, first: usize, last: usize },
    #[error("cell kind `{kind}` has no output")]
    NoOutput { kind: String },
    #[error("cell kind `{kind}` outputs state {state} twice")]
    RepeatedOutput { kind: String, state: usize },
    #[error("state {state} of cell kind `{kind}` must have each edge of the space once")]
    Edges { kind: String, state: usize },
    #[error("cell kind `{kind}` must have {expected} nodes, found {found}")]
    Nodes { kind: String, expected: usize, found: usize },
    #[error("the {choices} operations of cell kind `{kind}` do not divide into nodes of {each}")]
    Split { kind: String, choices: usize, each: String },
    #[error("cell kind `{kind}` has no such text: its nodes do not have {each} edges each")]
    Unwritable { kind: String, each: String },
}

impl GenotypeError {
    /// The way out, where there is one to tell.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownKind { hint, .. } | Self::UnknownOperation { hint, .. } => Some(hint.clone()),
            Self::Syntax { hint, .. } => hint.clone(),
            _ => None,
        }
    }
}

impl Genotype {
    /// Reads any text form (see [`GenotypeText`], and the DARTS fields as a JSON object) and checks the cell against
    /// `space`. Lines that begin with `#` are comments.
    pub fn parse(text: &str, space: &Space) -> Result<Self, GenotypeError> {
        let mut genotype = genotype_text::read(text, space)?;
        genotype.check(space)?;
        genotype.arrange(space);
        Ok(genotype)
    }

    /// Reads the file at `path`, which holds one genotype.
    pub fn read(path: &Path, space: &Space) -> Result<Self, GenotypeError> {
        let text = fs::read_to_string(path).map_err(|source| GenotypeError::Read { path: path.to_owned(), source })?;
        Self::parse(&text, space)
    }

    /// Writes the genotype in `form`.
    pub fn to_text(&self, form: GenotypeText, space: &Space) -> Result<String, GenotypeError> {
        match form {
            GenotypeText::CellString => Ok(genotype_text::cell_string::write(self, space)),
            GenotypeText::NamedTuple => genotype_text::named_tuple::write(self, space),
            GenotypeText::Yaml => Ok(genotype_text::yaml::write(self)),
        }
    }

    /// Whether `space` can build the cells: its kinds and no others, operations that it knows, edges that go forwards.
    /// Where the space keeps all edges, a cell must have each of them once.
    pub fn check(&self, space: &Space) -> Result<(), GenotypeError> {
        for kind in self.cells.keys().filter(|kind| space.cell_kind(kind).is_none()) {
            let kinds = space.cell_kinds().iter().map(|kind| kind.name.as_str());
            let hint = did_you_mean(kind, kinds, "the kinds are");
            return Err(GenotypeError::UnknownKind { kind: kind.clone(), hint });
        }
        for kind in space.cell_kinds() {
            let missing = || GenotypeError::MissingKind { kind: kind.name.clone() };
            let cell = self.cells.get(&kind.name).ok_or_else(missing)?;
            cell.check(&kind.name, space)?;
        }
        Ok(())
    }

    /// Brings kinds into the order of the space and, where all edges are kept, edges into the order of their sources:
    /// two texts of one cell read as equal genotypes.
    fn arrange(&mut self, space: &Space) {
        let rank = |name: &str| space.cell_kinds().iter().position(|kind| kind.name == name);
        self.cells.sort_by(|a, _, b, _| rank(a).cmp(&rank(b)));
        if space.derivation().edges == KeptEdges::All {
            let nodes = self.cells.values_mut().flat_map(|cell| &mut cell.nodes);
            nodes.for_each(|choices| choices.sort_by_key(|choice| choice.source));
        }
    }
}

impl CellGenotype {
    fn check(&self, kind: &str, space: &Space) -> Result<(), GenotypeError> {
        let kind = || kind.to_owned();
        let inputs = space.inputs();
        if self.nodes.is_empty() {
            return Err(GenotypeError::NoNodes { kind: kind() });
        }
        for (node, choices) in self.nodes.iter().enumerate() {
            let state = inputs + node;
            if choices.is_empty() {
                return Err(GenotypeError::NoEdges { kind: kind(), state });
            }
            for Choice { operation, source } in choices {
                if !space.operations.contains_key(operation) {
                    let hint = did_you_mean(operation, space.operations(), "the operations are");
                    return Err(GenotypeError::UnknownOperation { kind: kind(), operation: operation.clone(), hint });
                }
                if *source >= state {
                    return Err(GenotypeError::Source { kind: kind(), state, source_state: *source });
                }
            }
        }
        if space.derivation().edges == KeptEdges::All {
            self.check_all_edges(kind(), space)?;
        }
        let (first, last) = (inputs, inputs + self.nodes.len() - 1);
        if self.output.is_empty() {
            return Err(GenotypeError::NoOutput { kind: kind() });
        }
        for (position, &state) in self.output.iter().enumerate() {
            if !(first..=last).contains(&state) {
                return Err(GenotypeError::Output { kind: kind(), state, first, last });
            }
            if self.output[..position].contains(&state) {
                return Err(GenotypeError::RepeatedOutput { kind: kind(), state });
            }
        }
        Ok(())
    }

    fn check_all_edges(&self, kind: String, space: &Space) -> Result<(), GenotypeError> {
        if self.nodes.len() != space.nodes() {
            return Err(GenotypeError::Nodes { kind, expected: space.nodes(), found: self.nodes.len() });
        }
        for (node, choices) in self.nodes.iter().enumerate() {
            let state = space.inputs() + node;
            let mut found: Vec<usize> = choices.iter().map(|choice| choice.source).collect();
            found.sort_unstable();
            if !space.sources(state).eq(found) {
                return Err(GenotypeError::Edges { kind, state });
            }
        }
        Ok(())
    }
}
