//! The gradient of dense filters: a product of matrices whose inner dimension is every pixel of every image.

use super::dense::PRODUCT;
use super::{PLANE, SOURCE, UNITS, read, start_of, tapped};
use cubecl::prelude::*;

/// A cube makes a square tile of this side, each unit 2 by 2.
pub(in super::super) const SIDE: usize = 32;
/// Positions in a stage.
const DEPTH: usize = 16;
/// A stage's row takes one more than it holds, so that a column's numbers lie in different banks.
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
    positions: u32,
    chunks: u32,
    length: u32,
    #[define(E)] _format: ElemType,
) {
    let mut left = Shared::<[f32]>::new_slice(comptime!(DEPTH * ROW));
    let mut right = Shared::<[f32]>::new_slice(comptime!(DEPTH * ROW));
    let mut sums = Array::<f32>::new(4usize);

    let product = records as usize + (CUBE_POS_Z / chunks) as usize * WEIGHT;
    let chunk = CUBE_POS_Z % chunks;
    let outputs = table[product + 2] as usize;
    let frame = table[product + 5 + PLANE] as usize;
    let kernel_width = table[frame + 1];
    let taps = (table[frame] * kernel_width) as usize;
    let inner = table[product + 1] as usize * taps;
    let (height, width) = (table[frame + 8], table[frame + 9]);
    let out_width = table[frame + 11];
    let plane = table[frame + 10] * out_width;
    let (first_row, first_column) = (CUBE_POS_Y as usize * SIDE, CUBE_POS_X as usize * SIDE);
    let begin = chunk * length;
    let mut end = min(begin + length, positions);
    if first_row >= outputs || first_column >= inner {
        end = begin;
    }

    let unit = UNIT_POS as usize;
    let (lane, line) = (unit % DEPTH, unit / DEPTH);
    for stage in range_stepped(begin, end, comptime!(DEPTH as u32)) {
        let position = stage + lane as u32;
        let (image, pixel) = ((position / plane) as usize, position % plane);
        let (oy, ox) = (pixel / out_width, pixel % out_width);
        #[unroll]
        for part in 0..comptime!(SIDE * DEPTH / UNITS as usize) {
            let at = line + part * comptime!(UNITS as usize / DEPTH);
            let (row, column) = (first_row + at, first_column + at);
            let mut gradient = 0.0f32;
            let mut value = 0.0f32;
            if position < end && row < outputs {
                let from = start_of(table, product + 5, image) + row * plane as usize + pixel as usize;
                gradient = f32::cast_from(arena[from]);
            }
            if position < end && column < inner {
                let source = table[product] as usize + column / taps * SOURCE;
                let tap = (column % taps) as u32;
                let y = tapped(table, frame, 0usize, oy, tap / kernel_width);
                let x = tapped(table, frame, 1usize, ox, tap % kernel_width);
                if y < height && x < width {
                    let from = start_of(table, source, image) + (y * width + x) as usize;
                    value = read::<E>(arena, &*numbers, table, source, from);
                }
            }
            left[lane * ROW + at] = gradient;
            right[lane * ROW + at] = value;
        }
        sync_cube();
        #[unroll]
        for k in 0..DEPTH {
            #[unroll]
            for i in 0..2usize {
                #[unroll]
                for j in 0..2usize {
                    sums[i * 2 + j] += left[k * ROW + line + i * 16] * right[k * ROW + lane + j * 16];
                }
            }
        }
        sync_cube();
    }

    let to = table[product + PRODUCT] as usize + chunk as usize * outputs * inner;
    #[unroll]
    for i in 0..2usize {
        #[unroll]
        for j in 0..2usize {
            let (row, column) = (first_row + line + i * 16, first_column + lane + j * 16);
            if row < outputs && column < inner {
                numbers[to + row * inner + column] = sums[i * 2 + j];
            }
        }
    }
}
