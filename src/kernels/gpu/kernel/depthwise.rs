//! Depthwise convolution: one filter a channel, of many branches with one window at once.
//!
//! A unit makes a strip of numbers, see [`window`](crate::gpu::window): what it reads, and what a
//! norm does to it, serves all of them.

use super::UNITS;
use super::record::{Record, Records, record};
use super::source::{Plane, Prologue, Source, start_of};
use super::taps::{Sides, column_read, sides};
use crate::gpu::launch::{Bindings, Launch};
use crate::gpu::window::{STRIP, Window, reach, serves, tap};
use crate::program::Frame;
use cubecl::prelude::*;

record! {
    /// A channel that is convolved.
    Filtered {
        source: Source,
        /// What is written.
        plane: Plane,
        /// Offset of the filter.
        weight: usize,
    }
}

/// `out[c, n, y, x] = Σ_{t} filter[c, t] · source[c, n, y · s + ty · d + start, …]`, the source's
/// norm and ReLU folded in.
///
/// Grid: strips of all images by [`UNITS`], records ([`Filtered`], one a channel).
#[cube(launch, address_type = "dynamic")]
pub fn depthwise<E: Float>(
    arena: &mut [E],
    numbers: &[f32],
    weights: &[f32],
    table: &[u32],
    records: u32,
    images: u32,
    sides: Sides,
    #[comptime] frame: Frame,
    #[define(E)] _format: ElemType,
) {
    let strips = (sides.out_height + comptime!(STRIP as u32 - 1)) / comptime!(STRIP as u32) * sides.out_width;
    let position = CUBE_POS_X * UNITS + UNIT_POS;
    if position < images * strips {
        let filtered = records as usize + CUBE_POS_Y as usize * Filtered::WORDS;
        let source = filtered + Filtered::source;
        let filter = table[filtered + Filtered::weight] as usize;
        let (image, strip) = ((position / strips) as usize, position % strips);
        let (oy, ox) = (strip / sides.out_width * comptime!(STRIP as u32), strip % sides.out_width);
        let from = start_of(table, source + Source::plane, image);
        let prologue = Prologue::of(numbers, table, source);
        let mut sums = Array::<f32>::new(STRIP);
        for column in 0..comptime!(frame.kernel[1] as u32) {
            let x = column_read(ox, column, frame);
            if x < sides.width {
                #[unroll]
                for row in 0..comptime!(reach(frame)) {
                    if comptime!(serves(frame, row)) {
                        let y =
                            oy * comptime!(frame.stride[0] as u32) + comptime!((row as isize + frame.start[0]) as u32);
                        let mut value = 0.0f32;
                        if y < sides.height {
                            value = prologue.apply(f32::cast_from(arena[from + (y * sides.width + x) as usize]));
                        }
                        #[unroll]
                        for output in 0..STRIP {
                            let tap = comptime!(tap(frame, row, output));
                            if comptime!(tap < frame.kernel[0]) {
                                sums[output] +=
                                    weights[filter + comptime!(tap * frame.kernel[1]) + column as usize] * value;
                            }
                        }
                    }
                }
            }
        }
        let to = start_of(table, filtered + Filtered::plane, image) + ox as usize;
        #[unroll]
        for output in 0..STRIP {
            let y = oy + comptime!(output as u32);
            if y < sides.out_height {
                arena[to + (y * sides.out_width) as usize] = E::cast_from(sums[output]);
            }
        }
    }
}

/// A launch of [`depthwise()`].
#[derive(Debug, Clone, Copy)]
pub struct Depthwise {
    pub channels: Records<Filtered>,
    pub window: Window,
}

impl Launch for Depthwise {
    fn cubes(&self, images: usize) -> [usize; 3] {
        [(images * self.window.strips()).div_ceil(UNITS as usize), self.channels.count, 1]
    }

    fn run(&self, on: &Bindings<'_>) {
        let (client, cubes, units, address) = on.grid(self);
        let (arena, numbers, weights, table) = (on.arena.arg(), on.numbers.arg(), on.weights.arg(), on.table.arg());
        let (records, images, sides) = (self.channels.first(), on.images as u32, sides(&self.window));
        let (frame, format) = (self.window.frame, on.format);
        depthwise::launch(
            client, cubes, units, address, arena, numbers, weights, table, records, images, sides, frame, format,
        );
    }
}
