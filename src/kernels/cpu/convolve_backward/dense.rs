//! A convolution that mixes channels, in reverse: tap by tap, or by tiles of rows.

use super::scratch::{Scratch, Work};
use crate::cpu::convolve::{offsets, rows};
use crate::cpu::prepared::Prepared;
use crate::cpu::prologue::Prologue;
use crate::cpu::simd::{Rows, depthwise, dots::dots, product::product};
use crate::cpu::winograd::{self, Filters};
use crate::program::Dense;

/// Tap by tap: a product reads every tap's values where they are staged. What goes back is one
/// product for windows of one pixel, a correlation with the taps in reverse at stride 1, and else a
/// product that gives each tap's share, which is spread over the source.
pub(super) fn backward(work: Work<'_>, dense: &Dense, scratch: &mut Scratch, sums: &mut [f32]) {
    let Work { prepared, staging, of_output: canvas, of_source: to } = work;
    let Prepared { inputs, branch, panels, .. } = prepared;
    let (inputs, taps, plane) = (*inputs, staging.frame.taps(), canvas.plane());
    let (in_group, out_group) = (inputs / dense.groups, branch.channels / dense.groups);
    let Scratch { staged, compact, padded, depth: columns, reversed, of_source, .. } = scratch;
    let staged = staged.of(inputs * staging.plane);
    let values: &[f32] = compact.of(work.values());
    let gradient = work.padded(values, padded);
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
            let values = values[group * out_group * work.compact()..].chunks_exact(work.compact());
            for (plane, staged) in values.zip(reversed.chunks_exact_mut(back.plane)) {
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

/// A window of three rows, taken by tiles of rows. What it sends back is left in
/// `scratch.products`, added to what is there where `accumulate`.
pub(super) fn backward_by_rows(
    work: Work<'_>,
    filters: &Filters,
    accumulate: bool,
    scratch: &mut Scratch,
    sums: &mut [f32],
) {
    let Work { prepared, staging, of_output: canvas, of_source: to } = work;
    let (inputs, outputs) = (prepared.inputs, prepared.branch.channels);
    let Scratch { transformed, of_output, products, compact, depth, .. } = scratch;
    let (length, values) = (work.compact(), compact.of(work.values()));
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
