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
pub(super) mod parameters;
pub(super) mod pool;
pub(super) mod statistics;

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

/// Kernel, stride, start and dilation of a window, each `y` then `x`, then the sides of what is read and of what is
/// written. Starts below zero are stored modulo 2³².
pub(super) const FRAME: usize = 12;

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

/// A number of a source: normalised, then rectified where the source says so. NaN stays NaN.
#[cube]
pub(super) fn read<E: Float>(arena: &[E], numbers: &[f32], table: &[u32], source: usize, at: usize) -> f32 {
    let value = normalised::<E>(arena, numbers, table[source + SOURCE_PROLOGUE] as usize, at);
    let cut = table[source + SOURCE_FLAGS] & RELU != 0 && value < 0.0;
    select(cut, 0.0, value)
}

/// A coordinate that a tap of a window reads; beyond every side where there is no pixel.
#[cube]
pub(super) fn tapped(table: &[u32], frame: usize, #[comptime] axis: usize, output: u32, tap: u32) -> u32 {
    output * table[frame + 2 + axis] + tap * table[frame + 6 + axis] + table[frame + 4 + axis]
}

/// The output whose tap reads a coordinate; beyond every side where there is none.
#[cube]
pub(super) fn reached(table: &[u32], frame: usize, #[comptime] axis: usize, pixel: u32, tap: u32) -> u32 {
    let stride = table[frame + 2 + axis];
    let from = pixel - tap * table[frame + 6 + axis] - table[frame + 4 + axis];
    // A coordinate in front of the first output has wrapped around: no side is that long.
    let rest = from % stride;
    let whole = rest == 0 && from < 0x8000_0000u32;
    select(whole, from / stride, 0xffff_ffffu32)
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
