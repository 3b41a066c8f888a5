//! What a network costs: learned parameters, and multiply-adds of one image.
//!
//! Multiply-adds are those of convolutions and linear layers; pooling, batch norm, activations and
//! sums are not counted, nor are biases. A supernet pays for all candidates. Alphas are no part of
//! it.

use crate::space::network::{Block, Cell, Chain, Edge, Layer, LayerKind, Network, TensorRole, TensorSpec};
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
        let heads = self.heads.iter().map(|head| head.chain.cost()).sum();
        stems + self.blocks.iter().map(Block::cost).sum() + self.trunk.cost() + heads
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
            Self::Fixed { chain, .. } => chain.cost(),
        }
    }
}

impl Cell {
    pub fn cost(&self) -> Cost {
        let edges = self.edges.iter().flat_map(Edge::chains).map(Chain::cost);
        self.inputs.iter().map(Chain::cost).chain(edges).chain(self.behind().map(Chain::cost)).sum()
    }
}

impl Chain {
    pub fn cost(&self) -> Cost {
        self.layers.iter().map(Layer::cost).sum()
    }
}

impl Layer {
    pub fn cost(&self) -> Cost {
        if let LayerKind::Sum(chains) | LayerKind::Concat(chains) = &self.kind {
            return chains.iter().map(Chain::cost).sum();
        }
        let pixels = (self.output.height as u64).saturating_mul(self.output.width as u64);
        let of_tensor = |tensor: &TensorSpec| Cost {
            parameters: if tensor.role.is_learned() { tensor.elements() } else { 0 },
            // A weight is used once for each pixel that comes out.
            multiply_adds: match tensor.role {
                TensorRole::Weight { .. } => tensor.elements().saturating_mul(pixels),
                _ => 0,
            },
        };
        self.tensors.iter().map(of_tensor).sum()
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

#[cfg(test)]
mod tests {
    use crate::space::{Build, EdgeOptions, shipped};

    #[test]
    fn supernets_cost_what_the_references_cost() {
        let darts = shipped::space("darts").supernet(&shipped::build("search", 32, 10)).unwrap().cost();
        assert_eq!((darts.parameters, darts.multiply_adds), (1_930_618, 300_255_744));
        let bench = shipped::space("nas_bench_201").supernet(&shipped::build("search", 32, 10)).unwrap().cost();
        assert_eq!(bench.parameters, 1_692_826);
    }

    /// The encoder of IMPALA with 16, 32 and 32 channels on frames of 64x64 pixels, and the supernet of
    /// RL-DARTS around it: counted by hand, segment by segment.
    #[test]
    fn agents_cost_what_their_papers_networks_cost() {
        let impala = shipped::space("impala");
        let network = impala.discrete(&impala.random(0, 0, None), &shipped::build_for_play("final", 64, 15)).unwrap();
        let convolutions = |pixels: u64, from: u64, to: u64| pixels * 9 * from * to;
        let segments = [(4096, 3, 16), (1024, 16, 32), (256, 32, 32)];
        let of_segment = |(pixels, from, to)| convolutions(pixels, from, to) + 4 * convolutions(pixels / 4, to, to);
        let expected: u64 = segments.map(of_segment).iter().sum::<u64>() + 2048 * 256 + 256 * 16;
        assert_eq!(network.cost().multiply_adds, expected);
        assert_eq!(network.cost().parameters, 626_256);
        let supernet = shipped::space("rl_darts").supernet(&shipped::build_for_play("search", 64, 15)).unwrap();
        // Ten edges of two windows of 3x3 and two of 5x5 a cell, and what brings four nodes to one.
        let cell = |pixels: u64, width: u64| pixels * width * width * (10 * (9 + 9 + 25 + 25) + 4);
        let of_segment = |(pixels, from, to)| convolutions(pixels, from, to) + 2 * cell(pixels / 4, to);
        let expected: u64 = segments.map(of_segment).iter().sum::<u64>() + 2048 * 256 + 256 * 16;
        assert_eq!(supernet.cost().multiply_adds, expected);
    }

    /// PC-DARTS on CIFAR-10 (K = 4). Betas, as alphas, are no part of it, and what passes by costs
    /// nothing.
    #[test]
    fn a_supernet_of_partial_channels_costs_what_the_reference_costs() {
        let edges = EdgeOptions { partial_channels: 4, edge_normalisation: true, ..EdgeOptions::default() };
        let build = Build { edges, ..shipped::build("search", 32, 10) };
        let cost = shipped::space("darts").supernet(&build).unwrap().cost();
        assert_eq!((cost.parameters, cost.multiply_adds), (299_578, 56_596_992));
    }

    /// The spaces of RobustDARTS at DARTS' size; counted by a script of a few lines that gives
    /// DARTS' and PC-DARTS' own numbers too.
    #[test]
    fn supernets_of_few_candidates_cost_theirs() {
        for (name, parameters, multiply_adds) in [
            ("robust_s1", 405_146, 68_434_432),
            ("robust_s2", 665_466, 100_928_000),
            ("robust_s3", 665_466, 100_928_000),
            ("robust_s4", 624_506, 96_733_696),
        ] {
            let cost = shipped::space(name).supernet(&shipped::build("search", 32, 10)).unwrap().cost();
            assert_eq!((cost.parameters, cost.multiply_adds), (parameters, multiply_adds), "{name}");
        }
    }

    /// The cells that ship, at the sizes that papers retrain them at. NASNet-A and AmoebaNet-A have
    /// five nodes, 7x7 operations and outputs that leave nodes out; their counts were taken from
    /// the PyTorch network.
    #[test]
    fn published_cells_cost_what_their_networks_cost() {
        let space = shipped::space("darts");
        let at = |cell: &str, skeleton: &str, side: usize, classes: usize| {
            let network = space.discrete(&shipped::genotype(cell, &space), &shipped::build(skeleton, side, classes));
            let cost = network.unwrap().cost();
            (cost.parameters, cost.multiply_adds)
        };
        // Parameters and multiply-adds on CIFAR-10, CIFAR-100 and ImageNet.
        for (cell, cifar10, cifar100, imagenet) in [
            ("darts_v1", (3_169_414, 500_987_520), (3_221_344, 501_039_360), (4_510_432, 505_864_704)),
            ("darts_v2", (3_349_342, 528_359_040), (3_401_272, 528_410_880), (4_718_752, 529_911_552)),
            ("pc_darts_cifar", (3_634_678, 556_670_592), (3_686_608, 556_722_432), (5_270_560, 571_137_408)),
            ("pc_darts_image", (3_721_510, 570_466_944), (3_773_440, 570_518_784), (5_342_464, 581_627_328)),
            ("ms_darts_c10_s5", (3_963_862, 609_229_440), (4_015_792, 609_281_280), (5_578_624, 612_805_440)),
            ("nasnet_a", (3_830_950, 603_452_448), (3_895_840, 603_517_248), (5_564_320, 604_031_616)),
            ("amoebanet_a", (3_145_078, 488_931_552), (3_184_048, 488_970_432), (4_627_360, 526_746_624)),
        ] {
            assert_eq!(at(cell, "cifar", 32, 10), cifar10, "{cell}");
            assert_eq!(at(cell, "cifar", 32, 100), cifar100, "{cell}");
            assert_eq!(at(cell, "imagenet", 224, 1000), imagenet, "{cell}");
        }
        let bench = shipped::space("nas_bench_201");
        let text = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|";
        let genotype = crate::space::Genotype::parse(text, &bench).unwrap();
        let cost = bench.discrete(&genotype, &shipped::build("final", 32, 10)).unwrap().cost();
        assert_eq!((cost.parameters, cost.multiply_adds), (1_288_506, 184_730_240));
    }

    #[test]
    fn the_auxiliary_head_is_counted_apart() {
        let space = shipped::space("darts");
        let genotype = shipped::genotype("darts_v2", &space);
        let build = Build { auxiliary: true, ..shipped::build("cifar", 32, 10) };
        let network = space.discrete(&genotype, &build).unwrap();
        assert_eq!(network.cost().parameters, 3_349_342);
        assert_eq!(network.auxiliary_cost().parameters, 476_426);
    }
}
