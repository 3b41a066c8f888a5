//! This project's own form, YAML (so JSON too), and the DARTS fields as a JSON object.
//!
//! ```yaml
//! cells:
//!   normal:
//!     nodes:
//!       - [sep_conv_3x3~0, sep_conv_3x3~1]
//!     output: [2]
//! ```
//! Read with places, so that errors can name them; written by `serde_yaml`, which knows what must be quoted. A choice can also be `[sep_conv_3x3, 0]` or `{operation: sep_conv_3x3, source: 0}`. The object of DARTS fields is
//! `{"normal": [["sep_conv_3x3", 0], …], "normal_concat": [2, 3, 4, 5], …}`.

use super::super::Space;
use super::super::genotype::{CellGenotype, Choice, Genotype, GenotypeError};
use super::super::hint::did_you_mean;
use super::cell_string::read_choice;
use super::{FlatGenotype, OUTPUT_SUFFIX};
use crate::config::{Fields, Node, Problems, Value};
use indexmap::IndexMap;

pub(in super::super) fn read(text: &str, space: &Space) -> Result<Genotype, GenotypeError> {
    let node = Node::parse("genotype", text).map_err(first_problem)?;
    let mut problems = Problems::new();
    // A quoted cell string, as JSON carries it.
    if let Some(inner) = node.as_text().filter(|inner| inner.contains(['|', '('])) {
        return super::read(inner, space);
    }
    if node.get("cells").is_some() {
        let genotype = read_cells(&node, space, &mut problems);
        return problems.into_result(genotype).map_err(first_problem);
    }
    let flat = read_flat(&node, space, &mut problems);
    problems.into_result(flat).map_err(first_problem)?.nest(space)
}

/// A genotype as it is written.
#[derive(serde::Serialize)]
struct Written<'a> {
    cells: IndexMap<&'a str, WrittenCell<'a>>,
}

#[derive(serde::Serialize)]
struct WrittenCell<'a> {
    nodes: Vec<Vec<String>>,
    output: &'a [usize],
}

pub(in super::super) fn write(genotype: &Genotype) -> String {
    let word = |Choice { operation, source }: &Choice| format!("{operation}~{source}");
    let nodes = |cell: &CellGenotype| cell.nodes.iter().map(|node| node.iter().map(word).collect()).collect();
    let cell = |cell| WrittenCell { nodes: nodes(cell), output: &cell.output };
    let cells = genotype.cells.iter().map(|(kind, genotype)| (kind.as_str(), cell(genotype))).collect();
    serde_yaml::to_string(&Written { cells }).expect("plain data serialises")
}

fn first_problem(problems: Problems) -> GenotypeError {
    let Some(problem) = problems.iter().next() else { return GenotypeError::Empty };
    let (line, column) = problem.origin.line_column().unwrap_or((1, 1));
    GenotypeError::Syntax { line, column, message: problem.message.clone(), hint: problem.hint.clone() }
}

fn read_cells(node: &Node, space: &Space, problems: &mut Problems) -> Genotype {
    let mut cells = IndexMap::new();
    let mut fields = Fields::open(node, "a genotype", problems);
    if let Some(map) = fields.required_node("cells") {
        match &map.value {
            Value::Map(kinds) => {
                for (kind, entry) in kinds {
                    cells.insert(kind.clone(), read_cell(kind, &entry.node, space, fields.problems()));
                }
            }
            _ => fields.wrong("cells", map, "a map of cell kinds"),
        }
    }
    fields.close();
    Genotype { cells }
}

fn read_cell(kind: &str, node: &Node, space: &Space, problems: &mut Problems) -> CellGenotype {
    let mut fields = Fields::open(node, format!("cell `{kind}`"), problems);
    let nodes = match fields.required_node("nodes") {
        Some(Node { value: Value::List(items), .. }) => {
            items.iter().map(|item| read_choices(item, fields.problems())).collect()
        }
        Some(other) => {
            fields.wrong("nodes", other, "a list of nodes");
            Vec::new()
        }
        None => Vec::new(),
    };
    let output = fields.node("output").map(|node| read_states(node, fields.problems()));
    fields.close();
    let output = output.unwrap_or_else(|| if nodes.is_empty() { Vec::new() } else { space.output_states(nodes.len()) });
    CellGenotype { nodes, output }
}

fn read_flat(node: &Node, space: &Space, problems: &mut Problems) -> FlatGenotype {
    let mut flat = FlatGenotype::default();
    let Some(map) = node.as_map() else {
        problems.add(&node.origin, format!("a genotype must be a map, found {}", node.value.type_name()));
        return flat;
    };
    for (field, entry) in map {
        let kind = field.strip_suffix(OUTPUT_SUFFIX).unwrap_or(field);
        if space.cell_kind(kind).is_none() {
            let kinds = space.cell_kinds().iter();
            let known: Vec<String> = ["cells".to_owned()]
                .into_iter()
                .chain(kinds.flat_map(|kind| [kind.name.clone(), format!("{}{OUTPUT_SUFFIX}", kind.name)]))
                .collect();
            let hint = did_you_mean(field, known.iter().map(String::as_str), "the fields are");
            problems.add_with_hint(&entry.key, format!("unknown field `{field}`"), hint);
        } else if kind == field {
            flat.choices.insert(kind.to_owned(), read_choices(&entry.node, problems));
        } else {
            flat.outputs.insert(kind.to_owned(), read_states(&entry.node, problems));
        }
    }
    flat
}

fn read_choices(node: &Node, problems: &mut Problems) -> Vec<Choice> {
    let Value::List(items) = &node.value else {
        problems.add(&node.origin, format!("expected a list of choices, found {}", node.value.type_name()));
        return Vec::new();
    };
    let mut choices = Vec::with_capacity(items.len());
    for item in items {
        let choice = match &item.value {
            Value::Text(word) => read_choice(word),
            Value::List(pair) => match pair.as_slice() {
                [operation, source] => choice_of(Some(operation), Some(source)),
                _ => choice_of(None, None),
            },
            Value::Map(map) if map.len() == 2 => choice_of(item.get("operation"), item.get("source")),
            _ => choice_of(None, None),
        };
        match choice {
            Ok(choice) => choices.push(choice),
            Err(message) => problems.add(&item.origin, message),
        }
    }
    choices
}

fn choice_of(operation: Option<&Node>, source: Option<&Node>) -> Result<Choice, String> {
    let operation = operation.and_then(Node::as_text);
    let source = source.and_then(state);
    match operation.zip(source) {
        Some((operation, source)) => Ok(Choice { operation: operation.to_owned(), source }),
        None => Err("expected an operation and the state that it reads".to_owned()),
    }
}

fn state(node: &Node) -> Option<usize> {
    match node.value {
        Value::Integer(state) => usize::try_from(state).ok(),
        _ => None,
    }
}

fn read_states(node: &Node, problems: &mut Problems) -> Vec<usize> {
    let states = match &node.value {
        Value::List(items) => items.iter().map(state).collect::<Option<Vec<_>>>(),
        _ => None,
    };
    states.unwrap_or_else(|| {
        problems.add(&node.origin, "expected a list of states");
        Vec::new()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_yaml_and_names_that_yaml_would_take_for_something_else_are_quoted() {
        let choice = |operation: &str, source| Choice { operation: operation.to_owned(), source };
        let nodes = vec![vec![choice("skip", 0), choice("conv: 3", 1)], vec![choice("skip", 2)]];
        let cell = CellGenotype { nodes, output: vec![2, 3] };
        let text = write(&Genotype { cells: [("null".to_owned(), cell)].into_iter().collect() });
        let expected = "\
cells:
  'null':
    nodes:
    - - skip~0
      - 'conv: 3~1'
    - - skip~2
    output:
    - 2
    - 3
";
        assert_eq!(text, expected);
    }
}
