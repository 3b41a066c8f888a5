//! The same network for images of other sides: the same tensors, larger or smaller maps.

use super::lowering::error::SpaceError;
use super::network::{Auxiliary, Block, Cell, Chain, Edge, FeatureMap, Head, Network, Node, OutputSpec};

/// Height and width.
type Sides = [usize; 2];

impl Network {
    /// The network for images of `[height, width]`, with its auxiliary head if `auxiliary`. Outputs
    /// are as large as follows from it.
    ///
    /// # Errors
    /// Where a layer cannot read such a map: a window that does not fit, odd sides that are halved, a
    /// linear layer, which reads maps of one size.
    pub fn resized(&self, sides: Sides, auxiliary: bool) -> Result<Self, SpaceError> {
        let mut newest = sides;
        let mut states = Vec::new();
        let mut stems = Vec::new();
        for stem in &self.stems {
            let chain;
            (chain, newest) = stem.resized(newest)?;
            stems.push(chain);
            states.push(newest);
        }
        let mut blocks = Vec::new();
        for block in &self.blocks {
            let resized;
            (resized, newest) = match block {
                Block::Cell(cell) => {
                    let (cell, next) = cell.resized(&states)?;
                    (Block::Cell(cell), next)
                }
                Block::Fixed { reads, chain } => {
                    let (chain, next) = chain.resized(states[*reads])?;
                    (Block::Fixed { reads: *reads, chain }, next)
                }
            };
            blocks.push(resized);
            states.push(newest);
        }
        let of_auxiliary = |known: &Auxiliary| {
            let (head, _) = known.head.resized(states[self.stems.len() + known.after])?;
            Ok(Auxiliary { head, ..*known })
        };
        let auxiliary = self.auxiliary.as_ref().filter(|_| auxiliary).map(of_auxiliary).transpose()?;
        let read = self.exit.as_ref().map_or(newest, |exit| states[exit.states[0]]);
        let (trunk, features) = self.trunk.resized(read)?;
        let of_head = |head: &Head| {
            let (chain, sides) = head.chain.resized(features)?;
            let output = OutputSpec { name: head.output.name.clone(), size: sized(head.output.size, sides) };
            Ok(Head { output, chain })
        };
        let heads = self.heads.iter().map(of_head).collect::<Result<_, SpaceError>>()?;
        Ok(Self {
            input: sized(self.input, sides),
            stems,
            blocks,
            exit: self.exit.clone(),
            trunk,
            heads,
            auxiliary,
            alphas: self.alphas.clone(),
            widths: self.widths.clone(),
            norms: self.norms,
        })
    }
}

impl Cell {
    fn resized(&self, states: &[Sides]) -> Result<(Self, Sides), SpaceError> {
        let newest = states[self.reads[self.reads.len() - 1]];
        let inputs = self.inputs.iter().zip(&self.reads);
        let inputs = inputs.map(|(adapter, &state)| adapter.resized_to(states[state], newest));
        let inputs = inputs.collect::<Result<_, _>>()?;
        let size = sized(self.size, newest).strided(self.stride);
        let of_edge = |edge: &Edge| {
            let from = if edge.source < self.inputs.len() { newest } else { sides_of(size) };
            edge.resized(from, sides_of(size))
        };
        let edges = self.edges.iter().map(of_edge).collect::<Result<_, _>>()?;
        let of_node = |node: &Node| {
            let then = node.then.resized_to(sides_of(size), sides_of(size))?;
            Ok(Node { then, ..node.clone() })
        };
        let nodes = self.nodes.iter().map(of_node).collect::<Result<_, SpaceError>>()?;
        let (then, next) = self.then.resized(sides_of(size))?;
        let (kind, reads, output) = (self.kind.clone(), self.reads.clone(), self.output.clone());
        Ok((Self { kind, inputs, reads, edges, nodes, size, output, then, ..*self }, next))
    }
}

impl Edge {
    fn resized(&self, from: Sides, to: Sides) -> Result<Self, SpaceError> {
        let mut resized = self.clone();
        let candidates = resized.candidates.iter_mut().map(|candidate| &mut candidate.chain);
        let bypass = resized.partial.iter_mut().map(|partial| &mut partial.bypass);
        for chain in candidates.chain(&mut resized.skip).chain(bypass) {
            *chain = chain.resized_to(from, to)?;
        }
        Ok(resized)
    }
}

impl Chain {
    /// The chain on a map of those sides, and the sides of what it gives.
    pub(super) fn resized(&self, from: Sides) -> Result<(Self, Sides), SpaceError> {
        let mut sides = from;
        let mut layers = Vec::with_capacity(self.layers.len());
        for layer in &self.layers {
            let layer = layer.resized(sides)?;
            sides = sides_of(layer.output);
            layers.push(layer);
        }
        Ok((Self { layers }, sides))
    }

    fn resized_to(&self, from: Sides, to: Sides) -> Result<Self, SpaceError> {
        let (chain, found) = self.resized(from)?;
        if found == to {
            return Ok(chain);
        }
        let last = self.layers.last();
        let map = |[height, width]: Sides| FeatureMap {
            channels: last.map_or(0, |layer| layer.output.channels),
            height,
            width,
        };
        let place = last.map(|layer| layer.label.clone()).unwrap_or_default();
        Err(SpaceError::Shape { place, found: map(found), needed: map(to) })
    }
}

fn sides_of(map: FeatureMap) -> Sides {
    [map.height, map.width]
}

fn sized(map: FeatureMap, [height, width]: Sides) -> FeatureMap {
    FeatureMap { height, width, ..map }
}
