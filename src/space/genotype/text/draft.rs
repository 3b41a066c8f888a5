//! A genotype as it is written, before a space says what its words mean.

use super::form::OUTPUT_SUFFIX;
use super::{each, edges_of, write_node};
use crate::space::Space;
use crate::space::genotype::{CellGenotype, Choice, Genotype, GenotypeError, PathStep};
use crate::space::language::hint::did_you_mean;
use crate::space::language::notation::Numbering;
use indexmap::IndexMap;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Draft {
    Cells {
        cells: Vec<DraftCell>,
        /// What else stands beside the cells.
        further: Vec<Further>,
    },
    /// The steps of a path.
    Path(Vec<DraftStep>),
    /// A cell's place in a table of all cells.
    Number(usize),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum DraftStep {
    Cell { nodes: Vec<Vec<Choice>>, output: Option<Vec<usize>>, widths: Vec<String> },
    Block(String),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct DraftCell {
    pub kind: DraftKind,
    pub edges: DraftEdges,
    /// Where it is not said, the space's own.
    pub output: Option<Vec<usize>>,
}

/// Which kind of cell is meant.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum DraftKind {
    Named(String),
    /// By its place in the order of the space.
    At(usize),
    /// The one that there is.
    Only,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum DraftEdges {
    /// The edges of all nodes, end to end; and the state that each goes into, where it is said.
    Flat(Vec<(Choice, Option<usize>)>),
    /// A list of edges a node.
    Nodes(Vec<Vec<Choice>>),
    /// An operation an edge, in the order of the space's edges.
    Operations(Vec<String>),
    /// The same in numbers.
    Numbers(Vec<usize>),
    /// Source, target and operation of each edge.
    Between(Vec<(usize, usize, String)>),
}

/// A field that is no cell's.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Further {
    pub name: String,
    /// Whether it has a value.
    pub says: bool,
}

impl Draft {
    /// One cell without a name.
    pub fn only(edges: DraftEdges) -> Self {
        let cell = DraftCell { kind: DraftKind::Only, edges, output: None };
        Self::Cells { cells: vec![cell], further: Vec::new() }
    }

    /// What it means in `space`.
    pub fn settle(self, space: &Space) -> Result<Genotype, GenotypeError> {
        let (cells, further) = match self {
            Self::Cells { cells, further } => (cells, further),
            Self::Path(steps) => {
                let step = |step| match step {
                    DraftStep::Block(name) => PathStep::Block(name),
                    DraftStep::Cell { nodes, output, widths } => {
                        let output = output.unwrap_or_else(|| space.output_states(nodes.len()));
                        PathStep::Cell(CellGenotype { nodes, output, widths })
                    }
                };
                return Ok(Genotype { path: steps.into_iter().map(step).collect(), ..Genotype::default() });
            }
            Self::Number(number) => return Err(GenotypeError::Number { number }),
        };
        let mut settled = IndexMap::new();
        for DraftCell { kind, edges, output } in cells {
            let kind = kind.settle(space)?;
            let nodes = edges.settle(&kind, space)?;
            let output = output.unwrap_or_else(|| space.output_states(nodes.len()));
            if settled.insert(kind.clone(), CellGenotype { nodes, output, widths: Vec::new() }).is_some() {
                return Err(GenotypeError::RepeatedKind { kind });
            }
        }
        check_further(&further, &settled, space)?;
        Ok(Genotype { cells: settled, path: Vec::new() })
    }
}

/// Refuses fields that may have been meant as the space's, and such as say something that would be
/// lost.
fn check_further(
    further: &[Further],
    cells: &IndexMap<String, CellGenotype>,
    space: &Space,
) -> Result<(), GenotypeError> {
    let kinds = || space.cell_kinds().iter().map(|kind| kind.name.as_str());
    let kind_of = |field: &Further| field.name.strip_suffix(OUTPUT_SUFFIX).unwrap_or(&field.name).to_owned();
    let whole = kinds().all(|kind| cells.contains_key(kind));
    let unknown = |field: &&Further| space.cell_kind(&kind_of(field)).is_none() && (field.says || !whole);
    if let Some(Further { name, .. }) = further.iter().find(unknown) {
        let known: Vec<String> = kinds().flat_map(|kind| [kind.to_owned(), format!("{kind}{OUTPUT_SUFFIX}")]).collect();
        let hint = did_you_mean(name, known.iter().map(String::as_str), "the fields are");
        return Err(GenotypeError::UnknownField { field: name.clone(), hint });
    }
    // Half of a cell: its edges, or its output.
    match further.iter().find(|field| space.cell_kind(&kind_of(field)).is_some()) {
        None => Ok(()),
        Some(field) if kind_of(field) == field.name => Err(GenotypeError::NoOutput { kind: kind_of(field) }),
        Some(field) => Err(GenotypeError::MissingKind { kind: kind_of(field) }),
    }
}

impl DraftKind {
    fn settle(self, space: &Space) -> Result<String, GenotypeError> {
        let kinds = space.cell_kinds();
        match (self, kinds) {
            (Self::Named(name), _) => Ok(name),
            (Self::At(place), _) => match kinds.get(place) {
                Some(kind) => Ok(kind.name.clone()),
                None => Err(GenotypeError::TooManyCells { kinds: kinds.len() }),
            },
            (Self::Only, [only]) => Ok(only.name.clone()),
            (Self::Only, _) => Err(GenotypeError::UnnamedKind),
        }
    }
}

impl DraftEdges {
    fn settle(self, kind: &str, space: &Space) -> Result<Vec<Vec<Choice>>, GenotypeError> {
        let mut nodes = match self {
            Self::Flat(choices) => split(kind, choices, space)?,
            Self::Nodes(nodes) => nodes,
            Self::Operations(operations) => {
                let edges = space.edges().iter().copied();
                let (found, expected) = (operations.len(), space.edges().len());
                if found != expected {
                    return Err(GenotypeError::EdgeCount { kind: kind.to_owned(), expected, found });
                }
                between(edges.zip(operations).map(|((source, target), operation)| (source, target, operation)), space)
            }
            Self::Numbers(numbers) => numbered(kind, &numbers, space)?,
            Self::Between(edges) => between(edges, space),
        };
        for choice in nodes.iter_mut().flatten() {
            if let Some(name) = space.notation.known_as(&choice.operation, &space.operations) {
                choice.operation = name.to_owned();
            }
        }
        Ok(nodes)
    }
}

/// The nodes of a flat list: as many edges a node as the space's rule keeps.
fn split(kind: &str, choices: Vec<(Choice, Option<usize>)>, space: &Space) -> Result<Vec<Vec<Choice>>, GenotypeError> {
    let total = choices.len();
    let mut rest = choices.into_iter();
    let mut nodes: Vec<Vec<Choice>> = Vec::new();
    while rest.len() > 0 {
        let (count, state) = (edges_of(nodes.len(), space), space.inputs() + nodes.len());
        if count == 0 || rest.len() < count {
            return Err(GenotypeError::Split { kind: kind.to_owned(), choices: total, each: each(space) });
        }
        let mut node = Vec::with_capacity(count);
        for (choice, target) in rest.by_ref().take(count) {
            if let Some(target) = target.filter(|target| *target != state) {
                return Err(GenotypeError::Target { kind: kind.to_owned(), target, state });
            }
            node.push(choice);
        }
        nodes.push(node);
    }
    Ok(nodes)
}

/// The nodes of edges that say where they go. A node that none goes to is empty, which is
/// complained of when the cell is checked.
fn between(edges: impl IntoIterator<Item = (usize, usize, String)>, space: &Space) -> Vec<Vec<Choice>> {
    let mut nodes: Vec<Vec<Choice>> = vec![Vec::new(); space.nodes()];
    for (source, target, operation) in edges {
        let position = target.wrapping_sub(space.inputs());
        match nodes.get_mut(position) {
            Some(node) => node.push(Choice { operation, source }),
            // One node more than the space has, which the check names.
            None => nodes.push(vec![Choice { operation, source }]),
        }
    }
    nodes
}

/// Six numbers mean one cell to one program and another to the next: they are read where all that
/// are known agree.
fn numbered(kind: &str, numbers: &[usize], space: &Space) -> Result<Vec<Vec<Choice>>, GenotypeError> {
    let mut readings: Vec<(String, Vec<Vec<Choice>>)> = Vec::new();
    for (whose, numbering) in space.numberings(kind) {
        let (found, expected) = (numbers.len(), numbering.edges.len());
        if found != expected {
            return Err(GenotypeError::EdgeCount { kind: kind.to_owned(), expected, found });
        }
        let edges = numbers.iter().zip(&numbering.edges).map(|(&number, &(source, target))| {
            let operation = numbering.operations.get(number).cloned();
            let operations = numbering.operations.len();
            operation
                .map(|operation| (source, target, operation))
                .ok_or(GenotypeError::NoOperation { number, operations })
        });
        let mut nodes = between(edges.collect::<Result<Vec<_>, _>>()?, space);
        nodes.iter_mut().for_each(|node| node.sort_by_key(|choice| choice.source));
        readings.push((whose, nodes));
    }
    let (first, others) = readings.split_first().ok_or(GenotypeError::EdgeCount {
        kind: kind.to_owned(),
        expected: space.edges().len(),
        found: numbers.len(),
    })?;
    if others.iter().all(|(_, nodes)| *nodes == first.1) {
        return Ok(first.1.clone());
    }
    let written = |nodes: &[Vec<Choice>]| nodes.iter().map(|node| write_node(node)).collect::<Vec<_>>();
    let meanings = readings.iter().map(|(whose, nodes)| format!("`{}` ({whose})", written(nodes).join("+")));
    Err(GenotypeError::Ambiguous { meanings: meanings.collect::<Vec<_>>().join(" or ") })
}

impl Space {
    /// Every way to number the operations of a cell, whose it is before it: the space's own order
    /// of candidates, where all edges have the same, and those of other programs.
    fn numberings(&self, kind: &str) -> Vec<(String, Numbering)> {
        let candidates = self.cell_kind(kind).map_or(&[][..], |kind| &kind.candidates);
        let alike = candidates.first().filter(|first| candidates.iter().all(|edge| edge == *first));
        let own = alike.map(|operations| {
            let order = format!("as `{}` lists its candidates", self.name);
            (order, Numbering { operations: operations.clone(), edges: self.edges().to_vec() })
        });
        let theirs = self.notation.numbers.iter().map(|(whose, numbering)| (whose.clone(), numbering.clone()));
        own.into_iter().chain(theirs).collect()
    }
}
