//! Convolutions, forward: prologue, depthwise, product and statistics of a few images while they
//! are in the cache.

use super::{
    branches::{Way, prepare, run, strip_rows},
    element::Element,
    memory::{Area, Buffer, ScratchGuard, ScratchPool},
    moments_of,
    pass_state::PassState,
    simd::{
        LANES, Lanes, Pixels, Walk, depthwise,
        product::{Input, Output, product},
        sums::Moments,
    },
    source::{Prepared, Product, Source},
    tasks::{Tasks, stretches},
    winograd,
    written::{Chunks, write},
};
use crate::program::{Branch, MapId};

/// Scratch memory of a thread.
#[derive(Default)]
struct Scratch {
    staged: Area,
    strip: Strip,
    tiles: winograd::Scratch,
    /// Outputs that are not rounded yet.
    room: Area,
}

fn scratch() -> ScratchGuard<Scratch> {
    static POOL: ScratchPool<Scratch> = ScratchPool::new();
    POOL.take()
}

/// Some rows of depthwise outputs, block after block.
#[derive(Default)]
pub(super) struct Strip {
    values: Area,
}

impl Strip {
    /// Depthwise outputs of some rows, as a product reads them. The branch's weights are as they go
    /// forward.
    pub fn of<'b>(
        &'b mut self,
        source: &Source<'_>,
        weights: &[Vec<Lanes>],
        branch: &Prepared<'_>,
        staged: &[f32],
        [first, rows, room, width]: [usize; 4],
        lanes: usize,
    ) -> Input<'b> {
        let steps = source.canvas.steps(&branch.frame);
        let walk = Walk { images: 1, rows, width, from: steps, to: Pixels::of(width) };
        let plane = source.canvas.pixels() * LANES;
        let values = self.values.of(source.blocks.len() * room * LANES);
        for ((staged, weights), out) in
            staged.chunks_exact(plane).zip(weights).zip(values.chunks_exact_mut(room * LANES))
        {
            depthwise::correlate(&staged[first * steps.pitch * LANES..], weights, &branch.window, walk, out, false);
        }
        Input { values, layer: 0, width: lanes }
    }
}

/// Writes the output map, and returns its moments by group and block where they are asked for.
pub(super) fn forward<E: Element>(
    state: &PassState<E>,
    branches: &[Branch],
    output: MapId,
    wanted: bool,
) -> (Buffer<E>, Vec<Vec<Moments>>) {
    let (layout, sides) = (&state.layout, state.map(output).sides());
    let sources = prepare(state, branches, output, Way::Forward);
    let blocks = layout.blocks(output);
    let group = layout.chunk(output, blocks);
    let work = |source: &Source<'_>| source.branches.iter().map(|branch| branch.work(source.inputs())).sum::<usize>();
    let pixels = sides[0] * sides[1];
    let tasks = Tasks::new(layout.groups(), run(&sources, sides), pixels * sources.iter().map(work).sum::<usize>(), 0);
    let mut values = Buffer::take(state.len(output));
    let by_task = tasks.each(stretches(&tasks, &mut values, group), scratch, |scratch, task, out| {
        let first = tasks.groups(task).start;
        for run in tasks.runs(task) {
            let out = &mut out[(run.start - first) * group..(run.end - first) * group];
            for source in &sources {
                let Scratch { staged, strip, tiles, room } = &mut **scratch;
                let staged = staged.of(source.values() * run.len());
                source.stage(state, run.clone(), staged);
                winograd::forward(source, layout.width(), staged, blocks, out, tiles);
                let by_tap = |branch: &&Prepared<'_>| branch.depthwise.is_empty() && !branch.is_by_tile();
                if source.branches.iter().any(|branch| by_tap(&branch)) {
                    let input = Input { values: staged, layer: 0, width: layout.width() };
                    source
                        .branches
                        .iter()
                        .filter(by_tap)
                        .for_each(|branch| by_taps(source, branch, input, sides, blocks, out, room));
                }
                for branch in source.branches.iter().filter(|branch| !branch.depthwise.is_empty()) {
                    let of_groups = staged.chunks_exact(source.values()).zip(out.chunks_exact_mut(group));
                    of_groups.for_each(|(staged, out)| {
                        separable(source, branch, staged, sides, layout.width(), out, (&mut *strip, &mut *room));
                    });
                }
            }
        }
        out.chunks_exact(group).map(|out| moments_of(state, output, out, wanted)).collect::<Vec<_>>()
    });
    (values, by_task.into_iter().flatten().collect())
}

/// A dense convolution, tap by tap, of as many groups of images as there are. `out` has all blocks
/// of the output.
fn by_taps<E: Element>(
    source: &Source<'_>,
    branch: &Prepared<'_>,
    input: Input<'_>,
    sides: [usize; 2],
    blocks: usize,
    out: &mut [E],
    room: &mut Area,
) {
    let Some(panels) = branch.dense.as_ref().map(Product::panels) else { return };
    let (block, apart) = (sides[0] * sides[1] * LANES, source.blocks.len() * source.canvas.pixels());
    let (walk, group, images) = (branch.walk(&source.canvas, sides), blocks * block, out.len() / (blocks * block));
    let (first, length) = (branch.blocks.start * block, branch.blocks.len() * block);
    write(out, Chunks { first, length, apart: group, count: images }, room, |values, group| {
        let from = Pixels { image: apart, ..walk.from };
        let walk = Walk { images, from, to: Pixels { image: group / LANES, ..walk.to }, ..walk };
        product(panels, branch.bias.as_deref(), input, Output { values, block, layer: 0 }, walk, false);
    });
}

/// A depthwise convolution, and the product behind it where there is one, of one group of images.
fn separable<E: Element>(
    source: &Source<'_>,
    branch: &Prepared<'_>,
    staged: &[f32],
    sides: [usize; 2],
    lanes: usize,
    out: &mut [E],
    (strip, room): (&mut Strip, &mut Area),
) {
    let plane = sides[0] * sides[1] * LANES;
    let out = &mut out[branch.blocks.start * plane..branch.blocks.end * plane];
    let Some(panels) = branch.dense.as_ref().map(Product::panels) else {
        let planes = staged.chunks_exact(source.canvas.pixels() * LANES).zip(out.chunks_exact_mut(plane));
        let walk = branch.walk(&source.canvas, sides);
        for ((staged, out), weights) in planes.zip(&branch.depthwise) {
            write(out, Chunks::whole(plane), room, |out, _| {
                depthwise::correlate(staged, weights, &branch.window, walk, out, false);
            });
        }
        return;
    };
    let high = strip_rows(sides);
    for first in (0..sides[0]).step_by(high) {
        let rows = high.min(sides[0] - first);
        let input =
            strip.of(source, &branch.depthwise, branch, staged, [first, rows, high * sides[1], sides[1]], lanes);
        let row = Pixels::of(rows * sides[1]);
        let walk = Walk { images: 1, rows: 1, width: rows * sides[1], from: row, to: row };
        let [first, length] = [first, rows].map(|rows| rows * sides[1] * LANES);
        write(out, Chunks { first, length, apart: plane, count: branch.blocks.len() }, room, |values, block| {
            product(panels, branch.bias.as_deref(), input, Output { values, block, layer: 0 }, walk, false);
        });
    }
}
