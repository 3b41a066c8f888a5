//! A depthwise convolution in reverse, and the product behind it where there is one.

use super::scratch::{Scratch, Work};
use crate::cpu::convolve::{depthwise_outputs, rows};
use crate::cpu::memory::Area;
use crate::cpu::prologue::Prologue;
use crate::cpu::simd::{Rows, depthwise, dots::dots, product::product};
use crate::cpu::staging::{Canvas, Staging};

/// A depthwise convolution, and the product behind it where there is one.
///
/// `weights` are those of the depthwise convolution.
pub(super) fn backward(work: Work<'_>, weights: &[f32], scratch: &mut Scratch, sums: &mut [f32]) {
    let Work { prepared, staging, of_output: canvas, of_source: to } = work;
    let (inputs, branch) = (prepared.inputs, prepared.branch);
    let (taps, plane) = (staging.frame.taps(), canvas.plane());
    let Scratch { staged, compact, padded, depth, of_depth, plane: single, reversed, of_source, .. } = scratch;
    let staged = staged.of(inputs * staging.plane);
    let gradient = work.padded(compact.of(work.values()), padded);
    let of_depth = if branch.dense.is_some() {
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
