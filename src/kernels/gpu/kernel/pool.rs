//! Maximum and mean of windows.

use super::UNITS;
use super::record::{At, Record, Records, count_of, first_of, record};
use super::source::{Plane, Prologue, Source, start_of};
use super::taps::{Sides, column_reached, column_read, row_reached, row_read, sides};
use crate::gpu::launch::{Bindings, Launch};
use crate::gpu::window::Window;
use crate::program::Frame;
use cubecl::prelude::*;

record! {
    /// A channel that is pooled.
    Pooled {
        source: Source,
        /// What is written.
        plane: Plane,
    }
}

/// `out[c, n, y, x]` = maximum or mean of the pixels of a window; where there is no pixel, none is
/// counted.
///
/// Grid: positions `n · oh · ow` by [`UNITS`], records ([`Pooled`], one a channel).
#[cube(launch, address_type = "dynamic")]
pub fn pool<E: Float>(
    arena: &mut [E],
    numbers: &[f32],
    table: &[u32],
    records: u32,
    images: u32,
    sides: Sides,
    #[comptime] maximum: bool,
    #[comptime] frame: Frame,
    #[define(E)] _format: ElemType,
) {
    let position = CUBE_POS_X * UNITS + UNIT_POS;
    let plane = sides.out_height * sides.out_width;
    if position < images * plane {
        let pooled = records as usize + CUBE_POS_Y as usize * Pooled::WORDS;
        let source = pooled + Pooled::source;
        let (image, pixel) = ((position / plane) as usize, position % plane);
        let (oy, ox) = (pixel / sides.out_width, pixel % sides.out_width);
        let from = start_of(table, source + Source::plane, image);
        let prologue = Prologue::of(numbers, table, source);
        let mut value = 0.0f32;
        let mut count = 0.0f32;
        for row in 0..comptime!(frame.kernel[0] as u32) {
            let y = row_read(oy, row, frame);
            if y < sides.height {
                for column in 0..comptime!(frame.kernel[1] as u32) {
                    let x = column_read(ox, column, frame);
                    if x < sides.width {
                        let next = prologue.apply(f32::cast_from(arena[from + (y * sides.width + x) as usize]));
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
        let to = start_of(table, pooled + Pooled::plane, image) + pixel as usize;
        arena[to] = E::cast_from(value);
    }
}

record! {
    /// A channel whose gradient is made.
    InputTarget {
        /// What is written.
        plane: Plane,
        /// Gradients of the outputs of pools that read it.
        readers: Records<Plane>,
        /// Whether it is added to what is there.
        adds: bool,
        source: At<Source>,
    }
}

/// The gradient of what a pool read, before the ReLU is undone: each pixel asks the windows that
/// hold it for their mean's share, or whether it is their first maximum in reading order.
///
/// Grid: positions `n · h · w` by [`UNITS`], targets ([`InputTarget`], one a channel).
#[cube(launch, address_type = "dynamic")]
pub fn pool_input_gradient<E: Float>(
    arena: &mut [E],
    numbers: &[f32],
    table: &[u32],
    targets: u32,
    images: u32,
    sides: Sides,
    #[comptime] maximum: bool,
    #[comptime] frame: Frame,
    #[define(E)] _format: ElemType,
) {
    let position = CUBE_POS_X * UNITS + UNIT_POS;
    let plane = sides.height * sides.width;
    if position < images * plane {
        let target = targets as usize + CUBE_POS_Y as usize * InputTarget::WORDS;
        let first = first_of(table, target + InputTarget::readers);
        let readers = count_of(table, target + InputTarget::readers);
        let source = table[target + InputTarget::source] as usize;
        let (image, pixel) = ((position / plane) as usize, position % plane);
        let (y, x) = (pixel / sides.width, pixel % sides.width);
        let from = start_of(table, source + Source::plane, image);
        let to = start_of(table, target + InputTarget::plane, image) + pixel as usize;
        let mut sum = 0.0f32;
        if table[target + InputTarget::adds] != 0 {
            sum += f32::cast_from(arena[to]);
        }
        let prologue = Prologue::of(numbers, table, source);
        for row in 0..comptime!(frame.kernel[0] as u32) {
            let oy = row_reached(y, row, frame);
            if oy < sides.out_height {
                for column in 0..comptime!(frame.kernel[1] as u32) {
                    let ox = column_reached(x, column, frame);
                    if ox < sides.out_width {
                        let share = share_of::<E>(&*arena, &prologue, from, &sides, oy, ox, pixel, frame, maximum);
                        if share != 0.0 {
                            for at in 0..readers {
                                let reader = first + at as usize * Plane::WORDS;
                                let gradient =
                                    arena[start_of(table, reader, image) + (oy * sides.out_width + ox) as usize];
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

/// What of a window's gradient goes to a pixel: one over the number of its pixels, or 1 for its
/// first maximum and 0 else.
#[cube]
fn share_of<E: Float>(
    arena: &[E],
    prologue: &Prologue,
    from: usize,
    sides: &Sides,
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
        if y < sides.height {
            for column in 0..comptime!(frame.kernel[1] as u32) {
                let x = column_read(ox, column, frame);
                if x < sides.width {
                    if comptime!(maximum) {
                        let at = y * sides.width + x;
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

/// A launch of [`pool()`].
#[derive(Debug, Clone, Copy)]
pub struct Pool {
    pub channels: Records<Pooled>,
    pub window: Window,
    pub maximum: bool,
}

impl Launch for Pool {
    fn cubes(&self, images: usize) -> [usize; 3] {
        [(images * self.window.written()).div_ceil(UNITS as usize), self.channels.count, 1]
    }

    fn run(&self, on: &Bindings<'_>) {
        let (client, cubes, units, address) = on.grid(self);
        let (arena, numbers, table) = (on.arena.arg(), on.numbers.arg(), on.table.arg());
        let (records, images, sides) = (self.channels.first(), on.images as u32, sides(&self.window));
        let (maximum, frame, format) = (self.maximum, self.window.frame, on.format);
        pool::launch(
            client, cubes, units, address, arena, numbers, table, records, images, sides, maximum, frame, format,
        );
    }
}

/// A launch of [`pool_input_gradient()`].
#[derive(Debug, Clone, Copy)]
pub struct PoolInput {
    pub targets: Records<InputTarget>,
    pub window: Window,
    pub maximum: bool,
}

impl Launch for PoolInput {
    fn cubes(&self, images: usize) -> [usize; 3] {
        [(images * self.window.read()).div_ceil(UNITS as usize), self.targets.count, 1]
    }

    fn run(&self, on: &Bindings<'_>) {
        let (client, cubes, units, address) = on.grid(self);
        let (arena, numbers, table) = (on.arena.arg(), on.numbers.arg(), on.table.arg());
        let (targets, images, sides) = (self.targets.first(), on.images as u32, sides(&self.window));
        let (maximum, frame, format) = (self.maximum, self.window.frame, on.format);
        pool_input_gradient::launch(
            client, cubes, units, address, arena, numbers, table, targets, images, sides, maximum, frame, format,
        );
    }
}
