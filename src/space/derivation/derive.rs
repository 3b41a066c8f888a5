//! Derivation: from mixing weights to a genotype.
//!
//! The rule is part of a space. `{edges: 2, exclude: [none]}` is the one of DARTS (Liu et al. 2019,
//! section 2.4): at each node the two incoming edges whose best candidate, `none` aside, weighs
//! most. `{edges: all}` is the one of NAS-Bench-201: on every edge its heaviest candidate.

use crate::space::genotype::{CellGenotype, Choice, Genotype};
use crate::space::{CellKind, KeptEdges, Space};
use std::collections::BTreeMap;

/// The weights do not fit the space.
#[derive(Debug, thiserror::Error)]
pub enum DeriveError {
    #[error("no mixing weights `{alphas}` for cell kind `{kind}`")]
    Missing { kind: String, alphas: String },
    #[error("mixing weights `{alphas}` have {found} rows, the cell has {expected} edges")]
    Rows { alphas: String, found: usize, expected: usize },
    #[error("mixing weights `{alphas}` weigh {found} maps, and no lattice of this space has so many")]
    Maps { alphas: String, found: usize },
    #[error("a path through a lattice has no limits of operations")]
    LimitedPath,
    #[error("row {row} of mixing weights `{alphas}` has {found} columns, the edge has {expected} candidates")]
    Columns { alphas: String, row: usize, found: usize, expected: usize },
    #[error("mixing weight `{alphas}[{row}][{column}]` is not a number")]
    NotANumber { alphas: String, row: usize, column: usize },
    #[error(
        "cell kind `{kind}` has {found} `{operation}` and not at most {count}, whichever are struck: nothing outweighs them"
    )]
    Limit { kind: String, operation: String, count: usize, found: usize },
}

impl Space {
    /// The cell that the rule takes from `weights`: by label of the alpha table, a row an edge, a
    /// column a candidate, after the relaxation (and after edge normalisation, where a method has
    /// it). Columns past an edge's candidates are not looked at.
    ///
    /// # Errors
    /// Where the weights are not of this space, or are no numbers.
    pub fn derive(&self, weights: &BTreeMap<String, Vec<Vec<f64>>>) -> Result<Genotype, DeriveError> {
        if let Some(lattice) = self.lattice() {
            return self.derive_path(lattice, weights);
        }
        let mut cells = indexmap::IndexMap::new();
        for kind in self.cell_kinds() {
            cells.insert(kind.name.clone(), self.derive_cell(kind, self.table_of(kind, weights)?)?);
        }
        Ok(Genotype { cells, ..Genotype::default() })
    }

    pub(super) fn table_of<'a>(
        &self,
        kind: &CellKind,
        weights: &'a BTreeMap<String, Vec<Vec<f64>>>,
    ) -> Result<&'a [Vec<f64>], DeriveError> {
        let missing = || DeriveError::Missing { kind: kind.name.clone(), alphas: kind.alphas.clone() };
        weights.get(&kind.alphas).map(Vec::as_slice).ok_or_else(missing)
    }

    pub(super) fn derive_cell(&self, kind: &CellKind, table: &[Vec<f64>]) -> Result<CellGenotype, DeriveError> {
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
        Ok(CellGenotype { nodes, output: self.output_states(self.nodes()), widths: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::shipped::space;

    fn table(edges: usize, heavy: &[(usize, usize, f64)]) -> Vec<Vec<f64>> {
        let mut rows = vec![vec![0.1; 8]; edges];
        for &(edge, candidate, weight) in heavy {
            rows[edge][candidate] = weight;
        }
        rows
    }

    fn words(cell: &CellGenotype) -> Vec<String> {
        cell.nodes.iter().flatten().map(|choice| format!("{}~{}", choice.operation, choice.source)).collect()
    }

    #[test]
    fn the_two_best_edges_stay_without_none_in_the_order_of_their_weight_and_ties_go_to_the_earlier() {
        // Candidates: none, max, avg, skip, sep 3, sep 5, dil 3, dil 5. Edges: 0-1, 2-4, 5-8, 9-13.
        let normal = table(
            14,
            &[
                (1, 4, 0.5), // node 2: edge 1 before edge 0
                (2, 0, 0.9), // `none` on top counts for nothing
                (3, 3, 0.2),
                (4, 7, 0.3),
                (6, 1, 0.4), // node 4: a tie of edges 6 and 8
                (8, 2, 0.4),
                (12, 5, 0.2), // node 5: a tie of candidates on edge 12, then all edges tie
                (12, 6, 0.2),
            ],
        );
        let weights = [("alphas_normal".to_owned(), normal), ("alphas_reduce".to_owned(), table(14, &[]))].into();
        let genotype = space("darts").derive(&weights).unwrap();
        assert_eq!(
            words(&genotype.cells["normal"]),
            [
                "sep_conv_3x3~1",
                "max_pool_3x3~0",
                "dil_conv_5x5~2",
                "skip_connect~1",
                "max_pool_3x3~1",
                "avg_pool_3x3~3",
                "sep_conv_5x5~3",
                "max_pool_3x3~0",
            ]
        );
        assert_eq!(genotype.cells["normal"].output, [2, 3, 4, 5]);
        assert!(words(&genotype.cells["reduce"]).iter().all(|word| word.starts_with("max_pool_3x3")));
        genotype.check(&space("darts")).unwrap();
    }

    #[test]
    fn where_all_edges_stay_none_can_win() {
        let mut rows = vec![vec![0.1; 5]; 6];
        rows[0][0] = 0.9;
        rows[4][3] = 0.9;
        let genotype = space("nas_bench_201").derive(&[("arch_parameters".to_owned(), rows)].into()).unwrap();
        let expected = ["none~0", "none~0", "none~1", "none~0", "nor_conv_3x3~1", "none~2"];
        assert_eq!(words(&genotype.cells["cell"]), expected);
        assert_eq!(genotype.cells["cell"].output, [3]);
    }

    #[test]
    fn weights_of_another_shape_are_refused() {
        let said = |rows: Vec<Vec<f64>>| {
            space("nas_bench_201").derive(&[("arch_parameters".to_owned(), rows)].into()).unwrap_err().to_string()
        };
        assert_eq!(said(vec![vec![0.0; 5]; 5]), "mixing weights `arch_parameters` have 5 rows, the cell has 6 edges");
        assert_eq!(
            said(vec![vec![0.0; 4]; 6]),
            "row 0 of mixing weights `arch_parameters` has 4 columns, the edge has 5 candidates"
        );
        assert_eq!(said(vec![vec![f64::NAN; 5]; 6]), "mixing weight `arch_parameters[0][0]` is not a number");
        let missing = space("nas_bench_201").derive(&BTreeMap::new()).unwrap_err();
        assert_eq!(missing.to_string(), "no mixing weights `arch_parameters` for cell kind `cell`");
    }

    /// The softmax of a golden file's alphas, times that of the betas over the edges into a node
    /// where it has some, and the genotype that the reference derived from them.
    fn golden(file: &str) -> (BTreeMap<String, Vec<Vec<f64>>>, serde_json::Value) {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file);
        let bytes = std::fs::read(path).unwrap();
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
        let genotype = serde_json::from_str(&header.metadata().as_ref().unwrap()["genotype"]).unwrap();
        let softmax = |row: &[f32]| {
            let exponentials: Vec<f64> = row.iter().map(|&alpha| f64::from(alpha).exp()).collect();
            let sum: f64 = exponentials.iter().sum();
            exponentials.into_iter().map(|value| value / sum).collect::<Vec<f64>>()
        };
        let mut weights: BTreeMap<String, Vec<Vec<f64>>> = BTreeMap::new();
        let mut betas = BTreeMap::new();
        for (name, view) in tensors.tensors() {
            let Some(label) = name.strip_prefix("alpha.") else { continue };
            let (words, _) = view.data().as_chunks::<4>();
            let values: Vec<f32> = words.iter().map(|word| f32::from_le_bytes(*word)).collect();
            match view.shape() {
                [_, columns] => _ = weights.insert(label.to_owned(), values.chunks(*columns).map(softmax).collect()),
                _ => _ = betas.insert(label.replace("betas", "alphas"), values),
            }
        }
        for (label, betas) in betas {
            let mut shares = [0..2, 2..5, 5..9, 9..14].into_iter().flat_map(|edges| softmax(&betas[edges]));
            for row in weights.get_mut(&label).unwrap() {
                let share = shares.next().unwrap();
                row.iter_mut().for_each(|weight| *weight *= share);
            }
        }
        (weights, genotype)
    }

    #[test]
    fn the_reference_derives_the_same_cells() {
        for (name, file) in [
            ("darts", "darts_supernet.safetensors"),
            ("darts", "pcdarts_supernet.safetensors"),
            ("nas_bench_201", "nb201_supernet.safetensors"),
        ] {
            let space = space(name);
            let (weights, genotype) = golden(file);
            let expected = Genotype::parse(&genotype.to_string(), &space).unwrap();
            assert_eq!(space.derive(&weights).unwrap(), expected, "{name}");
        }
    }
}
