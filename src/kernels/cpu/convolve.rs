//! Convolutions, forward: prologue, depthwise, product and statistics of a block while it is in the
//! cache.

use super::{
    layout::Blocks,
    memory::{Area, Buffer, ScratchGuard, ScratchPool},
    pass_state::PassState,
    simd::{
        Rows, depthwise,
        elementwise::{self, Moments},
        product::{Panels, product},
    },
    staging::{Canvas, Staging},
    winograd::{self, Filters, Tiles},
};
use crate::program::{Branch, Frame, MapId, Read};
use rayon::prelude::*;
use std::ops::Range;

/// A branch with what is the same for every block.
pub(super) struct Prepared<'a> {
    pub branch: &'a Branch,
    /// The frame that sees the source.
    pub frame: Frame,
    pub inputs: usize,
    /// The dense weights of each group, or of tiles of rows.
    weights: Weights,
    bias: Option<&'a [f32]>,
}

enum Weights {
    ByTap(Vec<Panels>),
    ByTilesOfRows(Filters),
}

impl<'a> Prepared<'a> {
    fn new(state: &'a PassState, branch: &'a Branch, sides: [usize; 2]) -> Self {
        let weights = state.weights.as_slice();
        let inputs = branch.inputs();
        let source = state.map(branch.source[0].map);
        let bias = branch.dense.and_then(|dense| dense.bias).map(|at| &weights[at..][..branch.channels]);
        if let Some(dense) = branch.dense
            && winograd::applies(branch, inputs, source.sides(), sides)
        {
            let width = dense.frame.kernel[1];
            let weight = |output: usize, input: usize, row: usize, column: usize| {
                weights[dense.weight + ((output * inputs + input) * 3 + row) * width + column]
            };
            let filters = Filters::new(branch.channels, inputs, width, weight);
            return Self { branch, frame: frame(branch), inputs, weights: Weights::ByTilesOfRows(filters), bias };
        }
        let panels = branch.dense.iter().flat_map(|dense| {
            let (outputs, inputs) = (branch.channels / dense.groups, inputs / dense.groups * dense.frame.taps());
            (0..dense.groups).map(move |group| {
                let weights = &weights[dense.weight + group * outputs * inputs..];
                Panels::pack(outputs, inputs, |output, input| weights[output * inputs + input])
            })
        });
        Self { branch, frame: frame(branch), inputs, weights: Weights::ByTap(panels.collect()), bias }
    }
}

/// The frame that sees a branch's source.
pub(super) fn frame(branch: &Branch) -> Frame {
    let of_dense = || branch.dense.map_or(Frame::PIXEL, |dense| dense.frame);
    branch.depthwise.map_or_else(of_dense, |depthwise| depthwise.frame)
}

/// How outputs lie in scratch memory: one long row where every output is its own pixel, else a row
/// a row.
fn canvas(staging: &Staging) -> Canvas {
    let ([height, width], images) = (staging.output, staging.images);
    if staging.is_plane() { Canvas::new(1, height * width * images) } else { Canvas::new(height, width * images) }
}

/// Scratch memory of a thread.
#[derive(Default)]
struct Scratch {
    staged: Area,
    transformed: Tiles,
    spare: Vec<f32>,
    depth: Area,
    out: Area,
}

fn scratch() -> ScratchGuard<Scratch> {
    static POOL: ScratchPool<Scratch> = ScratchPool::new();
    POOL.take()
}

/// What was staged last, and what was transformed: branches of one source and frame share it.
#[derive(Default)]
struct StagedInput<'a> {
    staged: Option<(&'a [Read], Frame)>,
    transformed: Option<(&'a [Read], Frame)>,
}

/// Writes the output map, and returns its moments by block and channel where they are asked for.
pub(super) fn forward(
    state: &PassState,
    branches: &[Branch],
    output: MapId,
    moments: bool,
) -> (Buffer, Vec<Vec<Moments>>) {
    let blocks = state.blocks(output);
    let sides = state.map(output).sides();
    let mut prepared: Vec<Prepared<'_>> =
        branches.par_iter().map(|branch| Prepared::new(state, branch, sides)).collect();
    // Branches of one source and frame follow each other, so that it is staged once.
    prepared.sort_by_key(|prepared| {
        let first = |other: &&Branch| other.source == prepared.branch.source && frame(other) == prepared.frame;
        branches.iter().position(|other| first(&other))
    });
    let mut values = Buffer::take(blocks.len());
    let found = values
        .par_chunks_mut(blocks.chunk(blocks.together))
        .enumerate()
        .with_max_len(1)
        .map_init(scratch, |scratch, (block, out)| {
            let images = images_of(&blocks, block);
            let mut laid = StagedInput::default();
            for prepared in &prepared {
                branch_forward(state, prepared, images.clone(), sides, &mut laid, scratch, out);
            }
            let plane = blocks.pixels * images.len();
            if moments { out.chunks_exact(plane).map(elementwise::moments).collect() } else { Vec::new() }
        })
        .collect();
    (values, found)
}

pub(super) fn images_of(blocks: &Blocks, block: usize) -> Range<usize> {
    let first = block * blocks.together;
    first..first + blocks.block(block).1
}

/// One branch of one block; `out` is the block of the whole output map.
fn branch_forward<'a>(
    state: &PassState,
    prepared: &Prepared<'a>,
    images: Range<usize>,
    sides: [usize; 2],
    laid: &mut StagedInput<'a>,
    scratch: &mut Scratch,
    out: &mut [f32],
) {
    let branch = prepared.branch;
    let source = state.map(branch.source[0].map);
    let staging = Staging::new(prepared.frame, source.sides(), sides, images.len());
    let canvas = canvas(&staging);
    let plane = canvas.compact();
    let out = &mut out[branch.first * plane..][..branch.channels * plane];
    let of_branch = Some((branch.source.as_slice(), prepared.frame));
    if let Weights::ByTilesOfRows(filters) = &prepared.weights {
        let Scratch { transformed, spare, depth, .. } = scratch;
        if laid.transformed != of_branch {
            transform_all(state, &branch.source, images, &staging, transformed);
            laid.transformed = of_branch;
        }
        winograd::products(filters, &staging, transformed, prepared.inputs, &canvas, false, depth);
        let apart = [canvas.width, plane];
        return winograd::outputs(branch.channels, prepared.bias, &canvas, out, apart, false, depth, spare);
    }
    let staged = scratch.staged.of(prepared.inputs * staging.plane);
    if laid.staged != of_branch {
        stage_all(state, &branch.source, images, &staging, staged);
        laid.staged = of_branch;
    }
    // Without padding, the canvas is the map itself.
    let stride = if canvas.is_dense() { plane } else { canvas.plane() };
    let input = Input { state, staging: &staging, staged, canvas: &canvas };
    if canvas.is_dense() {
        compute(&input, prepared, &mut scratch.depth, out, stride);
    } else {
        let padded = scratch.out.of(branch.channels * stride);
        compute(&input, prepared, &mut scratch.depth, padded, stride);
        for (padded, out) in padded.chunks_exact(stride).zip(out.chunks_exact_mut(plane)) {
            canvas.take(padded, out);
        }
    }
}

/// Transforms every channel of a source that is as large as what is made of it.
pub(super) fn transform_all(
    state: &PassState,
    source: &[Read],
    images: Range<usize>,
    staging: &Staging,
    transformed: &mut Tiles,
) {
    let of_channel: Vec<(&Read, usize)> =
        source.iter().flat_map(|read| (0..read.channels).map(move |channel| (read, channel))).collect();
    let plane = |at: usize| {
        let (read, channel) = of_channel[at];
        let plane = state.plane(read, channel, &images).expect("maps of one width have the same blocks");
        (plane, state.prologue(read, channel))
    };
    winograd::transform(staging, of_channel.len(), plane, transformed);
}

/// Stages every channel of a source.
pub(super) fn stage_all(
    state: &PassState,
    source: &[Read],
    images: Range<usize>,
    staging: &Staging,
    staged: &mut [f32],
) {
    for (first, read) in PassState::parts(source) {
        for channel in 0..read.channels {
            let to = &mut staged[(first + channel) * staging.plane..][..staging.plane];
            state.stage(read, channel, images.clone(), staging, 0.0, to);
        }
    }
}

pub(super) fn rows(staging: &Staging, canvas: &Canvas) -> Rows {
    Rows { count: canvas.rows, width: canvas.pitch, input_pitch: staging.pitch, output_pitch: canvas.pitch }
}

/// The depthwise outputs of a block, planes `stride` apart.
pub(super) fn depthwise_outputs(
    weights: &[f32],
    inputs: usize,
    staging: &Staging,
    staged: &[f32],
    rows: Rows,
    out: &mut [f32],
    stride: usize,
) {
    let (taps, window) = (staging.frame.taps(), staging.taps());
    for channel in 0..inputs {
        let (input, out) =
            (&staged[channel * staging.plane..][..staging.plane], &mut out[channel * stride..][..stride]);
        let weights = &weights[channel * taps..][..taps];
        depthwise::correlate(input, weights, window, rows, out, false);
    }
}

/// A block's source, laid out.
struct Input<'a> {
    state: &'a PassState,
    staging: &'a Staging,
    staged: &'a [f32],
    canvas: &'a Canvas,
}

fn compute(input: &Input<'_>, prepared: &Prepared<'_>, depth: &mut Area, out: &mut [f32], stride: usize) {
    let Input { state, staging, staged, canvas } = *input;
    let rows = rows(staging, canvas);
    let Prepared { branch, inputs, weights, bias, .. } = prepared;
    let Weights::ByTap(panels) = weights else { return };
    let Some(depthwise) = &branch.depthwise else {
        let groups = panels.len();
        let (in_group, out_group) = (inputs / groups, branch.channels / groups);
        for (group, panels) in panels.iter().enumerate() {
            let staged = &staged[group * in_group * staging.plane..];
            let bias = bias.map(|bias| &bias[group * out_group..][..out_group]);
            let out = &mut out[group * out_group * stride..];
            product(panels, bias, &offsets(staging, in_group), staged, rows, out, stride, false);
        }
        return;
    };
    let weights = &state.weights[depthwise.weight..];
    let Some(panels) = panels.first() else {
        return depthwise_outputs(weights, *inputs, staging, staged, rows, out, stride);
    };
    // One long row: a product does not care where rows end.
    let length = rows.count * rows.output_pitch;
    let plane = super::staging::roomy(length);
    let depth = depth.of(inputs * plane);
    depthwise_outputs(weights, *inputs, staging, staged, rows, depth, plane);
    let flat = Rows { count: 1, width: length, input_pitch: length, output_pitch: length };
    let planes: Vec<usize> = (0..*inputs).map(|channel| channel * plane).collect();
    product(panels, *bias, &planes, depth, flat, out, stride, false);
}

/// Where each tap of each channel is read: channels in turn, taps in reading order.
pub(super) fn offsets(staging: &Staging, channels: usize) -> Vec<usize> {
    let taps = |channel| staging.offsets.iter().map(move |offset| channel * staging.plane + offset);
    (0..channels).flat_map(taps).collect()
}
