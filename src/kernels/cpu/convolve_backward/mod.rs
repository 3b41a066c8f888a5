//! Convolutions in reverse, block by block.
//!
//! The gradients of a step's outputs are never in memory as a whole. A thread takes some blocks of
//! images in turn; of a block it makes what it needs, uses it for both gradients that come of it,
//! and forgets it, so that all of it stays in the caches:
//!
//! ```text
//! for each block
//!   for each source                      its gradient begins as zeros: branches add to it
//!     for each window on that source     the source is staged, and cut into tiles of rows, once
//!       for each branch
//!         1  g  = gradient of its output            output_gradient
//!         2  bias    += Σ g
//!         3  weights += g · source                  dense, separable
//!         4  source's gradient += weights · g       dense, separable
//!     5  the source's gradient goes to the maps' slots, zero where a ReLU was shut    write
//! ```
//!
//! In front of a product a depthwise convolution stands between 1 and 3: its outputs are made again
//! for the product's weights, and the gradient of these outputs takes the place of `g` from there.
//!
//! Branches are put in an order in which those of one source, and of one window among them, follow
//! each other. Weights' gradients are summed by task and joined in the order of tasks, whose number
//! depends on the batch alone: the same bits on any number of threads.

mod dense;
mod scratch;
mod separable;

use self::scratch::{Scratch, Work};
use super::{
    convolve::{frame, stage_all, transform_all},
    gradient::{Gradient, Slot},
    memory::Buffer,
    pass_state::PassState,
    prepared::{self, Prepared},
    reverse::Reverse,
    simd::elementwise,
    staging::{Canvas, Staging},
    tasks::{Tasks, slots_by_task},
    winograd,
};
use crate::program::{Branch, MapId, Read};
use rayon::prelude::*;
use std::ops::Range;

/// What a block is worked on with.
struct Block<'a> {
    state: &'a PassState,
    gradient: &'a Gradient,
    output: MapId,
    images: Range<usize>,
    /// The block's number in the output map.
    number: usize,
    /// `[oh, ow]`
    sides: [usize; 2],
}

/// Where the gradient of some channels of a map goes.
struct Target {
    map: MapId,
    slot: Slot,
    /// Whether nothing has been written to it.
    fresh: bool,
}

/// Adds to the gradients of the weights of a step, and sends the gradient of its output on to what
/// it read.
pub(super) fn backward(reverse: &mut Reverse, branches: &[Branch], output: MapId, gradient: &Gradient) {
    let mut targets: Vec<Target> = Vec::new();
    let mut next = 0;
    let mut places = Vec::new();
    for branch in branches {
        let mut slot_of = |read: &Read| {
            if !reverse.wants(read) {
                return None;
            }
            let known = targets.iter().position(|target| target.map == read.map && target.slot.is_of(read));
            Some(known.unwrap_or_else(|| {
                let (slot, fresh) = reverse.slot(read);
                targets.push(Target { map: read.map, slot, fresh });
                targets.len() - 1
            }))
        };
        places.push(branch.source.iter().map(&mut slot_of).collect::<Vec<_>>());
    }
    let state = &reverse.state;
    let sides = state.map(output).sides();
    let of_branches = branches.iter().zip(places).map(|(branch, slots)| {
        let starts = prepared::sums_of(state, branch, sides).map(|length| {
            next += length;
            next - length
        });
        (branch, slots, starts)
    });
    let mut prepared: Vec<Prepared<'_>> = of_branches
        .collect::<Vec<_>>()
        .into_par_iter()
        .map(|(branch, slots, sums)| Prepared::new(state, branch, sides, slots, sums))
        .collect();
    // Branches of one source follow each other, those of one frame among them too: staged once,
    // written once.
    let first_like = |like: &dyn Fn(&Branch) -> bool| branches.iter().position(like);
    prepared.sort_by_cached_key(|prepared| {
        let same_source = |other: &Branch| other.source == prepared.branch.source;
        let same = |other: &Branch| same_source(other) && frame(other) == prepared.frame;
        (first_like(&same_source), first_like(&same))
    });
    let sources = branches.iter().flat_map(|branch| &branch.source).map(|read| state.blocks(read.map).together);
    let tasks = Tasks::new(state.images, sources.chain([state.blocks(output).together]));
    let fresh: Vec<bool> = targets.iter().map(|target| target.fresh).collect();
    let blocks_of: Vec<_> = targets.iter().map(|target| target.slot.blocks(state, target.map)).collect();
    let values = targets.iter_mut().map(|target| &mut *target.slot.values);
    let chunks = slots_by_task(&tasks, blocks_of.iter().zip(values));
    let mut sums = Buffer::take(next * chunks.len());
    sums.par_chunks_mut(next.max(1)).zip(chunks).enumerate().with_max_len(1).for_each_init(
        Scratch::take,
        |scratch, (task, (sums, mut chunks))| {
            sums.fill(0.0);
            for images in tasks.blocks(task, state.blocks(output).together) {
                let number = images.start / state.blocks(output).together;
                let block = Block { state, gradient, output, images, number, sides };
                // The first source to write to a slot that is new need not add.
                let mut written = Vec::new();
                for of_source in prepared.chunk_by(|a, b| a.branch.source == b.branch.source) {
                    source_backward(&block, of_source, scratch, sums);
                    let first = &of_source[0];
                    for ((first_channel, read), slot) in PassState::parts(&first.branch.source).zip(&first.slots) {
                        let Some(slot) = *slot else { continue };
                        let add = !fresh[slot] || written.contains(&slot);
                        let to = &mut *chunks[slot];
                        write(&block, read, first_channel, to, tasks.images(task).start, add, scratch);
                        written.push(slot);
                    }
                }
            }
        },
    );
    let sums = prepared::total(sums, next);
    for prepared in &prepared {
        prepared.add_sums(&sums, &mut reverse.weights);
    }
    drop(prepared);
    for Target { map, slot, .. } in targets {
        reverse.slots[map].push(slot);
    }
}

/// All branches of one source: their weights' gradients are added to `sums`, the source's is left
/// in `scratch.of_source`, with padded rows.
fn source_backward(block: &Block<'_>, branches: &[Prepared<'_>], scratch: &mut Scratch, sums: &mut [f32]) {
    let Block { state, sides, .. } = block;
    let first = &branches[0];
    let source = state.map(first.branch.source[0].map);
    let input = source.sides();
    let to = Canvas::new(input[0], input[1] * block.images.len());
    scratch.of_source.of(first.inputs * to.plane()).fill(0.0);
    for of_frame in branches.chunk_by(|a, b| a.frame == b.frame) {
        let staging = Staging::new(of_frame[0].frame, input, *sides, block.images.len());
        let by_rows = |prepared: &Prepared<'_>| prepared.filters.is_some();
        if !of_frame.iter().all(by_rows) {
            let staged = scratch.staged.of(first.inputs * staging.plane);
            stage_all(state, &first.branch.source, block.images.clone(), &staging, staged);
        }
        if of_frame.iter().any(by_rows) {
            let transformed = &mut scratch.transformed;
            transform_all(state, &first.branch.source, block.images.clone(), &staging, transformed);
        }
        let mut sent = false;
        for prepared in of_frame {
            let canvas = Canvas::new(sides[0], sides[1] * block.images.len());
            let work = Work { prepared, staging: &staging, of_output: &canvas, of_source: &to };
            output_gradient(block, work, scratch);
            if prepared.branch.dense.and_then(|dense| dense.bias).is_some() {
                let planes = scratch.compact.of(work.values()).chunks_exact(work.compact());
                let bias = &mut sums[prepared.sums[2]..][..prepared.branch.channels];
                for (sum, plane) in bias.iter_mut().zip(planes) {
                    *sum += elementwise::sum(&plane[..canvas.compact()]) as f32;
                }
            }
            match (&prepared.branch.depthwise, &prepared.branch.dense, &prepared.filters) {
                (Some(depthwise), ..) => {
                    separable::backward(work, &state.weights[depthwise.weight..], scratch, sums);
                }
                (None, Some(_), Some(filters)) => {
                    dense::backward_by_rows(work, filters, sent, scratch, sums);
                    sent = true;
                }
                (None, Some(dense), None) => dense::backward(work, dense, scratch, sums),
                (None, None, _) => {}
            }
        }
        if sent && first.is_wanted() {
            let Scratch { products, spare, of_source, .. } = &mut *scratch;
            let out = of_source.of(first.inputs * to.plane());
            winograd::outputs(first.inputs, None, &to, out, [to.pitch, to.plane()], true, products, spare);
        }
    }
}

/// Makes the gradient of a branch's output: in `scratch.compact` as in a map, in `scratch.padded`
/// with padded rows where there are any.
fn output_gradient(block: &Block<'_>, work: Work<'_>, scratch: &mut Scratch) {
    let Work { prepared, of_output: canvas, .. } = work;
    let branch = prepared.branch;
    let (compact, plane) = (work.compact(), canvas.plane());
    let values = scratch.compact.of(work.values());
    for (channel, out) in values.chunks_exact_mut(compact).enumerate() {
        let out = &mut out[..canvas.compact()];
        block.gradient.plane(block.state, block.output, block.number, branch.first + channel, out);
    }
    if !canvas.is_dense() && prepared.filters.is_none() {
        let padded = scratch.padded.of(branch.channels * plane);
        for (values, padded) in values.chunks_exact(compact).zip(padded.chunks_exact_mut(plane)) {
            canvas.spread(&values[..canvas.compact()], padded);
        }
    }
}

/// Takes the source's gradient of a block to a slot, zero where the prologue's ReLU was shut.
fn write(
    block: &Block<'_>,
    read: &Read,
    first: usize,
    slot: &mut [f32],
    first_image: usize,
    add: bool,
    scratch: &mut Scratch,
) {
    let source = block.state.map(read.map);
    let canvas = Canvas::new(source.height, source.width * block.images.len());
    let of_source = scratch.of_source.of((first + read.channels) * canvas.plane());
    for channel in 0..read.channels {
        let from = &of_source[(first + channel) * canvas.plane()..][..canvas.len()];
        super::scatter::scatter(
            block.state,
            read,
            channel,
            block.images.clone(),
            from,
            &canvas,
            slot,
            first_image,
            add,
        );
    }
}
