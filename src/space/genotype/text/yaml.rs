//! This project's own form, YAML, and fields of the DARTS code that stand in YAML.
//!
//! ```yaml
//! cells:
//!   normal:
//!     nodes:
//!       - [sep_conv_3x3~0, sep_conv_3x3~1]
//!     output: [2]
//! ```
//! and of a lattice
//! ```yaml
//! path:
//!   - cell: {nodes: [[skip~0], [conv3x3~1]], widths: [1/2]}
//!   - up
//! ```
//! Read with places, so that errors can name them; written by `serde_yaml`, which knows what must
//! be quoted. A choice can also be `[sep_conv_3x3, 0]` or `{operation: sep_conv_3x3, source: 0}`.

use super::draft::{Draft, DraftCell, DraftEdges, DraftKind, DraftStep};
use super::named_tuple;
use super::python::{Kind, Place, Value as Literal};
use crate::config::{Fields, Node, Origin, Problems, Value};
use crate::space::genotype::{CellGenotype, Choice, Genotype, GenotypeError, PathStep};
use indexmap::IndexMap;

pub(super) fn read(text: &str) -> Result<Draft, GenotypeError> {
    let node = Node::parse("genotype", text).map_err(first_problem)?;
    if node.get("path").is_some() {
        let mut problems = Problems::new();
        let path = read_path(&node, &mut problems);
        return problems.into_result(path).map_err(first_problem)?.map(Draft::Path);
    }
    if node.get("cells").is_none() {
        return match literal(&node) {
            fields @ Literal { kind: Kind::Dictionary(_), .. } => named_tuple::read(&fields),
            other => Err(other.place.error(format!("expected a genotype, found {}", other.described()))),
        };
    }
    let mut problems = Problems::new();
    let cells = read_cells(&node, &mut problems);
    let draft = problems.into_result(cells).map_err(first_problem)?;
    draft.map(|cells| Draft::Cells { cells, further: Vec::new() })
}

/// The value as Python would have it.
fn literal(node: &Node) -> Literal {
    let place = place(&node.origin);
    let kind = match &node.value {
        Value::Null => Kind::None,
        Value::Bool(said) => Kind::Bool(*said),
        Value::Integer(number) => Kind::Integer(*number),
        Value::Float(number) => Kind::Float(*number),
        Value::Text(text) => Kind::Text(text.clone()),
        Value::List(items) => Kind::Sequence(items.iter().map(literal).collect()),
        Value::Map(map) => {
            let key =
                |key: &str, origin: &Origin| Literal { place: self::place(origin), kind: Kind::Text(key.to_owned()) };
            Kind::Dictionary(map.iter().map(|(name, entry)| (key(name, &entry.key), literal(&entry.node))).collect())
        }
    };
    Literal { place, kind }
}

fn place(origin: &Origin) -> Place {
    let (line, column) = origin.line_column().unwrap_or((1, 1));
    Place { line, column }
}

/// A genotype as it is written.
#[derive(serde::Serialize)]
struct Written<'a> {
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    cells: IndexMap<&'a str, WrittenCell<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    path: Vec<WrittenStep<'a>>,
}

#[derive(serde::Serialize)]
#[serde(untagged)]
enum WrittenStep<'a> {
    Cell { cell: WrittenCell<'a> },
    Block(&'a str),
}

#[derive(serde::Serialize)]
struct WrittenCell<'a> {
    nodes: Vec<Vec<String>>,
    output: &'a [usize],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    widths: &'a [String],
}

pub(super) fn write(genotype: &Genotype) -> String {
    let word = |Choice { operation, source }: &Choice| format!("{operation}~{source}");
    let nodes = |cell: &CellGenotype| cell.nodes.iter().map(|node| node.iter().map(word).collect()).collect();
    let cell = |cell| WrittenCell { nodes: nodes(cell), output: &cell.output, widths: &cell.widths };
    let cells = genotype.cells.iter().map(|(kind, genotype)| (kind.as_str(), cell(genotype))).collect();
    let path = genotype.path.iter().map(|step| match step {
        PathStep::Cell(genotype) => WrittenStep::Cell { cell: cell(genotype) },
        PathStep::Block(name) => WrittenStep::Block(name),
    });
    let path = path.collect();
    serde_yaml::to_string(&Written { cells, path }).expect("plain data serialises")
}

fn first_problem(problems: Problems) -> GenotypeError {
    let Some(problem) = problems.iter().next() else { return GenotypeError::Empty };
    let (line, column) = problem.origin.line_column().unwrap_or((1, 1));
    GenotypeError::Syntax { line, column, message: problem.message.clone(), hint: problem.hint.clone() }
}

fn read_cells(node: &Node, problems: &mut Problems) -> Result<Vec<DraftCell>, GenotypeError> {
    let mut cells = Vec::new();
    let mut fields = Fields::open(node, "a genotype", problems);
    if let Some(map) = fields.required_node("cells") {
        match &map.value {
            Value::Map(kinds) => {
                for (kind, entry) in kinds {
                    cells.push(read_cell(kind, &entry.node, fields.problems())?);
                }
            }
            _ => fields.wrong("cells", map, "a map of cell kinds"),
        }
    }
    fields.close();
    Ok(cells)
}

fn read_path(node: &Node, problems: &mut Problems) -> Result<Vec<DraftStep>, GenotypeError> {
    const EXPECTED: &str = "a list of steps, each `cell: {…}` or the name of a block";
    let mut steps = Vec::new();
    let mut fields = Fields::open(node, "a genotype", problems);
    match fields.required_node("path") {
        Some(Node { value: Value::List(items), .. }) => {
            for item in items {
                match &item.value {
                    Value::Text(name) => steps.push(DraftStep::Block(name.clone())),
                    Value::Map(map) => match map.first() {
                        Some((name, entry)) if name == "block" && map.len() == 1 => match &entry.node.value {
                            Value::Text(name) => steps.push(DraftStep::Block(name.clone())),
                            _ => fields.wrong("path", item, EXPECTED),
                        },
                        Some((name, entry)) if name == "cell" && map.len() == 1 => {
                            steps.push(read_step(&entry.node, fields.problems())?);
                        }
                        _ => fields.wrong("path", item, EXPECTED),
                    },
                    _ => fields.wrong("path", item, EXPECTED),
                }
            }
        }
        Some(other) => fields.wrong("path", other, EXPECTED),
        None => {}
    }
    fields.close();
    Ok(steps)
}

/// A cell on a path.
fn read_step(node: &Node, problems: &mut Problems) -> Result<DraftStep, GenotypeError> {
    let mut fields = Fields::open(node, "a cell on the path", problems);
    let nodes = read_nodes(&mut fields)?;
    let output = fields.node("output").map(|node| named_tuple::states(&literal(node))).transpose()?;
    let mut widths = Vec::new();
    match fields.node("widths") {
        Some(Node { value: Value::List(items), .. }) => {
            for item in items {
                match &item.value {
                    Value::Text(text) => widths.push(text.clone()),
                    Value::Integer(whole) => widths.push(whole.to_string()),
                    Value::Float(share) => widths.push(share.to_string()),
                    _ => fields.wrong("widths", item, "a width as the space writes it"),
                }
            }
        }
        Some(other) => fields.wrong("widths", other, "a list of widths"),
        None => {}
    }
    fields.close();
    Ok(DraftStep::Cell { nodes, output, widths })
}

fn read_nodes(fields: &mut Fields<'_>) -> Result<Vec<Vec<Choice>>, GenotypeError> {
    let mut nodes = Vec::new();
    match fields.required_node("nodes") {
        Some(Node { value: Value::List(items), .. }) => {
            for item in items {
                nodes.push(named_tuple::node(&literal(item))?);
            }
        }
        Some(other) => fields.wrong("nodes", other, "a list of nodes"),
        None => {}
    }
    Ok(nodes)
}

fn read_cell(kind: &str, node: &Node, problems: &mut Problems) -> Result<DraftCell, GenotypeError> {
    let mut fields = Fields::open(node, format!("cell `{kind}`"), problems);
    let nodes = read_nodes(&mut fields)?;
    let output = fields.node("output").map(|node| named_tuple::states(&literal(node))).transpose()?;
    fields.close();
    Ok(DraftCell { kind: DraftKind::Named(kind.to_owned()), edges: DraftEdges::Nodes(nodes), output })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_yaml_and_names_that_yaml_would_take_for_something_else_are_quoted() {
        let choice = |operation: &str, source| Choice { operation: operation.to_owned(), source };
        let nodes = vec![vec![choice("skip", 0), choice("conv: 3", 1)], vec![choice("skip", 2)]];
        let cell = CellGenotype { nodes, output: vec![2, 3], widths: Vec::new() };
        let text = write(&Genotype { cells: [("null".to_owned(), cell)].into_iter().collect(), path: Vec::new() });
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
