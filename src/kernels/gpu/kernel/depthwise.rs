//! Depthwise convolution: one filter a channel, of many branches at once.

use super::{FRAME, PLANE, SOURCE, UNITS, cube_sum, reached, read, start_of, tapped};
use cubecl::prelude::*;

/// A source, the plane that is written, the offset of the filter and the frame's place in the table.
pub(in super::super) const DEPTHWISE: usize = SOURCE + PLANE + 2;

/// `out[c, n, y, x] = Σ_{t} filter[c, t] · source[c, n, y · s + ty · d + start, …]`, the source's norm and ReLU folded in.
///
/// Grid: positions `n · oh · ow` by [`UNITS`], records ([`DEPTHWISE`] words, one a channel).
#[cube(launch, address_type = "dynamic")]
pub fn depthwise<E: Float>(
    arena: &mut [E],
    numbers: &[f32],
    weights: &[f32],
    table: &[u32],
    records: u32,
    positions: u32,
    #[define(E)] _format: ElemType,
) {
    let position = CUBE_POS_X * UNITS + UNIT_POS;
    if position < positions {
        let source = records as usize + CUBE_POS_Y as usize * DEPTHWISE;
        let filter = table[source + SOURCE + PLANE] as usize;
        let frame = table[source + SOURCE + PLANE + 1] as usize;
        let (rows, columns) = (table[frame], table[frame + 1]);
        let (height, width) = (table[frame + 8], table[frame + 9]);
        let out_width = table[frame + 11];
        let plane = table[frame + 10] * out_width;
        let (image, pixel) = ((position / plane) as usize, position % plane);
        let (oy, ox) = (pixel / out_width, pixel % out_width);
        let from = start_of(table, source, image);
        let mut sum = 0.0f32;
        for row in 0..rows {
            let y = tapped(table, frame, 0usize, oy, row);
            if y < height {
                for column in 0..columns {
                    let x = tapped(table, frame, 1usize, ox, column);
                    if x < width {
                        let value = read::<E>(&*arena, numbers, table, source, from + (y * width + x) as usize);
                        sum += weights[filter + (row * columns + column) as usize] * value;
                    }
                }
            }
        }
        let to = start_of(table, source + SOURCE, image) + pixel as usize;
        arena[to] = E::cast_from(sum);
    }
}

/// The plane that is written, first reader and number of readers, whether it is added to what is there, height, width.
pub(in super::super) const INPUT_TARGET: usize = PLANE + 5;

/// The plane of the output's gradient, the offset of the filter, and the frame's place in the table.
pub(in super::super) const INPUT_READER: usize = PLANE + 2;

/// The gradient of what depthwise convolutions read, before the ReLU is undone, over all that read a channel:
/// `g[c, n, y, x] (+)= Σ_{reader, t} filter[t] · dout[reader, n, (y − ty · d − start) / s, …]`.
///
/// Grid: positions `n · h · w` by [`UNITS`], targets ([`INPUT_TARGET`] words, one a channel).
#[cube(launch, address_type = "dynamic")]
pub fn depthwise_input_gradient<E: Float>(
    arena: &mut [E],
    weights: &[f32],
    table: &[u32],
    targets: u32,
    images: u32,
    #[define(E)] _format: ElemType,
) {
    let target = targets as usize + CUBE_POS_Y as usize * INPUT_TARGET;
    let (first, readers) = (table[target + PLANE] as usize, table[target + PLANE + 1]);
    let width = table[target + PLANE + 4];
    let plane = table[target + PLANE + 3] * width;
    let position = CUBE_POS_X * UNITS + UNIT_POS;
    if position < images * plane {
        let (image, pixel) = ((position / plane) as usize, position % plane);
        let (y, x) = (pixel / width, pixel % width);
        let to = start_of(table, target, image) + pixel as usize;
        let mut sum = 0.0f32;
        if table[target + PLANE + 2] != 0 {
            sum += f32::cast_from(arena[to]);
        }
        for at in 0..readers {
            let reader = first + at as usize * INPUT_READER;
            let filter = table[reader + PLANE] as usize;
            let frame = table[reader + PLANE + 1] as usize;
            let (rows, columns) = (table[frame], table[frame + 1]);
            let (out_height, out_width) = (table[frame + 10], table[frame + 11]);
            let from = start_of(table, reader, image);
            for row in 0..rows {
                let oy = reached(table, frame, 0usize, y, row);
                if oy < out_height {
                    for column in 0..columns {
                        let ox = reached(table, frame, 1usize, x, column);
                        if ox < out_width {
                            let gradient = f32::cast_from(arena[from + (oy * out_width + ox) as usize]);
                            sum += weights[filter + (row * columns + column) as usize] * gradient;
                        }
                    }
                }
            }
        }
        arena[to] = E::cast_from(sum);
    }
}

/// A source, the plane of the output's gradient, the frame's place in the table, first partial sum, and how many partial
/// sums lie between two chunks.
pub(in super::super) const WEIGHT: usize = SOURCE + PLANE + 3;

/// Partial gradients of depthwise filters: the sum over one chunk of positions of one tap.
///
/// `partial[chunk, c, t] = Σ_{(n, y, x) in chunk} dout[c, n, y, x] · source[c, n, y · s + ty · d + start, …]`
///
/// Grid: chunks of `length` positions, records ([`WEIGHT`] words, one a channel), taps.
#[cube(launch, address_type = "dynamic")]
pub fn depthwise_weight_gradient<E: Float>(
    arena: &[E],
    numbers: &mut [f32],
    table: &[u32],
    records: u32,
    positions: u32,
    length: u32,
    #[define(E)] _format: ElemType,
) {
    let mut shared = Shared::<[f32]>::new_slice(UNITS as usize);
    let source = records as usize + CUBE_POS_Y as usize * WEIGHT;
    let frame = table[source + SOURCE + PLANE] as usize;
    let columns = table[frame + 1];
    let taps = table[frame] * columns;
    let (height, width) = (table[frame + 8], table[frame + 9]);
    let out_width = table[frame + 11];
    let plane = table[frame + 10] * out_width;
    let tap = CUBE_POS_Z;
    let (row, column) = (tap / columns, tap % columns);
    let mut sum = 0.0f32;
    if tap < taps {
        let begin = CUBE_POS_X * length;
        let end = min(begin + length, positions);
        for position in range_stepped(begin + UNIT_POS, end, UNITS) {
            let (image, pixel) = ((position / plane) as usize, position % plane);
            let y = tapped(table, frame, 0usize, pixel / out_width, row);
            let x = tapped(table, frame, 1usize, pixel % out_width, column);
            if y < height && x < width {
                let from = start_of(table, source, image) + (y * width + x) as usize;
                let value = read::<E>(arena, &*numbers, table, source, from);
                let gradient = arena[start_of(table, source + SOURCE, image) + pixel as usize];
                sum += f32::cast_from(gradient) * value;
            }
        }
    }
    let sum = cube_sum(&mut shared, sum);
    if tap < taps && UNIT_POS == 0 {
        let partial = table[source + SOURCE + PLANE + 1] as usize + tap as usize;
        numbers[partial + CUBE_POS_X as usize * table[source + SOURCE + PLANE + 2] as usize] = sum;
    }
}

const _: () = assert!(FRAME == 12, "places in a frame are written out above");
