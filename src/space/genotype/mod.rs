//! Genotypes: which operations a cell keeps.

mod check;
mod selection;
pub(super) mod text;
pub(super) mod written;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::{io, path::PathBuf};

/// One chosen cell for each kind, in the order of the space; of a lattice, a path with a cell for each
/// place on it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Genotype {
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub cells: IndexMap<String, CellGenotype>,
    /// From the stem on; empty where the space has no lattice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub path: Vec<PathStep>,
}

impl Genotype {
    /// All cells, those on a path one by one.
    pub fn every_cell(&self) -> impl Iterator<Item = &CellGenotype> {
        self.cells.values().chain(self.on_path())
    }

    /// The cells of a kind: one, or of a lattice, which has one kind, all of the path.
    pub fn of_kind(&self, kind: &str) -> impl Iterator<Item = &CellGenotype> {
        self.cells.get(kind).into_iter().chain(self.on_path())
    }

    /// The steps of its path: whether each is a cell.
    pub(in crate::space) fn steps(&self) -> impl Iterator<Item = bool> {
        self.path.iter().map(|step| matches!(step, PathStep::Cell(_)))
    }

    fn on_path(&self) -> impl Iterator<Item = &CellGenotype> {
        self.path.iter().filter_map(|step| match step {
            PathStep::Cell(cell) => Some(cell),
            PathStep::Block(_) => None,
        })
    }
}

/// A step of a path through a lattice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PathStep {
    Cell(CellGenotype),
    /// A fixed block, by its name.
    Block(String),
}

/// A cell's nodes and output. States are numbered with the inputs first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellGenotype {
    /// For each node the edges that it sums.
    pub nodes: Vec<Vec<Choice>>,
    /// The states that make up the output.
    pub output: Vec<usize>,
    /// Of each node that chooses its width, as the space writes it; empty where none does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub widths: Vec<String>,
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
    #[error("several genotypes are in the text: {names}")]
    Names { names: String },
    #[error("no genotype `{name}` is in the text")]
    NoName { name: String, names: String },
    #[error("`{number}` numbers a cell, and this space has no table of its cells")]
    Number { number: usize },
    #[error("unknown field `{field}`")]
    UnknownField { field: String, hint: String },
    #[error("a line must begin with its cell kind, as in `normal: |…|`: this space has several")]
    UnnamedKind,
    #[error("more cells than the {kinds} kinds of the space")]
    TooManyCells { kinds: usize },
    #[error("cell kind `{kind}` has {expected} edges, not {found}")]
    EdgeCount { kind: String, expected: usize, found: usize },
    #[error("there is no operation {number}, of {operations} counted from 0")]
    NoOperation { number: usize, operations: usize },
    #[error("the numbers mean {meanings}")]
    Ambiguous { meanings: String },
    #[error("an edge that is listed for state {state} of cell kind `{kind}` says that it goes into state {target}")]
    Target { kind: String, state: usize, target: usize },
    #[error("unknown cell kind `{kind}`")]
    UnknownKind { kind: String, hint: String },
    #[error("the genotype has a path, and this space has no lattice")]
    NoLattice,
    #[error("this space has a lattice: its genotypes are paths, and not a cell for kind `{kind}`")]
    NoPath { kind: String },
    #[error("a path begins with a cell of kind `{kind}`")]
    PathBegins { kind: String },
    #[error("a path has at most {most} of `{name}`, found {found}")]
    TooLong { name: String, most: usize, found: usize },
    #[error("a path that is complete has {needed} of `{name}`, found {found}")]
    Incomplete { name: String, needed: usize, found: usize },
    #[error("unknown step `{name}` on a path")]
    UnknownStep { name: String, hint: String },
    #[error("a cell of kind `{kind}` has {expected} widths, found {found}")]
    WidthCount { kind: String, expected: usize, found: usize },
    #[error("unknown width `{width}` in cell kind `{kind}`")]
    UnknownWidth { kind: String, width: String, hint: String },
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
    #[error("cell kind `{kind}` must output {expected:?} in this space, found {found:?}")]
    OtherOutput { kind: String, expected: Vec<usize>, found: Vec<usize> },
    #[error("state {state} of cell kind `{kind}` must have each edge of the space once")]
    Edges { kind: String, state: usize },
    #[error("cell kind `{kind}` must have {expected} nodes, found {found}")]
    Nodes { kind: String, expected: usize, found: usize },
    #[error("the {choices} operations of cell kind `{kind}` do not divide into nodes of {each} edges")]
    Split { kind: String, choices: usize, each: String },
    #[error("a path is written as YAML alone")]
    UnwritablePath,
    #[error("cell kind `{kind}` has no such text: its nodes do not have {each} edges each")]
    Unwritable { kind: String, each: String },
}

/// The forms that can be read.
const READABLE: &str = "a genotype is `Genotype(normal=[('op', 0), …], normal_concat=[2, …], …)`, `|op~0|+|op~0|op~1|`, the same as a \
                     dictionary, a list or YAML, a number where the space has a table of its cells, or a text that holds one of these, as a \
                     log does";

impl GenotypeError {
    /// Whether the text is at fault and not what a space makes of it: no other space reads it.
    pub fn is_of_text(&self) -> bool {
        matches!(self, Self::Empty | Self::Syntax { .. } | Self::Names { .. } | Self::NoName { .. })
    }

    /// The way out, where there is one to tell.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownKind { hint, .. }
            | Self::UnknownOperation { hint, .. }
            | Self::UnknownStep { hint, .. }
            | Self::UnknownWidth { hint, .. }
            | Self::UnknownField { hint, .. } => Some(hint.clone()),
            Self::Syntax { hint: Some(hint), .. } => Some(hint.clone()),
            Self::Syntax { .. } | Self::Empty => Some(READABLE.to_owned()),
            Self::Names { .. } => Some("name one behind the file, as in `genotypes.py:DARTS_V2`".to_owned()),
            Self::NoName { names, .. } if names.is_empty() => Some("none in it has a name".to_owned()),
            Self::NoName { names, .. } => Some(format!("there are {names}")),
            Self::Ambiguous { .. } => Some("give the one that is meant as such a text".to_owned()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edited::edited;
    use crate::space::{GenotypeText, shipped};
    use proptest::prelude::*;

    const FORMS: [GenotypeText; 3] = [GenotypeText::CellString, GenotypeText::NamedTuple, GenotypeText::Yaml];

    /// Random DARTS cells: any number of nodes, two edges each, any output.
    fn cell() -> impl Strategy<Value = CellGenotype> {
        const OPERATIONS: [&str; 5] = ["max_pool_3x3", "skip_connect", "sep_conv_7x7", "conv_7x1_1x7", "none"];
        let choice = |state: usize| {
            let operation = proptest::sample::select(&OPERATIONS[..]);
            (operation, 0..state).prop_map(|(operation, source)| Choice { operation: operation.to_owned(), source })
        };
        (1..7_usize).prop_flat_map(move |nodes| {
            let nodes_of = (2..2 + nodes).map(|state| proptest::collection::vec(choice(state), 2)).collect::<Vec<_>>();
            let output = proptest::sample::subsequence((2..2 + nodes).collect::<Vec<_>>(), 1..=nodes);
            (nodes_of, output).prop_map(|(nodes, output)| CellGenotype { nodes, output, widths: Vec::new() })
        })
    }

    proptest! {
        #[test]
        fn every_form_reads_back_what_it_wrote(normal in cell(), reduce in cell()) {
            let space = shipped::space("darts");
            let cells = [("normal".to_owned(), normal), ("reduce".to_owned(), reduce)].into_iter().collect();
            let genotype = Genotype { cells, path: Vec::new() };
            for form in FORMS {
                let text = genotype.to_text(form, &space).unwrap();
                prop_assert_eq!(&Genotype::parse(&text, &space).unwrap(), &genotype, "{}", text);
            }
            let json = serde_json::to_string(&genotype).unwrap();
            prop_assert_eq!(&Genotype::parse(&json, &space).unwrap(), &genotype);
        }

        #[test]
        fn no_text_panics(text in "[a-z_|~+0-9(){}\\[\\],='\": \n#-]{0,60}") {
            let _ = Genotype::parse(&text, &shipped::space("darts"));
            let _ = Genotype::parse(&format!("Genotype({text}"), &shipped::space("nas_bench_201"));
        }
    }

    #[test]
    fn nas_bench_201_cells_read_and_write_in_every_form() {
        let space = shipped::space("nas_bench_201");
        let text = "|none~0|+|skip_connect~0|nor_conv_1x1~1|+|avg_pool_3x3~0|none~1|nor_conv_3x3~2|";
        let genotype = Genotype::parse(text, &space).unwrap();
        assert_eq!(genotype.to_text(GenotypeText::CellString, &space).unwrap(), text);
        for form in FORMS {
            let text = genotype.to_text(form, &space).unwrap();
            assert_eq!(Genotype::parse(&text, &space).unwrap(), genotype, "{text}");
        }
        // The order of a node's edges means nothing here, so that a cell has one text.
        let turned = edited(text, &[("|skip_connect~0|nor_conv_1x1~1|", "|nor_conv_1x1~1|skip_connect~0|")]);
        assert_eq!(Genotype::parse(&turned, &space).unwrap(), genotype);
        assert_eq!(Genotype::parse(&format!("{text:?}"), &space).unwrap(), genotype);
    }

    #[test]
    fn the_darts_text_reads_as_it_is_printed_and_as_people_write_it() {
        let space = shipped::space("darts");
        let genotype = shipped::genotype("darts_v2", &space);
        let text = genotype.to_text(GenotypeText::NamedTuple, &space).unwrap();
        assert_eq!(
            text,
            "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), \
             ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], \
             normal_concat=range(2, 6), reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), \
             ('max_pool_3x3', 1), ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], \
             reduce_concat=range(2, 6))"
        );
        let loose = edited(&text, &[("'", "\""), ("range(2, 6)", "[2,3, 4,5,]"), ("), (", "),\n (")]);
        assert_eq!(Genotype::parse(&format!("# a comment\nDARTS_V2 =\n  {loose}"), &space).unwrap(), genotype);
        let lines = genotype.to_text(GenotypeText::CellString, &space).unwrap();
        assert!(lines.starts_with("normal: |sep_conv_3x3~0|sep_conv_3x3~1|+|sep_conv_3x3~0|"), "{lines}");
        let nasnet = shipped::genotype("nasnet_a", &space);
        assert_eq!(nasnet.cells["normal"].nodes.len(), 5);
        assert_eq!(nasnet.cells["reduce"].output, [4, 5, 6]);
    }

    #[test]
    fn what_is_wrong_with_a_genotype_is_named() {
        let darts = shipped::space("darts");
        let bench = shipped::space("nas_bench_201");
        let v2 = shipped::genotype("darts_v2", &darts).to_text(GenotypeText::NamedTuple, &darts).unwrap();
        let cell = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|";
        for (space, text, message, hint) in [
            (
                &darts,
                v2.replacen("sep_conv_3x3", "sep_conv3x3", 1),
                "unknown operation `sep_conv3x3` in cell kind `normal`",
                "did you mean `sep_conv_3x3`?",
            ),
            (&darts, v2.replacen("reduce=", "reduc=", 1), "unknown field `reduc`", "did you mean `reduce`?"),
            (
                &darts,
                v2.replacen("', 0)", "', 2)", 1),
                "state 2 of cell kind `normal` reads state 2, which is not before it",
                "",
            ),
            (
                &darts,
                v2.replacen("range(2, 6)", "range(2, 7)", 1),
                "cell kind `normal` outputs state 6, its nodes are states 2 to 5",
                "",
            ),
            (
                &darts,
                v2.replacen("('sep_conv_3x3', 0), ", "", 1),
                "the 7 operations of cell kind `normal` do not divide into nodes of 2 edges",
                "",
            ),
            (&darts, v2.replacen(", normal_concat=range(2, 6)", "", 1), "cell kind `normal` has no output", ""),
            (&darts, v2.replacen("range(2, 6)", "range(2, 9999999)", 1), "a range of more than 1024 states", READABLE),
            (&darts, v2.replacen("', 0)", "', zero)", 1), "line 1, column 35: `zero` is a name, not a value", READABLE),
            (
                &darts,
                v2.replacen("', 0)", "', -1)", 1),
                "line 1, column 35: expected a state's number, found `-1`",
                READABLE,
            ),
            (&darts, v2.replacen("', 0)", "', 0, 3)", 1), "says that it goes into state 3", ""),
            (
                &darts,
                format!("{}, bias=0.5)", v2.trim_end_matches(')').to_owned() + ")"),
                "unknown field `bias`",
                "the fields are `normal`, `normal_concat`, `reduce`, `reduce_concat`",
            ),
            (&darts, cell.to_owned(), "a line must begin with its cell kind", ""),
            (&darts, format!("normal: {cell}"), "cell kind `reduce` is missing", ""),
            (&darts, format!("normals: {cell}"), "unknown cell kind `normals`", "did you mean `normal`?"),
            (
                &bench,
                cell.replace("none~2", "nne~2"),
                "unknown operation `nne` in cell kind `cell`",
                "did you mean `none`?",
            ),
            (&bench, cell.replace("none~2", "none2"), "expected `operation~state`, found `none2`", READABLE),
            (
                &bench,
                cell.replace("|none~2", ""),
                "state 3 of cell kind `cell` must have each edge of the space once",
                "",
            ),
            (&bench, "|none~0|".to_owned(), "cell kind `cell` must have 3 nodes, found 1", ""),
            (&bench, cell.replace("+|", "+"), "a node must stand between bars", READABLE),
            (
                &bench,
                "cells: {cell: {nodes: 3, outptu: 1}}".to_owned(),
                "`nodes` must be a list of nodes, found `3`",
                READABLE,
            ),
            (&bench, "# nothing\n".to_owned(), "no genotype in the text", READABLE),
            (&bench, "\n jump".to_owned(), "line 2, column 2: no genotype begins here or behind", READABLE),
            (&bench, "('none', 'none')".to_owned(), "cell kind `cell` has 6 edges, not 2", ""),
            (&bench, "[0, 0, 0, 0, 0, 9]".to_owned(), "there is no operation 9, of 5 counted from 0", ""),
            (
                &bench,
                "(0, 1, 2, 3, 4, 0)".to_owned(),
                "the numbers mean `|none~0|+|skip_connect~0|nor_conv_1x1~1|+|nor_conv_3x3~0|avg_pool_3x3~1|none~2|` \
                 (as `nas_bench_201` lists its candidates) or \
                 `|skip_connect~0|+|none~0|nor_conv_1x1~1|+|nor_conv_3x3~0|avg_pool_3x3~1|skip_connect~2|` (NASLib)",
                "give the one that is meant as such a text",
            ),
            (&darts, "[0, 0]".to_owned(), "a line must begin with its cell kind", ""),
            (&darts, "9930".to_owned(), "`9930` numbers a cell, and this space has no table of its cells", ""),
            (&bench, "{\"cel\": []}".to_owned(), "unknown field `cel`", "did you mean `cell`?"),
        ] {
            let error = Genotype::parse(&text, space).unwrap_err();
            assert!(error.to_string().contains(message), "{text}: {error}");
            assert_eq!(error.hint().unwrap_or_default(), hint, "{text}");
        }
    }

    #[test]
    fn a_cell_that_a_form_cannot_hold_is_refused_in_writing() {
        let space = shipped::space("darts");
        let mut genotype = shipped::genotype("darts_v2", &space);
        genotype.cells["normal"].nodes[1].pop();
        let error = genotype.to_text(GenotypeText::NamedTuple, &space).unwrap_err();
        assert_eq!(error.to_string(), "cell kind `normal` has no such text: its nodes do not have 2 edges each");
        let text = genotype.to_text(GenotypeText::CellString, &space).unwrap();
        assert_eq!(Genotype::parse(&text, &space).unwrap(), genotype);
    }
}
