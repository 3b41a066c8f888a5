//! Lowering of a cell: its inputs, its nodes, its output.

use super::error::SpaceError;
use super::lower::{CellGeometry, Lowering};
use crate::space::CellKind;
use crate::space::genotype::CellGenotype;
use crate::space::language::cell::{Combine, Residual};
use crate::space::language::labels::{fill, join};
use crate::space::network::{AlphaRows, Block, Cell, CellOutput, Chain, FeatureMap, Node};

impl Lowering<'_> {
    /// A cell of `kind` and width C `channels` behind `states`, and its output's map.
    pub(super) fn cell(
        &self,
        (kind, place, chosen): (&str, usize, Option<&CellGenotype>),
        label: &str,
        channels: usize,
        states: &[FeatureMap],
    ) -> Result<(Block, FeatureMap), SpaceError> {
        let position = self.space.cell_kinds().iter().position(|known| known.name == kind);
        let position = position.expect("a skeleton names known kinds only");
        let kind = &self.space.cell_kinds()[position];
        let newest = *states.last().expect("a skeleton has a stem");
        let inner = FeatureMap { channels, ..newest };
        let reads = self.newest(states.len());
        let inputs = self.inputs(label, inner, &reads, states)?;
        let stride = kind.input_stride;
        let size = inner.strided(stride);
        let cell = chosen.or_else(|| Some(&self.genotype?.cells[&kind.name]));
        let mut nodes = self.cell_nodes(kind, place, cell, channels);
        let geometry = CellGeometry { label, stride, inner, size, inputs: inputs.len(), nodes: &nodes, is_part: false };
        let (edges, output) = match cell {
            None => {
                let edges = if self.bare { Vec::new() } else { self.all_candidates(kind, &geometry)? };
                (edges, self.space.output_states(nodes.len()))
            }
            Some(cell) => (self.chosen(cell, &geometry)?, cell.output.clone()),
        };
        let shape = &self.space.shape.output;
        let (output, width) = match (shape.combine, shape.residual) {
            (Combine::Sum, Some(Residual { scale, plus })) => {
                (CellOutput::Residual { state: output[0], scale, plus }, channels)
            }
            (Combine::Concat, _) => (CellOutput::Concat(output.clone()), channels * output.len()),
            (Combine::Sum, None) => (CellOutput::Sum(output), channels),
        };
        let width_before = FeatureMap { channels: width, ..size };
        let (then, output_map) = self.chain(&shape.then, label, channels, width_before)?;
        for (number, node) in nodes.iter_mut().enumerate() {
            node.then = self.behind_node(label, number, node.channels, channels, size)?;
        }
        let first = if self.lattice().is_some() { place * kind.candidates.len() } else { 0 };
        let alphas = self.genotype.is_none().then_some(AlphaRows { table: position, first });
        let cell = Cell { kind: kind.name.clone(), inputs, reads, edges, nodes, output, then, stride, size, alphas };
        Ok((Block::Cell(cell), output_map))
    }

    /// What the sum of a node goes through, which keeps its size.
    fn behind_node(
        &self,
        label: &str,
        node: usize,
        width: usize,
        channels: usize,
        size: FeatureMap,
    ) -> Result<Chain, SpaceError> {
        let of_node = FeatureMap { channels: width, ..size };
        let place = join(label, &fill(&self.space.labels.node, &[("node", &node)]));
        let (chain, found) = self.chain(&self.space.shape.node, &place, channels, of_node)?;
        if found == of_node { Ok(chain) } else { Err(SpaceError::Shape { place, found, needed: of_node }) }
    }

    /// The nodes of a cell: as wide as it, or as was chosen for them.
    fn cell_nodes(&self, kind: &CellKind, place: usize, cell: Option<&CellGenotype>, channels: usize) -> Vec<Node> {
        let count = cell.map_or(self.space.nodes(), |cell| cell.nodes.len());
        let mut nodes = vec![Node { channels, choice: None, then: Chain::default() }; count];
        let Some(widths) = kind.widths.as_ref().filter(|_| self.lattice().is_some()) else { return nodes };
        for (at, node) in self.space.nodes_that_choose().into_iter().enumerate() {
            match cell {
                None => nodes[node].choice = self.choice(place, node),
                Some(cell) => {
                    let chosen =
                        cell.widths.get(at).and_then(|name| widths.names.iter().position(|known| known == name));
                    nodes[node].channels = chosen.map_or(channels, |chosen| widths.channels(channels)[chosen]);
                }
            }
        }
        nodes
    }

    /// As many of the newest of so many states as a cell has inputs, the oldest of all standing in for
    /// those before it.
    fn newest(&self, states: usize) -> Vec<usize> {
        let inputs = self.space.shape.inputs.len();
        (0..inputs).map(|input| (states + input).saturating_sub(inputs)).collect()
    }

    /// The adapters of a cell's inputs, each of which gives a map like `inner`.
    fn inputs(
        &self,
        label: &str,
        inner: FeatureMap,
        reads: &[usize],
        states: &[FeatureMap],
    ) -> Result<Vec<Chain>, SpaceError> {
        let adapters = &self.space.shape.inputs;
        let mut chains = Vec::with_capacity(adapters.len());
        for (adapter, &state) in adapters.iter().zip(reads) {
            let state = states[state];
            let place = join(label, &adapter.label);
            let same_sides = (state.height, state.width) == (inner.height, inner.width);
            let steps = if same_sides { Some(&adapter.same) } else { adapter.larger.as_ref() };
            let steps = steps.ok_or_else(|| SpaceError::NoAdapter { place: place.clone() })?;
            let (chain, found) = self.chain(steps, &place, inner.channels, state)?;
            if found != inner {
                return Err(SpaceError::Shape { place, found, needed: inner });
            }
            chains.push(chain);
        }
        Ok(chains)
    }
}
