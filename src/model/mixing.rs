//! From alphas to mixing weights: the relaxation of a choice among candidates.

use super::Views;
use crate::space::network::AlphaTable;
use burn::tensor::{Device, Tensor, TensorData, activation};

/// How an edge's alphas become the weights of its candidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mixing {
    /// Weights of an edge sum to 1: raising one lowers the others (DARTS, arXiv 1806.09055, eq. 2).
    Softmax,
    /// Each weight by itself in (0, 1): candidates do not compete (arXiv 2012.11337; FairDARTS).
    Sigmoid,
}

impl Mixing {
    /// The mixing weights of each table.
    ///
    /// # Shapes
    /// tables `[edges, candidates]` → the same; columns that a narrow edge does not use are 0.
    pub fn weights(self, tables: &[AlphaTable], alphas: &Views) -> Vec<Tensor<2>> {
        tables.iter().map(|table| self.table(table, alphas.get(&table.label))).collect()
    }

    fn table(self, table: &AlphaTable, alpha: Tensor<2>) -> Tensor<2> {
        let ragged = table.candidates.iter().any(|edge| edge.len() < table.columns());
        match self {
            Self::Softmax if ragged => {
                let unused = used(table, &alpha.device()).sub_scalar(1.0).mul_scalar(FAR_BELOW);
                activation::softmax(alpha + unused, 1)
            }
            Self::Softmax => activation::softmax(alpha, 1),
            Self::Sigmoid if ragged => {
                let used = used(table, &alpha.device());
                activation::sigmoid(alpha) * used
            }
            Self::Sigmoid => activation::sigmoid(alpha),
        }
    }
}

/// Subtracted from an unused alpha: exp of it is exactly 0, and unlike infinity it makes no NaN.
const FAR_BELOW: f32 = 1e30;

/// 1 where an edge has a candidate, 0 elsewhere: `[edges, candidates]`.
fn used(table: &AlphaTable, device: &Device) -> Tensor<2> {
    let shape = [table.rows(), table.columns()];
    let numbers: Vec<f32> = table
        .candidates
        .iter()
        .flat_map(|edge| (0..table.columns()).map(|column| f32::from(u8::from(column < edge.len()))))
        .collect();
    Tensor::from_data(TensorData::new(numbers, shape), device)
}

#[cfg(test)]
mod tests {
    use super::super::{Layout, TensorGroup, tensor_group::host};
    use super::*;
    use std::sync::Arc;

    fn table(widths: &[usize]) -> AlphaTable {
        let names = |width: usize| (0..width).map(|at| at.to_string()).collect();
        AlphaTable {
            label: "alphas".into(),
            kind: "cell".into(),
            candidates: widths.iter().map(|&width| names(width)).collect(),
            ..AlphaTable::default()
        }
    }

    fn alphas(shape: [usize; 2], numbers: Vec<f32>) -> TensorGroup {
        let layout = Layout::new([("alphas".to_owned(), shape.to_vec())]);
        TensorGroup::from_host(Arc::new(layout), numbers, &Device::flex())
    }

    /// With G = dL/df and b_k = <G, o_k>: softmax gives p_k (b_k - Σ p_m b_m), sigmoid s (1 - s) b_k.
    #[test]
    fn alpha_gradients_are_the_two_formulas() {
        let (alpha, benefit) = (vec![0.3_f32, -0.2, 0.9], [2.0_f32, -1.0, 0.5]);
        for mixing in [Mixing::Softmax, Mixing::Sigmoid] {
            let group = alphas([1, 3], alpha.clone());
            let leaves = group.leaves();
            let weights = mixing.weights(&[table(&[3])], &leaves).remove(0);
            let by = Tensor::<2>::from_data([benefit], &weights.device());
            let found = host(group.gradient(&leaves, &(weights * by).sum().backward()));
            let expected: Vec<f32> = match mixing {
                Mixing::Softmax => {
                    let total: f32 = alpha.iter().map(|a| a.exp()).sum();
                    let p: Vec<f32> = alpha.iter().map(|a| a.exp() / total).collect();
                    let mean: f32 = p.iter().zip(benefit).map(|(p, b)| p * b).sum();
                    p.iter().zip(benefit).map(|(p, b)| p * (b - mean)).collect()
                }
                Mixing::Sigmoid => {
                    let s = |a: &f32| 1.0 / (1.0 + (-a).exp());
                    alpha.iter().zip(benefit).map(|(a, b)| s(a) * (1.0 - s(a)) * b).collect()
                }
            };
            for (found, expected) in found.iter().zip(&expected) {
                assert!((found - expected).abs() < 1e-6, "{mixing:?}: {found} is not {expected}");
            }
        }
    }

    #[test]
    fn a_narrow_edge_gives_no_weight_to_columns_it_lacks() {
        for (mixing, expected) in [(Mixing::Softmax, [0.5, 0.5, 0.0]), (Mixing::Sigmoid, [0.5, 0.5, 0.0])] {
            let group = alphas([2, 3], vec![0.0; 6]);
            let weights = host(mixing.weights(&[table(&[3, 2])], &group.views()).remove(0));
            assert_eq!(weights[3..], expected, "{mixing:?}");
        }
    }
}
