//! Which candidates a pass computes, where some weigh nothing.

use super::host;
use crate::space::network::{AlphaTable, Level};
use burn::tensor::{Tensor, TensorData};

/// The candidates that a pass computes: those whose mixing weight is not exactly 0. Of an edge with
/// others each of those gets the gradient `⟨G, 1⟩` of its mixing weight, as if it gave ones: GDAS'
/// code has it so (`search_cells.py`; arXiv 1910.04465).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Computed {
    /// By table, the candidates of each edge.
    tables: Vec<Vec<Vec<bool>>>,
}

impl Computed {
    /// Of these mixing weights, `[edges, mixing columns]` a table; waits for the device. `None` where
    /// all candidates weigh something.
    pub fn of(tables: &[AlphaTable], mixing: &[Tensor<2>]) -> Option<Self> {
        let of_table = |(table, weights): (&AlphaTable, &Tensor<2>)| {
            if table.level != Level::Operations {
                return table.candidates.iter().map(|edge| vec![true; edge.len()]).collect();
            }
            let columns = weights.dims()[1];
            let weights = host(weights.clone());
            let edges = table.candidates.iter().zip(weights.chunks(columns.max(1)));
            edges.map(|(edge, row)| row[..edge.len()].iter().map(|weight| *weight != 0.0).collect()).collect()
        };
        let tables: Vec<Vec<Vec<bool>>> = tables.iter().zip(mixing).map(of_table).collect();
        tables.iter().flatten().flatten().any(|computed| !computed).then_some(Self { tables })
    }

    /// Whether a candidate of an edge is computed.
    pub(super) fn has(&self, table: usize, edge: usize, candidate: usize) -> bool {
        self.tables[table][edge][candidate]
    }

    /// Whether all candidates of an edge are.
    pub(super) fn has_all(&self, table: usize, edge: usize) -> bool {
        self.tables[table][edge].iter().all(|computed| *computed)
    }

    /// What the others of each edge weigh together, which is 0 with a gradient.
    ///
    /// # Shapes
    /// tables `[edges, mixing columns]` → `[edges]` each
    pub(super) fn others(&self, mixing: &[Tensor<2>]) -> Vec<Tensor<1>> {
        let of_table = |(edges, weights): (&Vec<Vec<bool>>, &Tensor<2>)| {
            let [rows, columns] = weights.dims();
            let of_edge = |edge: &Vec<bool>| {
                let mut row: Vec<f32> = edge.iter().map(|computed| f32::from(u8::from(!computed))).collect();
                row.resize(columns, 0.0);
                row
            };
            let mask: Vec<f32> = edges.iter().flat_map(of_edge).collect();
            let mask = Tensor::from_data(TensorData::new(mask, [rows, columns]), &weights.device());
            (weights.clone() * mask).sum_dim(1).reshape([rows])
        };
        self.tables.iter().zip(mixing).map(of_table).collect()
    }
}
