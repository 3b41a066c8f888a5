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
        if comptime!(maximum) {
            value = Maximum::of::<E>(&*arena, &prologue, from, &sides, oy, ox, frame).value;
        } else {
            #[unroll(comptime!(is_small(frame)))]
            for row in 0..comptime!(frame.kernel[0] as u32) {
                #[unroll(comptime!(is_small(frame)))]
                for column in 0..comptime!(frame.kernel[1] as u32) {
                    let (y, x) = (row_read(oy, row, frame), column_read(ox, column, frame));
                    if y < sides.height && x < sides.width {
                        value += prologue.apply(f32::cast_from(arena[from + (y * sides.width + x) as usize]));
                    }
                }
            }
            value /= pixels_of(&sides, oy, ox, frame);
        }
        let to = start_of(table, pooled + Pooled::plane, image) + pixel as usize;
        arena[to] = E::cast_from(value);
    }
}

/// The largest number of a window, and the pixel that has it: the first in reading order.
#[derive(CubeType, Clone, Copy)]
struct Maximum {
    value: f32,
    pixel: u32,
}

#[cube]
impl Maximum {
    fn of<E: Float>(
        arena: &[E],
        prologue: &Prologue,
        from: usize,
        sides: &Sides,
        oy: u32,
        ox: u32,
        #[comptime] frame: Frame,
    ) -> Maximum {
        let mut value = 0.0f32;
        let mut pixel = 0u32;
        let mut any = false;
        #[unroll(comptime!(is_small(frame)))]
        for row in 0..comptime!(frame.kernel[0] as u32) {
            #[unroll(comptime!(is_small(frame)))]
            for column in 0..comptime!(frame.kernel[1] as u32) {
                let (y, x) = (row_read(oy, row, frame), column_read(ox, column, frame));
                let inside = y < sides.height && x < sides.width;
                // Read in any case, so that no load waits for another.
                let at = select(inside, y * sides.width + x, 0);
                let next = prologue.apply(f32::cast_from(arena[from + at as usize]));
                // NaN is larger than anything.
                let larger = inside && (!any || next > value || next.is_nan());
                value = select(larger, next, value);
                pixel = select(larger, at, pixel);
                any = any || inside;
            }
        }
        Maximum { value, pixel }
    }
}

/// Whether a window has so few pixels that all its loads may be under way at one time.
fn is_small(frame: Frame) -> bool {
    frame.taps() <= 25
}

/// How many pixels a window has, at least one.
#[cube]
fn pixels_of(sides: &Sides, oy: u32, ox: u32, #[comptime] frame: Frame) -> f32 {
    let mut rows = 0u32;
    #[unroll]
    for row in 0..comptime!(frame.kernel[0] as u32) {
        rows += select(row_read(oy, row, frame) < sides.height, 1u32, 0u32);
    }
    let mut columns = 0u32;
    #[unroll]
    for column in 0..comptime!(frame.kernel[1] as u32) {
        columns += select(column_read(ox, column, frame) < sides.width, 1u32, 0u32);
    }
    f32::cast_from(max(rows * columns, 1u32))
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
        /// Place in the numbers of what [`pool_maxima()`] finds.
        maxima: usize,
    }
}

/// Which pixel each window has its first maximum at: the pixel's number in its image, one an
/// output position. It fits a number's digits, as no map has 2²⁴ pixels.
///
/// Grid: positions `n · oh · ow` by [`UNITS`], targets ([`InputTarget`], one a channel).
#[cube(launch, address_type = "dynamic")]
pub fn pool_maxima<E: Float>(
    arena: &[E],
    numbers: &mut [f32],
    table: &[u32],
    targets: u32,
    images: u32,
    sides: Sides,
    #[comptime] frame: Frame,
    #[define(E)] _format: ElemType,
) {
    let position = CUBE_POS_X * UNITS + UNIT_POS;
    let plane = sides.out_height * sides.out_width;
    if position < images * plane {
        let target = targets as usize + CUBE_POS_Y as usize * InputTarget::WORDS;
        let source = table[target + InputTarget::source] as usize;
        let (image, pixel) = ((position / plane) as usize, position % plane);
        let (oy, ox) = (pixel / sides.out_width, pixel % sides.out_width);
        let from = start_of(table, source + Source::plane, image);
        let prologue = Prologue::of(&*numbers, table, source);
        let found = Maximum::of::<E>(arena, &prologue, from, &sides, oy, ox, frame);
        numbers[(table[target + InputTarget::maxima] + position) as usize] = f32::cast_from(found.pixel);
    }
}

/// The gradient of what a pool read, before the ReLU is undone: each pixel asks the windows that
/// hold it for their mean's share, or whether it is their first maximum.
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
        let (image, pixel) = ((position / plane) as usize, position % plane);
        let (y, x) = (pixel / sides.width, pixel % sides.width);
        let to = start_of(table, target + InputTarget::plane, image) + pixel as usize;
        let maxima =
            table[target + InputTarget::maxima] as usize + image * (sides.out_height * sides.out_width) as usize;
        let mut sum = 0.0f32;
        if table[target + InputTarget::adds] != 0 {
            sum += f32::cast_from(arena[to]);
        }
        #[unroll(comptime!(is_small(frame)))]
        for row in 0..comptime!(frame.kernel[0] as u32) {
            #[unroll(comptime!(is_small(frame)))]
            for column in 0..comptime!(frame.kernel[1] as u32) {
                let (oy, ox) = (row_reached(y, row, frame), column_reached(x, column, frame));
                if oy < sides.out_height && ox < sides.out_width {
                    let window = (oy * sides.out_width + ox) as usize;
                    let mut share = 1.0f32;
                    if comptime!(maximum) {
                        share = select(numbers[maxima + window] == f32::cast_from(pixel), 1.0, 0.0);
                    } else {
                        share /= pixels_of(&sides, oy, ox, frame);
                    }
                    if share != 0.0 {
                        for at in 0..readers {
                            let reader = first + at as usize * Plane::WORDS;
                            sum += share * f32::cast_from(arena[start_of(table, reader, image) + window]);
                        }
                    }
                }
            }
        }
        arena[to] = E::cast_from(sum);
    }
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

/// A launch of [`pool_maxima()`].
#[derive(Debug, Clone, Copy)]
pub struct PoolMaxima {
    pub targets: Records<InputTarget>,
    pub window: Window,
}

impl Launch for PoolMaxima {
    fn cubes(&self, images: usize) -> [usize; 3] {
        [(images * self.window.written()).div_ceil(UNITS as usize), self.targets.count, 1]
    }

    fn run(&self, on: &Bindings<'_>) {
        let (client, cubes, units, address) = on.grid(self);
        let (arena, numbers, table) = (on.arena.arg(), on.numbers.arg(), on.table.arg());
        let (targets, images, sides) = (self.targets.first(), on.images as u32, sides(&self.window));
        let (frame, format) = (self.window.frame, on.format);
        pool_maxima::launch(
            client, cubes, units, address, arena, numbers, table, targets, images, sides, frame, format,
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
