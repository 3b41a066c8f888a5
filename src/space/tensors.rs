//! The named tensors of a network, in a fixed order: stems, blocks, head, auxiliary head, each from input to output.

use super::network::{Block, Chain, Layer, LayerKind, Network, TensorRole, TensorSpec};
use std::collections::HashSet;

impl Network {
    /// All tensors but the alpha tables; no two have a name in common.
    pub fn tensors(&self) -> Vec<TensorSpec> {
        let mut specs = Vec::new();
        self.layers(&mut |layer| layer.tensors(&mut specs));
        specs
    }

    /// A name that two tensors have, if there is one.
    pub(super) fn duplicate_tensor(&self) -> Option<String> {
        // Two tensors share a name exactly if two layers share a label: what follows the label has no dot.
        let mut seen = HashSet::new();
        let mut twice = None;
        self.layers(&mut |layer| {
            let labels = match &layer.kind {
                LayerKind::FactorizedReduce { first, second } => [first.as_str(), second.as_str()],
                LayerKind::Conv(_) | LayerKind::Linear | LayerKind::BatchNorm { .. } => [layer.label.as_str(), ""],
                _ => return,
            };
            let given = if matches!(layer.kind, LayerKind::FactorizedReduce { .. }) { 2 } else { 1 };
            for label in &labels[..given] {
                if !seen.insert((*label).to_owned()) {
                    twice.get_or_insert_with(|| (*label).to_owned());
                }
            }
        });
        twice
    }

    /// Every layer that may hold tensors, in the order of [`tensors`](Self::tensors).
    fn layers<'a>(&'a self, visit: &mut impl FnMut(&'a Layer)) {
        self.stems.iter().for_each(|chain| chain.layers(visit));
        for block in &self.blocks {
            match block {
                Block::Cell(cell) => {
                    cell.inputs.iter().for_each(|chain| chain.layers(visit));
                    let candidates = cell.edges.iter().flat_map(|edge| &edge.candidates);
                    candidates.for_each(|candidate| candidate.chain.layers(visit));
                }
                Block::Fixed(chain) => chain.layers(visit),
            }
        }
        self.head.layers(visit);
        if let Some(auxiliary) = &self.auxiliary {
            auxiliary.head.layers(visit);
        }
    }
}

impl Chain {
    /// Every layer, those inside sums and concatenations included.
    pub(super) fn layers<'a>(&'a self, visit: &mut impl FnMut(&'a Layer)) {
        for layer in &self.layers {
            match &layer.kind {
                LayerKind::Sum(chains) | LayerKind::Concat(chains) => {
                    // Through a trait object, as the recursion would otherwise need a type for each depth.
                    let visit: &mut dyn FnMut(&'a Layer) = visit;
                    chains.iter().for_each(|chain| chain.layers(&mut |layer| visit(layer)));
                }
                _ => visit(layer),
            }
        }
    }
}

impl Layer {
    fn tensors(&self, specs: &mut Vec<TensorSpec>) {
        let mut add = |label: &str, part: &str, shape: Vec<usize>, role| {
            let name = if label.is_empty() { part.to_owned() } else { format!("{label}.{part}") };
            specs.push(TensorSpec { name, shape, role });
        };
        let (input, output) = (self.input.channels, self.output.channels);
        match &self.kind {
            LayerKind::Conv(conv) => {
                let [height, width] = conv.kernel;
                let fan_in = input / conv.groups * height * width;
                let shape = vec![output, input / conv.groups, height, width];
                add(&self.label, "weight", shape, TensorRole::Weight { fan_in });
                if conv.bias {
                    add(&self.label, "bias", vec![output], TensorRole::Bias { fan_in });
                }
            }
            LayerKind::FactorizedReduce { first, second } => {
                let half = output / 2;
                add(first, "weight", vec![half, input, 1, 1], TensorRole::Weight { fan_in: input });
                add(second, "weight", vec![output - half, input, 1, 1], TensorRole::Weight { fan_in: input });
            }
            LayerKind::BatchNorm { affine } => {
                if *affine {
                    add(&self.label, "weight", vec![output], TensorRole::Scale);
                    add(&self.label, "bias", vec![output], TensorRole::Shift);
                }
                add(&self.label, "running_mean", vec![output], TensorRole::RunningMean);
                add(&self.label, "running_var", vec![output], TensorRole::RunningVar);
            }
            LayerKind::Linear => {
                let fan_in = self.input.elements();
                add(&self.label, "weight", vec![output, fan_in], TensorRole::Weight { fan_in });
                add(&self.label, "bias", vec![output], TensorRole::Bias { fan_in });
            }
            LayerKind::Identity
            | LayerKind::Zero { .. }
            | LayerKind::Relu
            | LayerKind::MaxPool(_)
            | LayerKind::AvgPool(_)
            | LayerKind::GlobalAvgPool
            | LayerKind::Sum(_)
            | LayerKind::Concat(_) => {}
        }
    }
}
