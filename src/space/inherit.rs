//! Which tensors of a supernet are those of a network that was derived from it.

use super::genotype::Genotype;
use super::network::{Block, Cell, Chain, Layer, Network};
use super::{Space, lattice};
use std::mem;

impl Space {
    /// For each tensor of `discrete`, the network of a genotype, that `supernet` has too: both names. It may
    /// be the beginning of the supernet's along each side. What a supernet does not have, as the scale and
    /// shift of its norms in many spaces, has no partner.
    pub fn partners(&self, genotype: &Genotype, discrete: &Network, supernet: &Network) -> Vec<(String, String)> {
        let mut found = Partners::default();
        for (one, other) in discrete.stems.iter().zip(&supernet.stems) {
            found.chains(one, other);
        }
        for (block, other) in discrete.blocks.iter().zip(self.blocks_of(genotype, supernet)) {
            match (block, supernet.blocks.get(other)) {
                (Block::Cell(one), Some(Block::Cell(other))) => found.cells(one, other),
                (Block::Fixed { chain: one, .. }, Some(Block::Fixed { chain: other, .. })) => found.chains(one, other),
                _ => {}
            }
        }
        found.chains(&discrete.trunk, &supernet.trunk);
        for head in &discrete.heads {
            if let Some(other) = supernet.heads.iter().find(|other| other.output.name == head.output.name) {
                found.chains(&head.chain, &other.chain);
            }
        }
        found.0
    }

    /// The supernet's block for each block of the genotype's network.
    fn blocks_of(&self, genotype: &Genotype, supernet: &Network) -> Vec<usize> {
        let Some(exit) = &supernet.exit else { return (0..supernet.blocks.len()).collect() };
        let found = self.lattice().and_then(|known| lattice::of_size(known, exit.states.len()));
        found.map_or_else(Vec::new, |(maps, _)| lattice::along(&maps, genotype.steps()))
    }
}

#[derive(Default)]
struct Partners(Vec<(String, String)>);

impl Partners {
    fn cells(&mut self, one: &Cell, other: &Cell) {
        for (one, other) in one.inputs.iter().zip(&other.inputs) {
            self.chains(one, other);
        }
        for edge in &one.edges {
            let same = |other: &&super::network::Edge| (other.source, other.target) == (edge.source, edge.target);
            let Some(other) = other.edges.iter().find(same) else { continue };
            for candidate in &edge.candidates {
                let partner = other.candidates.iter().find(|other| other.operation == candidate.operation);
                if let Some(partner) = partner {
                    self.chains(&candidate.chain, &partner.chain);
                }
            }
        }
    }

    /// Layers come in one order in both, some of them in one alone.
    fn chains(&mut self, one: &Chain, other: &Chain) {
        let (mut layers, mut others): (Vec<&Layer>, Vec<&Layer>) = Default::default();
        one.layers(&mut |layer| layers.push(layer));
        other.layers(&mut |layer| others.push(layer));
        let mut next = 0;
        for layer in layers.into_iter().filter(|layer| !layer.tensors.is_empty()) {
            let same = |other: &&Layer| {
                mem::discriminant(&other.kind) == mem::discriminant(&layer.kind)
                    && last(&other.label) == last(&layer.label)
            };
            let Some(at) = others[next..].iter().position(same) else { continue };
            let partner = others[next + at];
            next += at + 1;
            for tensor in &layer.tensors {
                let suffix = &tensor.name[layer.label.len()..];
                let same = partner.tensors.iter().find(|other| other.name[partner.label.len()..] == *suffix);
                self.0.extend(same.map(|other| (tensor.name.clone(), other.name.clone())));
            }
        }
    }
}

/// The last part of a label: what stands before it says where a chain is.
fn last(label: &str) -> &str {
    label.rsplit('.').next().unwrap_or(label)
}

#[cfg(test)]
mod tests {
    use crate::space::{Build, shipped};

    #[test]
    fn a_cell_of_darts_has_the_convolutions_of_its_supernet_and_scales_of_its_own() {
        let space = shipped::space("darts");
        let genotype = shipped::genotype("darts_v2", &space);
        let sizes = |skeleton| Build { channels: Some(4), size: Some(3), ..shipped::build(skeleton, 32, 10) };
        let discrete = space.discrete(&genotype, &sizes("cifar")).unwrap();
        let supernet = space.supernet(&sizes("search")).unwrap();
        let partners = space.partners(&genotype, &discrete, &supernet);
        let known = |one: &str, other: &str| partners.contains(&(one.to_owned(), other.to_owned()));
        // The second choice of the normal cell: sep_conv_3x3 from state 1, edge 1, candidate 4.
        assert!(known("cells.0._ops.1.op.1.weight", "cells.0._ops.1._ops.4.op.1.weight"), "{partners:?}");
        assert!(known("stem.0.weight", "stem.0.weight") && known("classifier.bias", "classifier.bias"));
        assert!(!partners.iter().any(|(one, _)| one == "cells.0._ops.1.op.3.weight"), "scale of a norm");
        let (all, others) = (discrete.tensors(), supernet.tensors());
        for (one, other) in &partners {
            let shape = |tensors: &[crate::space::network::TensorSpec], name: &str| {
                tensors.iter().find(|tensor| tensor.name == name).unwrap().shape.clone()
            };
            assert_eq!(shape(&all, one), shape(&others, other), "{one} and {other}");
        }
        let convolutions = all.iter().filter(|tensor| tensor.shape.len() == 4).count();
        assert_eq!(
            partners.iter().filter(|(one, _)| all.iter().any(|t| t.name == *one && t.shape.len() == 4)).count(),
            convolutions
        );
    }

    #[test]
    fn a_path_has_the_cells_of_the_places_that_it_takes() {
        let space = shipped::space("trilevel_sr");
        let text = "path: [{cell: {nodes: [[skip~0], [skip~1], [skip~2], [skip~3], [residual~4]], widths: [1, 1, 1, 1]}}, up, \
                    {cell: {nodes: [[conv3x3~0], [skip~1], [skip~2], [skip~3], [skip~4]], widths: [1/2, 1, 1, 1]}}]";
        let genotype = crate::space::Genotype::parse(text, &space).unwrap();
        let sizes = |skeleton| Build { channels: Some(16), size: Some(2), ..shipped::build_for_images(skeleton, 8, 4) };
        let discrete = space.discrete(&genotype, &sizes("final")).unwrap();
        let partners = space.partners(&genotype, &discrete, &space.supernet(&sizes("search")).unwrap());
        let known = |one: &str, other: &str| partners.contains(&(one.to_owned(), other.to_owned()));
        // Behind the first up step the cell is number 2.
        assert!(known("cells.1.ops.0.conv3x3.weight", "cells.2.ops.0.conv3x3.weight"), "{partners:?}");
        assert!(known("ups.0.bias", "ups.0.bias") && known("tail.weight", "tail.weight"));
        assert_eq!(partners.len(), discrete.tensors().len());
    }
}
