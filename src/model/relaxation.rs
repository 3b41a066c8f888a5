//! From alphas to mixing weights: the relaxation of a choice among candidates.

use super::{
    Gumbel, Views,
    ragged::{is_ragged, masked, one_hot, used},
    sparsestmax::sparsestmax,
};
use crate::space::network::{AlphaTable, Level};
use burn::tensor::{Tensor, activation};

/// The function *p(α)* at one moment of a search: how an edge's alphas become the weights of its
/// candidates. What each is for stands with [`Mixing`](super::Mixing).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Relaxation {
    Softmax,
    Sigmoid,
    /// 1 for the largest alpha of an edge, the first of equal ones, and 0 for the others; without a
    /// gradient.
    OneHot,
    Gumbel(Gumbel),
    Sparsestmax {
        /// From 0 to 1.
        radius: f64,
    },
}

/// That of each level.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Relaxations {
    pub operations: Relaxation,
    pub path: Relaxation,
    pub width: Relaxation,
}

impl Relaxations {
    /// The mixing weights of each table.
    ///
    /// # Shapes
    /// tables `[edges, candidates]` → the same; columns that a narrow edge does not use are 0.
    pub fn weights(self, tables: &[AlphaTable], alphas: &Views) -> Vec<Tensor<2>> {
        let of = |(number, table): (usize, &AlphaTable)| {
            let relaxation = match table.level {
                Level::Operations => self.operations,
                Level::Path => self.path,
                Level::Width => self.width,
            };
            relaxation.table(number, table, alphas.get(&table.label))
        };
        tables.iter().enumerate().map(of).collect()
    }
}

impl Relaxation {
    /// The mixing weights of each table, whatever it decides.
    ///
    /// # Shapes
    /// tables `[edges, candidates]` → the same; columns that a narrow edge does not use are 0.
    pub fn weights(self, tables: &[AlphaTable], alphas: &Views) -> Vec<Tensor<2>> {
        Relaxations { operations: self, path: self, width: self }.weights(tables, alphas)
    }

    fn table(self, number: usize, table: &AlphaTable, alpha: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Softmax => activation::softmax(masked(table, alpha), 1),
            Self::Sigmoid if is_ragged(table) => {
                let used = used(table, &alpha.device());
                activation::sigmoid(alpha) * used
            }
            Self::Sigmoid => activation::sigmoid(alpha),
            Self::OneHot => one_hot(table, alpha),
            Self::Gumbel(gumbel) => gumbel.table(number, table, alpha),
            Self::Sparsestmax { radius } => sparsestmax(table, alpha, radius),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        host,
        tiny::{alphas, table},
    };
    use super::*;

    /// With G = dL/df and b_k = <G, o_k>: softmax gives p_k (b_k - Σ p_m b_m), sigmoid s (1 - s)
    /// b_k.
    #[test]
    fn alpha_gradients_are_the_two_formulas() {
        let (alpha, benefit) = (vec![0.3_f32, -0.2, 0.9], [2.0_f32, -1.0, 0.5]);
        for mixing in [Relaxation::Softmax, Relaxation::Sigmoid] {
            let group = alphas([1, 3], alpha.clone());
            let leaves = group.leaves();
            let weights = mixing.weights(&[table(&[3])], &leaves).remove(0);
            let by = Tensor::<2>::from_data([benefit], &weights.device());
            let found = host(group.gradient(&leaves, &(weights * by).sum().backward()));
            let expected: Vec<f32> = match mixing {
                Relaxation::Softmax => {
                    let total: f32 = alpha.iter().map(|a| a.exp()).sum();
                    let p: Vec<f32> = alpha.iter().map(|a| a.exp() / total).collect();
                    let mean: f32 = p.iter().zip(benefit).map(|(p, b)| p * b).sum();
                    p.iter().zip(benefit).map(|(p, b)| p * (b - mean)).collect()
                }
                _ => {
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
        for (mixing, expected) in [
            (Relaxation::Softmax, [0.5, 0.5, 0.0]),
            (Relaxation::Sigmoid, [0.5, 0.5, 0.0]),
            // Of equal ones the first.
            (Relaxation::OneHot, [1.0, 0.0, 0.0]),
        ] {
            let group = alphas([2, 3], vec![0.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
            let weights = host(mixing.weights(&[table(&[3, 2])], &group.views()).remove(0));
            assert_eq!(weights[3..], expected, "{mixing:?}");
        }
    }
}
