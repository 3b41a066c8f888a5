//! Maximum and mean of windows.

use super::{PLANE, Prologue, SOURCE, UNITS, column_reached, column_read, row_reached, row_read, start_of};
use crate::program::Frame;
use cubecl::prelude::*;

/// A source and the plane that is written.
pub(in super::super) const POOL: usize = SOURCE + PLANE;

/// `out[c, n, y, x]` = maximum or mean of the pixels of a window; where there is no pixel, none is counted.
///
/// Grid: positions `n · oh · ow` by [`UNITS`], records ([`POOL`] words, one a channel).
#[cube(launch, address_type = "dynamic")]
pub fn pool<E: Float>(
    arena: &mut [E],
    numbers: &[f32],
    table: &[u32],
    records: u32,
    images: u32,
    height: u32,
    width: u32,
    out_height: u32,
    out_width: u32,
    #[comptime] maximum: bool,
    #[comptime] frame: Frame,
    #[define(E)] _format: ElemType,
) {
    let position = CUBE_POS_X * UNITS + UNIT_POS;
    let plane = out_height * out_width;
    if position < images * plane {
        let source = records as usize + CUBE_POS_Y as usize * POOL;
        let (image, pixel) = ((position / plane) as usize, position % plane);
        let (oy, ox) = (pixel / out_width, pixel % out_width);
        let from = start_of(table, source, image);
        let prologue = Prologue::of(numbers, table, source);
        let mut value = 0.0f32;
        let mut count = 0.0f32;
        for row in 0..comptime!(frame.kernel[0] as u32) {
            let y = row_read(oy, row, frame);
            if y < height {
                for column in 0..comptime!(frame.kernel[1] as u32) {
                    let x = column_read(ox, column, frame);
                    if x < width {
                        let next = prologue.apply(f32::cast_from(arena[from + (y * width + x) as usize]));
                        if comptime!(maximum) {
                            // NaN is larger than anything.
                            let larger = count == 0.0 || next > value || next.is_nan();
                            value = select(larger, next, value);
                        } else {
                            value += next;
                        }
                        count += 1.0;
                    }
                }
            }
        }
        if comptime!(!maximum) {
            value /= max(count, 1.0);
        }
        let to = start_of(table, source + SOURCE, image) + pixel as usize;
        arena[to] = E::cast_from(value);
    }
}

/// The plane that is written, first reader and number of readers (a plane of the output's gradient each), whether it is
/// added to what is there, the source's place in the table.
pub(in super::super) const INPUT_TARGET: usize = PLANE + 4;

/// The gradient of what a pool read, before the ReLU is undone: each pixel asks the windows that hold it for their mean's
/// share, or whether it is their first maximum in reading order.
///
/// Grid: positions `n · h · w` by [`UNITS`], targets ([`INPUT_TARGET`] words, one a channel).
#[cube(launch, address_type = "dynamic")]
pub fn pool_input_gradient<E: Float>(
    arena: &mut [E],
    numbers: &[f32],
    table: &[u32],
    targets: u32,
    images: u32,
    height: u32,
    width: u32,
    out_height: u32,
    out_width: u32,
    #[comptime] maximum: bool,
    #[comptime] frame: Frame,
    #[define(E)] _format: ElemType,
) {
    let position = CUBE_POS_X * UNITS + UNIT_POS;
    let plane = height * width;
    if position < images * plane {
        let target = targets as usize + CUBE_POS_Y as usize * INPUT_TARGET;
        let (first, readers) = (table[target + PLANE] as usize, table[target + PLANE + 1]);
        let source = table[target + PLANE + 3] as usize;
        let (image, pixel) = ((position / plane) as usize, position % plane);
        let (y, x) = (pixel / width, pixel % width);
        let from = start_of(table, source, image);
        let to = start_of(table, target, image) + pixel as usize;
        let mut sum = 0.0f32;
        if table[target + PLANE + 2] != 0 {
            sum += f32::cast_from(arena[to]);
        }
        let prologue = Prologue::of(numbers, table, source);
        for row in 0..comptime!(frame.kernel[0] as u32) {
            let oy = row_reached(y, row, frame);
            if oy < out_height {
                for column in 0..comptime!(frame.kernel[1] as u32) {
                    let ox = column_reached(x, column, frame);
                    if ox < out_width {
                        let share =
                            share_of::<E>(&*arena, &prologue, from, height, width, oy, ox, pixel, frame, maximum);
                        if share != 0.0 {
                            for at in 0..readers {
                                let reader = first + at as usize * PLANE;
                                let gradient = arena[start_of(table, reader, image) + (oy * out_width + ox) as usize];
                                sum += share * f32::cast_from(gradient);
                            }
                        }
                    }
                }
            }
        }
        arena[to] = E::cast_from(sum);
    }
}

/// What of a window's gradient goes to a pixel: one over the number of its pixels, or 1 for its first maximum and 0 else.
#[cube]
fn share_of<E: Float>(
    arena: &[E],
    prologue: &Prologue,
    from: usize,
    height: u32,
    width: u32,
    oy: u32,
    ox: u32,
    pixel: u32,
    #[comptime] frame: Frame,
    #[comptime] maximum: bool,
) -> f32 {
    let mut value = 0.0f32;
    let mut count = 0.0f32;
    let mut largest = 0u32;
    for row in 0..comptime!(frame.kernel[0] as u32) {
        let y = row_read(oy, row, frame);
        if y < height {
            for column in 0..comptime!(frame.kernel[1] as u32) {
                let x = column_read(ox, column, frame);
                if x < width {
                    if comptime!(maximum) {
                        let at = y * width + x;
                        let next = prologue.apply(f32::cast_from(arena[from + at as usize]));
                        let larger = count == 0.0 || next > value || next.is_nan();
                        value = select(larger, next, value);
                        largest = select(larger, at, largest);
                    }
                    count += 1.0;
                }
            }
        }
    }
    let mut share = 1.0 / max(count, 1.0);
    if comptime!(maximum) {
        share = select(largest == pixel, 1.0f32, 0.0f32);
    }
    share
}
