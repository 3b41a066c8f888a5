//! Pooling, forward and in reverse.

use super::{
    convolve::{images_of, rows},
    gradient::{Gradient, Slot},
    memory::{Area, Buffer, ScratchGuard, ScratchPool},
    pass_state::PassState,
    prologue::Prologue,
    reverse::Reverse,
    scatter::scatter,
    simd::{
        depthwise,
        elementwise::{self, Moments},
        vectorised,
    },
    staging::{Canvas, Staging},
    tasks::{Tasks, slots_by_task},
};
use crate::program::{MapId, PoolKind, PoolStep, Read};
use rayon::prelude::*;

#[derive(Default)]
struct Scratch {
    staged: Area,
    counts: Area,
    /// What the counts are of.
    counted: Option<Staging>,
    out: Area,
    taken: Vec<u32>,
    spread: Area,
    plane: Area,
}

fn scratch() -> ScratchGuard<Scratch> {
    static POOL: ScratchPool<Scratch> = ScratchPool::new();
    POOL.take()
}

/// What stands for the padding.
fn fill(kind: PoolKind) -> f32 {
    match kind {
        PoolKind::Max => f32::NEG_INFINITY,
        PoolKind::Mean => 0.0,
    }
}

/// Writes the output map, and returns its moments by block and channel where they are asked for.
pub(super) fn forward(state: &PassState, pool: &PoolStep, output: MapId, moments: bool) -> (Buffer, Vec<Vec<Moments>>) {
    let (blocks, map) = (state.blocks(output), state.map(output));
    let source = state.map(pool.source[0].map);
    let mut values = Buffer::take(blocks.len());
    let found = values
        .par_chunks_mut(blocks.chunk(blocks.together))
        .enumerate()
        .with_max_len(1)
        .map_init(scratch, |scratch, (block, out)| {
            let images = images_of(&blocks, block);
            let sides = map.sides();
            let staging = Staging::new(pool.frame, source.sides(), sides, images.len());
            let canvas = Canvas::new(sides[0], sides[1] * images.len());
            let plane = canvas.compact();
            let mut found = Vec::new();
            if pool.kind == PoolKind::Mean {
                inverse_counts(&staging, &canvas, scratch);
            }
            let Scratch { staged, counts, .. } = &mut **scratch;
            for (first, read) in PassState::parts(&pool.source) {
                for channel in 0..read.channels {
                    let staged = staged.of(staging.plane);
                    state.stage(read, channel, images.clone(), &staging, fill(pool.kind), staged);
                    let out = &mut out[(first + channel) * plane..][..plane];
                    match pool.kind {
                        PoolKind::Max => maximum(staged, &staging, &canvas, out),
                        PoolKind::Mean => mean(staged, &staging, &canvas, counts.of(plane), out),
                    }
                    if moments {
                        found.push(elementwise::moments(out));
                    }
                }
            }
            found
        })
        .collect();
    (values, found)
}

/// One over the pixels of each window, those of the padding not counted, in `scratch.counts`.
fn inverse_counts(staging: &Staging, canvas: &Canvas, scratch: &mut Scratch) {
    if scratch.counted.as_ref() == Some(staging) {
        return;
    }
    scratch.counted = Some(staging.clone());
    let plane = staging.input[0] * staging.input[1] * staging.images;
    let (ones, staged) = (scratch.plane.of(plane), scratch.staged.of(staging.plane));
    ones.fill(1.0);
    staging.stage(ones, 0.0, staged, Prologue::NONE);
    let counts = scratch.counts.of(canvas.compact());
    sum_of_taps(staged, staging, canvas, counts);
    counts.iter_mut().for_each(|count| *count = 1.0 / *count);
}

/// The weights of a window that is summed.
static ONES: [f32; 49] = [1.0; 49];

fn each_tap(
    staged: &[f32],
    staging: &Staging,
    canvas: &Canvas,
    out: &mut [f32],
    join: impl Fn(&mut f32, f32) + Copy,
    start: f32,
) {
    vectorised(
        #[inline(always)]
        || {
            for (row, out) in out.chunks_exact_mut(canvas.width).enumerate() {
                out.fill(start);
                for offset in &staging.offsets {
                    let from = &staged[offset + row * staging.pitch..][..canvas.width];
                    out.iter_mut().zip(from).for_each(|(out, from)| join(out, *from));
                }
            }
        },
    );
}

fn sum_of_taps(staged: &[f32], staging: &Staging, canvas: &Canvas, out: &mut [f32]) {
    // A window of ones is walked down the columns, each value read once for all rows of the window.
    if staging.is_unstrided() && canvas.is_dense() && staging.frame.taps() <= ONES.len() {
        let ones = &ONES[..staging.frame.taps()];
        return depthwise::correlate(staged, ones, staging.taps(), rows(staging, canvas), out, false);
    }
    each_tap(staged, staging, canvas, out, |sum, value| *sum += value, 0.0);
}

fn maximum(staged: &[f32], staging: &Staging, canvas: &Canvas, out: &mut [f32]) {
    // What is no number wins, and stays.
    let keep = |most: &mut f32, value: f32| *most = if (value <= *most) | most.is_nan() { *most } else { value };
    each_tap(staged, staging, canvas, out, keep, f32::NEG_INFINITY);
}

fn mean(staged: &[f32], staging: &Staging, canvas: &Canvas, counts: &[f32], out: &mut [f32]) {
    sum_of_taps(staged, staging, canvas, out);
    elementwise::multiply(counts, out);
}

/// Sends the gradient of a pool on to its source.
pub(super) fn backward(reverse: &mut Reverse, pool: &PoolStep, output: MapId, gradient: &Gradient) {
    let reads: Vec<Read> = pool.source.iter().filter(|read| reverse.wants(read)).copied().collect();
    let mut wanted: Vec<(Read, (Slot, bool))> = reads.into_iter().map(|read| (read, reverse.slot(&read))).collect();
    let state = &reverse.state;
    let (blocks, map) = (state.blocks(output), state.map(output));
    let source = state.map(pool.source[0].map);
    let sides = map.sides();
    let fresh: Vec<bool> = wanted.iter().map(|(_, (_, fresh))| *fresh).collect();
    let tasks = Tasks::new(
        state.images,
        pool.source.iter().map(|read| state.blocks(read.map).together).chain([blocks.together]),
    );
    let of_slots: Vec<_> = wanted.iter().map(|(read, (slot, _))| slot.blocks(state, read.map)).collect();
    let chunks = slots_by_task(&tasks, of_slots.iter().zip(wanted.iter_mut().map(|(_, (slot, _))| &mut *slot.values)));
    chunks.into_par_iter().enumerate().with_max_len(1).for_each_init(scratch, |scratch, (task, mut chunks)| {
        for images in tasks.blocks(task, blocks.together) {
            let number = images.start / blocks.together;
            let staging = Staging::new(pool.frame, source.sides(), sides, images.len());
            let canvas = Canvas::new(sides[0], sides[1] * images.len());
            let to = Canvas::new(source.height, source.width * images.len());
            if pool.kind == PoolKind::Mean {
                inverse_counts(&staging, &canvas, scratch);
            }
            let back =
                (pool.kind == PoolKind::Mean && staging.is_unstrided() && to.is_dense()).then(|| staging.reversed());
            let mut slot = 0;
            for (first, read) in PassState::parts(&pool.source) {
                if !reverse.wants(read) {
                    continue;
                }
                for channel in 0..read.channels {
                    let Scratch { staged, counts, out, taken, spread, plane, .. } = &mut **scratch;
                    let (out, plane) = (out.of(canvas.compact()), plane.of(to.len()));
                    gradient.plane(state, output, number, first + channel, out);
                    if pool.kind == PoolKind::Mean {
                        elementwise::multiply(counts.of(canvas.compact()), out);
                    }
                    match &back {
                        // What every pixel takes from the windows that it is in is a window too.
                        Some(back) => {
                            let staged = staged.of(back.plane);
                            back.stage(out, 0.0, staged, Prologue::NONE);
                            sum_of_taps(staged, back, &to, plane);
                        }
                        None => {
                            let spread = spread.of(staging.plane);
                            spread.fill(0.0);
                            if pool.kind == PoolKind::Mean {
                                add_to_taps(out, &staging, &canvas, spread);
                            } else {
                                let staged = staged.of(staging.plane);
                                state.stage(read, channel, images.clone(), &staging, f32::NEG_INFINITY, staged);
                                let most = blocks.plane(state.values(output), number, first + channel);
                                add_to_first(out, most, staged, &staging, &canvas, taken, spread);
                            }
                            if staging.whole_rows().is_none() {
                                plane.fill(0.0);
                                staging.unstage_add(spread, plane, to.pitch);
                            }
                        }
                    }
                    let (from, canvas) = match staging.whole_rows() {
                        Some(first) if back.is_none() => {
                            (&spread.of(staging.plane)[first..], Canvas { pitch: staging.pitch, ..to })
                        }
                        _ => (&*plane, to),
                    };
                    let (start, chunk) = (tasks.images(task).start, &mut *chunks[slot]);
                    scatter(state, read, channel, images.clone(), from, &canvas, chunk, start, !fresh[slot]);
                }
                slot += 1;
            }
        }
    });
    for (read, (slot, _)) in wanted {
        reverse.keep(&read, slot);
    }
}

fn add_to_taps(gradient: &[f32], staging: &Staging, canvas: &Canvas, spread: &mut [f32]) {
    vectorised(
        #[inline(always)]
        || {
            for (row, gradient) in gradient.chunks_exact(canvas.width).enumerate() {
                for offset in &staging.offsets {
                    let to = &mut spread[offset + row * staging.pitch..][..canvas.width];
                    to.iter_mut().zip(gradient).for_each(|(to, gradient)| *to += gradient);
                }
            }
        },
    );
}

/// The first tap in reading order that has the maximum takes the gradient.
fn add_to_first(
    gradient: &[f32],
    most: &[f32],
    staged: &[f32],
    staging: &Staging,
    canvas: &Canvas,
    taken: &mut Vec<u32>,
    spread: &mut [f32],
) {
    // All ones where the maximum has been met: as wide as a value, so that vectors hold both.
    taken.clear();
    taken.resize(canvas.width, 0);
    vectorised(
        #[inline(always)]
        || {
            let rows = gradient.chunks_exact(canvas.width).zip(most.chunks_exact(canvas.width)).enumerate();
            for (row, (gradient, most)) in rows {
                taken.fill(0);
                for offset in &staging.offsets {
                    let start = offset + row * staging.pitch;
                    let (from, to) = (&staged[start..][..canvas.width], &mut spread[start..][..canvas.width]);
                    let lanes = taken.iter_mut().zip(from.iter().zip(most)).zip(to.iter_mut().zip(gradient));
                    for ((taken, (from, most)), (to, gradient)) in lanes {
                        let here = if from == most { !*taken } else { 0 };
                        *to += f32::from_bits(gradient.to_bits() & here);
                        *taken |= here;
                    }
                }
            }
        },
    );
}
