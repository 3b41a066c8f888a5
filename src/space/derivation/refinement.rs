//! Derivation of cells with at most so many of an operation.
//!
//! The refinement of P-DARTS (Chen et al. 2019, arXiv 1904.12760, section 3.3), which keeps
//! skip-connections, the sign of a collapsed search, to two: while a derived cell has too many, the
//! weakest of them is given the weight zero and the cell is derived again.

use crate::space::{CellGenotype, CellKind, DeriveError, Genotype, Space};
use std::collections::BTreeMap;

/// At most `count` of `operation` in a cell of `kind`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    pub kind: String,
    pub operation: String,
    pub count: usize,
}

/// A candidate that was given the weight zero.
#[derive(Debug, Clone, PartialEq)]
pub struct Struck {
    pub kind: String,
    pub operation: String,
    /// The states that its edge joins.
    pub source: usize,
    pub target: usize,
    /// Its weight before.
    pub weight: f64,
}

impl Space {
    /// As [`Space::derive`], within `limits`; and what had to be struck, in turn. Of equally weak
    /// candidates the one on the later edge goes, as the earlier edge wins a tie of the derivation.
    ///
    /// # Errors
    /// As [`Space::derive`], or where no cell is within the limits.
    pub fn derive_within_limits(
        &self,
        weights: &BTreeMap<String, Vec<Vec<f64>>>,
        limits: &[Limit],
    ) -> Result<(Genotype, Vec<Struck>), DeriveError> {
        if self.lattice().is_some() {
            return match limits {
                [] => Ok((self.derive(weights)?, Vec::new())),
                _ => Err(DeriveError::LimitedPath),
            };
        }
        let mut cells = indexmap::IndexMap::new();
        let mut struck = Vec::new();
        for kind in self.cell_kinds() {
            let of_kind: Vec<&Limit> = limits.iter().filter(|limit| limit.kind == kind.name).collect();
            let table = self.table_of(kind, weights)?.to_vec();
            cells.insert(kind.name.clone(), self.refine(kind, table, &of_kind, &mut struck)?);
        }
        Ok((Genotype { cells, ..Genotype::default() }, struck))
    }

    fn refine(
        &self,
        kind: &CellKind,
        mut table: Vec<Vec<f64>>,
        limits: &[&Limit],
        struck: &mut Vec<Struck>,
    ) -> Result<CellGenotype, DeriveError> {
        let mut gone: Vec<(usize, usize)> = Vec::new();
        loop {
            let cell = self.derive_cell(kind, &table)?;
            let kept = |limit: &Limit| self.places(kind, &cell, &limit.operation);
            let Some((limit, places)) =
                limits.iter().map(|limit| (limit, kept(limit))).find(|(limit, places)| places.len() > limit.count)
            else {
                return Ok(cell);
            };
            let left = places.iter().copied().filter(|place| !gone.contains(place));
            let weight = |&(row, column): &(usize, usize)| table[row][column];
            let weakest = left.min_by(|a, b| weight(a).total_cmp(&weight(b)).then(b.cmp(a)));
            let Some((row, column)) = weakest else {
                return Err(DeriveError::Limit {
                    kind: kind.name.clone(),
                    operation: limit.operation.clone(),
                    count: limit.count,
                    found: places.len(),
                });
            };
            let (source, target) = self.edges()[row];
            let (kind, operation) = (kind.name.clone(), limit.operation.clone());
            struck.push(Struck { kind, operation, source, target, weight: table[row][column] });
            table[row][column] = 0.0;
            gone.push((row, column));
        }
    }

    /// Where in its table a cell's choices of `operation` are: row and column.
    fn places(&self, kind: &CellKind, cell: &CellGenotype, operation: &str) -> Vec<(usize, usize)> {
        let nodes = cell.nodes.iter().enumerate();
        let choices =
            nodes.flat_map(|(node, choices)| choices.iter().map(move |choice| (node + self.inputs(), choice)));
        choices
            .filter(|(_, choice)| choice.operation == operation)
            .filter_map(|(target, choice)| {
                let row = self.edges().iter().position(|edge| *edge == (choice.source, target))?;
                Some((row, kind.candidates[row].iter().position(|candidate| candidate == operation)?))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::shipped::space;

    fn limit(kind: &str, operation: &str, count: usize) -> Limit {
        Limit { kind: kind.to_owned(), operation: operation.to_owned(), count }
    }

    fn count(cell: &CellGenotype, operation: &str) -> usize {
        cell.nodes.iter().flatten().filter(|choice| choice.operation == operation).count()
    }

    /// Candidates: none, max, avg, skip, sep 3, …; skip leads on every edge, the less the later the
    /// edge.
    fn skips() -> BTreeMap<String, Vec<Vec<f64>>> {
        let rows = || {
            let row = |edge: usize| {
                let mut row = vec![0.05; 8];
                (row[3], row[4]) = (0.5 - 0.01 * edge as f64, 0.3);
                row
            };
            (0..14).map(row).collect()
        };
        [("alphas_normal".to_owned(), rows()), ("alphas_reduce".to_owned(), rows())].into()
    }

    #[test]
    fn the_weakest_go_until_as_many_are_left_as_may_be_and_other_kinds_are_left_alone() {
        let space = space("darts");
        let (genotype, struck) = space.derive_within_limits(&skips(), &[limit("normal", "skip_connect", 2)]).unwrap();
        assert_eq!(count(&genotype.cells["normal"], "skip_connect"), 2);
        assert_eq!(count(&genotype.cells["reduce"], "skip_connect"), 8);
        // Node 2 keeps edges 0 and 1, the two strongest of all.
        let first = &genotype.cells["normal"].nodes[0];
        assert!(first.iter().all(|choice| choice.operation == "skip_connect"), "{first:?}");
        // Struck from the weakest of those that the cell had at the time: node 5's edges in turn,
        // then node 4's.
        let weights: Vec<f64> = struck.iter().map(|struck| struck.weight).collect();
        assert_eq!((struck[0].source, struck[0].target), (1, 5));
        assert!((weights[0] - 0.4).abs() < 1e-12, "{weights:?}");
        assert_eq!(struck.len(), 12, "each of nodes 3, 4, 5 has skips on all its edges: {struck:?}");
        genotype.check(&space).unwrap();
    }

    #[test]
    fn what_is_within_its_limits_is_derived_as_ever() {
        let space = space("darts");
        let (genotype, struck) = space.derive_within_limits(&skips(), &[limit("normal", "skip_connect", 8)]).unwrap();
        assert_eq!((genotype, struck.len()), (space.derive(&skips()).unwrap(), 0));
    }

    #[test]
    fn of_equally_weak_ones_the_later_edge_goes_first() {
        let rows = vec![vec![0.1, 0.5, 0.2, 0.1, 0.1]; 6];
        let weights = [("arch_parameters".to_owned(), rows)].into();
        let space = space("nas_bench_201");
        let (genotype, struck) = space.derive_within_limits(&weights, &[limit("cell", "skip_connect", 4)]).unwrap();
        let edges: Vec<(usize, usize)> = struck.iter().map(|struck| (struck.source, struck.target)).collect();
        assert_eq!(edges, [(2, 3), (1, 3)]);
        assert_eq!(count(&genotype.cells["cell"], "nor_conv_1x1"), 2, "the next best");
    }

    #[test]
    fn a_limit_that_no_cell_keeps_is_said() {
        let rows = vec![vec![0.0, 0.5, 0.0, 0.0, 0.0]; 6];
        let weights = [("arch_parameters".to_owned(), rows)].into();
        // All weights become zero, the first candidate leads: `none` on every edge, which two may
        // be.
        let limits = [limit("cell", "skip_connect", 0), limit("cell", "none", 2)];
        let error = space("nas_bench_201").derive_within_limits(&weights, &limits).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cell kind `cell` has 6 `none` and not at most 2, whichever are struck: nothing outweighs them"
        );
    }
}
