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
    pass_state::PassState,
    reverse::Reverse,
    simd::{
        LANES, Lanes, Pixels, Walk, depthwise, elementwise,
        outer::{self, outer},
        product::{Input, Output, product},
        sums::weighted_sums,
    },
    source::{Prepared, Product, Source},
    tasks::{Tasks, stretches},
    weight_gradients::{self, Sums},
    winograd,
};
use crate::program::{Branch, Frame, MapId, Read};
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
    /// Gradients of slots that are not rounded yet.
    rooms: Vec<Area>,
}

fn scratch() -> ScratchGuard<Scratch> {
    static POOL: ScratchPool<Scratch> = ScratchPool::new();
    POOL.take()
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
    let (sums, length) =
        if has_sums { weight_gradients::lie(branches, &sources) } else { (vec![Sums::default(); branches.len()], 0) };
    let depthwise = if has_sums { prepare_depthwise(state, branches) } else { Vec::new() };
    let step = Step { state, gradient, output, sides, has_sums, sums, depthwise };
    let work = |source: &Source<'_>| source.branches.iter().map(|branch| branch.work(source.inputs())).sum::<usize>();
    let all = 2 * sides[0] * sides[1] * sources.iter().map(work).sum::<usize>();
    let tasks = Tasks::new(state.layout.groups(), run(&sources, sides), all, length);
    let mut stretches_of: Vec<Vec<&mut [E]>> = std::iter::repeat_with(Vec::new).take(tasks.count()).collect();
    let written: Vec<bool> = targets.iter().map(|(_, written)| *written).collect();
    let reads: Vec<Read> = targets.iter().map(|(slot, _)| slot.read).collect();
    let chunks: Vec<usize> = targets.iter().map(|(slot, _)| slot.chunk(state)).collect();
    for ((slot, _), &chunk) in targets.iter_mut().zip(&chunks) {
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
    // What several sources send back to a slot is summed before it is rounded.
    let of_slot = |read: &Read| reads.iter().position(|other| is_alike(read, other));
    let mut writers = vec![0; reads.len()];
    sources.iter().flat_map(|source| source.reads).filter_map(of_slot).for_each(|slot| writers[slot] += 1);
    let is_summed = |slot: usize| !E::IS_EXACT && writers[slot] > 1;
    tasks.each(of_tasks, scratch, |scratch, task, (sums, mut slots): (&mut [f32], Vec<&mut [E]>)| {
        sums.fill(0.0);
        let mut rooms = std::mem::take(&mut scratch.rooms);
        rooms.resize_with(rooms.len().max(reads.len()), Area::default);
        for run in tasks.runs(task) {
            let first = run.start - tasks.groups(task).start;
            let mut begun: Vec<bool> = (0..reads.len()).map(|slot| written[slot] && !is_summed(slot)).collect();
            for source in &sources {
                let is_wanted = source.reads.iter().any(|read| of_slot(read).is_some());
                if !is_wanted && !has_sums {
                    continue;
                }
                step.source(source, run.clone(), is_wanted, scratch, sums);
                let mut before = 0;
                for read in source.reads {
                    if let Some(slot) = of_slot(read) {
                        let (add, run) = (std::mem::replace(&mut begun[slot], true), run.clone());
                        if is_summed(slot) {
                            let room = rooms[slot].of(chunks[slot] * run.len());
                            step.write(source, read, before, run, (room, 0), add, scratch);
                        } else {
                            step.write(source, read, before, run, (&mut *slots[slot], first), add, scratch);
                        }
                    }
                    before += state.layout.blocks_of(read).len();
                }
            }
            for slot in (0..reads.len()).filter(|slot| is_summed(*slot)) {
                let (chunk, length) = (chunks[slot], chunks[slot] * run.len());
                let to = &mut slots[slot][first * chunk..][..length];
                elementwise::write(rooms[slot].of(length), to, written[slot]);
            }
        }
        scratch.rooms = rooms;
    });
    let found = weight_gradients::found((&state.layout, output), &sources, &step.sums, sums, length);
    for (first, found) in found.into_iter().flatten() {
        reverse.weights[first..].iter_mut().zip(found).for_each(|(weight, found)| *weight += found);
    }
    for (slot, _) in targets {
        reverse.keep(slot);
    }
}

/// Depthwise weights as they go forward, by the branches' numbers, where a product is behind them.
fn prepare_depthwise<E: Element>(state: &PassState<E>, branches: &[Branch]) -> Vec<Vec<Vec<Lanes>>> {
    let of_branch = |branch: &Branch| match branch.dense {
        Some(_) if branch.depthwise.is_some() => depthwise_weights(state, branch, Way::Forward),
        _ => Vec::new(),
    };
    branches.iter().map(of_branch).collect()
}

impl<E: Element> Step<'_, E> {
    /// Values of a block of the output.
    fn plane(&self) -> usize {
        self.sides[0] * self.sides[1] * LANES
    }

    /// All branches of one source, of some groups of images: their weights' gradients are added to
    /// `sums`, the source's is left in `scratch.of_source`, laid out as the source is.
    fn source(&self, source: &Source<'_>, run: Range<usize>, is_wanted: bool, scratch: &mut Scratch, sums: &mut [f32]) {
        let (width, groups) = (self.state.layout.width(), run.len());
        let Scratch { staged, gradients, strip, of_depth, of_source, tiles, .. } = scratch;
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
    fn write<O: Element>(
        &self,
        source: &Source<'_>,
        read: &Read,
        before: usize,
        run: Range<usize>,
        (slot, first): (&mut [O], usize),
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
}
