//! How much memory a step of training takes, before any of it is taken.
//!
//! What counts are maps: a program keeps what its convolutions, pools and nodes wrote until the
//! reverse pass has read it, and beside it the gradients that are on their way. Weights count with
//! their gradient and what an optimiser and a strategy hold of as many numbers.

use super::{
    Layout,
    lower::{Purpose, lower, stands_alone},
    split::Part,
};
use crate::{
    kernels::{
        Kernels, Precision,
        program::{MapId, Program, Step},
    },
    space::network::{Block, Chain, LayerKind, Network, TensorRole},
};
use std::collections::{BTreeMap, BTreeSet};

/// Vectors as long as the weights that a step has at once: themselves, the pass's own, the gradient
/// of the pass and of the learner, momentum, and what a clip and an update make on the way.
const VECTORS: u64 = 8;

/// Bytes of a number that is no map's.
const NUMBER: u64 = 4;

/// The most memory that a step on `images` images takes, on the processor, in bytes. What the
/// process has besides, some tens of megabytes, is not in it.
pub fn step_bytes(network: &Network, (kernels, precision): (Kernels, Precision), images: usize) -> u64 {
    let layout = |wanted: fn(TensorRole) -> bool| {
        let tensors = network.tensors().into_iter().filter(|tensor| wanted(tensor.role));
        Layout::new(tensors.map(|tensor| (tensor.name, tensor.shape)))
    };
    let (weights, running) = (layout(TensorRole::is_learned), layout(|role| !role.is_learned()));
    let maps = match kernels {
        Kernels::Native => {
            parts_bytes(&lower(network, Purpose::Train, stands_alone, None, [&weights, &running]).parts, precision)
        }
        Kernels::Reference => layer_values(network).saturating_mul(NUMBER),
    };
    let vectors = VECTORS.saturating_mul(weights.len() as u64).saturating_mul(NUMBER);
    maps.saturating_mul(images as u64).saturating_add(vectors)
}

/// Of one image, of parts that run in turn: all maps, and the most gradients that one of them has
/// at once. What a layer between programs gives is a map of the program that reads it.
fn parts_bytes(parts: &[Part], precision: Precision) -> u64 {
    let of_part = |part: &Part| {
        let (maps, most, number) = match part {
            Part::Program { program, .. } => (maps_values(program), most_values(program), precision.bytes()),
            Part::Layer { layer, .. } => (layer.output.elements() as u64, layer.output.elements() as u64, NUMBER),
        };
        (maps.saturating_mul(number), most.saturating_mul(number))
    };
    let (maps, beside) = parts.iter().map(of_part).fold((0_u64, 0_u64), |(all, beside), (maps, most)| {
        (all.saturating_add(maps), beside.max(most.saturating_sub(maps)))
    });
    maps.saturating_add(beside)
}

fn maps_values(program: &Program) -> u64 {
    program.maps.iter().map(|map| map.elements() as u64).fold(0, u64::saturating_add)
}

/// What is to be said where a step on `images` images takes more than the `there` bytes that there are.
pub fn too_large(network: &Network, by: (Kernels, Precision), images: usize, there: u64) -> Option<String> {
    let needed = step_bytes(network, by, images);
    let gigabytes = |bytes: u64| bytes as f64 / 1e9;
    (needed > there).then(|| {
        let (needed, there) = (gigabytes(needed), gigabytes(there));
        format!("a step on {images} images needs about {needed:.1} GB of memory, and there are {there:.1}")
    })
}

/// The most values of one image that a forward pass and its reverse have at once: all maps at
/// first, then the gradients that readers of a map leave, until its writer has read them.
fn most_values(program: &Program) -> u64 {
    let size = |map: MapId| program.maps[map].elements() as u64;
    let mut held = maps_values(program);
    let mut most = held;
    let mut left: BTreeMap<MapId, u64> = BTreeMap::new();
    // A node's gradient is one for all its terms, and stays until the first of their writers is
    // done.
    let mut nodes: Vec<(u64, BTreeSet<MapId>)> = Vec::new();
    for step in program.steps.iter().rev() {
        let output = step.output();
        match step {
            Step::Combine { terms, .. } => {
                nodes.push((size(output), terms.iter().map(|term| term.read.map).collect()));
                held = held.saturating_add(size(output));
            }
            Step::Convolve { .. } | Step::Pool { .. } => {
                for read in step.reads().filter(|read| !program.inputs.contains(&read.map)) {
                    let map = &program.maps[read.map];
                    let values = (read.channels * map.height * map.width) as u64;
                    let slot = left.entry(read.map).or_default();
                    // Branches that read the same channels add to one gradient.
                    let more = values.saturating_sub(*slot);
                    *slot += more;
                    held = held.saturating_add(more);
                }
            }
        }
        most = most.max(held);
        held = held.saturating_sub(size(output) + left.remove(&output).unwrap_or(0));
        nodes.retain_mut(|(values, terms)| {
            terms.remove(&output);
            let done = terms.is_empty();
            held = held.saturating_sub(if done { *values } else { 0 });
            !done
        });
    }
    most
}

/// The values of one image that the layers give, one by one: run so, each of them is kept.
fn layer_values(network: &Network) -> u64 {
    let cells = network.blocks.iter().flat_map(|block| match block {
        Block::Fixed { chain, .. } => vec![chain],
        Block::Cell(cell) => {
            let edges = cell
                .edges
                .iter()
                .flat_map(|edge| edge.chains().chain(edge.partial.as_ref().map(|partial| &partial.bypass)));
            cell.inputs.iter().chain(edges).collect()
        }
    });
    let auxiliary = network.auxiliary.as_ref().map(|auxiliary| &auxiliary.head);
    let heads = network.heads.iter().map(|head| &head.chain).chain(auxiliary);
    let chains = network.stems.iter().chain(cells).chain([&network.trunk]).chain(heads);
    chains.map(chain_values).fold(0, u64::saturating_add)
}

fn chain_values(chain: &Chain) -> u64 {
    let values = chain.layers.iter().map(|layer| {
        let inside = match &layer.kind {
            LayerKind::Sum(chains) | LayerKind::Concat(chains) => chains.iter().map(chain_values).sum(),
            _ => 0,
        };
        (layer.output.elements() as u64).saturating_add(inside)
    });
    values.fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::{Build, shipped};

    const MIB: u64 = 1 << 20;

    /// Measured with `darts-run bench`, resident at the peak, which includes some 60 MiB of the
    /// process itself.
    #[test]
    fn estimates_of_the_works_that_ship_are_near_what_was_measured() {
        let darts = shipped::space("darts");
        let bench = shipped::space("nas_bench_201");
        let retrained = Build { auxiliary: true, ..shipped::build("cifar", 32, 10) };
        let genotype = shipped::genotype("darts_v2", &darts);
        for (network, images, measured) in [
            (darts.supernet(&shipped::build("search", 32, 10)).unwrap(), 64, [1830, 995]),
            (bench.supernet(&shipped::build("search", 32, 10)).unwrap(), 64, [706, 427]),
            (darts.discrete(&genotype, &retrained).unwrap(), 64, [1857, 1008]),
        ] {
            for (precision, measured) in [Precision::F32, Precision::Bf16].into_iter().zip(measured) {
                let estimate = step_bytes(&network, (Kernels::Native, precision), images) / MIB;
                let is_near = estimate * 5 < measured * 6 && measured * 5 < estimate * 6;
                assert!(is_near, "{precision}: {estimate} MiB, measured {measured}");
            }
        }
    }

    #[test]
    fn twice_the_images_take_twice_the_maps_and_no_more_weights() {
        let network = shipped::space("darts").supernet(&shipped::build("search", 32, 10)).unwrap();
        let of = |images| step_bytes(&network, (Kernels::Native, Precision::F32), images);
        assert_eq!(of(64) - of(32), of(96) - of(64));
        assert!(step_bytes(&network, (Kernels::Reference, Precision::F32), 64) > 2 * of(64));
        assert_eq!(step_bytes(&network, (Kernels::Native, Precision::F32), usize::MAX), u64::MAX);
    }
}
