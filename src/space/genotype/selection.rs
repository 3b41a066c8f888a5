//! A genotype as a selection among a supernet's candidates.

use crate::space::{CellGenotype, CellKind, Space};

impl Space {
    /// For each edge of a searched cell of this kind, in the order of its alpha table's rows, the
    /// column of the candidate that `cell` keeps there; `None` where it drops the edge.
    pub fn selection(&self, kind: &CellKind, cell: &CellGenotype) -> Vec<Option<usize>> {
        let of_edge = |(&(source, target), candidates): (&(usize, usize), &Vec<String>)| {
            let node = cell.nodes.get(target - self.inputs())?;
            let choice = node.iter().find(|choice| choice.source == source)?;
            candidates.iter().position(|operation| *operation == choice.operation)
        };
        self.edges().iter().zip(&kind.candidates).map(of_edge).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::space::shipped;
    use std::collections::BTreeMap;

    /// Deriving from weights of 1 at the selection and 0 elsewhere gives the genotype back.
    #[test]
    fn a_selection_is_what_derivation_would_take() {
        let space = shipped::space("darts");
        let genotype = shipped::genotype("darts_v2", &space);
        let mut weights = BTreeMap::new();
        for kind in space.cell_kinds() {
            let selection = space.selection(kind, &genotype.cells[&kind.name]);
            assert_eq!(selection.len(), 14);
            assert_eq!(selection.iter().flatten().count(), 8);
            let row = |(column, candidates): (Option<usize>, &Vec<String>)| {
                (0..candidates.len()).map(|at| f64::from(u8::from(Some(at) == column))).collect::<Vec<_>>()
            };
            let rows: Vec<Vec<f64>> = selection.into_iter().zip(&kind.candidates).map(row).collect();
            weights.insert(kind.alphas.clone(), rows);
        }
        let derived = space.derive(&weights).unwrap();
        for (kind, cell) in &genotype.cells {
            let sorted = |cell: &crate::space::CellGenotype| -> Vec<Vec<(usize, String)>> {
                let node = |node: &Vec<crate::space::Choice>| {
                    let mut node: Vec<_> =
                        node.iter().map(|choice| (choice.source, choice.operation.clone())).collect();
                    node.sort();
                    node
                };
                cell.nodes.iter().map(node).collect()
            };
            assert_eq!(sorted(&derived.cells[kind]), sorted(cell));
        }
    }
}
