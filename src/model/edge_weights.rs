//! What everything on an edge is multiplied with: its candidates, and what it has beside them.

use super::Views;
use crate::space::network::{AlphaTable, Betas, Extra, Level};
use burn::tensor::{Int, Tensor, TensorData, activation};

/// The mixing weights of each table, whole: `candidates` are those that the relaxation gives. Where
/// edges are normalised (PC-DARTS, arXiv 1907.05737, eq. 5) each row is multiplied with its edge's
/// share, the softmax of the betas over the edges into a node; then come the columns of
/// [`AlphaTable::extras`]. `auxiliary` is the weight of the auxiliary skip connection, which falls
/// from 1 to 0 over a search (DARTS-, arXiv 2009.01027, eq. 9).
///
/// # Shapes
/// `[edges, candidates]` → `[edges, mixing_columns]`
pub fn edge_weights(
    tables: &[AlphaTable],
    candidates: Vec<Tensor<2>>,
    alphas: &Views,
    auxiliary: f64,
) -> Vec<Tensor<2>> {
    tables.iter().zip(candidates).map(|(table, weights)| of_table(table, weights, alphas, auxiliary)).collect()
}

/// The same weights, those of edges between nodes that choose their widths multiplied with the scores of
/// the choices: of a choice that was drawn, 1 with the gradient of its weight.
///
/// # Shapes
/// `[edges, mixing_columns]` → the same
pub(super) fn scored_weights(tables: &[AlphaTable], weights: &[Tensor<2>]) -> Vec<Tensor<2>> {
    let choices = tables.iter().position(|table| table.level == Level::Width);
    let scores = choices.map(|table| {
        let weights = weights[table].clone();
        (weights.clone() * weights.detach()).sum_dim(1)
    });
    let of = |(table, weights): (&AlphaTable, &Tensor<2>)| match &scores {
        Some(scores) if !table.scores.is_empty() => weights.clone() * of_edges(table, scores),
        _ => weights.clone(),
    };
    tables.iter().zip(weights).map(of).collect()
}

/// The product of the scores of each edge: `[choices, 1]` → `[edges, 1]`.
fn of_edges(table: &AlphaTable, scores: &Tensor<2>) -> Tensor<2> {
    // Where an edge has fewer than the most, the last row stands for a score that is 1.
    let [choices, _] = scores.dims();
    let device = scores.device();
    let scores = Tensor::cat(vec![scores.clone(), Tensor::ones([1, 1], &device)], 0);
    let most = table.scores.iter().map(Vec::len).max().unwrap_or(0);
    let factors = (0..most).map(|at| {
        let rows: Vec<i32> = table.scores.iter().map(|rows| rows.get(at).copied().unwrap_or(choices) as i32).collect();
        let count = [rows.len()];
        let rows: Tensor<1, Int> = Tensor::from_data(TensorData::new(rows, count), &device);
        scores.clone().select(0, rows)
    });
    factors.reduce(|product, factor| product * factor).unwrap_or_else(|| Tensor::ones([table.rows(), 1], &device))
}

fn of_table(table: &AlphaTable, weights: Tensor<2>, alphas: &Views, auxiliary: f64) -> Tensor<2> {
    let share = table.betas.as_ref().map(|betas| shares(betas, alphas.get(&betas.label)));
    if share.is_none() && table.extras.is_empty() {
        return weights;
    }
    let ones = || Tensor::ones([table.rows(), 1], &weights.device());
    let extras: Vec<Tensor<2>> = table
        .extras
        .iter()
        .map(|extra| {
            let share = share.clone().unwrap_or_else(ones);
            match extra {
                Extra::Bypass => share,
                Extra::Skip => share.mul_scalar(auxiliary),
            }
        })
        .collect();
    let weights = match share {
        Some(share) => weights * share,
        None => weights,
    };
    Tensor::cat([vec![weights], extras].concat(), 1)
}

/// Softmax over the edges into each node: `[edges]` → `[edges, 1]`.
fn shares(betas: &Betas, values: Tensor<1>) -> Tensor<2> {
    let mut first = 0;
    let nodes = betas.targets.chunk_by(|one, next| one == next).map(|edges| {
        let of_node = values.clone().narrow(0, first, edges.len());
        first += edges.len();
        activation::softmax(of_node, 0)
    });
    Tensor::cat(nodes.collect(), 0).unsqueeze_dim(1)
}

#[cfg(test)]
mod tests {
    use super::super::{Layout, TensorGroup, host};
    use super::*;
    use burn::tensor::Device;
    use std::sync::Arc;

    fn table(extras: &[Extra], targets: Option<&[usize]>) -> AlphaTable {
        let betas = targets.map(|targets| Betas { label: "b".to_owned(), targets: targets.to_vec() });
        let candidates = vec![vec!["x".to_owned(), "y".to_owned()]; 3];
        let (label, kind, extras) = ("a".to_owned(), "cell".to_owned(), extras.to_vec());
        AlphaTable { label, kind, candidates, betas, extras, ..AlphaTable::default() }
    }

    fn group() -> TensorGroup {
        let layout = Layout::new([("b".to_owned(), vec![3])]);
        TensorGroup::from_host(Arc::new(layout), vec![5.0, 0.0, 3.0_f32.ln()], &Device::flex())
    }

    fn weighed(table: AlphaTable) -> Vec<f32> {
        let weights = Tensor::<2>::from_data([[0.5, 0.5], [0.25, 0.75], [1.0, 0.0]], &Device::flex());
        host(edge_weights(&[table], vec![weights], &group().views(), 0.5).remove(0))
    }

    #[track_caller]
    fn near(found: &[f32], expected: &[f32]) {
        assert_eq!(found.len(), expected.len(), "{found:?}");
        assert!(found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-6), "{found:?}");
    }

    #[test]
    fn columns_stand_behind_the_candidates_and_an_edge_alone_at_its_node_keeps_its_weight() {
        assert_eq!(weighed(table(&[], None)), [0.5, 0.5, 0.25, 0.75, 1.0, 0.0]);
        near(&weighed(table(&[Extra::Skip], None)), &[0.5, 0.5, 0.5, 0.25, 0.75, 0.5, 1.0, 0.0, 0.5]);
        let targets: &[usize] = &[1, 2, 2];
        near(&weighed(table(&[], Some(targets))), &[0.5, 0.5, 0.0625, 0.1875, 0.75, 0.0]);
        let expected = [0.5, 0.5, 1.0, 0.5, 0.0625, 0.1875, 0.25, 0.125, 0.75, 0.0, 0.75, 0.375];
        near(&weighed(table(&[Extra::Bypass, Extra::Skip], Some(targets))), &expected);
    }

    /// With n the shares of a node and b the gradient that reaches them: `n_j (b_j − Σ n b)`.
    #[test]
    fn the_betas_of_a_node_compete_and_not_those_of_others() {
        let group = group();
        let leaves = group.leaves();
        let table = table(&[Extra::Bypass], Some(&[1, 2, 2]));
        let weights = Tensor::<2>::zeros([3, 2], &Device::flex().autodiff());
        let found = edge_weights(&[table], vec![weights], &leaves, 0.0).remove(0);
        let benefit = Tensor::<2>::from_data([[0.0, 0.0, 7.0], [0.0, 0.0, 2.0], [0.0, 0.0, -1.0]], &found.device());
        let gradient = host(group.gradient(&leaves, &(found * benefit).sum().backward()));
        // Shares 1, 1/4 and 3/4; the mean benefit of the second node is -1/4.
        near(&gradient, &[0.0, 0.25 * 2.25, 0.75 * -0.75]);
    }
}
