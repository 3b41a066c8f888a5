//! What a network costs: learned parameters, and multiply-adds of one image.
//!
//! Multiply-adds are those of convolutions and linear layers; pooling, batch norm, activations and sums are not counted, nor
//! are biases. A supernet pays for all candidates. Alphas are no part of it.

use super::network::{Block, Cell, Chain, Layer, LayerKind, Network};
use std::{iter::Sum, ops::Add};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// Learned values.
    pub parameters: u64,
    /// Of one image.
    pub multiply_adds: u64,
}

impl Network {
    /// Without the auxiliary head, which is no part of the network that is used.
    pub fn cost(&self) -> Cost {
        let stems: Cost = self.stems.iter().map(Chain::cost).sum();
        stems + self.blocks.iter().map(Block::cost).sum() + self.head.cost()
    }

    /// Of the auxiliary head alone; nothing where there is none.
    pub fn auxiliary_cost(&self) -> Cost {
        self.auxiliary.as_ref().map(|auxiliary| auxiliary.head.cost()).unwrap_or_default()
    }
}

impl Block {
    pub fn cost(&self) -> Cost {
        match self {
            Self::Cell(cell) => cell.cost(),
            Self::Fixed(chain) => chain.cost(),
        }
    }
}

impl Cell {
    pub fn cost(&self) -> Cost {
        let candidates = self.edges.iter().flat_map(|edge| &edge.candidates).map(|candidate| candidate.chain.cost());
        self.inputs.iter().map(Chain::cost).chain(candidates).sum()
    }
}

impl Chain {
    pub fn cost(&self) -> Cost {
        self.layers.iter().map(Layer::cost).sum()
    }
}

impl Layer {
    pub fn cost(&self) -> Cost {
        let (input, output) = (self.input.channels as u64, self.output.channels as u64);
        let pixels = (self.output.height as u64).saturating_mul(self.output.width as u64);
        match &self.kind {
            LayerKind::Conv(conv) => {
                let [height, width] = conv.kernel.map(|side| side as u64);
                let weights = output * (input / conv.groups as u64) * height * width;
                Cost {
                    parameters: weights + if conv.bias { output } else { 0 },
                    multiply_adds: weights.saturating_mul(pixels),
                }
            }
            LayerKind::FactorizedReduce { .. } => {
                Cost { parameters: input * output, multiply_adds: (input * output).saturating_mul(pixels) }
            }
            LayerKind::BatchNorm { affine } => {
                Cost { parameters: if *affine { 2 * output } else { 0 }, multiply_adds: 0 }
            }
            LayerKind::Linear => {
                let weights = (self.input.elements() as u64).saturating_mul(output);
                Cost { parameters: weights.saturating_add(output), multiply_adds: weights }
            }
            LayerKind::Sum(chains) | LayerKind::Concat(chains) => chains.iter().map(Chain::cost).sum(),
            LayerKind::Identity
            | LayerKind::Zero { .. }
            | LayerKind::Relu
            | LayerKind::MaxPool(_)
            | LayerKind::AvgPool(_)
            | LayerKind::GlobalAvgPool => Cost::default(),
        }
    }
}

impl Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            parameters: self.parameters.saturating_add(other.parameters),
            multiply_adds: self.multiply_adds.saturating_add(other.multiply_adds),
        }
    }
}

impl Sum for Cost {
    fn sum<I: Iterator<Item = Self>>(costs: I) -> Self {
        costs.fold(Self::default(), Add::add)
    }
}
