//! The gradient of dense filters: a product of matrices whose inner dimension is every pixel of
//! every image.
//!
//! A cube makes a [`Tile`] of the gradient. Its units are groups, each of which makes the whole
//! tile of every so many positions: a filter is small, and there are positions enough for all.
//! While one stage is worked on, a unit holds its part of the next.

use super::UNITS;
use super::dense::Product;
use super::held::{HELD, applied, hold, pixel_of};
use super::record::{Record, Records, count_of, first_of, record};
use super::source::{Source, start_of};
use super::sums::cube_sums;
use super::taps::{Sides, column_read, row_read, sides};
use crate::gpu::launch::{Bindings, Launch};
use crate::gpu::split::Split;
use crate::gpu::window::Window;
use crate::program::Frame;
use cubecl::prelude::*;

/// Side of a unit's part of a tile.
const PART: usize = 4;
/// Side of a tile at most: so much of it and of what is loaded for it fits what WebGPU promises a
/// cube.
const MOST: usize = 48;

/// What a cube makes: rows are outputs, columns inputs and taps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tile {
    rows: usize,
    columns: usize,
}

impl Tile {
    /// The tile that shares out a gradient evenly.
    pub fn of(outputs: usize, inner: usize) -> Self {
        let side = |numbers: usize| numbers.div_ceil(numbers.div_ceil(MOST)).next_multiple_of(PART);
        Self { rows: side(outputs), columns: side(inner) }
    }

    /// Tiles of a gradient, `y` then `x`.
    pub fn count(self, outputs: usize, inner: usize) -> [usize; 2] {
        [outputs.div_ceil(self.rows), inner.div_ceil(self.columns)]
    }

    /// Units that make a tile together, and how many such groups there are; what is left of the
    /// units only loads.
    fn group(self) -> usize {
        self.rows / PART * (self.columns / PART)
    }

    fn groups(self) -> usize {
        UNITS as usize / self.group()
    }

    /// Positions in a stage.
    fn depth(self) -> usize {
        if self.rows + self.columns <= 48 { 64 } else { 32 }
    }

    /// Rows or columns that are loaded at one time.
    fn lines(self) -> usize {
        UNITS as usize / self.depth()
    }
}

record! {
    /// A product whose filters' gradient is made.
    FilterGradient {
        /// Its plane is that of the output's gradient.
        product: Product,
        /// First partial sum.
        partial: usize,
    }
}

/// Partial gradients of dense filters, over one chunk of positions:
///
/// ```text
/// partial[chunk, o, i, t]
///     = Σ_{(n, y, x) in chunk} dout[o, n, y, x] · source[i, n, y · s + ty · d + start, …]
/// ```
///
/// Grid: inputs and taps by a tile's columns, outputs by its rows, records (a
/// [`FilterGradient`] each) times chunks of `length` positions.
#[cube(launch, address_type = "dynamic")]
pub fn dense_weight_gradient<E: Float>(
    arena: &[E],
    numbers: &mut [f32],
    table: &[u32],
    records: u32,
    images: u32,
    chunks: u32,
    length: u32,
    sides: Sides,
    #[comptime] tile: Tile,
    #[comptime] frame: Frame,
    #[define(E)] _format: ElemType,
) {
    let (rows, columns, depth, lines) = comptime!((tile.rows, tile.columns, tile.depth(), tile.lines()));
    // A position's numbers take one more than there are, so that neighbours' lie in different
    // banks.
    let (row_step, column_step) = comptime!((rows + 1, columns + 1));
    let mut left = Shared::<[f32]>::new_slice(comptime!(depth * row_step));
    let mut right = Shared::<[f32]>::new_slice(comptime!(depth * column_step));
    let mut planes = Shared::<[u32]>::new_slice(comptime!(columns * HELD));
    let mut norms = Shared::<[f32]>::new_slice(comptime!(columns * HELD));
    let mut next_left = Array::<f32>::new(comptime!(rows.div_ceil(lines)));
    let mut next_right = Array::<f32>::new(comptime!(columns.div_ceil(lines)));
    let mut sums = Array::<f32>::new(comptime!(PART * PART));

    let filters = records as usize + (CUBE_POS_Z / chunks) as usize * FilterGradient::WORDS;
    let product = filters + FilterGradient::product;
    let chunk = CUBE_POS_Z % chunks;
    let outputs = table[product + Product::outputs] as usize;
    let taps = comptime!(frame.taps());
    let inner = count_of(table, product + Product::sources) as usize * taps;
    let plane = sides.out_height * sides.out_width;
    let (first_row, first_column) = (CUBE_POS_Y as usize * rows, CUBE_POS_X as usize * columns);
    let begin = chunk * length;
    let mut end = min(begin + length, images * plane);
    if first_row >= outputs || first_column >= inner {
        end = begin;
    }

    let unit = UNIT_POS as usize;
    if unit < columns {
        let first = first_of(table, product + Product::sources);
        let source = first + min(first_column + unit, inner - 1) / taps * Source::WORDS;
        hold(&mut planes, &mut norms, unit * HELD, &*numbers, table, source);
    }
    sync_cube();

    // Which of the next numbers are there, a bit each.
    let mut there = 0u32;
    let (lane, line) = (unit % depth, unit / depth);
    let across = comptime!(columns / PART);
    let (group, part) = (unit / comptime!(tile.group()), unit % comptime!(tile.group()));
    let (part_row, part_column) = (part / across * PART, part % across);
    for turn in range_stepped(begin, end + comptime!(depth as u32), comptime!(depth as u32)) {
        // What this turn reads is worked on in the next.
        if turn > begin {
            #[unroll]
            for load in 0..comptime!(rows.div_ceil(lines)) {
                let at = line + load * lines;
                if at < rows {
                    left[lane * row_step + at] = next_left[load];
                }
            }
            #[unroll]
            for load in 0..comptime!(columns.div_ceil(lines)) {
                let at = line + load * lines;
                if at < columns {
                    let there = (there >> comptime!(load as u32)) & 1u32 != 0;
                    right[lane * column_step + at] = applied(&planes, &norms, at * HELD, next_right[load], there);
                }
            }
            sync_cube();
        }
        if turn < end {
            let position = turn + lane as u32;
            let inside = position < end;
            let (image, pixel) = ((position / plane) as usize, position % plane);
            let (oy, ox) = (pixel / sides.out_width, pixel % sides.out_width);
            let towards = start_of(table, product + Product::plane, image) + pixel as usize;
            #[unroll]
            for load in 0..comptime!(rows.div_ceil(lines)) {
                let at = line + load * lines;
                next_left[load] = 0.0;
                if inside && at < rows && first_row + at < outputs {
                    next_left[load] = f32::cast_from(arena[towards + (first_row + at) * plane as usize]);
                }
            }
            there *= 0;
            #[unroll]
            for load in 0..comptime!(columns.div_ceil(lines)) {
                let at = line + load * lines;
                let (mut y, mut x) = (oy, ox);
                if comptime!(frame != Frame::PIXEL) {
                    let tap = ((first_column + at) % taps) as u32;
                    y = row_read(oy, tap / comptime!(frame.kernel[1] as u32), frame);
                    x = column_read(ox, tap % comptime!(frame.kernel[1] as u32), frame);
                }
                if inside && at < columns && first_column + at < inner && y < sides.height && x < sides.width {
                    let from = pixel_of(&planes, at * HELD, image, (y * sides.width + x) as usize);
                    next_right[load] = f32::cast_from(arena[from]);
                    there |= comptime!(1u32 << load);
                }
            }
        }
        if turn > begin {
            // As many as there are, which the compiler does not know: it unrolls what it knows, and
            // then has no registers left for other cubes.
            let mut filled = min(end + comptime!(depth as u32) - turn, comptime!(depth as u32)) as usize;
            if group >= comptime!(tile.groups()) {
                filled *= 0;
            }
            for at in range_stepped(group, filled, comptime!(tile.groups())) {
                #[unroll]
                for j in 0..PART {
                    let value = right[at * column_step + part_column + j * across];
                    #[unroll]
                    for i in 0..PART {
                        sums[i * PART + j] += left[at * row_step + part_row + i] * value;
                    }
                }
            }
            sync_cube();
        }
    }

    cube_sums(&mut sums, comptime!(PART * PART), comptime!(tile.group()), comptime!(tile.groups()));
    let to = table[filters + FilterGradient::partial] as usize + chunk as usize * outputs * inner;
    if unit < comptime!(tile.group()) {
        #[unroll]
        for i in 0..PART {
            #[unroll]
            for j in 0..PART {
                let (row, column) = (first_row + part_row + i, first_column + part_column + j * across);
                if row < outputs && column < inner {
                    numbers[to + row * inner + column] = sums[i * PART + j];
                }
            }
        }
    }
}

/// A launch of [`dense_weight_gradient()`].
#[derive(Debug, Clone, Copy)]
pub struct DenseWeight {
    pub filters: Records<FilterGradient>,
    /// Of the product that has most, and inputs by taps of that which has most.
    pub outputs: usize,
    pub inner: usize,
    pub window: Window,
    /// Of positions.
    pub split: Split,
}

impl Launch for DenseWeight {
    fn cubes(&self, _images: usize) -> [usize; 3] {
        let [y, x] = Tile::of(self.outputs, self.inner).count(self.outputs, self.inner);
        [x, y, self.filters.count * self.split.chunks]
    }

    fn run(&self, on: &Bindings<'_>) {
        let (client, cubes, units, address) = on.grid(self);
        let (arena, numbers, table) = (on.arena.arg(), on.numbers.arg(), on.table.arg());
        let (records, images, sides) = (self.filters.first(), on.images as u32, sides(&self.window));
        let (chunks, length) = (self.split.chunks as u32, self.split.length as u32);
        let (tile, frame, format) = (Tile::of(self.outputs, self.inner), self.window.frame, on.format);
        dense_weight_gradient::launch(
            client, cubes, units, address, arena, numbers, table, records, images, chunks, length, sides, tile, frame,
            format,
        );
    }
}
