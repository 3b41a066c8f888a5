//! The gradient of dense filters: a product of matrices whose inner dimension is every pixel of every image.
//!
//! A cube makes a small square tile. Its units are groups, each of which makes the whole tile of every so many positions: a
//! filter is small, and there are positions enough for all.

use super::dense::PRODUCT;
use super::{
    PLANE, REGION, RELU, SOURCE, SOURCE_FLAGS, SOURCE_PROLOGUE, UNITS, column_read, cube_sums, row_read, start_of,
};
use crate::kernels::program::Frame;
use cubecl::prelude::*;

/// Side of a cube's tile, and of a unit's part of it.
pub(in super::super) const SIDE: usize = 16;
const PART: usize = 4;
/// Units that make a tile together.
const GROUP: usize = (SIDE / PART) * (SIDE / PART);
/// Positions in a stage, and how many of them a group takes.
const DEPTH: usize = 64;
const SHARE: usize = DEPTH / (UNITS as usize / GROUP);
/// Rows and columns of a stage that a unit loads.
const LOADS: usize = SIDE * DEPTH / UNITS as usize;
/// A position's numbers take one more than there are, so that neighbours' lie in different banks.
const ROW: usize = SIDE + 1;

/// A product whose plane is that of the output's gradient; first partial sum.
pub(in super::super) const WEIGHT: usize = PRODUCT + 1;

/// Partial gradients of dense filters, over one chunk of positions:
/// `partial[chunk, o, i, t] = Σ_{(n, y, x) in chunk} dout[o, n, y, x] · source[i, n, y · s + ty · d + start, …]`.
///
/// Grid: inputs and taps by [`SIDE`], outputs by [`SIDE`], records ([`WEIGHT`] words) times chunks of `length` positions.
#[cube(launch, address_type = "dynamic")]
pub fn dense_weight_gradient<E: Float>(
    arena: &[E],
    numbers: &mut [f32],
    table: &[u32],
    records: u32,
    images: u32,
    chunks: u32,
    length: u32,
    height: u32,
    width: u32,
    out_height: u32,
    out_width: u32,
    #[comptime] frame: Frame,
    #[define(E)] _format: ElemType,
) {
    let mut left = Shared::<[f32]>::new_slice(comptime!(DEPTH * ROW));
    let mut right = Shared::<[f32]>::new_slice(comptime!(DEPTH * ROW));
    let mut sums = Array::<f32>::new(comptime!(PART * PART));

    let product = records as usize + (CUBE_POS_Z / chunks) as usize * WEIGHT;
    let chunk = CUBE_POS_Z % chunks;
    let outputs = table[product + 2] as usize;
    let taps = comptime!(frame.taps());
    let inner = table[product + 1] as usize * taps;
    let plane = out_height * out_width;
    let (first_row, first_column) = (CUBE_POS_Y as usize * SIDE, CUBE_POS_X as usize * SIDE);
    let begin = chunk * length;
    let mut end = min(begin + length, images * plane);
    if first_row >= outputs || first_column >= inner {
        end = begin;
    }

    let unit = UNIT_POS as usize;
    let (lane, line) = (unit % DEPTH, unit / DEPTH);
    let (group, part) = (unit / GROUP, unit % GROUP);
    let (part_row, part_column) = (part / comptime!(SIDE / PART) * PART, part % comptime!(SIDE / PART) * PART);
    // What a unit loads is of the same channels in every stage: where they lie and what is done to them.
    let mut places = Array::<u32>::new(comptime!(LOADS * PLANE));
    let mut norms = Array::<f32>::new(comptime!(LOADS * PLANE));
    let mut rectified = Array::<u32>::new(LOADS);
    #[unroll]
    for load in 0..LOADS {
        let column = min(first_column + line + load * comptime!(UNITS as usize / DEPTH), inner - 1);
        let source = table[product] as usize + column / taps * SOURCE;
        let prologue = table[source + SOURCE_PROLOGUE] as usize;
        #[unroll]
        for word in 0..PLANE {
            places[load * PLANE + word] = table[source + word];
            norms[load * PLANE + word] = numbers[prologue + word];
        }
        rectified[load] = table[source + SOURCE_FLAGS] & RELU;
    }
    for stage in range_stepped(begin, end, comptime!(DEPTH as u32)) {
        let position = stage + lane as u32;
        let inside = position < end;
        let (image, pixel) = ((position / plane) as usize, position % plane);
        let (oy, ox) = (pixel / out_width, pixel % out_width);
        let towards = start_of(table, product + 5, image) + pixel as usize;
        #[unroll]
        for load in 0..LOADS {
            let at = line + load * comptime!(UNITS as usize / DEPTH);
            let (row, column) = (first_row + at, first_column + at);
            let mut gradient = 0.0f32;
            let mut value = 0.0f32;
            if inside && row < outputs {
                gradient = f32::cast_from(arena[towards + row * plane as usize]);
            }
            let (mut y, mut x) = (oy, ox);
            if comptime!(frame != Frame::PIXEL) {
                let tap = (column % taps) as u32;
                y = row_read(oy, tap / comptime!(frame.kernel[1] as u32), frame);
                x = column_read(ox, tap % comptime!(frame.kernel[1] as u32), frame);
            }
            if inside && column < inner && y < height && x < width {
                let channel = load * PLANE;
                let map = places[channel] as usize * REGION + places[channel + 1] as usize;
                let from = map + image * places[channel + 2] as usize + (y * width + x) as usize;
                let read = f32::cast_from(arena[from]);
                let normed = (read - norms[channel]) * norms[channel + 1] + norms[channel + 2];
                value = select(rectified[load] != 0 && normed < 0.0, 0.0, normed);
            }
            left[lane * ROW + at] = gradient;
            right[lane * ROW + at] = value;
        }
        sync_cube();
        #[unroll]
        for k in 0..SHARE {
            let from = (group * SHARE + k) * ROW;
            #[unroll]
            for j in 0..PART {
                let value = right[from + part_column + j];
                #[unroll]
                for i in 0..PART {
                    sums[i * PART + j] += left[from + part_row + i] * value;
                }
            }
        }
        sync_cube();
    }

    cube_sums(&mut sums, comptime!(PART * PART), GROUP);
    let to = table[product + PRODUCT] as usize + chunk as usize * outputs * inner;
    if unit < GROUP {
        #[unroll]
        for i in 0..PART {
            #[unroll]
            for j in 0..PART {
                let (row, column) = (first_row + part_row + i, first_column + part_column + j);
                if row < outputs && column < inner {
                    numbers[to + row * inner + column] = sums[i * PART + j];
                }
            }
        }
    }
}

const _: () = assert!(PRODUCT == 5 + PLANE, "places in a record are written out above");
