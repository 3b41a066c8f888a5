//! What runs on the GPU: kernels in CubeCL's subset of Rust, the same source for CUDA and for WGSL.
//!
//! All kernels see the same buffers.
//!
//! | buffer | holds |
//! | --- | --- |
//! | `arena` | feature maps, their gradients, scratch; of the maps' number format |
//! | `numbers` | `f32`: what norms do to a channel, mixing weights, factors, sums |
//! | `weights` | `f32`: the network's weights as they come in |
//! | `table` | `u32`: **records**, which say where a channel lies and what is done to it |
//!
//! A record is some words of the table in a fixed order. One launch serves every branch of a step, because what differs
//! between branches is in its records, and a dimension of the grid counts records.
//!
//! There are no atomics: every sum is taken by one cube, or in parts that one unit adds up in a fixed order.

pub(super) mod combine;
pub(super) mod copy;
pub(super) mod dense;
pub(super) mod dense_weight;
pub(super) mod depthwise;
pub(super) mod gradient;
mod held;
pub(super) mod parameters;
pub(super) mod pool;
pub(super) mod statistics;

use crate::program::Frame;
use cubecl::prelude::*;

/// Units of every cube, in one dimension.
pub(super) const UNITS: u32 = 256;

/// Regions of the arena begin at multiples of this many numbers, and records count in it.
pub(super) const REGION: usize = 64;

/// `region`, `first`, `image`: the plane of one channel. Pixel `p` of image `n` is number
/// `region · 64 + first + n · image + p`.
pub(super) const PLANE: usize = 3;

/// A plane, `prologue` and `flags`: a channel as it is read.
pub(super) const SOURCE: usize = PLANE + 2;
pub(super) const SOURCE_PROLOGUE: usize = PLANE;
pub(super) const SOURCE_FLAGS: usize = PLANE + 1;

/// Flags of a source: whether it is rectified, and whether its prologue is a batch norm.
pub(super) const RELU: u32 = 1;
pub(super) const NORM: u32 = 2;

/// `mean`, `gain`, `shift`, `1 / deviation` in the numbers: `y = (z − mean) · gain + shift`.
pub(super) const PROLOGUE: usize = 4;

/// Where the plane of an image begins.
#[cube]
pub(super) fn start_of(table: &[u32], plane: usize, image: usize) -> usize {
    table[plane] as usize * REGION + table[plane + 1] as usize + image * table[plane + 2] as usize
}

/// A number of a map as batch norm leaves it, before it is rectified.
#[cube]
pub(super) fn normalised<E: Float>(arena: &[E], numbers: &[f32], prologue: usize, at: usize) -> f32 {
    (f32::cast_from(arena[at]) - numbers[prologue]) * numbers[prologue + 1] + numbers[prologue + 2]
}

/// A number of a source, where each is read once: as [`Prologue::apply`] leaves it.
#[cube]
pub(super) fn read<E: Float>(arena: &[E], numbers: &[f32], table: &[u32], source: usize, at: usize) -> f32 {
    let value = normalised::<E>(arena, numbers, table[source + SOURCE_PROLOGUE] as usize, at);
    let cut = table[source + SOURCE_FLAGS] & RELU != 0 && value < 0.0;
    select(cut, 0.0, value)
}

/// What is done to a channel as it is read, loaded once for many numbers.
#[derive(CubeType, Clone, Copy)]
pub(super) struct Prologue {
    mean: f32,
    gain: f32,
    shift: f32,
    rectified: bool,
}

#[cube]
impl Prologue {
    pub fn of(numbers: &[f32], table: &[u32], source: usize) -> Prologue {
        let prologue = table[source + SOURCE_PROLOGUE] as usize;
        Prologue {
            mean: numbers[prologue],
            gain: numbers[prologue + 1],
            shift: numbers[prologue + 2],
            rectified: table[source + SOURCE_FLAGS] & RELU != 0,
        }
    }

    /// Normalised, then rectified where the source says so. NaN stays NaN.
    pub fn apply(&self, value: f32) -> f32 {
        let value = (value - self.mean) * self.gain + self.shift;
        select(self.rectified && value < 0.0, 0.0, value)
    }
}

/// The column that a tap reads; beyond the width where there is no pixel.
#[cube]
pub(super) fn column_read(output: u32, tap: u32, #[comptime] frame: Frame) -> u32 {
    output * comptime!(frame.stride[1] as u32)
        + tap * comptime!(frame.dilation[1] as u32)
        + comptime!(frame.start[1] as u32)
}

/// The row that a tap reads; beyond the height where there is no pixel.
#[cube]
pub(super) fn row_read(output: u32, tap: u32, #[comptime] frame: Frame) -> u32 {
    output * comptime!(frame.stride[0] as u32)
        + tap * comptime!(frame.dilation[0] as u32)
        + comptime!(frame.start[0] as u32)
}

/// The column of outputs whose tap reads a column; beyond every width where there is none.
#[cube]
pub(super) fn column_reached(pixel: u32, tap: u32, #[comptime] frame: Frame) -> u32 {
    let from = pixel - tap * comptime!(frame.dilation[1] as u32) - comptime!(frame.start[1] as u32);
    output_at(from, comptime!(frame.stride[1] as u32))
}

/// The row of outputs whose tap reads a row; beyond every height where there is none.
#[cube]
pub(super) fn row_reached(pixel: u32, tap: u32, #[comptime] frame: Frame) -> u32 {
    let from = pixel - tap * comptime!(frame.dilation[0] as u32) - comptime!(frame.start[0] as u32);
    output_at(from, comptime!(frame.stride[0] as u32))
}

/// The output whose first tap reads a coordinate. A coordinate in front of the first output has
/// wrapped around: no side is that long.
#[cube]
fn output_at(from: u32, #[comptime] stride: u32) -> u32 {
    let mut output = from;
    if comptime!(stride > 1) {
        output = select(from % stride == 0 && from < 0x8000_0000u32, from / stride, 0xffff_ffffu32);
    }
    output
}

/// Adds up one number of each unit of a cube; every unit gets the sum. `shared` has [`UNITS`] numbers.
#[cube]
pub(super) fn cube_sum(shared: &mut Shared<[f32]>, value: f32) -> f32 {
    let unit = UNIT_POS as usize;
    sync_cube();
    shared[unit] = value;
    sync_cube();
    #[unroll]
    for step in 0..comptime!(UNITS.ilog2()) {
        let half = comptime!(UNITS as usize >> (step + 1));
        if unit < half {
            let sum = shared[unit] + shared[unit + half];
            shared[unit] = sum;
        }
        sync_cube();
    }
    shared[0]
}

/// Sums that go through shared memory at one time: with what a kernel holds there, no more than
/// WebGPU promises.
const TOGETHER: usize = 4;

/// Adds up some numbers over the groups of a cube, each of so many units; the units of the first
/// group get the sums.
#[cube]
pub(super) fn cube_sums(
    sums: &mut Array<f32>,
    #[comptime] count: usize,
    #[comptime] group: usize,
    #[comptime] groups: usize,
) {
    let together = comptime!(count.min(TOGETHER));
    let mut shared = Shared::<[f32]>::new_slice(comptime!(together * UNITS as usize));
    let unit = UNIT_POS as usize;
    #[unroll]
    for turn in 0..comptime!(count.div_ceil(TOGETHER)) {
        let first = comptime!(turn * TOGETHER);
        let left = comptime!((count - turn * TOGETHER).min(TOGETHER));
        sync_cube();
        #[unroll]
        for at in 0..left {
            shared[comptime!(at * UNITS as usize) + unit] = sums[comptime!(first + at)];
        }
        sync_cube();
        #[unroll]
        for step in 0..comptime!(groups.next_power_of_two().ilog2()) {
            // Of what is left the second half is added to the first.
            let whole = comptime!(groups.div_ceil(1 << step));
            let half = comptime!(whole.div_ceil(2));
            if unit < comptime!((whole - half) * group) {
                #[unroll]
                for at in 0..left {
                    let place = comptime!(at * UNITS as usize) + unit;
                    let sum = shared[place] + shared[place + comptime!(half * group)];
                    shared[place] = sum;
                }
            }
            sync_cube();
        }
        #[unroll]
        for at in 0..left {
            sums[comptime!(first + at)] = shared[comptime!(at * UNITS as usize) + unit];
        }
    }
}
