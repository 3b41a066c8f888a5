//! The gradient of what dense convolutions read: again a product of matrices, made in tiles.

use super::UNITS;
use super::record::{Record, Records, count_of, first_of, record};
use super::source::{Plane, start_of};
use super::taps::{Sides, column_reached, row_reached, sides};
use super::tile::{DEPTH, SIDE, Tile, column_of, multiply, row_of, works};
use crate::gpu::launch::{Bindings, Launch};
use crate::gpu::window::Window;
use crate::program::Frame;
use cubecl::prelude::*;

record! {
    /// A run of channels whose gradient is made.
    InputTarget {
        /// Of the first.
        plane: Plane,
        readers: Records<InputReader>,
        channels: usize,
        /// Whether it is added to what is there.
        adds: bool,
    }
}

record! {
    /// A group of a convolution that read the run.
    InputReader {
        /// The gradient of its first output.
        plane: Plane,
        outputs: usize,
        /// Offset of the weights of the first output and the first channel of the run.
        weight: usize,
        /// How far apart the weights of two outputs lie.
        stride: usize,
    }
}

/// The gradient of what dense convolutions of one window read, before the ReLU is undone, over all
/// that read a run of channels:
/// `g[i, n, y, x] (+)= Σ_{reader, o, t} weight[o, i, t] · dout[o, n, (y − ty · d − start) / s, …]`.
///
/// Grid: positions `n · h · w` by a tile's columns, channels by its rows, targets (an
/// [`InputTarget`] each).
#[cube(launch, address_type = "dynamic")]
pub fn dense_input_gradient<E: Float>(
    arena: &mut [E],
    weights: &[f32],
    table: &[u32],
    targets: u32,
    images: u32,
    sides: Sides,
    #[comptime] tile: Tile,
    #[comptime] frame: Frame,
    #[define(E)] _format: ElemType,
) {
    let (rows, columns) = comptime!((tile.rows, tile.columns()));
    let taps = comptime!(frame.taps());
    let mut left = Shared::<[f32]>::new_slice(comptime!(DEPTH * rows));
    let mut right = Shared::<[f32]>::new_slice(comptime!(DEPTH * columns));
    let mut next_left = Array::<f32>::new(comptime!(tile.left_loads()));
    let mut next_right = Array::<f32>::new(comptime!(tile.loads()));
    let mut sums = Array::<f32>::new(comptime!(SIDE * SIDE));

    let target = targets as usize + CUBE_POS_Z as usize * InputTarget::WORDS;
    let first_reader = first_of(table, target + InputTarget::readers);
    let channels = table[target + InputTarget::channels] as usize;
    let plane = sides.height * sides.width;
    let positions = images * plane;
    let out_plane = (sides.out_height * sides.out_width) as usize;
    let first_row = CUBE_POS_Y as usize * rows;
    let mut readers = count_of(table, target + InputTarget::readers) as usize;
    if first_row >= channels {
        readers *= 0;
    }

    let unit = UNIT_POS as usize;
    let (line, column) = (unit / columns, unit % columns);
    let position = CUBE_POS_X * columns as u32 + column as u32;
    let inside = position < positions && line < comptime!(tile.lines());
    let (image, pixel) = ((position / plane) as usize, position % plane);
    let (y, x) = (pixel / sides.width, pixel % sides.width);

    for number in 0..readers {
        let reader = first_reader + number * InputReader::WORDS;
        let weight = table[reader + InputReader::weight] as usize;
        let stride = table[reader + InputReader::stride] as usize;
        let depth = table[reader + InputReader::outputs] as usize * taps;
        let from = start_of(table, reader + InputReader::plane, image);
        for turn in range_stepped(0, depth + DEPTH, DEPTH) {
            // What this turn reads is worked on in the next.
            if turn > 0 {
                #[unroll]
                for load in 0..comptime!(tile.left_loads()) {
                    let element = unit + load * UNITS as usize;
                    if element < comptime!(DEPTH * rows) {
                        left[element] = next_left[load];
                    }
                }
                #[unroll]
                for load in 0..comptime!(tile.loads()) {
                    let row = line + load * comptime!(tile.lines());
                    if line < comptime!(tile.lines()) && row < DEPTH {
                        right[row * columns + column] = next_right[load];
                    }
                }
                sync_cube();
            }
            if turn < depth {
                #[unroll]
                for load in 0..comptime!(tile.left_loads()) {
                    // Neighbours read neighbours in a 1x1 convolution, whose channels lie side by
                    // side.
                    let element = unit + load * UNITS as usize;
                    let (row, at) = (element % rows, turn + element / rows);
                    next_left[load] = 0.0;
                    if element < comptime!(DEPTH * rows) && at < depth && first_row + row < channels {
                        next_left[load] = weights[weight + at / taps * stride + (first_row + row) * taps + at % taps];
                    }
                }
                #[unroll]
                for load in 0..comptime!(tile.loads()) {
                    let row = line + load * comptime!(tile.lines());
                    let at = turn + row;
                    let (mut oy, mut ox) = (y, x);
                    if comptime!(frame != Frame::PIXEL) {
                        let tap = (at % taps) as u32;
                        oy = row_reached(y, tap / comptime!(frame.kernel[1] as u32), frame);
                        ox = column_reached(x, tap % comptime!(frame.kernel[1] as u32), frame);
                    }
                    next_right[load] = 0.0;
                    if inside && row < DEPTH && at < depth && oy < sides.out_height && ox < sides.out_width {
                        let pixel = (oy * sides.out_width + ox) as usize;
                        next_right[load] = f32::cast_from(arena[from + at / taps * out_plane + pixel]);
                    }
                }
            }
            if turn > 0 {
                multiply(&left, &right, &mut sums, tile);
                sync_cube();
            }
        }
    }

    let adds = table[target + InputTarget::adds] != 0;
    #[unroll]
    for j in 0..SIDE {
        let position = CUBE_POS_X * columns as u32 + column_of(j, tile) as u32;
        if position < positions && works(tile) {
            let to =
                start_of(table, target + InputTarget::plane, (position / plane) as usize) + (position % plane) as usize;
            #[unroll]
            for i in 0..SIDE {
                let row = first_row + row_of(i, tile);
                if row < channels {
                    let at = to + row * plane as usize;
                    let mut sum = sums[i * SIDE + j];
                    if adds {
                        sum += f32::cast_from(arena[at]);
                    }
                    arena[at] = E::cast_from(sum);
                }
            }
        }
    }
}

/// A launch of [`dense_input_gradient()`].
#[derive(Debug, Clone, Copy)]
pub struct DenseInput {
    pub targets: Records<InputTarget>,
    /// Of the longest run.
    pub channels: usize,
    pub window: Window,
}

impl Launch for DenseInput {
    fn cubes(&self, images: usize) -> [usize; 3] {
        Tile::cubes(self.channels, images * self.window.read(), self.targets.count)
    }

    fn run(&self, on: &Bindings<'_>) {
        let (client, cubes, units, address) = on.grid(self);
        let (arena, weights, table) = (on.arena.arg(), on.weights.arg(), on.table.arg());
        let (targets, images, sides) = (self.targets.first(), on.images as u32, sides(&self.window));
        let (tile, frame, format) = (Tile::of(self.channels), self.window.frame, on.format);
        dense_input_gradient::launch(
            client, cubes, units, address, arena, weights, table, targets, images, sides, tile, frame, format,
        );
    }
}
