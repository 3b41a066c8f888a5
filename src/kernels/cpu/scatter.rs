//! From a block's scratch memory to the gradients of what it read.

use super::{
    layout::Blocks,
    staging::Canvas,
    tape::{Prologue, Tape},
};
use crate::kernels::program::Read;
use std::ops::Range;

/// Takes the gradient of one channel of some images, rows as `canvas` has them, to its place in a slot, zero where the
/// read's ReLU was shut. The slot's images begin with `first_image`.
#[expect(clippy::too_many_arguments, reason = "what is read, what is written, and how both lie")]
pub(super) fn scatter(
    tape: &Tape,
    read: &Read,
    channel: usize,
    images: Range<usize>,
    from: &[f32],
    canvas: &Canvas,
    slot: &mut [f32],
    first_image: usize,
    add: bool,
) {
    let blocks = Blocks { channels: read.channels, ..tape.blocks(read.map) };
    let prologue = tape.prologue(read, channel);
    if let Some(values) = tape.plane(read, channel, &images) {
        let plane = blocks.pixels * images.len();
        let start = blocks.chunk(images.start - first_image) + channel * plane;
        return rows(from, canvas, values, prologue, &mut slot[start..][..plane], add);
    }
    let (of, together) = (tape.blocks(read.map), images.len());
    for (lane, image) in images.enumerate() {
        let (block, in_block) = (image / blocks.together, image % blocks.together);
        let (start, beside) = blocks.block(block);
        let start = start - blocks.chunk(first_image) + channel * blocks.pixels * beside + in_block;
        let values = of.plane(tape.values(read.map), block, read.first + channel);
        for pixel in 0..blocks.pixels {
            let at = pixel * together / canvas.width * canvas.pitch + pixel * together % canvas.width + lane;
            let to = &mut slot[start + pixel * beside];
            let passed = pass(from[at], values[pixel * beside + in_block], prologue);
            *to = if add { *to + passed } else { passed };
        }
    }
}

/// A gradient behind a prologue.
#[inline(always)]
fn pass(gradient: f32, value: f32, prologue: Prologue) -> f32 {
    if value * prologue.factor + prologue.offset > prologue.least { gradient } else { 0.0 }
}

fn rows(from: &[f32], canvas: &Canvas, values: &[f32], prologue: Prologue, to: &mut [f32], add: bool) {
    let width = canvas.width;
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || {
            let rows = from.chunks_exact(canvas.pitch).zip(values.chunks_exact(width)).zip(to.chunks_exact_mut(width));
            for ((from, values), to) in rows {
                let triples = to.iter_mut().zip(from).zip(values);
                if add {
                    triples.for_each(|((to, from), value)| *to += pass(*from, *value, prologue));
                } else {
                    triples.for_each(|((to, from), value)| *to = pass(*from, *value, prologue));
                }
            }
        },
    );
}
