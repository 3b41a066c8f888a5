//! Genotypes in Python's words: what a program prints, keeps in a source file or writes as JSON.
//!
//! A call or a dictionary with the fields of the DARTS code,
//! `Genotype(normal=[('op', 1), …], normal_concat=range(2, 6), …)`; a list of nodes, of operations
//! or of their numbers; a dictionary of edges, `{'0_1': 'op', …}`. A field's edges are one list, or
//! a list a node; an edge is `('op', 1)`, with a weight behind it or without, `'op~1'` or
//! `{'operation': 'op', 'source': 1}`.

use super::cell_string::read_choice;
use super::draft::{Draft, DraftCell, DraftEdges, DraftKind, Further};
use super::form::OUTPUT_SUFFIX;
use super::python::{Kind, Name, Place, Value};
use super::{each, edges_of};
use crate::space::Space;
use crate::space::genotype::{Choice, Genotype, GenotypeError};

/// What the value says, if it is a genotype.
pub(super) fn read(value: &Value) -> Result<Draft, GenotypeError> {
    match &value.kind {
        Kind::Call { name, arguments, named } if name.to_lowercase().contains("genotype") => {
            let mut cells = Vec::new();
            for (place, fields) in arguments.chunks(2).enumerate() {
                let [choices, output] = fields else {
                    return Err(value.place.error("a cell's edges and its output are two arguments"));
                };
                let (edges, output) = (edges(choices)?, Some(states(output)?));
                cells.push(DraftCell { kind: DraftKind::At(place), edges, output });
            }
            let named: Vec<(&str, Place, &Value)> =
                named.iter().map(|(Name { place, text }, value)| (text.as_str(), *place, value)).collect();
            fields(cells, &named)
        }
        Kind::Dictionary(pairs) => dictionary(value, pairs),
        Kind::Sequence(items) if !items.is_empty() => {
            let words = items.iter().map(|item| item.as_text().filter(|word| !word.contains('~')).map(str::to_owned));
            if let Some(words) = words.collect() {
                return Ok(Draft::only(DraftEdges::Operations(words)));
            }
            if let Some(numbers) = items.iter().map(Value::as_count).collect() {
                return Ok(Draft::only(DraftEdges::Numbers(numbers)));
            }
            edges(value).map(Draft::only)
        }
        Kind::Text(text) => Draft::parse(text),
        _ => Err(value.place.error(format!("expected a genotype, found {}", value.described()))),
    }
}

fn dictionary(value: &Value, pairs: &[(Value, Value)]) -> Result<Draft, GenotypeError> {
    let mut named = Vec::new();
    for (key, value) in pairs {
        let Some(name) = key.as_text() else {
            return Err(key.place.error(format!("expected a field's name, found {}", key.described())));
        };
        named.push((name, key.place, value));
    }
    let between = named.iter().map(|(name, _, value)| {
        let (source, target) = name.rsplit('/').next()?.split_once('_')?;
        Some((source.parse().ok()?, target.parse().ok()?, value.as_text()?.to_owned()))
    });
    if let Some(edges) = between.collect::<Option<Vec<(usize, usize, String)>>>().filter(|edges| !edges.is_empty()) {
        return Ok(Draft::only(DraftEdges::Between(edges)));
    }
    let is_field = |name: &str| named.iter().any(|(other, ..)| other.strip_suffix(OUTPUT_SUFFIX) == Some(name));
    if !named.iter().any(|(name, ..)| is_field(name)) {
        // What a genotype is kept in, with an epoch or an accuracy beside it.
        let within = pairs.iter().filter(|(_, value)| matches!(value.kind, Kind::Dictionary(_) | Kind::Text(_)));
        let mut within = within.filter_map(|(_, value)| read(value).ok());
        if let (Some(found), None) = (within.next(), within.next()) {
            return Ok(found);
        }
    }
    if named.is_empty() {
        return Err(value.place.error("an empty dictionary is no genotype"));
    }
    fields(Vec::new(), &named)
}

/// The cells of fields `KIND` and `KIND_concat`; what has no other half is kept by its name.
fn fields(mut cells: Vec<DraftCell>, named: &[(&str, Place, &Value)]) -> Result<Draft, GenotypeError> {
    let mut further = Vec::new();
    for (at, (name, place, value)) in named.iter().enumerate() {
        if named[..at].iter().any(|(earlier, ..)| earlier == name) {
            return Err(place.error(format!("`{name}` is there twice")));
        }
        let find = |wanted: &str| named.iter().find(|(other, ..)| *other == wanted).map(|(.., value)| *value);
        let output = find(&format!("{name}{OUTPUT_SUFFIX}"));
        let of_cell = name.strip_suffix(OUTPUT_SUFFIX).and_then(find);
        match (output, of_cell) {
            (Some(output), _) => {
                let (edges, output) = (edges(value)?, Some(states(output)?));
                cells.push(DraftCell { kind: DraftKind::Named((*name).to_owned()), edges, output });
            }
            (None, Some(_)) => {}
            (None, None) => further.push(Further { name: (*name).to_owned(), says: !value.says_nothing() }),
        }
    }
    Ok(Draft::Cells { cells, further })
}

/// Edges end to end, or a list of them a node.
fn edges(value: &Value) -> Result<DraftEdges, GenotypeError> {
    let Some(items) = value.as_sequence() else {
        return Err(value.place.error(format!("expected a list of edges, found {}", value.described())));
    };
    let is_edge = |item: &Value| match &item.kind {
        Kind::Sequence(parts) => {
            parts.first().is_some_and(|part| part.as_text().is_some_and(|word| !word.contains('~')))
        }
        _ => true,
    };
    if items.iter().all(is_edge) {
        return items.iter().map(edge).collect::<Result<_, _>>().map(DraftEdges::Flat);
    }
    items.iter().map(node).collect::<Result<_, _>>().map(DraftEdges::Nodes)
}

/// The edges of one node.
pub(super) fn node(value: &Value) -> Result<Vec<Choice>, GenotypeError> {
    match value.as_sequence() {
        Some(items) => items.iter().map(|item| edge(item).map(|(choice, _)| choice)).collect(),
        None => Err(value.place.error(format!("expected the edges of a node, found {}", value.described()))),
    }
}

/// An edge, and the state that it goes into where that is said.
fn edge(value: &Value) -> Result<(Choice, Option<usize>), GenotypeError> {
    let wrong = || {
        let found = value.described();
        value.place.error(format!("expected an operation and the state that it reads, found {found}"))
    };
    let choice = |operation: &Value, source: &Value| {
        let operation = operation.as_text().ok_or_else(wrong)?.to_owned();
        let state = || source.place.error(format!("expected a state's number, found {}", source.described()));
        Ok(Choice { operation, source: source.as_count().ok_or_else(state)? })
    };
    match &value.kind {
        Kind::Text(word) => Ok((read_choice(word).map_err(|message| value.place.error(message))?, None)),
        Kind::Sequence(parts) => match parts.as_slice() {
            [operation, source] => Ok((choice(operation, source)?, None)),
            [operation, source, Value { kind: Kind::Float(_) | Kind::None, .. }] => {
                Ok((choice(operation, source)?, None))
            }
            [operation, source, target @ Value { kind: Kind::Integer(_), .. }] => {
                Ok((choice(operation, source)?, target.as_count()))
            }
            _ => Err(wrong()),
        },
        Kind::Dictionary(pairs) => {
            let find = |name: &str| pairs.iter().find(|(key, _)| key.as_text() == Some(name)).map(|(_, value)| value);
            match (find("operation"), find("source")) {
                (Some(operation), Some(source)) if pairs.len() == 2 => Ok((choice(operation, source)?, None)),
                _ => Err(wrong()),
            }
        }
        _ => Err(wrong()),
    }
}

pub(super) fn states(value: &Value) -> Result<Vec<usize>, GenotypeError> {
    let Some(items) = value.as_sequence() else {
        return Err(value.place.error(format!("expected a list of states or `range`, found {}", value.described())));
    };
    let state = |item: &Value| {
        item.as_count()
            .ok_or_else(|| item.place.error(format!("expected a state's number, found {}", item.described())))
    };
    items.iter().map(state).collect()
}

/// As the DARTS code prints it.
pub(super) fn write(genotype: &Genotype, space: &Space) -> Result<String, GenotypeError> {
    let mut fields = Vec::with_capacity(2 * genotype.cells.len());
    for (kind, cell) in &genotype.cells {
        if cell.nodes.iter().enumerate().any(|(position, choices)| choices.len() != edges_of(position, space)) {
            return Err(GenotypeError::Unwritable { kind: kind.clone(), each: each(space) });
        }
        let choices = cell.nodes.iter().flatten();
        let choices: Vec<String> =
            choices.map(|Choice { operation, source }| format!("('{operation}', {source})")).collect();
        fields.push(format!("{kind}=[{}]", choices.join(", ")));
        fields.push(format!("{kind}{OUTPUT_SUFFIX}={}", write_states(&cell.output)));
    }
    Ok(format!("Genotype({})", fields.join(", ")))
}

/// `range` where the states follow each other.
fn write_states(states: &[usize]) -> String {
    match (states.first(), states.last()) {
        (Some(&first), Some(&last)) if states.len() > 1 && states.iter().copied().eq(first..=last) => {
            format!("range({first}, {})", last + 1)
        }
        _ => format!("{states:?}"),
    }
}
