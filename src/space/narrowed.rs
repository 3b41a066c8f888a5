//! The same supernet with nodes of chosen widths: a part of the same tensors, smaller maps.

use super::lowering::error::SpaceError;
use super::network::{Block, Candidate, Cell, Edge, Network, Node, Widths};

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

    /// Whether nodes can be as wide as they please: what a search would find out when it draws widths. The
    /// cells of a lattice are all as wide, and made of the same candidates.
    pub(super) fn check_widths(&self) -> Result<(), SpaceError> {
        let cells = self.blocks.iter().find_map(|block| match block {
            Block::Cell(cell) => Some(cell),
            Block::Fixed { .. } => None,
        });
        for (widths, cell) in self.widths.iter().zip(cells) {
            let of = |state: usize| match state.checked_sub(cell.inputs.len()).map(|node| &cell.nodes[node]) {
                Some(node) if node.choice.is_some() => widths.channels.clone(),
                _ => vec![cell.size.channels],
            };
            for edge in &cell.edges {
                let into = of(edge.target);
                for from in of(edge.source) {
                    into.iter().try_for_each(|&to| edge.narrowed([from, to]).map(drop))?;
                }
            }
        }
        Ok(())
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
            Node { channels: chosen.unwrap_or(node.channels), ..node.clone() }
        };
        let nodes: Vec<Node> = self.nodes.iter().map(of_node).collect();
        let channels = |state: usize| match state.checked_sub(self.inputs.len()) {
            Some(node) => nodes[node].channels,
            None => self.size.channels,
        };
        let of_edge = |edge: &Edge| edge.narrowed([channels(edge.source), channels(edge.target)]);
        let edges = self.edges.iter().map(of_edge).collect::<Result<_, SpaceError>>()?;
        Ok(Self { edges, nodes, ..self.clone() })
    }
}

impl Edge {
    /// Between nodes of those widths.
    fn narrowed(&self, [from, to]: [usize; 2]) -> Result<Self, SpaceError> {
        let mut edge = self.clone();
        for candidate in &mut edge.candidates {
            candidate.chain = candidate.chain.narrowed(from, to)?;
            let found = candidate.chain.layers.last().map_or(from, |layer| layer.output.channels);
            if found != to {
                let Candidate { operation, .. } = candidate;
                return Err(SpaceError::Narrowed { operation: operation.clone(), found, needed: to });
            }
        }
        Ok(edge)
    }
}

/// The places, among the numbers of a tensor of the sides `whole`, of its beginning along each side.
pub fn beginning(part: &[usize], whole: &[usize]) -> Vec<usize> {
    let sides = part.iter().zip(whole);
    sides.fold(vec![0], |places, (&count, side)| {
        places.iter().flat_map(|place| (0..count).map(move |at| place * side + at)).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        edited::edited,
        space::{Space, shipped},
    };

    /// It would be found out in the middle of a search, when two widths are drawn that differ.
    #[test]
    fn an_operation_that_does_not_give_what_its_node_chose_is_refused_before_a_search() {
        let text = std::fs::read_to_string(shipped::path("trilevel_sr.yaml")).unwrap();
        let said = |operation: &str| {
            let text = edited(&text, &[("skip: [{pointwise: {label: ''}}, relu]", operation)]);
            let space = Space::parse(&shipped::path("s.yaml"), text).unwrap();
            space.supernet(&shipped::build_for_images("search", 8, 4)).map(drop).map_err(|error| error.to_string())
        };
        assert_eq!(said("skip: [{pointwise: {label: a, out: 3I}}, relu, {pointwise: {label: b}}]"), Ok(()));
        let said = said("skip: [relu]").unwrap_err();
        assert_eq!(said, "operation `skip` gives 64 channels where its node chose 24");
    }

    #[test]
    fn a_narrow_tensor_is_the_beginning_of_every_side() {
        assert_eq!(beginning(&[2, 2, 1], &[3, 4, 1]), [0, 1, 4, 5]);
        assert_eq!(beginning(&[1, 2], &[2, 3]), [0, 1]);
        assert_eq!(beginning(&[], &[]), [0], "a number");
    }
}
