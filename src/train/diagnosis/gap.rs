//! The discretisation gap: what a supernet loses when its derived cells alone are left of it, with
//! the weights that it has.
//!
//! That is the supernet with mixing weights of 1 at the candidates that derivation keeps and 0 at
//! all others. A candidate that weighs nothing need not be computed, so what is evaluated is the
//! network without it. Where edges have more than candidates (channels that pass by, betas, an
//! auxiliary skip) that stays as it is, and the whole supernet is evaluated.

use crate::{
    model::{Mode, Model},
    space::network::{AlphaRows, AlphaTable, Block, Cell, Edge, Network},
    tasks::{Batch, Score},
    train::Learner,
};
use burn::tensor::{Device, Tensor, TensorData};

/// A supernet of which the kept candidates are left.
pub(super) enum Discretised {
    /// Nothing else is computed.
    Network(Box<Model>),
    /// The weights of all candidates, 0 and 1, `[edges, candidates]` a table.
    Weights(Vec<Tensor<2>>),
}

impl Discretised {
    pub fn of(learner: &Learner, selection: &[Vec<Option<usize>>]) -> Self {
        let network = learner.model.network();
        let has_more = |edge: &Edge| edge.partial.is_some() || edge.skip.is_some();
        let cells = network.blocks.iter().filter_map(|block| match block {
            Block::Cell(cell) => Some(cell),
            Block::Fixed { .. } => None,
        });
        let more = cells.flat_map(|cell| &cell.edges).any(has_more);
        // A path is left of a lattice, of which the mixture of its maps stays.
        if more || network.exit.is_some() || network.alphas.iter().any(|table| table.betas.is_some()) {
            let device = learner.state.alphas.values().device();
            let tables = network.alphas.iter().zip(selection);
            return Self::Weights(tables.map(|(table, kept)| one_hot(table, kept, &device)).collect());
        }
        Self::Network(Box::new(learner.model.like(discretised(network, selection))))
    }

    /// On a batch in evaluation mode: with the running statistics of the supernet, as nothing is
    /// trained anew.
    pub fn score(&self, learner: &Learner, batch: &Batch) -> Score {
        let inputs = batch.inputs.clone();
        let outputs = match self {
            Self::Weights(weights) => learner.evaluate_at(weights.clone(), inputs),
            Self::Network(model) => {
                let (weights, running) = learner.evaluated();
                model.forward(Mode::Evaluate, &weights.views(), &running, &[], inputs).outputs
            }
        };
        // The loss is no part of the gap.
        learner.objective.score(&outputs, &batch.targets)
    }
}

/// 1 at the candidate that each edge keeps: `[edges, candidates]`.
fn one_hot(table: &AlphaTable, kept: &[Option<usize>], device: &Device) -> Tensor<2> {
    let shape = [table.rows(), table.columns()];
    let row = |column: &Option<usize>| {
        let column = *column;
        (0..shape[1]).map(move |at| f32::from(u8::from(Some(at) == column)))
    };
    let numbers: Vec<f32> = kept.iter().flat_map(row).collect();
    Tensor::from_data(TensorData::new(numbers, shape), device)
}

/// The network of the kept candidates alone. It has no tables of its own; its tensors are called
/// what they are in the supernet.
fn discretised(network: &Network, selection: &[Vec<Option<usize>>]) -> Network {
    let kept = |cell: &Cell, AlphaRows { table, first }| {
        let edge = |(edge, column): (&Edge, &Option<usize>)| {
            let candidates = vec![edge.candidates.get((*column)?)?.clone()];
            Some(Edge { source: edge.source, target: edge.target, candidates, skip: None, partial: None })
        };
        Cell {
            edges: cell.edges.iter().zip(&selection[table][first..]).filter_map(edge).collect(),
            alphas: None,
            ..cell.clone()
        }
    };
    let block = |block: &Block| match block {
        Block::Cell(cell) => Block::Cell(cell.alphas.map_or_else(|| cell.clone(), |rows| kept(cell, rows))),
        fixed => fixed.clone(),
    };
    Network { blocks: network.blocks.iter().map(block).collect(), alphas: Vec::new(), ..network.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{Mixing, OUTPUT, host},
        train::tiny,
    };
    /// The network of what is kept computes what the supernet does with weights of 0 and 1; where
    /// all edges into a node are gone or chose `none`, nothing arrives.
    #[test]
    fn it_is_the_supernet_with_one_hot_mixing_weights() {
        let learner = tiny::learner(tiny::SPACE, &tiny::config(Mixing::Softmax));
        let network = learner.model.network();
        let batch = tiny::batches().remove(0);
        let mut seen = Vec::new();
        for selection in [
            [Some(2), Some(0), Some(0)],
            [Some(1), None, Some(0)],
            [Some(2), None, Some(1)],
            [None, Some(0), None],
            [Some(0), None, Some(0)],
        ] {
            let one_hot = one_hot(&network.alphas[0], &selection, &Device::flex());
            let forward = |model: &Model, mixing: &[Tensor<2>]| {
                let views = learner.state.weights.views();
                let outputs =
                    model.forward(Mode::Evaluate, &views, &learner.state.running, mixing, batch.inputs.clone()).outputs;
                host(outputs.scores(OUTPUT))
            };
            let expected = forward(&learner.model, &[one_hot]);
            let small = learner.model.like(discretised(network, &[selection.to_vec()]));
            let found = forward(&small, &[]);
            assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-5), "{found:?} is not {expected:?}");
            seen.push(found);
        }
        assert_ne!(seen[0], seen[1]);
        assert!(seen[2].chunks(3).all(|logits| logits == &seen[2][..3]), "nothing of an image arrives at the output");
    }
}
