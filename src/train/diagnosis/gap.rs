//! The discretisation gap: what a supernet loses when its derived cells alone are left of it, with the weights that it has.
//!
//! That is the supernet with mixing weights of 1 at the candidates that derivation keeps and 0 at all others. A candidate that weighs
//! nothing need not be computed, so what is evaluated is the network without it.

use crate::{
    model::{Mode, Model},
    space::network::{Block, Cell, Edge, Network},
    tasks::{self, Batch, Score},
    train::Learner,
};

/// The network of the kept candidates alone. It has no tables of its own; its tensors are called what they are in the supernet.
pub(super) fn discretised(network: &Network, selection: &[Vec<Option<usize>>]) -> Network {
    let kept = |cell: &Cell, table: usize| {
        let edge = |(edge, column): (&Edge, &Option<usize>)| {
            Some(Edge { candidates: vec![edge.candidates.get((*column)?)?.clone()], ..*edge })
        };
        Cell {
            edges: cell.edges.iter().zip(&selection[table]).filter_map(edge).collect(),
            alphas: None,
            ..cell.clone()
        }
    };
    let block = |block: &Block| match block {
        Block::Cell(cell) => Block::Cell(cell.alphas.map_or_else(|| cell.clone(), |table| kept(cell, table))),
        fixed => fixed.clone(),
    };
    Network { blocks: network.blocks.iter().map(block).collect(), alphas: Vec::new(), ..network.clone() }
}

/// Of `model`, which has a part of the learner's network, on a batch in evaluation mode: with the running statistics of the supernet, as
/// nothing is trained anew.
pub(super) fn score(learner: &Learner, model: &Model, batch: &Batch) -> Score {
    let (weights, running) = learner.evaluated();
    let logits = model.forward(Mode::Evaluate, &weights.views(), &running, &[], batch.images.clone()).logits;
    // The loss is no part of the gap.
    tasks::score(logits, batch.labels.clone(), 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{Mixing, host},
        train::tiny,
    };
    use burn::tensor::{Device, Tensor, TensorData};

    /// The network of what is kept computes what the supernet does with weights of 0 and 1; where all edges into a node are gone or
    /// chose `none`, nothing arrives.
    #[test]
    fn it_is_the_supernet_with_one_hot_mixing_weights() {
        let learner = tiny::learner(tiny::SPACE, &tiny::config(Mixing::Softmax));
        let network = learner.model.network();
        let batch = tiny::task().batches(0, 0).unwrap().next().unwrap().unwrap();
        let mut seen = Vec::new();
        for selection in [
            [Some(2), Some(0), Some(0)],
            [Some(1), None, Some(0)],
            [Some(2), None, Some(1)],
            [None, Some(0), None],
            [Some(0), None, Some(0)],
        ] {
            let table = &network.alphas[0];
            let numbers = selection
                .iter()
                .flat_map(|column| (0..table.columns()).map(move |at| f32::from(u8::from(Some(at) == *column))));
            let shape = [table.rows(), table.columns()];
            let one_hot =
                Tensor::<2>::from_data(TensorData::new(numbers.collect::<Vec<f32>>(), shape), &Device::flex());
            let forward = |model: &Model, mixing: &[Tensor<2>]| {
                let views = learner.weights.views();
                host(model.forward(Mode::Evaluate, &views, &learner.running, mixing, batch.images.clone()).logits)
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
