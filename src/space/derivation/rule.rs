//! A space's rule of derivation.

use crate::config::{Fields, Node, Problems, Value};

/// A space's rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Derivation {
    pub edges: KeptEdges,
    /// Operations that a derived cell never has. They take part in the relaxation all the same.
    pub exclude: Vec<String>,
}

/// Which of a node's incoming edges stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeptEdges {
    All,
    /// So many of those with the heaviest candidates, in the order of that weight; ties go to the
    /// earlier edge.
    Best(usize),
}

impl Derivation {
    pub(in crate::space) fn read(node: &Node, problems: &mut Problems) -> Self {
        let mut fields = Fields::open(node, "`derive`", problems);
        let edges = match fields.required_node("edges") {
            Some(Node { value: Value::Text(word), .. }) if word == "all" => KeptEdges::All,
            Some(Node { value: Value::Integer(count), .. }) if (1..=64).contains(count) => {
                KeptEdges::Best(usize::try_from(*count).unwrap_or(1))
            }
            Some(other) => {
                fields.wrong("edges", other, "`all` or a number of edges from 1 to 64");
                KeptEdges::All
            }
            None => KeptEdges::All,
        };
        let exclude = fields.texts("exclude").unwrap_or_default();
        fields.close();
        Self { edges, exclude }
    }
}
