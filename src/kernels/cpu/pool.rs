//! Pooling, forward and in reverse.

use super::{
    canvas::Canvas,
    element::Element,
    gradient::{Gradient, Slot},
    memory::{Area, Buffer, ScratchGuard, ScratchPool},
    moments_of,
    pass_state::{PassState, SourceBlock},
    prologue::Prologue,
    reverse::Reverse,
    simd::{LANES, Lanes, Pixels, Walk, depthwise, elementwise, sums::Moments, windows},
    tasks::{Tasks, stretches},
    written::{Chunks, write},
};
use crate::program::{Frame, MapId, PoolKind, PoolStep, Read};

#[derive(Default)]
struct Scratch {
    staged: Area,
    /// The gradient of the output, and the same with padding.
    gradient: Area,
    padded: Area,
    of_source: Area,
    /// Outputs that are not rounded yet.
    room: Area,
}

fn scratch() -> ScratchGuard<Scratch> {
    static POOL: ScratchPool<Scratch> = ScratchPool::new();
    POOL.take()
}

/// A pool with what is the same for all images.
struct Prepared<'a> {
    pool: &'a PoolStep,
    blocks: Vec<(SourceBlock<'a>, Prologue)>,
    canvas: Canvas,
    sides: [usize; 2],
    ones: Vec<Lanes>,
    /// One over the pixels of each window of a mean, those of the padding not counted.
    counts: Vec<f32>,
}

impl<'a> Prepared<'a> {
    fn new<E: Element>(state: &PassState<E>, pool: &'a PoolStep, output: MapId) -> Self {
        let (input, sides) = (state.map(pool.source[0].map).sides(), state.map(output).sides());
        let blocks = state.blocks(&pool.source).into_iter().map(|of| (of, state.prologue(of.read, of.block)));
        let canvas = Canvas::new(input, sides, [pool.frame].into_iter());
        let along = |axis: usize| {
            (0..sides[axis]).map(move |at| {
                let Frame { kernel, stride, start, dilation } = pool.frame;
                let pixel = |tap: usize| (at * stride[axis] + tap * dilation[axis]) as isize + start[axis];
                let inside = |tap: &usize| usize::try_from(pixel(*tap)).is_ok_and(|pixel| pixel < input[axis]);
                (0..kernel[axis]).filter(inside).count()
            })
        };
        let counts = along(0).flat_map(|rows| along(1).map(move |columns| 1.0 / (rows * columns) as f32)).collect();
        Self { pool, blocks: blocks.collect(), canvas, sides, ones: vec![Lanes::ONE; pool.frame.taps()], counts }
    }

    /// What stands for the padding.
    fn fill(&self) -> f32 {
        match self.pool.kind {
            PoolKind::Max => f32::NEG_INFINITY,
            PoolKind::Mean => 0.0,
        }
    }

    fn walk(&self) -> Walk {
        let [rows, width] = self.sides;
        Walk { images: 1, rows, width, from: self.canvas.steps(&self.pool.frame), to: Pixels::of(width) }
    }

    fn tasks<E: Element>(&self, state: &PassState<E>) -> Tasks {
        let pixels = self.sides[0] * self.sides[1];
        Tasks::new(state.layout.groups(), 1, pixels * self.blocks.len() * self.ones.len(), 0)
    }
}

/// Writes the output map, and returns its moments by group and block where they are asked for.
pub(super) fn forward<E: Element>(
    state: &PassState<E>,
    pool: &PoolStep,
    output: MapId,
    wanted: bool,
) -> (Buffer<E>, Vec<Vec<Moments>>) {
    let prepared = Prepared::new(state, pool, output);
    let Prepared { canvas, ref blocks, ref ones, ref counts, .. } = prepared;
    let (plane, group) = (state.layout.chunk(output, 1), state.layout.chunk(output, blocks.len()));
    let (window, walk, tasks) = (canvas.window(&pool.frame), prepared.walk(), prepared.tasks(state));
    let mut values = Buffer::take(state.len(output));
    let by_task = tasks.each(stretches(&tasks, &mut values, group), scratch, |scratch, task, out| {
        let of_group = |(number, out): (usize, &mut [E])| {
            let number = tasks.groups(task).start + number;
            for ((of, prologue), out) in blocks.iter().zip(out.chunks_exact_mut(plane)) {
                let Scratch { staged, room, .. } = &mut **scratch;
                let staged = staged.of(canvas.pixels() * LANES);
                canvas.stage(state.plane(of.read.map, number, of.block), prologue, prepared.fill(), staged);
                write(out, Chunks::whole(plane), room, |out, _| match pool.kind {
                    PoolKind::Max => windows::maximum(staged, &window, walk, out),
                    PoolKind::Mean => {
                        depthwise::correlate(staged, ones, &window, walk, out, false);
                        elementwise::times_of_pixels(counts, out);
                    }
                });
            }
            moments_of(state, output, out, wanted)
        };
        out.chunks_exact_mut(group).enumerate().map(of_group).collect::<Vec<_>>()
    });
    (values, by_task.into_iter().flatten().collect())
}

/// Sends the gradient of a pool on to its source.
pub(super) fn backward<E: Element>(reverse: &mut Reverse<E>, pool: &PoolStep, output: MapId, gradient: &Gradient<E>) {
    let mut first = 0;
    for read in &pool.source {
        if reverse.wants(read) {
            let (slot, fresh) = reverse.slot(read);
            reverse_of_read(reverse, pool, output, gradient, read, first, (slot, fresh));
        }
        first += reverse.state.layout.blocks_of(read).len();
    }
}

/// Of one read, whose blocks begin with `first` in the output.
fn reverse_of_read<E: Element>(
    reverse: &mut Reverse<E>,
    pool: &PoolStep,
    output: MapId,
    gradient: &Gradient<E>,
    read: &Read,
    first: usize,
    (mut slot, fresh): (Slot<E>, bool),
) {
    let state = &reverse.state;
    let prepared = Prepared::new(state, pool, output);
    let Prepared { canvas, ref blocks, ref ones, ref counts, sides, .. } = prepared;
    let (window, walk, tasks) = (canvas.window(&pool.frame), prepared.walk(), prepared.tasks(state));
    // What every pixel takes from the windows that it is in is a window too.
    let Frame { kernel, start, dilation, stride } = pool.frame;
    let start = [0, 1].map(|axis| -start[axis] - ((kernel[axis] - 1) * dilation[axis]) as isize);
    let turned = Frame { start, ..pool.frame };
    let is_turned = pool.kind == PoolKind::Mean && stride == [1, 1];
    let back = Canvas::new(sides, canvas.input, is_turned.then_some(turned).into_iter());
    let (plane, group) = (state.layout.chunk(read.map, 1), slot.chunk(state));
    let to = Walk {
        images: 1,
        rows: canvas.input[0],
        width: canvas.input[1],
        from: canvas.inside(),
        to: Pixels::of(canvas.input[1]),
    };
    let count = slot.blocks.len();
    tasks.each(stretches(&tasks, &mut slot.values, group), scratch, |scratch, task, out| {
        for (group, out) in tasks.groups(task).zip(out.chunks_exact_mut(group)) {
            for ((at, (of, prologue)), out) in
                blocks[first..][..count].iter().enumerate().zip(out.chunks_exact_mut(plane))
            {
                let Scratch { staged, gradient: of_output, padded, of_source, room } = &mut **scratch;
                let of_output = of_output.of(sides[0] * sides[1] * LANES);
                gradient.plane(state, output, group, first + at, of_output);
                let of_source = of_source.of(canvas.pixels() * LANES);
                let z = state.plane(of.read.map, group, of.block);
                if pool.kind == PoolKind::Mean {
                    elementwise::times_of_pixels(counts, of_output);
                }
                if is_turned {
                    let padded = padded.of(back.pixels() * LANES);
                    back.stage(of_output, &Prologue::NONE, 0.0, padded);
                    let walk = Walk { from: back.steps(&turned), to: canvas.inside(), ..to };
                    let inside = &mut of_source[canvas.first() * LANES..];
                    depthwise::correlate(padded, ones, &back.window(&turned), walk, inside, false);
                } else {
                    of_source.fill(0.0);
                    if pool.kind == PoolKind::Mean {
                        depthwise::spread(of_output, ones, &window, walk, of_source);
                    } else {
                        let staged = staged.of(canvas.pixels() * LANES);
                        canvas.stage(z, prologue, f32::NEG_INFINITY, staged);
                        if E::IS_EXACT || prologue.keeps_format() {
                            let most = state.plane(output, group, first + at);
                            windows::add_to_first(of_output, most, staged, &window, walk, of_source);
                        } else {
                            // The output was rounded: no pixel has its value.
                            let most = room.of(sides[0] * sides[1] * LANES);
                            windows::maximum(staged, &window, walk, most);
                            windows::add_to_first(of_output, &*most, staged, &window, walk, of_source);
                        }
                    }
                }
                let inside = &of_source[canvas.first() * LANES..];
                elementwise::pass(inside, z, prologue, &Lanes::ONE, to, out, !fresh);
            }
        }
    });
    reverse.keep(slot);
}
