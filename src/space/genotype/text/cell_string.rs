//! The NAS-Bench-201 form: `|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`, a block a node, `~` before the
//! source.
//!
//! A space of several kinds has a line for each, `normal: |…|+|…|`. Where the output differs from
//! the space's, the states follow: `|…|+|…| -> [3, 4]`.

use super::draft::{Draft, DraftCell, DraftEdges, DraftKind};
use super::python::Place;
use super::write_node;
use crate::space::Space;
use crate::space::genotype::{Choice, Genotype, GenotypeError};

/// Whether the text is one cell, or a line for each kind of cell.
pub(super) fn is(text: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let of_kind =
        |line: &&str| line.split_once('|').is_some_and(|(kind, _)| kind.trim_end().ends_with(':') && is_kind(kind));
    matches!(lines[..], [only] if only.starts_with('|')) || (!lines.is_empty() && lines.iter().all(of_kind))
}

/// `normal: `, one word and a colon.
fn is_kind(text: &str) -> bool {
    !text.trim_end().trim_end_matches(':').trim_end().contains(|c: char| c.is_whitespace() || "\"'{}()[],=".contains(c))
}

pub(super) fn read(text: &str) -> Result<Draft, GenotypeError> {
    let mut cells = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        // Without a bar the whole line is a kind and nothing else.
        let (kind, cell) = line.split_at(line.find('|').unwrap_or(line.len()));
        let kind = kind.trim_end();
        let kind = match kind.strip_suffix(':') {
            Some(kind) => DraftKind::Named(kind.trim_end().to_owned()),
            None if kind.is_empty() => DraftKind::Only,
            None => return Err(syntax_at(text, line, format!("expected a cell, found `{line}`"))),
        };
        let (cell, output) = match cell.split_once("->") {
            Some((cell, output)) => (cell.trim_end(), Some(read_output(text, output)?)),
            None => (cell, None),
        };
        let nodes = cell.split('+').map(|node| read_node(text, node.trim())).collect::<Result<Vec<_>, _>>()?;
        cells.push(DraftCell { kind, edges: DraftEdges::Nodes(nodes), output });
    }
    Ok(Draft::Cells { cells, further: Vec::new() })
}

/// Where the cell that begins at byte `at` of `text` ends, if one does: `|op~0|+|op~0|op~1|`.
pub(super) fn end(text: &str, at: usize) -> Option<usize> {
    let (mut end, mut nodes) = (at, &text[at..]);
    while let Some(mut choices) = nodes.strip_prefix('|') {
        let before = choices.len();
        while let Some((word, behind)) = choices.split_once('|').filter(|(word, _)| read_choice(word.trim()).is_ok()) {
            if word.contains(char::is_whitespace) {
                break;
            }
            choices = behind;
        }
        if choices.len() == before {
            break;
        }
        end = text.len() - choices.len();
        match choices.trim_start_matches([' ', '\t']).strip_prefix('+') {
            Some(behind) => nodes = behind.trim_start_matches([' ', '\t']),
            None => break,
        }
    }
    (end > at).then_some(end)
}

pub(super) fn write(genotype: &Genotype, space: &Space) -> String {
    let single = space.cell_kinds().len() == 1;
    let mut lines = Vec::with_capacity(genotype.cells.len());
    for (kind, cell) in &genotype.cells {
        let blocks: Vec<String> = cell.nodes.iter().map(|choices| write_node(choices)).collect();
        let mut line = if single { String::new() } else { format!("{kind}: ") };
        line.push_str(&blocks.join("+"));
        if cell.output != space.output_states(cell.nodes.len()) {
            line.push_str(&format!(" -> {:?}", cell.output));
        }
        lines.push(line);
    }
    lines.join("\n")
}

fn read_node(text: &str, node: &str) -> Result<Vec<Choice>, GenotypeError> {
    let inner = node.strip_prefix('|').and_then(|node| node.strip_suffix('|'));
    let inner =
        inner.ok_or_else(|| syntax_at(text, node, format!("a node must stand between bars, found `{node}`")))?;
    inner.split('|').map(|word| read_choice(word.trim()).map_err(|message| syntax_at(text, word, message))).collect()
}

/// Reads `op~0`.
pub(super) fn read_choice(word: &str) -> Result<Choice, String> {
    let choice = word.split_once('~').and_then(|(operation, source)| {
        Some(Choice { operation: operation.trim().to_owned(), source: source.trim().parse().ok()? })
    });
    choice
        .filter(|choice| !choice.operation.is_empty())
        .ok_or_else(|| format!("expected `operation~state`, found `{word}`"))
}

fn read_output(text: &str, output: &str) -> Result<Vec<usize>, GenotypeError> {
    let inner = output.trim().strip_prefix('[').and_then(|output| output.strip_suffix(']'));
    let states = inner.map(|inner| inner.split(',').map(|state| state.trim().parse()).collect::<Result<Vec<_>, _>>());
    match states {
        Some(Ok(states)) => Ok(states),
        _ => Err(syntax_at(text, output, format!("expected a list of states, found `{}`", output.trim()))),
    }
}

/// A syntax error at `part`, which is a piece of `text`.
fn syntax_at(text: &str, part: &str, message: impl Into<String>) -> GenotypeError {
    let at = (part.as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
    Place::of(text, at).error(message)
}
