//! The same supernet with nodes of chosen widths: a part of the same tensors, smaller maps.

use super::lowering::error::SpaceError;
use super::network::{Block, Cell, Edge, Network, Node, Widths};

impl Network {
    /// The network in which each node that chooses its width has that of its row in `choices`. Each of
    /// its tensors is the beginning of the full one along every side.
    ///
    /// # Errors
    /// Where an operation has a layer that cannot be narrowed.
    pub fn narrowed(&self, choices: &[usize]) -> Result<Self, SpaceError> {
        let Some(widths) = &self.widths else { return Ok(self.clone()) };
        let of_block = |block: &Block| match block {
            Block::Cell(cell) => cell.narrowed(widths, choices).map(Block::Cell),
            fixed @ Block::Fixed { .. } => Ok(fixed.clone()),
        };
        let blocks = self.blocks.iter().map(of_block).collect::<Result<_, _>>()?;
        Ok(Self { blocks, ..self.clone() })
    }
}

impl Widths {
    /// The number of the narrowest choice.
    pub fn narrowest(&self) -> usize {
        let smallest = self.channels.iter().enumerate().min_by_key(|(_, channels)| **channels);
        smallest.map_or(0, |(choice, _)| choice)
    }
}

impl Cell {
    fn narrowed(&self, widths: &Widths, choices: &[usize]) -> Result<Self, SpaceError> {
        let of_node = |node: &Node| {
            let chosen = node.choice.map(|row| widths.channels[choices[row]]);
            Node { channels: chosen.unwrap_or(node.channels), ..*node }
        };
        let nodes: Vec<Node> = self.nodes.iter().map(of_node).collect();
        let channels = |state: usize| state.checked_sub(self.inputs.len()).map(|node| nodes[node].channels);
        let of_edge = |edge: &Edge| {
            let mut edge = edge.clone();
            let (from, to) = (channels(edge.source), channels(edge.target).unwrap_or(self.size.channels));
            let chains = edge.candidates.iter_mut().map(|candidate| &mut candidate.chain).chain(&mut edge.skip);
            for chain in chains {
                *chain = chain.narrowed(from.unwrap_or(self.size.channels), to)?;
            }
            Ok(edge)
        };
        let edges = self.edges.iter().map(of_edge).collect::<Result<_, SpaceError>>()?;
        Ok(Self { edges, nodes, ..self.clone() })
    }
}
