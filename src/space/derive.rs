//! Derivation: from mixing weights to a genotype.
//!
//! The rule is part of a space. `{edges: 2, exclude: [none]}` is the one of DARTS (Liu et al. 2019, section 2.4): at each
//! node the two incoming edges whose best candidate, `none` aside, weighs most. `{edges: all}` is the one of
//! NAS-Bench-201: on every edge its heaviest candidate.

use super::genotype::{CellGenotype, Choice, Genotype};
use super::{CellKind, Space};
use crate::config::{Fields, Node, Problems, Value};
use std::collections::BTreeMap;

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
    /// So many of those with the heaviest candidates, in the order of that weight; ties go to the earlier edge.
    Best(usize),
}

/// The weights do not fit the space.
#[derive(Debug, thiserror::Error)]
pub enum DeriveError {
    #[error("no mixing weights `{alphas}` for cell kind `{kind}`")]
    Missing { kind: String, alphas: String },
    #[error("mixing weights `{alphas}` have {found} rows, the cell has {expected} edges")]
    Rows { alphas: String, found: usize, expected: usize },
    #[error("row {row} of mixing weights `{alphas}` has {found} columns, the edge has {expected} candidates")]
    Columns { alphas: String, row: usize, found: usize, expected: usize },
    #[error("mixing weight `{alphas}[{row}][{column}]` is not a number")]
    NotANumber { alphas: String, row: usize, column: usize },
}

impl Derivation {
    pub(super) fn read(node: &Node, problems: &mut Problems) -> Self {
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

impl Space {
    /// The cell that the rule takes from `weights`: by label of the alpha table, a row an edge, a column a candidate,
    /// after the relaxation (and after edge normalisation, where a method has it). Columns past an edge's candidates
    /// are not looked at.
    pub fn derive(&self, weights: &BTreeMap<String, Vec<Vec<f64>>>) -> Result<Genotype, DeriveError> {
        let mut cells = indexmap::IndexMap::new();
        for kind in self.cell_kinds() {
            let missing = || DeriveError::Missing { kind: kind.name.clone(), alphas: kind.alphas.clone() };
            let table = weights.get(&kind.alphas).ok_or_else(missing)?;
            cells.insert(kind.name.clone(), self.derive_cell(kind, table)?);
        }
        Ok(Genotype { cells })
    }

    fn derive_cell(&self, kind: &CellKind, table: &[Vec<f64>]) -> Result<CellGenotype, DeriveError> {
        let alphas = || kind.alphas.clone();
        if table.len() != kind.candidates.len() {
            return Err(DeriveError::Rows { alphas: alphas(), found: table.len(), expected: kind.candidates.len() });
        }
        // A node's incoming edges with their best candidates, in the order of the rows.
        let mut incoming: Vec<Vec<(f64, Choice)>> = vec![Vec::new(); self.nodes()];
        for (row, ((weights, candidates), &(source, target))) in
            table.iter().zip(&kind.candidates).zip(self.edges()).enumerate()
        {
            if weights.len() < candidates.len() {
                let (found, expected) = (weights.len(), candidates.len());
                return Err(DeriveError::Columns { alphas: alphas(), row, found, expected });
            }
            if let Some(column) = weights[..candidates.len()].iter().position(|weight| weight.is_nan()) {
                return Err(DeriveError::NotANumber { alphas: alphas(), row, column });
            }
            let mut best: Option<(f64, &String)> = None;
            for (&weight, operation) in weights.iter().zip(candidates) {
                if !self.derivation().exclude.contains(operation) && best.is_none_or(|(most, _)| weight > most) {
                    best = Some((weight, operation));
                }
            }
            let (weight, operation) = best.expect("a space has no edge whose candidates are all excluded");
            incoming[target - self.inputs()].push((weight, Choice { operation: operation.clone(), source }));
        }
        if let KeptEdges::Best(count) = self.derivation().edges {
            for edges in &mut incoming {
                // Stable: of equal weights the earlier edge stays first.
                edges.sort_by(|a, b| b.0.total_cmp(&a.0));
                edges.truncate(count);
            }
        }
        let nodes = incoming.into_iter().map(|edges| edges.into_iter().map(|(_, choice)| choice).collect()).collect();
        Ok(CellGenotype { nodes, output: self.output_states(self.nodes()) })
    }
}
