//! Convolutions, in reverse: the gradient of the output is made, used for weights and source, and forgotten, block by block.

use super::{
    convolve::{depthwise_outputs, frame, offsets, rows, stage_all, transform_all},
    gradient::{Gradient, Slot},
    memory::{Area, Buffer, Kept, Lent},
    prepared::{self, Prepared},
    reverse::Reverse,
    simd::{Rows, depthwise, dots::dots, elementwise, product::product},
    staging::{Canvas, Staging, roomy},
    tape::{Prologue, Tape},
    tasks::{Tasks, slots_by_task},
    winograd::{self, Filters, Tiles},
};
use crate::program::{Branch, Dense, Depthwise, MapId, Read};
use rayon::prelude::*;
use std::ops::Range;

#[derive(Default)]
struct Scratch {
    staged: Area,
    /// Rows of the source, and of the output's gradient, for windows of three rows.
    transformed: Tiles,
    of_output: Tiles,
    /// What tiles of rows send back to their source: products of all branches, summed.
    products: Area,
    spare: Vec<f32>,
    /// The output's gradient, plane by plane as it is in a map, and with padded rows.
    compact: Area,
    gradient: Area,
    /// Depthwise outputs, and their gradients.
    depth: Area,
    of_depth: Area,
    plane: Area,
    reversed: Area,
    /// The source's gradient.
    of_source: Area,
}

fn lend() -> Lent<Scratch> {
    static KEPT: Kept<Scratch> = Kept::new();
    KEPT.lend()
}

/// What a block is worked on with.
struct Block<'a> {
    tape: &'a Tape,
    gradient: &'a Gradient,
    output: MapId,
    images: Range<usize>,
    /// The block's number in the output map.
    number: usize,
    /// `[oh, ow]`
    sides: [usize; 2],
}

pub(super) fn backward(reverse: &mut Reverse, branches: &[Branch], output: MapId, gradient: &Gradient) {
    let mut wanted: Vec<(MapId, Slot, bool)> = Vec::new();
    let mut next = 0;
    let mut places = Vec::new();
    for branch in branches {
        let mut slot_of = |read: &Read| {
            if !reverse.wants(read) {
                return None;
            }
            let known = wanted.iter().position(|(map, slot, _)| *map == read.map && slot.is_of(read));
            Some(known.unwrap_or_else(|| {
                let (slot, fresh) = reverse.slot(read);
                wanted.push((read.map, slot, fresh));
                wanted.len() - 1
            }))
        };
        places.push(branch.source.iter().map(&mut slot_of).collect::<Vec<_>>());
    }
    let tape = &reverse.tape;
    let sides = [tape.map(output).height, tape.map(output).width];
    let of_branches = branches.iter().zip(places).map(|(branch, slots)| {
        let starts = prepared::sums_of(tape, branch, sides).map(|length| {
            next += length;
            next - length
        });
        (branch, slots, starts)
    });
    let mut prepared: Vec<Prepared<'_>> = of_branches
        .collect::<Vec<_>>()
        .into_par_iter()
        .map(|(branch, slots, sums)| Prepared::new(tape, branch, sides, slots, sums))
        .collect();
    // Branches of one source follow each other, those of one frame among them too: staged once, written once.
    let first_like = |like: &dyn Fn(&Branch) -> bool| branches.iter().position(like);
    prepared.sort_by_cached_key(|prepared| {
        let same_source = |other: &Branch| other.source == prepared.branch.source;
        let same = |other: &Branch| same_source(other) && frame(other) == prepared.frame;
        (first_like(&same_source), first_like(&same))
    });
    let sources = branches.iter().flat_map(|branch| &branch.source).map(|read| tape.blocks(read.map).together);
    let tasks = Tasks::new(tape.images, sources.chain([tape.blocks(output).together]));
    let fresh: Vec<bool> = wanted.iter().map(|(_, _, fresh)| *fresh).collect();
    let blocks_of: Vec<_> = wanted.iter().map(|(map, slot, _)| slot.blocks(tape, *map)).collect();
    let chunks = slots_by_task(&tasks, blocks_of.iter().zip(wanted.iter_mut().map(|(_, slot, _)| &mut *slot.values)));
    let mut sums = Buffer::take(next * chunks.len());
    sums.par_chunks_mut(next.max(1)).zip(chunks).enumerate().with_max_len(1).for_each_init(
        lend,
        |scratch, (task, (sums, mut chunks))| {
            sums.fill(0.0);
            for images in tasks.blocks(task, tape.blocks(output).together) {
                let number = images.start / tape.blocks(output).together;
                let block = Block { tape, gradient, output, images, number, sides };
                // The first source to write to a slot that is new need not add.
                let mut written = Vec::new();
                for of_source in prepared.chunk_by(|a, b| a.branch.source == b.branch.source) {
                    source_backward(&block, of_source, scratch, sums);
                    let first = &of_source[0];
                    for ((first_channel, read), slot) in Tape::parts(&first.branch.source).zip(&first.slots) {
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
    for (map, slot, _) in wanted {
        reverse.slots[map].push(slot);
    }
}

/// All branches of one source: their weights' gradients are added to `sums`, the source's is left in
/// `scratch.of_source`, with padded rows.
fn source_backward(block: &Block<'_>, branches: &[Prepared<'_>], scratch: &mut Scratch, sums: &mut [f32]) {
    let Block { tape, sides, .. } = block;
    let first = &branches[0];
    let source = tape.map(first.branch.source[0].map);
    let input = [source.height, source.width];
    let to = Canvas::new(input[0], input[1] * block.images.len());
    scratch.of_source.of(first.inputs * to.plane()).fill(0.0);
    for of_frame in branches.chunk_by(|a, b| a.frame == b.frame) {
        let staging = Staging::new(of_frame[0].frame, input, *sides, block.images.len());
        let by_rows = |prepared: &Prepared<'_>| prepared.filters.is_some();
        if !of_frame.iter().all(by_rows) {
            let staged = scratch.staged.of(first.inputs * staging.plane);
            stage_all(tape, &first.branch.source, block.images.clone(), &staging, staged);
        }
        if of_frame.iter().any(by_rows) {
            let transformed = &mut scratch.transformed;
            transform_all(tape, &first.branch.source, block.images.clone(), &staging, transformed);
        }
        let mut sent = false;
        for prepared in of_frame {
            let canvas = Canvas::new(sides[0], sides[1] * block.images.len());
            output_gradient(block, prepared, &canvas, scratch);
            if prepared.branch.dense.and_then(|dense| dense.bias).is_some() {
                let planes = scratch.compact.of(prepared.branch.channels * roomy(canvas.compact()));
                let bias = &mut sums[prepared.sums[2]..][..prepared.branch.channels];
                for (sum, plane) in bias.iter_mut().zip(planes.chunks_exact(roomy(canvas.compact()))) {
                    *sum += elementwise::sum(&plane[..canvas.compact()]) as f32;
                }
            }
            match (&prepared.branch.depthwise, &prepared.branch.dense) {
                (Some(depthwise), dense) => {
                    separable_backward(
                        tape,
                        prepared,
                        depthwise,
                        dense.is_some(),
                        &staging,
                        [&canvas, &to],
                        scratch,
                        sums,
                    );
                }
                (None, Some(dense)) => match &prepared.filters {
                    Some(filters) => {
                        by_rows_backward(prepared, filters, &staging, [&canvas, &to], sent, scratch, sums);
                        sent = true;
                    }
                    None => dense_backward(prepared, dense, &staging, [&canvas, &to], scratch, sums),
                },
                (None, None) => {}
            }
        }
        if sent && first.is_wanted() {
            let Scratch { products, spare, of_source, .. } = &mut *scratch;
            let out = of_source.of(first.inputs * to.plane());
            winograd::outputs(first.inputs, None, &to, out, [to.pitch, to.plane()], true, products, spare);
        }
    }
}

/// Makes the gradient of a branch's output: in `scratch.compact` as in a map, in `scratch.gradient` with padded rows.
fn output_gradient(block: &Block<'_>, prepared: &Prepared<'_>, canvas: &Canvas, scratch: &mut Scratch) {
    let branch = prepared.branch;
    let (compact, plane) = (roomy(canvas.compact()), canvas.plane());
    let values = scratch.compact.of(branch.channels * compact);
    for (channel, out) in values.chunks_exact_mut(compact).enumerate() {
        let out = &mut out[..canvas.compact()];
        block.gradient.plane(block.tape, block.output, block.number, branch.first + channel, out);
    }
    if !canvas.is_dense() && prepared.filters.is_none() {
        let padded = scratch.gradient.of(branch.channels * plane);
        for (values, padded) in values.chunks_exact(compact).zip(padded.chunks_exact_mut(plane)) {
            canvas.spread(&values[..canvas.compact()], padded);
        }
    }
}

/// Rows that follow each other without a gap are one.
fn flatten(rows: Rows) -> Rows {
    let Rows { count, width, input_pitch, output_pitch } = rows;
    if input_pitch == width && output_pitch == width {
        let length = count * width;
        Rows { count: 1, width: length, input_pitch: length, output_pitch: length }
    } else {
        rows
    }
}

/// A depthwise convolution, and the product behind it where there is one.
#[expect(clippy::too_many_arguments, reason = "what is read, what is written, and how both lie")]
fn separable_backward(
    tape: &Tape,
    prepared: &Prepared<'_>,
    depthwise: &Depthwise,
    has_dense: bool,
    staging: &Staging,
    [canvas, to]: [&Canvas; 2],
    scratch: &mut Scratch,
    sums: &mut [f32],
) {
    let Prepared { inputs, branch, .. } = prepared;
    let (inputs, taps, plane) = (*inputs, staging.frame.taps(), canvas.plane());
    let Scratch { staged, compact, gradient, depth, of_depth, plane: single, reversed, of_source, .. } = scratch;
    let staged = staged.of(inputs * staging.plane);
    let gradient: &[f32] = if canvas.is_dense() {
        compact.of(branch.channels * roomy(canvas.compact()))
    } else {
        gradient.of(branch.channels * plane)
    };
    let weights = &tape.weights[depthwise.weight..];
    let of_depth = if has_dense {
        let depth = depth.of(inputs * plane);
        depthwise_outputs(weights, inputs, staging, staged, rows(staging, canvas), depth, plane);
        let flat = Rows { count: 1, width: canvas.len(), input_pitch: canvas.len(), output_pitch: canvas.len() };
        let planes: Vec<usize> = (0..inputs.max(branch.channels)).map(|channel| channel * plane).collect();
        let of_dense = &mut sums[prepared.sums[0]..][..branch.channels * inputs];
        dots(gradient, plane, branch.channels, &planes[..inputs], depth, flat, of_dense);
        let of_depth = of_depth.of(inputs * plane);
        product(&prepared.panels[0], None, &planes[..branch.channels], gradient, flat, of_depth, plane, false);
        &*of_depth
    } else {
        gradient
    };
    let of_depthwise = &mut sums[prepared.sums[1]..][..inputs * taps];
    let back = staging.is_unstrided().then(|| staging.reversed());
    let back = back.as_ref().map(|back| (back, back.taps()));
    let (forward_rows, window) = (rows(staging, canvas), staging.taps());
    for channel in 0..inputs {
        let input = &staged[channel * staging.plane..][..staging.plane];
        let of_channel = &of_depth[channel * plane..][..canvas.len()];
        let sums = &mut of_depthwise[channel * taps..][..taps];
        depthwise::plane_dots(of_channel, input, window, forward_rows, sums);
        let out = &mut of_source.of(inputs * to.plane())[channel * to.plane()..][..to.plane()];
        let filter = channel * taps..(channel + 1) * taps;
        match back {
            Some((back, window)) => {
                let reversed = reversed.of(back.plane);
                stage_rows(of_channel, canvas, back, single, reversed);
                let filter = &prepared.reversed[filter];
                depthwise::correlate(reversed, filter, window, rows(back, to), out, true);
            }
            None => {
                let spread = reversed.of(staging.plane);
                spread.fill(0.0);
                depthwise::spread(of_channel, &weights[filter], &staging.offsets, forward_rows, spread);
                staging.unstage_add(spread, out, to.pitch);
            }
        }
    }
}

/// Stages a canvas's plane.
fn stage_rows(of_canvas: &[f32], canvas: &Canvas, staging: &Staging, single: &mut Area, staged: &mut [f32]) {
    if canvas.is_dense() {
        return staging.stage(&of_canvas[..canvas.compact()], 0.0, staged, Prologue::NONE);
    }
    let plane = single.of(canvas.compact());
    canvas.take(of_canvas, plane);
    staging.stage(plane, 0.0, staged, Prologue::NONE);
}

/// A convolution that mixes channels.
fn dense_backward(
    prepared: &Prepared<'_>,
    dense: &Dense,
    staging: &Staging,
    [canvas, to]: [&Canvas; 2],
    scratch: &mut Scratch,
    sums: &mut [f32],
) {
    let Prepared { inputs, branch, panels, .. } = prepared;
    let (inputs, taps, plane) = (*inputs, staging.frame.taps(), canvas.plane());
    let (in_group, out_group) = (inputs / dense.groups, branch.channels / dense.groups);
    let Scratch { staged, compact, gradient, depth: columns, reversed, of_source, .. } = scratch;
    let staged = staged.of(inputs * staging.plane);
    let values = compact.of(branch.channels * roomy(canvas.compact()));
    let gradient: &[f32] = if canvas.is_dense() { values } else { gradient.of(branch.channels * plane) };
    let taps_of_group = offsets(staging, in_group);
    let out = of_source.of(inputs * to.plane());
    for (group, panels) in panels.iter().enumerate() {
        let staged = &staged[group * in_group * staging.plane..];
        let gradient = &gradient[group * out_group * plane..];
        let length = out_group * in_group * taps;
        let of_group = &mut sums[prepared.sums[0] + group * length..][..length];
        let forward_rows = flatten(rows(staging, canvas));
        dots(gradient, plane, out_group, &taps_of_group, staged, forward_rows, of_group);
        if !prepared.is_wanted() {
            continue;
        }
        let out = &mut out[group * in_group * to.plane()..];
        if staging.is_plane() {
            let planes: Vec<usize> = (0..out_group).map(|channel| channel * plane).collect();
            let rows =
                Rows { count: canvas.rows, width: canvas.pitch, input_pitch: canvas.pitch, output_pitch: to.pitch };
            product(panels, None, &planes, gradient, flatten(rows), out, to.plane(), true);
        } else if staging.is_unstrided() {
            let back = staging.reversed();
            let reversed = reversed.of(out_group * back.plane);
            let values = &values[group * out_group * roomy(canvas.compact())..];
            for (plane, staged) in
                values.chunks_exact(roomy(canvas.compact())).zip(reversed.chunks_exact_mut(back.plane))
            {
                back.stage(&plane[..canvas.compact()], 0.0, staged, Prologue::NONE);
            }
            product(panels, None, &offsets(&back, out_group), reversed, rows(&back, to), out, to.plane(), true);
        } else {
            let planes: Vec<usize> = (0..out_group).map(|channel| channel * plane).collect();
            let columns = columns.of(in_group * taps * plane);
            let flat = Rows { count: 1, width: canvas.len(), input_pitch: canvas.len(), output_pitch: canvas.len() };
            product(panels, None, &planes, gradient, flat, columns, plane, false);
            let spread = reversed.of(staging.plane);
            for (input, columns) in columns.chunks_exact(taps * plane).enumerate() {
                spread.fill(0.0);
                for (column, offset) in columns.chunks_exact(plane).zip(&staging.offsets) {
                    depthwise::spread(column, &[1.0], &[*offset], rows(staging, canvas), spread);
                }
                staging.unstage_add(spread, &mut out[input * to.plane()..], to.pitch);
            }
        }
    }
}

/// A window of three rows, taken by tiles of rows. What it sends back is left in `scratch.products`, added to what is there
/// where `accumulate`.
fn by_rows_backward(
    prepared: &Prepared<'_>,
    filters: &Filters,
    staging: &Staging,
    [canvas, to]: [&Canvas; 2],
    accumulate: bool,
    scratch: &mut Scratch,
    sums: &mut [f32],
) {
    let Prepared { inputs, branch, .. } = prepared;
    let (inputs, outputs) = (*inputs, branch.channels);
    let Scratch { transformed, of_output, products, compact, depth, .. } = scratch;
    let (length, values) = (roomy(canvas.compact()), compact.of(outputs * roomy(canvas.compact())));
    let sums = &mut sums[prepared.sums[0]..];
    winograd::add_gradient(values, length, outputs, staging, transformed, inputs, canvas, sums, depth);
    if !prepared.is_wanted() {
        return;
    }
    let back = staging.reversed();
    let plane = |output: usize| (&values[output * length..][..canvas.compact()], Prologue::NONE);
    winograd::transform(&back, outputs, plane, of_output);
    winograd::products(filters, &back, of_output, outputs, to, accumulate, products);
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
    let source = block.tape.map(read.map);
    let canvas = Canvas::new(source.height, source.width * block.images.len());
    let of_source = scratch.of_source.of((first + read.channels) * canvas.plane());
    for channel in 0..read.channels {
        let from = &of_source[(first + channel) * canvas.plane()..][..canvas.len()];
        super::scatter::scatter(block.tape, read, channel, block.images.clone(), from, &canvas, slot, first_image, add);
    }
}
