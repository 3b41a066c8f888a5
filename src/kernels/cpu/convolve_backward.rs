//! Convolutions in reverse, a few images at a time.
//!
//! The gradients of a step's outputs are never in memory as a whole. A thread takes some images in
//! turn; of these it makes what it needs, uses it for both gradients that come of it, and forgets
//! it, so that all of it stays in the caches:
//!
//! ```text
//! for each source                      it is laid out once; its gradient begins as zeros
//!   for each branch
//!     1  g  = gradient of its output            Gradient::plane
//!     2  bias    += Σ g
//!     3  weights += g · source                  by_taps, separable, winograd::backward
//!     4  source's gradient += weights · g       the same
//!   5  the source's gradient goes to the maps' slots, zero where a ReLU was shut    write
//! ```
//!
//! In front of a product a depthwise convolution stands between 1 and 3: its outputs are made again
//! for the product's weights, and the gradient of these outputs takes the place of `g` from there.
//!
//! Weights' gradients are summed by task and joined in the order of tasks, whose number depends on
//! shapes alone: the same bits on any number of threads.

use super::{
    branches::{Way, depthwise as depthwise_weights, prepare, run, strip_rows},
    canvas::Canvas,
    convolve::Strip,
    element::Element,
    gradient::{Gradient, Slot, is_alike},
    memory::{Area, Buffer, ScratchGuard, ScratchPool},
    pass_state::{PassState, SourceBlock},
    reverse::Reverse,
    simd::{
        LANES, Lanes, Pixels, Walk, depthwise, elementwise,
        outer::{self, outer},
        product::{Input, Output, product},
        sums::weighted_sums,
        tiles::PRODUCTS,
    },
    source::{Prepared, Product, Source},
    tasks::{Tasks, least, stretches},
    winograd,
};
use crate::program::{Branch, Frame, MapId, Read};
use rayon::prelude::*;
use std::ops::Range;

/// Scratch memory of a thread.
#[derive(Default)]
struct Scratch {
    staged: Area,
    /// The gradients of the branches' outputs, one after another.
    gradients: Area,
    strip: Strip,
    /// The gradients of depthwise outputs, with padding.
    of_depth: Area,
    of_source: Area,
    tiles: winograd::Scratch,
}

fn scratch() -> ScratchGuard<Scratch> {
    static POOL: ScratchPool<Scratch> = ScratchPool::new();
    POOL.take()
}

/// Where the weights' gradients of a branch are in a task's sums.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    dense: usize,
    depthwise: usize,
    bias: usize,
}

/// A step in reverse.
struct Step<'a, E: Element> {
    state: &'a PassState<E>,
    gradient: &'a Gradient<E>,
    output: MapId,
    /// `[oh, ow]`
    sides: [usize; 2],
    /// Whether weights' gradients are asked for: nothing else needs the source.
    has_sums: bool,
    /// By the branches' numbers.
    sums: Vec<Sums>,
    /// Of each branch with both, the depthwise weights as they go forward.
    depthwise: Vec<Vec<Vec<Lanes>>>,
}

/// Where the gradient of some channels of a map goes: a slot, and whether something has been
/// written to it.
type Target<E> = (Slot<E>, bool);

/// Adds to the gradients of the weights of a step, and sends the gradient of its output on to what
/// it read.
pub(super) fn backward<E: Element>(
    reverse: &mut Reverse<E>,
    branches: &[Branch],
    output: MapId,
    gradient: &Gradient<E>,
) {
    let mut targets: Vec<Target<E>> = Vec::new();
    for read in branches.iter().flat_map(|branch| &branch.source) {
        if reverse.wants(read) && !targets.iter().any(|(slot, _)| slot.is_of(read)) {
            let (slot, fresh) = reverse.slot(read);
            targets.push((slot, !fresh));
        }
    }
    let state = &reverse.state;
    let sides = state.map(output).sides();
    let sources = prepare(state, branches, output, Way::Back);
    let has_sums = reverse.wanted.weights;
    let (sums, length) = if has_sums { lie(branches, &sources) } else { (vec![Sums::default(); branches.len()], 0) };
    let depthwise = if has_sums { prepare_depthwise(state, branches) } else { Vec::new() };
    let step = Step { state, gradient, output, sides, has_sums, sums, depthwise };
    let work = |source: &Source<'_>| source.branches.iter().map(|branch| branch.work(source.inputs())).sum::<usize>();
    let all = 2 * sides[0] * sides[1] * sources.iter().map(work).sum::<usize>();
    let tasks = Tasks::new(state.layout.groups(), run(&sources, sides), all, length);
    let mut stretches_of: Vec<Vec<&mut [E]>> = std::iter::repeat_with(Vec::new).take(tasks.count()).collect();
    let written: Vec<bool> = targets.iter().map(|(_, written)| *written).collect();
    let reads: Vec<Read> = targets.iter().map(|(slot, _)| slot.read).collect();
    for (slot, _) in &mut targets {
        let chunk = slot.chunk(state);
        for (of_task, stretch) in stretches_of.iter_mut().zip(stretches(&tasks, &mut slot.values, chunk)) {
            of_task.push(stretch);
        }
    }
    let mut sums = Buffer::take(length * tasks.count());
    let (mut rest, mut of_tasks) = (&mut sums[..], Vec::with_capacity(tasks.count()));
    for stretches in stretches_of {
        let (own, others) = rest.split_at_mut(length);
        rest = others;
        of_tasks.push((own, stretches));
    }
    tasks.each(of_tasks, scratch, |scratch, task, (sums, mut slots): (&mut [f32], Vec<&mut [E]>)| {
        sums.fill(0.0);
        for run in tasks.runs(task) {
            let mut written = written.clone();
            for source in &sources {
                let is_wanted = source.reads.iter().any(|read| reads.iter().any(|other| is_alike(read, other)));
                if !is_wanted && !has_sums {
                    continue;
                }
                step.source(source, run.clone(), is_wanted, scratch, sums);
                for (at, read) in source.reads.iter().enumerate() {
                    let Some(slot) = reads.iter().position(|other| is_alike(read, other)) else { continue };
                    let first = run.start - tasks.groups(task).start;
                    let before: usize = source.reads[..at].iter().map(|read| state.layout.blocks_of(read).len()).sum();
                    step.write(source, read, before, run.clone(), (&mut *slots[slot], first), written[slot], scratch);
                    written[slot] = true;
                }
            }
        }
    });
    let found = step.total(&sources, sums, length);
    for (first, found) in found.into_iter().flatten() {
        reverse.weights[first..].iter_mut().zip(found).for_each(|(weight, found)| *weight += found);
    }
    for (slot, _) in targets {
        reverse.keep(slot);
    }
}

/// Where each branch's sums are, and how many there are of all.
fn lie(branches: &[Branch], sources: &[Source<'_>]) -> (Vec<Sums>, usize) {
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

/// Depthwise weights as they go forward, by the branches' numbers, where a product is behind them.
fn prepare_depthwise<E: Element>(state: &PassState<E>, branches: &[Branch]) -> Vec<Vec<Vec<Lanes>>> {
    let of_branch = |branch: &Branch| match branch.dense {
        Some(_) if branch.depthwise.is_some() => depthwise_weights(state, branch, Way::Forward),
        _ => Vec::new(),
    };
    branches.iter().map(of_branch).collect()
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

impl<E: Element> Step<'_, E> {
    /// What all tasks' sums, `length` values each, make of the gradients of the branches' weights.
    fn total(&self, sources: &[Source<'_>], mut sums: Buffer, length: usize) -> Vec<Vec<(usize, Vec<f32>)>> {
        if length == 0 {
            return Vec::new();
        }
        total(&mut sums, length);
        let branches = sources
            .par_iter()
            .with_min_len(least(length))
            .flat_map_iter(|source| source.branches.iter().map(move |branch| (source, branch)));
        branches.map(|(source, branch)| self.of_weights(source, branch, &sums)).collect()
    }

    /// Values of a block of the output.
    fn plane(&self) -> usize {
        self.sides[0] * self.sides[1] * LANES
    }

    /// All branches of one source, of some groups of images: their weights' gradients are added to
    /// `sums`, the source's is left in `scratch.of_source`, laid out as the source is.
    fn source(&self, source: &Source<'_>, run: Range<usize>, is_wanted: bool, scratch: &mut Scratch, sums: &mut [f32]) {
        let (width, groups) = (self.state.layout.width(), run.len());
        let Scratch { staged, gradients, strip, of_depth, of_source, tiles } = scratch;
        let staged = staged.of(if self.has_sums { source.values() * groups } else { 0 });
        source.stage(self.state, run.clone(), staged);
        let of_source = of_source.of(if is_wanted { source.values() * groups } else { 0 });
        // What tiles send back is written, all else is added to it.
        if !source.branches.iter().any(Prepared::is_by_tile) {
            of_source.fill(0.0);
        }
        // Gradients of all branches that are taken by tiles are needed side by side.
        let mut starts = vec![0; self.sums.len()];
        let mut next = 0;
        for branch in &source.branches {
            starts[branch.number] = next;
            next += branch.blocks.len() * self.plane() * groups;
        }
        let gradients = gradients.of(next);
        for branch in &source.branches {
            let of_branch = &mut gradients[starts[branch.number]..][..branch.blocks.len() * self.plane() * groups];
            self.output_gradient(branch, run.clone(), of_branch, sums);
        }
        let of = |branch: &Prepared<'_>| {
            let length = branch.blocks.len() * self.plane() * groups;
            &gradients[starts[branch.number]..][..length]
        };
        let back = is_wanted.then_some(&mut *of_source);
        let sums_of = |branch: &Prepared<'_>| self.sums[branch.number].dense;
        let of_weights = self.has_sums.then_some((&*staged, &mut *sums));
        winograd::backward(source, width, groups, of, sums_of, of_weights, back, tiles);
        let by_tap = |branch: &&Prepared<'_>| branch.depthwise.is_empty() && !branch.is_by_tile();
        if source.branches.iter().any(|branch| by_tap(&branch)) {
            let input = Input { values: staged, layer: 0, width };
            for branch in source.branches.iter().filter(by_tap) {
                let gradient = of(branch);
                let back = is_wanted.then_some(&mut *of_source);
                self.by_taps(source, branch, input, gradient, back, sums);
            }
        }
        for branch in source.branches.iter().filter(|branch| !branch.depthwise.is_empty()) {
            let of_group = branch.blocks.len() * self.plane();
            for (group, gradient) in of(branch).chunks_exact(of_group).enumerate() {
                let part = group * source.values()..(group + 1) * source.values();
                let staged = if self.has_sums { &staged[part.clone()] } else { &[] };
                let of_source = if is_wanted { Some(&mut of_source[part]) } else { None };
                self.separable(source, branch, staged, gradient, of_source, (&mut *strip, &mut *of_depth), sums);
            }
        }
    }

    /// Makes the gradient of a branch's output, and adds to that of its bias.
    fn output_gradient(&self, branch: &Prepared<'_>, run: Range<usize>, out: &mut [f32], sums: &mut [f32]) {
        let of_groups = out.chunks_exact_mut(branch.blocks.len() * self.plane());
        for (group, out) in run.zip(of_groups) {
            for (at, (block, out)) in branch.blocks.clone().zip(out.chunks_exact_mut(self.plane())).enumerate() {
                self.gradient.plane(self.state, self.output, group, block, out);
                if self.has_sums && branch.bias.is_some() {
                    let (found, []) = weighted_sums::<_, f32, 0>(out, []);
                    let bias = &mut sums[self.sums[branch.number].bias + at * LANES..][..LANES];
                    bias.iter_mut().zip(found).for_each(|(bias, sum)| *bias += sum as f32);
                }
            }
        }
    }

    /// A dense convolution in reverse, tap by tap.
    fn by_taps(
        &self,
        source: &Source<'_>,
        branch: &Prepared<'_>,
        input: Input<'_>,
        gradient: &[f32],
        of_source: Option<&mut [f32]>,
        sums: &mut [f32],
    ) {
        let Some(dense) = &branch.dense else { return };
        let (blocks, plane, canvas) = (branch.blocks.len(), self.plane(), source.canvas.pixels());
        let of_channel = blocks * LANES;
        let walk = branch.walk(&source.canvas, self.sides);
        let walk = Walk {
            images: gradient.len() / (blocks * plane),
            from: Pixels { image: source.blocks.len() * canvas, ..walk.from },
            to: Pixels { image: blocks * plane / LANES, ..walk.to },
            ..walk
        };
        let of_output = outer::Gradient { values: gradient, blocks, block: plane, layer: 0 };
        for tap in (0..branch.window.taps()).filter(|_| self.has_sums) {
            for (block, of) in source.blocks.iter().enumerate() {
                let first = (block * canvas + branch.window.tap(tap)) * LANES;
                let input = Input { values: &input.values[first..], ..input };
                let at = self.sums[branch.number].dense + (tap * source.inputs() + of.first) * of_channel;
                outer(1, of.channels, input, of_output, walk, &mut sums[at..], 0);
            }
        }
        let Some(of_source) = of_source else { return };
        let back = Walk { from: walk.to, to: walk.from, ..walk };
        for tap in 0..branch.window.taps() {
            let input = Input { values: gradient, ..input };
            let first = branch.window.tap(tap) * LANES;
            let output = Output { values: &mut of_source[first..], block: canvas * LANES, layer: 0 };
            product(&dense.panels().layer(tap), None, input, output, back, true);
        }
    }

    /// A depthwise convolution in reverse, and the product behind it where there is one, of one
    /// group of images.
    #[expect(clippy::too_many_arguments, reason = "what is read, what is written, and room for both")]
    fn separable(
        &self,
        source: &Source<'_>,
        branch: &Prepared<'_>,
        staged: &[f32],
        gradient: &[f32],
        of_source: Option<&mut [f32]>,
        (strip, of_depth): (&mut Strip, &mut Area),
        sums: &mut [f32],
    ) {
        let [height, width] = self.sides;
        let (frame, lanes) = (branch.frame, self.state.layout.width());
        // What a pixel of the source takes from the windows that it is in, at stride 1, is a window
        // over their gradients.
        let turned = Frame {
            start: [0, 1].map(|axis| -frame.start[axis] - ((frame.kernel[axis] - 1) * frame.dilation[axis]) as isize),
            ..frame
        };
        let is_turned = frame.stride == [1, 1];
        let back = Canvas::new(self.sides, source.canvas.input, is_turned.then_some(turned).into_iter());
        let plane = back.pixels() * LANES;
        let of_depth = of_depth.of(plane * source.blocks.len());
        of_depth.chunks_exact_mut(plane).for_each(|of_depth| back.fill_around(0.0, of_depth));
        let first = back.first() * LANES;
        if let Some(panels) = branch.dense.as_ref().map(Product::panels) {
            let high = strip_rows(self.sides);
            for start in (0..height).step_by(high).filter(|_| self.has_sums) {
                let rows = high.min(height - start);
                let place = [start, rows, high * width, width];
                let input = strip.of(source, &self.depthwise[branch.number], branch, staged, place, lanes);
                let row = Pixels::of(rows * width);
                let walk = Walk { images: 1, rows: 1, width: rows * width, from: row, to: row };
                let values = &gradient[start * width * LANES..];
                let blocks = branch.blocks.len();
                let of_strip = outer::Gradient { values, blocks, block: self.plane(), layer: 0 };
                for (block, of) in source.blocks.iter().enumerate() {
                    let input = Input { values: &input.values[block * high * width * LANES..], ..input };
                    let at = self.sums[branch.number].dense + of.first * blocks * LANES;
                    outer(1, of.channels, input, of_strip, walk, &mut sums[at..], 0);
                }
            }
            let input = Input { values: gradient, layer: 0, width: lanes };
            let walk = Walk { images: 1, rows: height, width, from: Pixels::of(width), to: back.inside() };
            let output = Output { values: &mut of_depth[first..], block: plane, layer: 0 };
            product(panels, None, input, output, walk, false);
        } else {
            let walk = Walk { images: 1, rows: height, width, from: Pixels::of(width), to: back.inside() };
            for (gradient, of_depth) in gradient.chunks_exact(self.plane()).zip(of_depth.chunks_exact_mut(plane)) {
                let out = &mut of_depth[first..];
                elementwise::through(gradient, &super::prologue::Prologue::NONE, &Lanes::ONE, walk, out, false);
            }
        }
        let walk = Walk { to: back.inside(), ..branch.walk(&source.canvas, self.sides) };
        let taps = frame.taps() * LANES;
        let canvas = source.canvas.pixels() * LANES;
        let blocks = staged.chunks_exact(canvas).zip(of_depth.chunks_exact(plane)).enumerate();
        for (block, (staged, of_depth)) in blocks {
            let sums = &mut sums[self.sums[branch.number].depthwise + block * taps..][..taps];
            depthwise::weight_sums(staged, &of_depth[first..], &branch.window, walk, sums);
        }
        let Some(of_source) = of_source else { return };
        let blocks = of_source.chunks_exact_mut(canvas).zip(of_depth.chunks_exact(plane)).zip(&branch.depthwise);
        for ((of_source, of_depth), weights) in blocks {
            if !is_turned {
                depthwise::spread(&of_depth[first..], weights, &branch.window, walk, of_source);
                continue;
            }
            let [rows, width] = source.canvas.input;
            let walk = Walk { images: 1, rows, width, from: back.steps(&turned), to: source.canvas.inside() };
            let out = &mut of_source[source.canvas.first() * LANES..];
            depthwise::correlate(of_depth, weights, &back.window(&turned), walk, out, true);
        }
    }

    /// Takes the source's gradient of some groups to a slot, whose number `first` is the first of
    /// them, zero where the prologue's ReLU was shut. `before` are the source's blocks before the
    /// read's.
    #[expect(clippy::too_many_arguments, reason = "what is read, what is written, and how both lie")]
    fn write(
        &self,
        source: &Source<'_>,
        read: &Read,
        before: usize,
        run: Range<usize>,
        (slot, first): (&mut [E], usize),
        add: bool,
        scratch: &mut Scratch,
    ) {
        let state = self.state;
        let blocks = state.layout.blocks_of(read);
        let (plane, canvas) = (state.layout.chunk(read.map, 1), source.canvas.pixels() * LANES);
        let of_source = scratch.of_source.of(source.values() * run.len());
        let [rows, width] = source.canvas.input;
        let walk = Walk { images: 1, rows, width, from: source.canvas.inside(), to: Pixels::of(width) };
        for (at, block) in blocks.clone().enumerate() {
            let prologue = state.prologue(read, block);
            for (number, group) in run.clone().enumerate() {
                let from = &of_source[(number * source.blocks.len() + before + at) * canvas..][..canvas];
                let from = &from[source.canvas.first() * LANES..];
                let z = state.plane(read.map, group, block);
                let to = &mut slot[((first + number) * blocks.len() + at) * plane..][..plane];
                elementwise::pass(from, z, &prologue, &Lanes::ONE, walk, to, add);
            }
        }
    }

    /// What a branch's sums make of the gradients of its weights, and where these begin.
    fn of_weights(&self, source: &Source<'_>, prepared: &Prepared<'_>, sums: &[f32]) -> Vec<(usize, Vec<f32>)> {
        let (layout, branch) = (&self.state.layout, prepared.branch);
        let Sums { dense: first, depthwise, bias } = self.sums[prepared.number];
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
            let channels = layout.channels(self.output, block);
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
}
