//! From a block's scratch memory to the gradients of what it read.

use super::{layout::Blocks, pass_state::PassState, prologue::Prologue, simd::vectorised, staging::Canvas};
use crate::program::Read;
use std::ops::Range;

/// Takes the gradient of one channel of some images, rows as `canvas` has them, to its place in a
/// slot, zero where the read's ReLU was shut. The slot's images begin with `first_image`.
#[expect(clippy::too_many_arguments, reason = "what is read, what is written, and how both lie")]
pub(super) fn scatter(
    state: &PassState,
    read: &Read,
    channel: usize,
    images: Range<usize>,
    from: &[f32],
    canvas: &Canvas,
    slot: &mut [f32],
    first_image: usize,
    add: bool,
) {
    let blocks = Blocks { channels: read.channels, ..state.blocks(read.map) };
    let prologue = state.prologue(read, channel);
    if let Some(values) = state.plane(read, channel, &images) {
        let plane = blocks.pixels * images.len();
        let start = blocks.chunk(images.start - first_image) + channel * plane;
        return rows(from, canvas, values, prologue, &mut slot[start..][..plane], add);
    }
    let (of, together) = (state.blocks(read.map), images.len());
    for (lane, image) in images.enumerate() {
        let (block, in_block) = (image / blocks.together, image % blocks.together);
        let (start, beside) = blocks.block(block);
        let start = start - blocks.chunk(first_image) + channel * blocks.pixels * beside;
        let values = of.plane(state.values(read.map), block, read.first + channel);
        let width = canvas.width / together;
        for row in 0..canvas.rows {
            let from = from[row * canvas.pitch..][..canvas.width].chunks_exact(together).map(|beside| beside[lane]);
            let pixels = row * width * beside..(row + 1) * width * beside;
            let values = values[pixels.clone()].chunks_exact(beside).map(|beside| beside[in_block]);
            let to = slot[start..][pixels].chunks_exact_mut(beside).map(|beside| &mut beside[in_block]);
            for ((from, value), to) in from.zip(values).zip(to) {
                let passed = pass(from, value, prologue);
                *to = if add { *to + passed } else { passed };
            }
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
    vectorised(
        #[inline(always)]
        || {
            if prologue.least == f32::NEG_INFINITY {
                // No ReLU: everything passes, whatever the values are.
                for (from, to) in from.chunks_exact(canvas.pitch).zip(to.chunks_exact_mut(width)) {
                    let pairs = to.iter_mut().zip(from);
                    if add {
                        pairs.for_each(|(to, from)| *to += from);
                    } else {
                        pairs.for_each(|(to, from)| *to = *from);
                    }
                }
                return;
            }
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
