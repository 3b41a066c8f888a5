//! Lowering of a cell's edges.

use super::lower::{CellGeometry, Lowering};
use crate::space::genotype::{CellGenotype, Choice};
use crate::space::language::labels::{fill, join};
use crate::space::language::width::Letters;
use crate::space::network::{Candidate, Chain, Edge, FeatureMap, Layer, LayerKind, Padding, Partial, Pool};
use crate::space::primitives::place::Place;
use crate::space::{CellKind, SpaceError};

/// What an auxiliary skip connection is called, behind its edge; our choice.
const SKIP: &str = "auxiliary_skip";

impl<'a> CellGeometry<'a> {
    /// The same cell at another width.
    fn at_width(self, channels: usize) -> Self {
        let Self { inner, size, .. } = self;
        let is_part = channels < size.channels;
        Self { inner: FeatureMap { channels, ..inner }, size: FeatureMap { channels, ..size }, is_part, ..self }
    }

    /// Stride of the edges that leave `source`, and the map that they read.
    fn from(self, source: usize) -> (usize, FeatureMap) {
        match source.checked_sub(self.inputs) {
            None => (self.stride, self.inner),
            Some(node) => (1, self.node(node)),
        }
    }

    /// The map of a node.
    fn node(self, node: usize) -> FeatureMap {
        match self.nodes[node].channels {
            // Cells of which a part of the channels is mixed have nodes of one width.
            _ if self.is_part => self.size,
            channels => FeatureMap { channels, ..self.size },
        }
    }
}

impl Lowering<'_> {
    /// The edges of a supernet's cell.
    pub fn all_candidates(&self, kind: &CellKind, geometry: &CellGeometry<'_>) -> Result<Vec<Edge>, SpaceError> {
        let (labels, options) = (&self.space.labels, self.build.edges);
        let (groups, width) = (options.partial_channels, geometry.inner.channels);
        if groups == 0 || !width.is_multiple_of(groups) {
            return Err(SpaceError::Partial { place: geometry.label.to_owned(), groups, channels: width });
        }
        let inside = geometry.at_width(width / groups);
        let mut edges = Vec::with_capacity(kind.candidates.len());
        for (row, (names, &(source, target))) in kind.candidates.iter().zip(self.space.edges()).enumerate() {
            let node = target - geometry.inputs;
            let values: [(&str, &dyn std::fmt::Display); 4] =
                [("edge", &row), ("source", &source), ("target", &target), ("node", &node)];
            let edge = fill(&labels.edge, &values);
            let edge = join(geometry.label, &edge);
            let mut candidates = Vec::with_capacity(names.len());
            for (column, operation) in names.iter().enumerate() {
                let label = fill(&labels.candidate, &[("candidate", &column), ("operation", operation)]);
                candidates.push(self.candidate(operation, join(&edge, &label), [source, target], &inside)?);
            }
            let skip = match (&self.space.skip, options.auxiliary_skip) {
                (_, false) => None,
                (None, true) => return Err(SpaceError::NoSkip { space: self.space.name.clone() }),
                (Some(skip), true) => Some(self.candidate(skip, join(&edge, SKIP), [source, target], &inside)?.chain),
            };
            let partial = match groups {
                1 => None,
                _ => {
                    Some(Partial { groups, bypass: bypass(&edge, source, &geometry.at_width(width - width / groups))? })
                }
            };
            edges.push(Edge { source, target, candidates, skip, partial });
        }
        Ok(edges)
    }

    /// The edges of a discrete network's cell.
    pub fn chosen(&self, cell: &CellGenotype, geometry: &CellGeometry<'_>) -> Result<Vec<Edge>, SpaceError> {
        let mut edges = Vec::new();
        for (node, choices) in cell.nodes.iter().enumerate() {
            let target = geometry.inputs + node;
            for Choice { operation, source } in choices {
                let values: [(&str, &dyn std::fmt::Display); 4] =
                    [("choice", &edges.len()), ("source", source), ("target", &target), ("operation", operation)];
                let label = join(geometry.label, &fill(&self.space.labels.choice, &values));
                let candidate = self.candidate(operation, label, [*source, target], geometry)?;
                edges.push(Edge { source: *source, target, candidates: vec![candidate], skip: None, partial: None });
            }
        }
        Ok(edges)
    }

    fn candidate(
        &self,
        operation: &str,
        label: String,
        [source, target]: [usize; 2],
        geometry: &CellGeometry<'_>,
    ) -> Result<Candidate, SpaceError> {
        let (stride, input) = geometry.from(source);
        let size = geometry.node(target - geometry.inputs);
        let steps = self.space.operations.get(operation).and_then(|known| known.steps(stride));
        let steps = steps.ok_or_else(|| SpaceError::NoStride { operation: operation.to_owned(), stride })?;
        // The nodes at its ends may not be equally wide.
        let letters = Letters { here: size.channels, input: input.channels };
        let place = Place { letters, ..self.place(&label, size.channels, stride) };
        let (chain, found) = steps.lower(&place, input)?;
        if found != size {
            return Err(SpaceError::Shape { place: label, found, needed: size });
        }
        Ok(Candidate { operation: operation.to_owned(), chain })
    }
}

/// What brings channels that pass an edge's candidates by to its end: on an edge with a stride the
/// maximum of windows as large as the stride, as in the reference of PC-DARTS.
fn bypass(edge: &str, source: usize, geometry: &CellGeometry<'_>) -> Result<Chain, SpaceError> {
    let (stride, input) = geometry.from(source);
    if stride == 1 {
        return Ok(Chain::default());
    }
    let output = FeatureMap { height: input.height / stride, width: input.width / stride, ..input };
    if output != geometry.size {
        return Err(SpaceError::Shape { place: edge.to_owned(), found: output, needed: geometry.size });
    }
    let kind = LayerKind::MaxPool(Pool { kernel: stride, stride, padding: Padding::Each(0) });
    Ok(Chain { layers: vec![Layer::plain(kind, input, output)] })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::network::{AlphaTable, Block, Cell, Extra, Network};
    use crate::space::shipped::{build, space};
    use crate::space::{Build, EdgeOptions};

    fn options(partial_channels: usize, edge_normalisation: bool, auxiliary_skip: bool) -> EdgeOptions {
        EdgeOptions { partial_channels, edge_normalisation, auxiliary_skip }
    }

    fn supernet(name: &str, side: usize, edges: EdgeOptions) -> Result<Network, SpaceError> {
        space(name).supernet(&Build { edges, ..build("search", side, 10) })
    }

    fn cell(network: &Network, at: usize) -> &Cell {
        let Block::Cell(cell) = &network.blocks[at] else { panic!("a cell") };
        cell
    }

    #[test]
    fn a_part_of_the_channels_goes_through_the_candidates_and_the_rest_is_pooled_where_the_edge_has_a_stride() {
        let network = supernet("darts", 32, options(4, false, false)).unwrap();
        let (normal, reduce) = (cell(&network, 0), cell(&network, 2));
        let sides = |map: FeatureMap| (map.channels, map.height);
        for (edge, through, past) in [(&normal.edges[0], (4, 32), None), (&reduce.edges[1], (8, 16), Some((24, 16)))] {
            let partial = edge.partial.as_ref().unwrap();
            let last = edge.candidates[4].chain.layers.last().unwrap().output;
            assert_eq!((partial.groups, sides(last)), (4, through));
            assert_eq!(partial.bypass.layers.last().map(|layer| sides(layer.output)), past);
        }
        assert!(reduce.edges[13].partial.as_ref().unwrap().bypass.layers.is_empty(), "it leaves a node");
        let table = &network.alphas[0];
        assert_eq!(
            (table.mixing_columns(), table.betas.is_none()),
            (8, true),
            "an edge that is not weighed has no column"
        );
    }

    /// In the names of tensors and in the columns of the mixing weights.
    #[test]
    fn what_an_edge_has_beside_candidates_stands_behind_them() {
        let columns = |table: &AlphaTable| (table.column_of(Extra::Bypass), table.column_of(Extra::Skip));
        for (edges, expected) in [
            (options(1, false, true), (None, Some(8))),
            (options(4, true, false), (Some(8), None)),
            (options(4, true, true), (Some(8), Some(9))),
            (options(4, false, true), (None, Some(8))),
            (options(1, true, false), (None, None)),
        ] {
            let network = supernet("darts", 32, edges).unwrap();
            assert_eq!(columns(&network.alphas[1]), expected, "{edges:?}");
            assert_eq!(network.alphas[1].betas.is_some(), edges.edge_normalisation);
            let skips = network.tensors().iter().filter(|spec| spec.name.contains(".auxiliary_skip.conv_1")).count();
            assert_eq!(skips, if edges.auxiliary_skip { 2 * 8 } else { 0 }, "two cells, eight edges of stride 2");
        }
        let network = supernet("nas_bench_201", 32, options(2, true, true)).unwrap();
        assert_eq!(network.alpha_tensors()[1], ("betas_cell".to_owned(), vec![6]));
        assert_eq!(network.alphas[0].betas.as_ref().unwrap().targets, [1, 2, 2, 3, 3, 3]);
    }

    #[test]
    fn a_width_that_cannot_be_parted_is_an_error_with_its_place() {
        let error = supernet("darts", 32, options(3, true, false)).unwrap_err();
        assert_eq!(error.to_string(), "`cells.0`: `partial_channels` 3 does not divide a width of 16");
        assert!(error.hint().is_some());
    }
}
