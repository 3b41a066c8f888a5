//! What a candidate has to learn: read off the lowered supernet, whatever the operation is called.

use crate::space::network::{AlphaRows, Block, Candidate, Network};

/// Whether a candidate has weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum CandidateKind {
    /// It contributes nothing: its output is zero, and so is what it is worth.
    Zero,
    /// An identity or a pooling, with a batch norm that learns nothing perhaps.
    ParameterFree,
    Learnable,
}

/// The kind of each candidate by table, edge and column.
#[derive(Debug)]
pub(super) struct CandidateKinds(Vec<Vec<Vec<CandidateKind>>>);

impl CandidateKinds {
    /// Of a supernet. Cells that share a table share its candidates; one is learnable where it is
    /// so in any of them.
    pub fn of(network: &Network) -> Self {
        let blank = |table: &crate::space::network::AlphaTable| {
            table.candidates.iter().map(|edge| vec![CandidateKind::Zero; edge.len()]).collect::<Vec<_>>()
        };
        let mut tables: Vec<_> = network.alphas.iter().map(blank).collect();
        for block in &network.blocks {
            let Block::Cell(cell) = block else { continue };
            let Some(AlphaRows { table, first }) = cell.alphas else { continue };
            for (row, edge) in tables[table][first..].iter_mut().zip(&cell.edges) {
                for (found, candidate) in row.iter_mut().zip(&edge.candidates) {
                    *found = kind(candidate).max(*found);
                }
            }
        }
        Self(tables)
    }

    /// `None` for a column that the edge does not use.
    pub fn get(&self, table: usize, row: usize, column: usize) -> Option<CandidateKind> {
        self.0.get(table)?.get(row)?.get(column).copied()
    }
}

fn kind(candidate: &Candidate) -> CandidateKind {
    match (candidate.is_zero(), candidate.is_learnable()) {
        (true, _) => CandidateKind::Zero,
        (false, true) => CandidateKind::Learnable,
        (false, false) => CandidateKind::ParameterFree,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::shipped;

    /// DARTS' skip is the identity, and where it halves the sides it is a pair of convolutions.
    #[test]
    fn a_skip_that_halves_the_sides_learns_and_a_pooling_with_its_batch_norm_does_not() {
        let network = shipped::space("darts").supernet(&shipped::build("search", 32, 10)).unwrap();
        let kinds = CandidateKinds::of(&network);
        let table = |kind: &str| network.alphas.iter().position(|table| table.kind == kind).unwrap();
        let row = |kind: &str, row: usize| (0..9).map_while(|at| kinds.get(table(kind), row, at)).collect::<Vec<_>>();
        use CandidateKind::{Learnable as L, ParameterFree as F, Zero as Z};
        assert_eq!(row("normal", 0), [Z, F, F, F, L, L, L, L]);
        assert_eq!(row("reduce", 0), [Z, F, F, L, L, L, L, L], "an edge from an input of the cell");
        assert_eq!(row("reduce", 4), [Z, F, F, F, L, L, L, L], "an edge between two nodes");
    }
}
