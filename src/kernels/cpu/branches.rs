//! The branches of a step with what is the same for all images: their weights, packed, and how they
//! read their source.

use super::{
    canvas::Canvas,
    element::Element,
    layout::Layout,
    memory::Buffer,
    pass_state::{PassState, SourceBlock},
    simd::{
        LANES, Lanes, Pixels, Walk,
        product::{Entry, Panels},
        tiles::PRODUCTS,
    },
    source::{Prepared, Product, Source},
    tasks::least,
    winograd,
};
use crate::program::{Branch, Dense, Frame, MapId, Read};
use rayon::prelude::*;
use std::ops::Range;

/// Rows of a depthwise convolution whose product is taken at a time have so many pixels at least.
const STRIP: usize = 128;

/// Rows of a strip of a map that is so wide.
pub(super) fn strip_rows(sides: [usize; 2]) -> usize {
    STRIP.div_ceil(sides[1]).min(sides[0])
}

/// Which way weights carry values: to outputs, or gradients back to inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Forward,
    Back,
}

/// The frame that sees a branch's source.
fn frame(branch: &Branch) -> Frame {
    let of_dense = || branch.dense.map_or(Frame::PIXEL, |dense| dense.frame);
    branch.depthwise.map_or_else(of_dense, |depthwise| depthwise.frame)
}

/// Branches, each with its number in the step.
type Numbered<'a> = Vec<(usize, &'a Branch)>;

/// The branches of a step by what they read.
pub(super) fn prepare<'a, E: Element>(
    state: &PassState<E>,
    branches: &'a [Branch],
    output: MapId,
    way: Way,
) -> Vec<Source<'a>> {
    let mut sources: Vec<(&[Read], Numbered<'_>)> = Vec::new();
    for (number, branch) in branches.iter().enumerate() {
        match sources.iter_mut().find(|(reads, _)| *reads == branch.source) {
            Some((_, of_source)) => of_source.push((number, branch)),
            None => sources.push((&branch.source, vec![(number, branch)])),
        }
    }
    // A weight takes about as long as so many multiply-adds of vectors.
    const OF_WEIGHT: usize = 32;
    let weights =
        |branch: &Branch| branch.dense.map_or(0, |dense| branch.channels * branch.inputs() * dense.frame.taps());
    let few = least(OF_WEIGHT * branches.iter().map(weights).sum::<usize>());
    let (input, sides) = (|reads: &[Read]| state.map(reads[0].map).sides(), state.map(output).sides());
    let prepare = |(reads, of_source): (&'a [Read], Numbered<'a>)| {
        let canvas = Canvas::new(input(reads), sides, of_source.iter().map(|(_, branch)| frame(branch)));
        let blocks = state.blocks(reads);
        let of_branch = |(number, branch): (usize, &'a Branch)| {
            let packer = Packer { state, branch, blocks: &blocks, canvas: &canvas, output, way };
            packer.prepare(number)
        };
        let branches = of_source.into_par_iter().with_min_len(few).map(of_branch).collect();
        Source { reads, blocks, canvas, branches }
    };
    sources.into_par_iter().with_min_len(few).map(prepare).collect()
}

impl Source<'_> {
    /// Values of all blocks of a group of images, laid out.
    pub fn values(&self) -> usize {
        self.blocks.len() * self.canvas.pixels() * LANES
    }

    /// Lays out all blocks of some groups of images.
    pub fn stage<E: Element>(&self, state: &PassState<E>, groups: Range<usize>, staged: &mut [f32]) {
        let plane = self.canvas.pixels() * LANES;
        let prologues: Vec<_> =
            self.blocks.iter().map(|SourceBlock { read, block, .. }| state.prologue(read, *block)).collect();
        for (group, staged) in groups.zip(staged.chunks_exact_mut(self.values())) {
            for ((of, prologue), staged) in self.blocks.iter().zip(&prologues).zip(staged.chunks_exact_mut(plane)) {
                self.canvas.stage(state.plane(of.read.map, group, of.block), prologue, 0.0, staged);
            }
        }
    }

    /// Channels of all blocks.
    pub fn inputs(&self) -> usize {
        self.blocks.last().map_or(0, |block| block.first + block.channels)
    }
}

/// How many groups of images are worked on at a time: more than one where a product would have few
/// pixels.
pub(super) fn run(sources: &[Source<'_>], [height, width]: [usize; 2]) -> usize {
    let branches = || sources.iter().flat_map(|source| &source.branches);
    let pixels = if branches().any(Prepared::is_by_tile) {
        TILED
    } else if branches().any(|branch| branch.depthwise.is_empty()) {
        MANY
    } else {
        1
    };
    (pixels / (height * width)).clamp(1, FEW)
}

/// Pixels that are worked on at a time at least, by tiles and without.
const TILED: usize = 512;
const MANY: usize = 128;

/// Groups that are worked on at a time at most.
const FEW: usize = 16;

impl Prepared<'_> {
    /// All outputs of the branch: the source as it is read, and planes as they are written.
    pub fn walk(&self, canvas: &Canvas, [rows, width]: [usize; 2]) -> Walk {
        Walk { images: 1, rows, width, from: canvas.steps(&self.frame), to: Pixels::of(width) }
    }

    pub fn is_by_tile(&self) -> bool {
        matches!(self.dense, Some(Product::ByTile(_)))
    }

    /// Multiply-adds of vectors for a pixel of the output.
    pub fn work(&self, inputs: usize) -> usize {
        let taps = self.frame.taps();
        let depthwise = self.depthwise.len() * taps;
        let dense = self.branch.dense.map_or(0, |dense| self.blocks.len() * inputs * dense.frame.taps());
        depthwise + dense
    }
}

/// Depthwise weights of each block of a branch's source. Back, at stride 1, taps are in reverse.
pub(super) fn depthwise<E: Element>(state: &PassState<E>, branch: &Branch, way: Way) -> Vec<Vec<Lanes>> {
    let Some(depthwise) = branch.depthwise else { return Vec::new() };
    let (weights, taps) = (&state.weights[depthwise.weight..], depthwise.frame.taps());
    let is_turned = way == Way::Back && depthwise.frame.stride == [1, 1];
    let of_block = |of: &SourceBlock<'_>| {
        let tap = |tap: usize| if is_turned { taps - 1 - tap } else { tap };
        let lanes = |at: usize| {
            state.layout.lanes(of.first..of.first + of.channels, |channel| weights[channel * taps + tap(at)])
        };
        (0..taps).map(lanes).collect()
    };
    state.blocks(&branch.source).iter().map(of_block).collect()
}

/// Dense weights: of each output and input of its group those of taps, or of the products of tiles.
struct Filters<'a> {
    of_taps: &'a [f32],
    /// Nothing where those of taps are taken as they are.
    of_tiles: Buffer,
    groups: usize,
    /// Outputs and inputs of a group.
    outputs: usize,
    inputs: usize,
    /// From a channel that is a lane to the next, from one of the other side to the next, and from
    /// one of a pair's weights to the next.
    apart: [usize; 3],
    way: Way,
}

impl<'a> Filters<'a> {
    fn new<E: Element>(state: &'a PassState<E>, branch: &Branch, dense: &Dense, way: Way, is_by_tile: bool) -> Self {
        let (groups, taps) = (dense.groups, dense.frame.taps());
        let (outputs, inputs) = (branch.channels / groups, branch.inputs() / groups);
        let of_taps = &state.weights[dense.weight..][..branch.channels * inputs * taps];
        let (of_tiles, apart) = match (is_by_tile, way) {
            (false, Way::Forward) => (Buffer::default(), [inputs * taps, taps, 1]),
            (false, Way::Back) => (Buffer::default(), [taps, inputs * taps, 1]),
            (true, Way::Forward) => {
                let (of_tiles, apart) = winograd::filters(of_taps, [outputs, inputs], false);
                (of_tiles, [1, outputs, apart])
            }
            (true, Way::Back) => {
                let (of_tiles, apart) = winograd::filters(of_taps, [1, outputs * inputs], true);
                (of_tiles, [1, inputs, apart])
            }
        };
        Self { of_taps, of_tiles, groups, outputs, inputs, apart, way }
    }

    /// Weight `at` of a channel and those of blocks, which are lanes; zero where they are of
    /// different groups.
    #[inline]
    fn row(&self, layout: &Layout, blocks: &[Range<usize>], other: usize, at: usize, to: &mut [[f32; LANES]]) {
        let weights = if self.of_tiles.is_empty() { self.of_taps } else { &self.of_tiles };
        let [apart, of_other, of_weight] = self.apart;
        for (channels, to) in blocks.iter().zip(to) {
            if self.groups == 1 {
                let first = channels.start * apart + other * of_other + at * of_weight;
                layout.spread(&weights[first..], apart, channels.len(), to);
                continue;
            }
            let of = |channel: usize| {
                let (output, input) = if self.way == Way::Forward { (channel, other) } else { (other, channel) };
                let [lane, other] = if self.way == Way::Forward {
                    [channel, other % self.inputs]
                } else {
                    [channel % self.inputs, other]
                };
                let is_one = output / self.outputs == input / self.inputs;
                if is_one { weights[lane * apart + other * of_other + at * of_weight] } else { 0.0 }
            };
            *to = layout.lanes(channels.clone(), of).0;
        }
    }
}

struct Packer<'a, 'b, E: Element> {
    state: &'b PassState<E>,
    branch: &'a Branch,
    blocks: &'b [SourceBlock<'a>],
    canvas: &'b Canvas,
    output: MapId,
    way: Way,
}

impl<'a, E: Element> Packer<'a, '_, E> {
    fn prepare(&self, number: usize) -> Prepared<'a> {
        let Self { state, branch, output, .. } = *self;
        let frame = frame(branch);
        let blocks = state.layout.blocks_from(output, branch.first, branch.channels);
        let bias = branch.dense.and_then(|dense| dense.bias).map(|at| {
            let lanes = |block| state.layout.lanes(self.outputs(block), |channel| state.weights[at + channel]);
            blocks.clone().map(lanes).collect()
        });
        Prepared {
            branch,
            number,
            frame,
            window: self.canvas.window(&frame),
            depthwise: depthwise(state, branch, self.way),
            dense: branch.dense.as_ref().map(|dense| self.dense(dense, &blocks)),
            blocks,
            bias,
        }
    }

    /// The channels of the branch that a block of the output has.
    fn outputs(&self, block: usize) -> Range<usize> {
        let channels = self.state.layout.channels(self.output, block);
        channels.start - self.branch.first..channels.end - self.branch.first
    }

    fn dense(&self, dense: &Dense, blocks: &Range<usize>) -> Product {
        let (state, from, sides) = (self.state, self.blocks.len(), self.state.map(self.output).sides());
        let is_by_tile = winograd::applies(self.branch, self.canvas.input, sides, state.layout.groups());
        let (layers, room) = if is_by_tile { (PRODUCTS, winograd::room(from.max(blocks.len()))) } else { (1, 0) };
        let filters = Filters::new(state, self.branch, dense, self.way, is_by_tile);
        let outputs: Vec<_> = blocks.clone().map(|block| self.outputs(block)).collect();
        let inputs: Vec<_> = self.blocks.iter().map(|of| of.first..of.first + of.channels).collect();
        if self.way == Way::Forward {
            let is_behind = self.branch.depthwise.is_some();
            let (window, strip) = (self.canvas.window(&dense.frame), strip_rows(sides) * sides[1]);
            let taps = if is_by_tile { 1 } else { window.taps() };
            let entry = |(tap, at): (usize, usize)| {
                let pixel = match (is_by_tile, is_behind) {
                    (true, _) => at * room,
                    (false, true) => at * strip,
                    (false, false) => at * self.canvas.pixels() + window.tap(tap),
                };
                Entry { pixel, channels: self.blocks[at].channels }
            };
            let entries = (0..taps).flat_map(|tap| (0..from).map(move |at| (tap, at))).map(entry).collect();
            let panels = Panels::pack(layers, entries, blocks.len(), |layer, entry, channel, first, to| {
                let (at, input) = (layer + entry / from, self.blocks[entry % from].first + channel);
                filters.row(&state.layout, &outputs[first..], input, at, to);
            });
            return if is_by_tile { Product::ByTile(panels) } else { Product::ByTap(panels) };
        }
        let apart = if is_by_tile { room } else { sides[0] * sides[1] };
        let entry = |(at, channels): (usize, &Range<usize>)| Entry { pixel: at * apart, channels: channels.len() };
        let entries = outputs.iter().enumerate().map(entry).collect();
        let layers = if is_by_tile { layers } else { dense.frame.taps() };
        let panels = Panels::pack(layers, entries, from, |layer, entry, channel, first, to| {
            filters.row(&state.layout, &inputs[first..], outputs[entry].start + channel, layer, to);
        });
        if is_by_tile { Product::ByTile(panels) } else { Product::ByTap(panels) }
    }
}
