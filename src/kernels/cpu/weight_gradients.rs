//! Gradients of a step's weights: where tasks sum them up, and what becomes of the sums.

use super::{
    layout::Layout,
    memory::Buffer,
    pass_state::SourceBlock,
    simd::{LANES, Lanes, tiles::PRODUCTS},
    source::{Prepared, Product, Source},
    tasks::least,
    winograd,
};
use crate::program::{Branch, MapId};
use rayon::prelude::*;

/// Where the weights' gradients of a branch are in a task's sums.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sums {
    pub dense: usize,
    pub depthwise: usize,
    pub bias: usize,
}

/// Where each branch's sums are, and how many there are of all.
pub(super) fn lie(branches: &[Branch], sources: &[Source<'_>]) -> (Vec<Sums>, usize) {
    let (mut sums, mut next) = (vec![Sums::default(); branches.len()], 0);
    for source in sources {
        for prepared in &source.branches {
            let lanes = prepared.blocks.len() * LANES;
            let of_dense = prepared.branch.dense.map_or(0, |dense| {
                let layers = if prepared.is_by_tile() { PRODUCTS } else { dense.frame.taps() };
                layers * source.inputs() * lanes
            });
            let of_depthwise = prepared.depthwise.len() * prepared.frame.taps() * LANES;
            sums[prepared.number] =
                Sums { dense: next, depthwise: next + of_dense, bias: next + of_dense + of_depthwise };
            next += of_dense + of_depthwise + if prepared.bias.is_some() { lanes } else { 0 };
        }
    }
    (sums, next)
}

/// Gradients of weights, and where these begin.
type Found = Vec<(usize, Vec<f32>)>;

/// What all tasks' sums, `length` values each, make of the gradients of the branches' weights.
pub(super) fn found(
    of: (&Layout, MapId),
    sources: &[Source<'_>],
    places: &[Sums],
    mut sums: Buffer,
    length: usize,
) -> Vec<Found> {
    if length == 0 {
        return Vec::new();
    }
    total(&mut sums, length);
    let branches = sources
        .par_iter()
        .with_min_len(least(length))
        .flat_map_iter(|source| source.branches.iter().map(move |branch| (source, branch)));
    branches.map(|(source, branch)| of_branch(of, source, branch, places[branch.number], &sums)).collect()
}

/// The sum of what the tasks found, `length` values each, in their order.
fn total(sums: &mut [f32], length: usize) {
    /// Values of each task's sums that are added up at a time.
    const PIECE: usize = 1 << 12;
    let (total, rest) = sums.split_at_mut(length);
    total.par_chunks_mut(PIECE).enumerate().for_each(|(piece, total)| {
        for of_task in rest.chunks_exact(length) {
            let of_task = &of_task[piece * PIECE..][..total.len()];
            total.iter_mut().zip(of_task).for_each(|(total, sum)| *total += sum);
        }
    });
}

/// What a branch's sums make of the gradients of its weights, and where these begin.
fn of_branch(
    (layout, output): (&Layout, MapId),
    source: &Source<'_>,
    prepared: &Prepared<'_>,
    of: Sums,
    sums: &[f32],
) -> Found {
    let branch = prepared.branch;
    let Sums { dense: first, depthwise, bias } = of;
    // The sums over the images of a vector, in the lanes of the first.
    let lanes = |at: usize| {
        let mut found = Lanes::ZERO;
        for of_image in sums[at..at + LANES].chunks_exact(layout.width()) {
            found.0.iter_mut().zip(of_image).for_each(|(found, sum)| *found += sum);
        }
        found
    };
    let (inputs, mut found) = (source.inputs(), Vec::new());
    if let Some(of) = branch.depthwise {
        let taps = of.frame.taps();
        let mut weights = vec![0.0; inputs * taps];
        for (block, SourceBlock { first, channels, .. }) in source.blocks.iter().enumerate() {
            for tap in 0..taps {
                let sums = lanes(depthwise + (block * taps + tap) * LANES);
                let to = weights[first * taps + tap..].iter_mut().step_by(taps);
                to.zip(&sums.0[..*channels]).for_each(|(to, sum)| *to = *sum);
            }
        }
        found.push((of.weight, weights));
    }
    let Some(dense) = branch.dense else { return found };
    let (taps, of_channel) = (dense.frame.taps(), prepared.blocks.len() * LANES);
    let (in_group, out_group) = (inputs / dense.groups, branch.channels / dense.groups);
    let (mut weights, mut biases) = (vec![0.0; branch.channels * in_group * taps], Vec::new());
    let mut taps_of = Vec::with_capacity(taps);
    for (at, block) in prepared.blocks.clone().enumerate() {
        let channels = layout.channels(output, block);
        let outputs = channels.start - branch.first..channels.end - branch.first;
        if dense.bias.is_some() {
            biases.extend(&lanes(bias + at * LANES).0[..outputs.len()]);
        }
        for input in 0..inputs {
            let layer = |layer: usize| lanes(first + (layer * inputs + input) * of_channel + at * LANES);
            let tiles;
            let by_tap = match &prepared.dense {
                Some(Product::ByTile(_)) => {
                    tiles = winograd::weight_gradient(std::array::from_fn(layer));
                    &tiles[..]
                }
                _ => {
                    taps_of.clear();
                    taps_of.extend((0..taps).map(layer));
                    &taps_of[..]
                }
            };
            for (lane, output) in outputs.clone().enumerate() {
                if output / out_group == input / in_group {
                    let to = &mut weights[(output * in_group + input % in_group) * taps..][..taps];
                    to.iter_mut().zip(by_tap).for_each(|(to, sums)| *to = sums.0[lane]);
                }
            }
        }
    }
    found.push((dense.weight, weights));
    found.extend(dense.bias.map(|at| (at, biases)));
    found
}
