//! The text forms of a genotype: which of them a text is, and what they share.

pub(super) mod cell_string;
pub(super) mod named_tuple;
pub(super) mod yaml;

use super::genotype::{CellGenotype, Choice, Genotype, GenotypeError};
use super::{GenotypeText, KeptEdges, Space};
use indexmap::IndexMap;

/// Reads a text in whatever form it has. The caller checks the genotype against the space.
pub(super) fn read(text: &str, space: &Space) -> Result<Genotype, GenotypeError> {
    // Blank comment lines instead of dropping them: places stay true.
    let text: Vec<&str> = text.lines().map(|line| if line.trim_start().starts_with('#') { "" } else { line }).collect();
    let mut lines = text.iter().map(|line| line.trim()).filter(|line| !line.is_empty());
    let Some(first) = lines.next() else { return Err(GenotypeError::Empty) };
    let joined = text.join("\n");
    if first.starts_with(['{', '[', '"', '\'']) {
        yaml::read(&joined, space)
    } else if first.contains('|') {
        cell_string::read(&joined, space)
    } else if first.contains("Genotype") || first.contains('(') {
        named_tuple::read(&joined, space)
    } else {
        yaml::read(&joined, space)
    }
}

/// Why a cell with an operation called `name` could not be read back from the text form `form`.
pub(super) fn operation_fault(name: &str, form: GenotypeText) -> Option<&'static str> {
    let of_cell_string = form != GenotypeText::Yaml && (name.contains(['|', '+']) || name.contains("->"));
    match form {
        _ if name.is_empty() => Some("it is empty"),
        _ if name.trim() != name => Some("white space at its ends is lost"),
        _ if name.contains(char::is_control) || name.contains('~') => Some("it has a `~` or a line break"),
        // A tuple that does not hold a genotype is written as a cell string.
        _ if of_cell_string => Some("it has a `|`, a `+` or a `->`"),
        GenotypeText::NamedTuple if name.contains(['\'', '"', '\\']) => Some("it has a quote or a backslash"),
        _ => None,
    }
}

/// As [`operation_fault`], of a cell kind.
pub(super) fn kind_fault(name: &str, form: GenotypeText) -> Option<&'static str> {
    match form {
        GenotypeText::NamedTuple if name.ends_with(OUTPUT_SUFFIX) => Some("it ends as the field of an output does"),
        GenotypeText::NamedTuple if !name.chars().all(|c| c.is_alphanumeric() || c == '_') => {
            Some("it is no name of a field")
        }
        _ if name.is_empty() => Some("it is empty"),
        _ if name.trim() != name => Some("white space at its ends is lost"),
        _ if name.contains(char::is_control) || name.contains('|') => Some("it has a `|` or a line break"),
        _ if name.starts_with(['#', '{', '[', '"', '\'']) => Some("it begins as a comment or another form does"),
        _ => None,
    }
}

/// A genotype as the DARTS code keeps it: for each kind a flat list of operations and sources, and the output's states.
#[derive(Default)]
struct FlatGenotype {
    choices: IndexMap<String, Vec<Choice>>,
    outputs: IndexMap<String, Vec<usize>>,
}

/// What the name of a flat genotype's output has behind the kind's.
const OUTPUT_SUFFIX: &str = "_concat";

impl FlatGenotype {
    /// Splits the lists into nodes, as many edges a node as the space's rule keeps.
    fn nest(self, space: &Space) -> Result<Genotype, GenotypeError> {
        let mut cells = IndexMap::new();
        for (kind, choices) in self.choices {
            let output = self.outputs.get(&kind);
            let output = output.ok_or_else(|| GenotypeError::NoOutput { kind: kind.clone() })?.clone();
            let nodes = split(&kind, choices, space)?;
            cells.insert(kind, CellGenotype { nodes, output });
        }
        if let Some(kind) = self.outputs.keys().find(|kind| !cells.contains_key(*kind)) {
            return Err(GenotypeError::MissingKind { kind: kind.clone() });
        }
        Ok(Genotype { cells })
    }
}

/// How many edges the node at `position` keeps.
fn edges_of(position: usize, space: &Space) -> usize {
    match space.derivation().edges {
        KeptEdges::Best(count) => count,
        KeptEdges::All => space.sources(space.inputs() + position).count(),
    }
}

/// In words: how many edges a node keeps.
fn each(space: &Space) -> String {
    match space.derivation().edges {
        KeptEdges::Best(count) => count.to_string(),
        KeptEdges::All => "all their".to_owned(),
    }
}

fn split(kind: &str, choices: Vec<Choice>, space: &Space) -> Result<Vec<Vec<Choice>>, GenotypeError> {
    let total = choices.len();
    let mut rest = choices.into_iter();
    let mut nodes = Vec::new();
    while rest.len() > 0 {
        let count = edges_of(nodes.len(), space);
        if count == 0 || rest.len() < count {
            return Err(GenotypeError::Split { kind: kind.to_owned(), choices: total, each: each(space) });
        }
        nodes.push(rest.by_ref().take(count).collect());
    }
    Ok(nodes)
}

/// A syntax error at byte `at` of `text`.
fn syntax(text: &str, at: usize, message: impl Into<String>) -> GenotypeError {
    let before = &text[..at.min(text.len())];
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|&c| c != '\n').count() + 1;
    GenotypeError::Syntax { line, column, message: message.into(), hint: None }
}
