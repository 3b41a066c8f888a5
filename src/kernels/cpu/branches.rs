//! The branches of a step with what is the same for all images: their weights, packed, and how they
//! read their source.

use super::{
    canvas::Canvas,
    pass_state::{PassState, SourceBlock},
    simd::{
        Lanes, Pixels, Walk,
        depthwise::Window,
        product::{Entry, Panels},
    },
    winograd,
};
use crate::program::{Branch, Dense, Frame, MapId, Read};
use rayon::prelude::*;
use std::ops::Range;

/// Branches of one source: it is laid out once for all of them.
pub(super) struct Source<'a> {
    pub reads: &'a [Read],
    pub blocks: Vec<SourceBlock<'a>>,
    pub canvas: Canvas,
    pub branches: Vec<Prepared<'a>>,
}

/// A branch with its weights.
pub(super) struct Prepared<'a> {
    pub branch: &'a Branch,
    /// Its number in the step.
    pub number: usize,
    pub frame: Frame,
    pub window: Window,
    /// What it writes.
    pub blocks: Range<usize>,
    /// Of each block of the source a weight a tap.
    pub depthwise: Vec<Vec<Lanes>>,
    pub dense: Option<Product>,
    /// Of each block that it writes.
    pub bias: Option<Vec<Lanes>>,
}

/// Dense weights, from channels to channels.
pub(super) enum Product {
    /// Of all taps at once forward, of each in reverse.
    ByTap(Vec<Panels>),
    /// Products of tiles.
    ByTile(Panels),
}

impl Product {
    pub fn panels(&self) -> &[Panels] {
        match self {
            Self::ByTap(panels) => panels,
            Self::ByTile(panels) => std::slice::from_ref(panels),
        }
    }
}

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
pub(super) fn prepare<'a>(state: &PassState, branches: &'a [Branch], output: MapId, way: Way) -> Vec<Source<'a>> {
    let mut sources: Vec<(&[Read], Numbered<'_>)> = Vec::new();
    for (number, branch) in branches.iter().enumerate() {
        match sources.iter_mut().find(|(reads, _)| *reads == branch.source) {
            Some((_, of_source)) => of_source.push((number, branch)),
            None => sources.push((&branch.source, vec![(number, branch)])),
        }
    }
    let (input, sides) = (|reads: &[Read]| state.map(reads[0].map).sides(), state.map(output).sides());
    let prepare = |(reads, of_source): (&'a [Read], Numbered<'a>)| {
        let canvas = Canvas::new(input(reads), sides, of_source.iter().map(|(_, branch)| frame(branch)));
        let blocks = state.blocks(reads);
        let of_branch = |(number, branch): (usize, &'a Branch)| {
            let packer = Packer { state, branch, blocks: &blocks, canvas: &canvas, output, way };
            packer.prepare(number)
        };
        let branches = of_source.into_par_iter().map(of_branch).collect();
        Source { reads, blocks, canvas, branches }
    };
    sources.into_par_iter().map(prepare).collect()
}

impl Source<'_> {
    /// Values of all blocks of a group of images, laid out.
    pub fn values(&self) -> usize {
        self.blocks.len() * self.canvas.pixels() * super::simd::LANES
    }

    /// Lays out all blocks of some groups of images.
    pub fn stage(&self, state: &PassState, groups: Range<usize>, staged: &mut [f32]) {
        let plane = self.canvas.pixels() * super::simd::LANES;
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
    let is_any_by_tile = sources.iter().flat_map(|source| &source.branches).any(Prepared::is_by_tile);
    let groups = if is_any_by_tile { winograd::groups(height * width) } else { 1 };
    if height * width == 1 { FEW } else { groups.min(FEW) }
}

/// Groups that are worked on at a time at most.
const FEW: usize = 16;

impl Prepared<'_> {
    /// All outputs of the branch: the source as it is read, and planes as they are written.
    pub fn walk(&self, canvas: &Canvas, [rows, width]: [usize; 2]) -> Walk {
        Walk { rows, width, from: canvas.steps(&self.frame), to: Pixels::of(width) }
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
pub(super) fn depthwise(state: &PassState, branch: &Branch, way: Way) -> Vec<Vec<Lanes>> {
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

/// Dense weights, `[output][input of its group][tap]`.
#[derive(Clone, Copy)]
struct Filters<'a> {
    weights: &'a [f32],
    groups: usize,
    /// Outputs and inputs of a group.
    outputs: usize,
    inputs: usize,
    taps: usize,
}

impl<'a> Filters<'a> {
    fn new(state: &'a PassState, branch: &Branch, dense: &Dense) -> Self {
        let (outputs, inputs) = (branch.channels / dense.groups, branch.inputs() / dense.groups);
        let weights = &state.weights[dense.weight..];
        Self { weights, groups: dense.groups, outputs, inputs, taps: dense.frame.taps() }
    }

    /// The weights of all taps, where the channels are of one group.
    #[inline]
    fn of(&self, output: usize, input: usize) -> Option<&'a [f32]> {
        // Divisions are what would take longest here.
        let (is_one, input) = match self.groups {
            1 => (true, input),
            _ => (output / self.outputs == input / self.inputs, input % self.inputs),
        };
        is_one.then(|| &self.weights[(output * self.inputs + input) * self.taps..][..self.taps])
    }
}

struct Packer<'a, 'b> {
    state: &'b PassState,
    branch: &'a Branch,
    blocks: &'b [SourceBlock<'a>],
    canvas: &'b Canvas,
    output: MapId,
    way: Way,
}

impl<'a> Packer<'a, '_> {
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
        let sides = self.state.map(self.output).sides();
        let is_by_tile = winograd::applies(self.branch, self.canvas.input, sides);
        let room = winograd::room(self.state.layout.width(), self.blocks.len().max(blocks.len()));
        let filters = Filters::new(self.state, self.branch, dense);
        let back = || {
            let apart = if is_by_tile { room } else { sides[0] * sides[1] };
            let entry = |(at, block)| Entry { pixel: at * apart, channels: self.outputs(block).len() };
            blocks.clone().enumerate().map(entry).collect::<Vec<_>>()
        };
        match (self.way, is_by_tile) {
            (Way::Forward, true) => {
                let entry = |(at, of): (usize, &SourceBlock<'_>)| Entry { pixel: at * room, channels: of.channels };
                let entries = self.blocks.iter().enumerate().map(entry).collect();
                Product::ByTile(Panels::pack(entries, blocks.len(), |entry, channel, block| {
                    let input = self.blocks[entry].first + channel;
                    let tap = |output, tap: usize| filters.of(output, input).map_or(0.0, |weights| weights[tap]);
                    let lanes =
                        |at| self.state.layout.lanes(self.outputs(blocks.start + block), |output| tap(output, at));
                    winograd::weights(std::array::from_fn(lanes))
                }))
            }
            (Way::Back, true) => {
                Product::ByTile(Panels::pack(back(), self.blocks.len(), |entry, channel, block| {
                    let output = self.outputs(blocks.start + entry).start + channel;
                    let SourceBlock { first, channels, .. } = self.blocks[block];
                    // What carries a gradient back is the window turned about.
                    let tap = |input, tap: usize| filters.of(output, input).map_or(0.0, |weights| weights[8 - tap]);
                    let lanes = |at| self.state.layout.lanes(first..first + channels, |input| tap(input, at));
                    winograd::weights(std::array::from_fn(lanes))
                }))
            }
            (Way::Forward, false) => {
                let is_behind = self.branch.depthwise.is_some();
                let window = self.canvas.window(&dense.frame);
                let (taps, strip) = (window.taps(), strip_rows(sides) * sides[1]);
                let places = (0..taps).flat_map(|tap| (0..self.blocks.len()).map(move |at| (tap, at)));
                let entry = |(tap, at): (usize, usize)| {
                    let pixel = if is_behind { at * strip } else { at * self.canvas.pixels() + window.tap(tap) };
                    Entry { pixel, channels: self.blocks[at].channels }
                };
                let entries = places.map(entry).collect();
                let panels = Panels::pack::<1>(entries, blocks.len(), |entry, channel, block| {
                    let (tap, input) =
                        (entry / self.blocks.len(), self.blocks[entry % self.blocks.len()].first + channel);
                    let weight = |output| filters.of(output, input).map_or(0.0, |weights| weights[tap]);
                    [self.state.layout.lanes(self.outputs(blocks.start + block), weight)]
                });
                Product::ByTap(vec![panels])
            }
            (Way::Back, false) => {
                let of_tap = |tap: usize| {
                    Panels::pack::<1>(back(), self.blocks.len(), |entry, channel, block| {
                        let output = self.outputs(blocks.start + entry).start + channel;
                        let SourceBlock { first, channels, .. } = self.blocks[block];
                        let weight = |input| filters.of(output, input).map_or(0.0, |weights| weights[tap]);
                        [self.state.layout.lanes(first..first + channels, weight)]
                    })
                };
                Product::ByTap((0..filters.taps).map(of_tap).collect())
            }
        }
    }
}
