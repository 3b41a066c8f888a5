//! The cells that a supernet stands for after an epoch, and what they are made of.

use super::candidate_kind::{CandidateKind, CandidateKinds};
use crate::{
    space::{Genotype, Space, network::Network},
    train::TableRecord,
};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The operations of a derived cell.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellCounts {
    /// By operation, in the order of the space; 0 for one that the cell does not have.
    pub operations: IndexMap<String, usize>,
    /// How many have no weights that are learned: skips, poolings, and those that contribute
    /// nothing.
    pub parameter_free: usize,
    pub learnable: usize,
}

/// Mixing weights by table, as the derivation rule reads them.
pub fn mixing_weights(tables: &[TableRecord]) -> BTreeMap<String, Vec<Vec<f64>>> {
    let wide = |rows: &Vec<Vec<f32>>| rows.iter().map(|row| row.iter().copied().map(f64::from).collect()).collect();
    tables.iter().map(|table| (table.label.clone(), wide(&table.weights))).collect()
}

/// By table of `network`, for each edge the column that is kept.
pub(super) type Selection = Vec<Vec<Option<usize>>>;

pub(super) fn selection(derived: &Genotype, space: &Space, network: &Network) -> Selection {
    if !derived.path.is_empty() {
        return space.selection_of_path(derived, &network.alphas);
    }
    let of_table = |table: &crate::space::network::AlphaTable| {
        let cell = space.cell_kind(&table.kind).zip(derived.cells.get(&table.kind));
        cell.map_or_else(|| vec![None; table.rows()], |(kind, cell)| space.selection(kind, cell))
    };
    network.alphas.iter().map(of_table).collect()
}

pub(super) fn counts(
    derived: &Genotype,
    space: &Space,
    network: &Network,
    selection: &[Vec<Option<usize>>],
    kinds: &CandidateKinds,
) -> IndexMap<String, CellCounts> {
    let mut counts = IndexMap::new();
    for kind in space.cell_kinds() {
        let mut of_kind = CellCounts::default();
        for operation in kind.candidates.iter().flatten() {
            of_kind.operations.entry(operation.clone()).or_insert(0);
        }
        for choice in derived.of_kind(&kind.name).flat_map(|cell| cell.nodes.iter().flatten()) {
            *of_kind.operations.entry(choice.operation.clone()).or_insert(0) += 1;
        }
        let table = network.alphas.iter().position(|table| table.kind == kind.name);
        if let Some((table, rows)) = table.map(|table| (table, &selection[table])) {
            for (row, column) in rows.iter().enumerate().filter_map(|(row, column)| Some((row, (*column)?))) {
                match kinds.get(table, row, column) {
                    Some(CandidateKind::Learnable) => of_kind.learnable += 1,
                    _ => of_kind.parameter_free += 1,
                }
            }
        }
        counts.insert(kind.name.clone(), of_kind);
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::shipped;

    /// DARTS-V2: six separable convolutions of eight edges in the normal cell; a reduction cell of
    /// five poolings and three skips.
    #[test]
    fn a_published_cell_is_counted() {
        let space = shipped::space("darts");
        let network = space.supernet(&shipped::build("search", 32, 10)).unwrap();
        let genotype = shipped::genotype("darts_v2", &space);
        let selection = selection(&genotype, &space, &network);
        let counts = counts(&genotype, &space, &network, &selection, &CandidateKinds::of(&network));
        let of = |kind: &str, operation: &str| counts[kind].operations[operation];
        assert_eq!((of("normal", "sep_conv_3x3"), of("normal", "skip_connect")), (5, 2));
        assert_eq!((counts["normal"].learnable, counts["normal"].parameter_free), (6, 2));
        assert_eq!(of("reduce", "max_pool_3x3") + of("reduce", "skip_connect"), 8);
        assert_eq!((counts["reduce"].learnable, counts["reduce"].parameter_free), (0, 8));
        assert_eq!(of("normal", "none"), 0);
    }
}
