//! Sums over the units of a cube.

use super::UNITS;
use cubecl::prelude::*;

/// Adds up one number of each unit of a cube; every unit gets the sum. `shared` has [`UNITS`]
/// numbers.
#[cube]
pub fn cube_sum(shared: &mut Shared<[f32]>, value: f32) -> f32 {
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
pub fn cube_sums(sums: &mut Array<f32>, #[comptime] count: usize, #[comptime] group: usize, #[comptime] groups: usize) {
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
