//! Derivation of every candidate that is heavy enough.
//!
//! FairDARTS (Chu et al., arXiv 1911.12126, section 4.2): where candidates do not compete, the
//! weight of each says by itself whether it belongs into the cell. A node keeps those above a
//! threshold, the heaviest first and no more than the space's rule keeps edges; two of them may lie
//! on one edge.

use crate::space::{CellGenotype, CellKind, Choice, DeriveError, Genotype, KeptEdges, Space};
use std::collections::BTreeMap;

impl Space {
    /// As [`Space::derive`], of candidates heavier than `threshold`. A node without any keeps its
    /// heaviest, which is our choice: a state of a cell needs an edge.
    ///
    /// # Errors
    /// As [`Space::derive`].
    pub fn derive_above(
        &self,
        weights: &BTreeMap<String, Vec<Vec<f64>>>,
        threshold: f64,
    ) -> Result<Genotype, DeriveError> {
        let mut cells = indexmap::IndexMap::new();
        for kind in self.cell_kinds() {
            cells.insert(kind.name.clone(), self.cell_above(kind, self.table_of(kind, weights)?, threshold)?);
        }
        Ok(Genotype { cells, ..Genotype::default() })
    }

    fn cell_above(&self, kind: &CellKind, table: &[Vec<f64>], threshold: f64) -> Result<CellGenotype, DeriveError> {
        // Checks the table as well.
        let usual = self.derive_cell(kind, table)?;
        let mut incoming: Vec<Vec<(f64, Choice)>> = vec![Vec::new(); self.nodes()];
        for ((weights, candidates), &(source, target)) in table.iter().zip(&kind.candidates).zip(self.edges()) {
            for (&weight, operation) in weights.iter().zip(candidates) {
                if !self.derivation().exclude.contains(operation) {
                    incoming[target - self.inputs()].push((weight, Choice { operation: operation.clone(), source }));
                }
            }
        }
        let most = match self.derivation().edges {
            KeptEdges::Best(count) => count,
            KeptEdges::All => usize::MAX,
        };
        let nodes = incoming.into_iter().map(|mut candidates| {
            // Stable: of equal weights the earlier edge's stays first.
            candidates.sort_by(|a, b| b.0.total_cmp(&a.0));
            let above = candidates.iter().take_while(|(weight, _)| *weight > threshold).count();
            candidates.truncate(above.clamp(1, most));
            candidates.into_iter().map(|(_, choice)| choice).collect()
        });
        Ok(CellGenotype { nodes: nodes.collect(), output: usual.output, widths: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::shipped::space;

    #[test]
    fn what_is_above_the_threshold_stays_even_two_of_an_edge_and_never_nothing() {
        // Candidates: none, max, avg, skip, sep 3, sep 5, dil 3, dil 5. Edges: 0-1, 2-4, 5-8, 9-13.
        let mut normal = vec![vec![0.1; 8]; 14];
        for (edge, candidate, weight) in [
            (0, 4, 0.9), // node 2: two of one edge, the heavier first, and a third that is one too many
            (0, 5, 0.95),
            (1, 3, 0.88),
            (2, 0, 0.99), // node 3: `none` does not count, and 0.85 is not above
            (3, 3, 0.85),
            (6, 1, 0.86), // node 4: one alone
        ] {
            normal[edge][candidate] = weight;
        }
        let weights =
            [("alphas_normal".to_owned(), normal), ("alphas_reduce".to_owned(), vec![vec![0.0; 8]; 14])].into();
        let space = space("darts");
        let genotype = space.derive_above(&weights, 0.85).unwrap();
        let words = |node: usize| -> Vec<String> {
            let node = &genotype.cells["normal"].nodes[node];
            node.iter().map(|choice| format!("{}~{}", choice.operation, choice.source)).collect()
        };
        assert_eq!(words(0), ["sep_conv_5x5~0", "sep_conv_3x3~0"]);
        assert_eq!(words(1), ["skip_connect~1"]);
        assert_eq!(words(2), ["max_pool_3x3~1"]);
        assert_eq!(words(3), ["max_pool_3x3~0"], "all tie: the first that may be chosen");
        genotype.check(&space).unwrap();
        assert!(space.derive_above(&BTreeMap::new(), 0.85).is_err());
    }
}
