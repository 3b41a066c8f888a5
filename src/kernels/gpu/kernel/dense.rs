//! Dense convolution as a product of matrices that are never written out.
//!
//! A cube makes a tile, see [`tile`](super::tile). Units load along pixels, so that neighbours read
//! neighbours, and each unit loads for one pixel only: where it lies is worked out once and not in
//! the loop.

use super::UNITS;
use super::held::{HELD, applied, hold, pixel_of};
use super::record::{NONE, Record, Records, count_of, first_of, record};
use super::source::{Plane, Source, start_of};
use super::taps::{Sides, column_read, row_read, sides};
use super::tile::{DEPTH, SIDE, Tile, column_of, multiply, row_of, works};
use crate::gpu::launch::{Bindings, Launch};
use crate::gpu::window::Window;
use crate::program::Frame;
use cubecl::prelude::*;

record! {
    /// One group of one branch.
    Product {
        /// Its inputs.
        sources: Records<Source>,
        outputs: usize,
        /// Offsets of its filters and of its first bias.
        weight: usize,
        bias: Option<usize>,
        /// Of the first output.
        plane: Plane,
    }
}

/// With the source's norm and ReLU folded in:
///
/// ```text
/// out[o, n, y, x] = bias[o] + Σ_{i, t} weight[o, i, t] · source[i, n, y · s + ty · d + start, …]
/// ```
///
/// Grid: positions `n · oh · ow` by a tile's columns, outputs by its rows, records (a
/// [`Product`] each).
#[cube(launch, address_type = "dynamic")]
pub fn dense<E: Float>(
    arena: &mut [E],
    numbers: &[f32],
    weights: &[f32],
    table: &[u32],
    records: u32,
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
    // Of two stages: while one is read, the next is loaded.
    let mut planes = Shared::<[u32]>::new_slice(comptime!(2 * DEPTH * HELD));
    let mut norms = Shared::<[f32]>::new_slice(comptime!(2 * DEPTH * HELD));
    let mut next_left = Array::<f32>::new(comptime!(tile.left_loads()));
    let mut next_right = Array::<f32>::new(comptime!(tile.loads()));
    let mut there = Array::<u32>::new(comptime!(tile.loads()));
    let mut sums = Array::<f32>::new(comptime!(SIDE * SIDE));

    let product = records as usize + CUBE_POS_Z as usize * Product::WORDS;
    let sources = first_of(table, product + Product::sources);
    let outputs = table[product + Product::outputs] as usize;
    let weight = table[product + Product::weight] as usize;
    let plane = sides.out_height * sides.out_width;
    let positions = images * plane;
    let first_row = CUBE_POS_Y as usize * rows;
    let mut depth = count_of(table, product + Product::sources) as usize * taps;
    let stride = depth;
    if first_row >= outputs {
        depth *= 0;
    }

    let unit = UNIT_POS as usize;
    let (line, column) = (unit / columns, unit % columns);
    let position = CUBE_POS_X * columns as u32 + column as u32;
    let inside = position < positions && line < comptime!(tile.lines());
    let (image, pixel) = ((position / plane) as usize, position % plane);
    let (oy, ox) = (pixel / sides.out_width, pixel % sides.out_width);

    load_channels(&mut planes, &mut norms, numbers, table, sources, 0usize, depth, taps);
    load_channels(&mut planes, &mut norms, numbers, table, sources, DEPTH, depth, taps);
    sync_cube();
    for turn in range_stepped(0, depth + DEPTH, DEPTH) {
        // What this turn reads is worked on in the next.
        if turn > 0 {
            #[unroll]
            for load in 0..comptime!(tile.left_loads()) {
                let element = unit + load * UNITS as usize;
                if element < comptime!(DEPTH * rows) {
                    left[element % DEPTH * rows + element / DEPTH] = next_left[load];
                }
            }
            let stage = (turn / DEPTH + 1) % 2 * comptime!(DEPTH * HELD);
            #[unroll]
            for load in 0..comptime!(tile.loads()) {
                let row = line + load * comptime!(tile.lines());
                if line < comptime!(tile.lines()) && row < DEPTH {
                    let channel = stage + row * HELD;
                    right[row * columns + column] =
                        applied(&planes, &norms, channel, next_right[load], there[load] != 0);
                }
            }
            sync_cube();
            load_channels(&mut planes, &mut norms, numbers, table, sources, turn + DEPTH, depth, taps);
        }
        if turn < depth {
            #[unroll]
            for load in 0..comptime!(tile.left_loads()) {
                let element = unit + load * UNITS as usize;
                let (row, at) = (element / DEPTH, element % DEPTH);
                next_left[load] = 0.0;
                if element < comptime!(DEPTH * rows) && first_row + row < outputs && turn + at < depth {
                    next_left[load] = weights[weight + (first_row + row) * stride + turn + at];
                }
            }
            let stage = turn / DEPTH % 2 * comptime!(DEPTH * HELD);
            #[unroll]
            for load in 0..comptime!(tile.loads()) {
                let row = line + load * comptime!(tile.lines());
                let at = turn + row;
                let channel = stage + row * HELD;
                let (mut y, mut x) = (oy, ox);
                if comptime!(frame != Frame::PIXEL) {
                    let tap = (at % taps) as u32;
                    y = row_read(oy, tap / comptime!(frame.kernel[1] as u32), frame);
                    x = column_read(ox, tap % comptime!(frame.kernel[1] as u32), frame);
                }
                there[load] = 0;
                if inside && row < DEPTH && at < depth && y < sides.height && x < sides.width {
                    let at = pixel_of(&planes, channel, image, (y * sides.width + x) as usize);
                    next_right[load] = f32::cast_from(arena[at]);
                    there[load] = 1;
                }
            }
        }
        if turn > 0 {
            multiply(&left, &right, &mut sums, tile);
            sync_cube();
        }
    }

    let bias = table[product + Product::bias];
    #[unroll]
    for j in 0..SIDE {
        let position = CUBE_POS_X * columns as u32 + column_of(j, tile) as u32;
        if position < positions && works(tile) {
            let to =
                start_of(table, product + Product::plane, (position / plane) as usize) + (position % plane) as usize;
            #[unroll]
            for i in 0..SIDE {
                let row = first_row + row_of(i, tile);
                if row < outputs {
                    let mut sum = sums[i * SIDE + j];
                    if bias != NONE {
                        sum += weights[bias as usize + row];
                    }
                    arena[to + row * plane as usize] = E::cast_from(sum);
                }
            }
        }
    }
}

/// Loads what is known of the channels of a stage, a tap of a channel each unit: where they lie and
/// what is done to them.
#[cube]
fn load_channels(
    planes: &mut Shared<[u32]>,
    norms: &mut Shared<[f32]>,
    numbers: &[f32],
    table: &[u32],
    sources: usize,
    begin: usize,
    depth: usize,
    #[comptime] taps: usize,
) {
    let unit = UNIT_POS as usize;
    let at = begin + unit;
    if unit < DEPTH && at < depth {
        let to = (begin / DEPTH % 2 * DEPTH + unit) * HELD;
        hold(planes, norms, to, numbers, table, sources + at / taps * Source::WORDS);
    }
}

/// A launch of [`dense()`].
#[derive(Debug, Clone, Copy)]
pub struct Dense {
    pub products: Records<Product>,
    /// Of the product that has most.
    pub outputs: usize,
    pub window: Window,
}

impl Launch for Dense {
    fn cubes(&self, images: usize) -> [usize; 3] {
        Tile::cubes(self.outputs, images * self.window.written(), self.products.count)
    }

    fn run(&self, on: &Bindings<'_>) {
        let (client, cubes, units, address) = on.grid(self);
        let (arena, numbers, weights, table) = (on.arena.arg(), on.numbers.arg(), on.weights.arg(), on.table.arg());
        let (records, images, sides) = (self.products.first(), on.images as u32, sides(&self.window));
        let (tile, frame, format) = (Tile::of(self.outputs), self.window.frame, on.format);
        dense::launch(
            client, cubes, units, address, arena, numbers, weights, table, records, images, sides, tile, frame, format,
        );
    }
}
