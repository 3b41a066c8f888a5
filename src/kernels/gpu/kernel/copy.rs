//! What enters and leaves the buffers of a pass.

use super::REGION;
use super::source::{GAIN, INVERSE_DEVIATION, PROLOGUE};
use cubecl::prelude::*;

/// Writes numbers into the arena: `arena[region · 64 + i] = from[first + i]`.
#[cube(launch, address_type = "dynamic")]
pub fn take_in<E: Float>(
    arena: &mut [E],
    from: &[f32],
    region: u32,
    first: u32,
    count: u32,
    #[define(E)] _format: ElemType,
) {
    let at = ABSOLUTE_POS;
    if at < count as usize {
        arena[region as usize * REGION + at] = E::cast_from(from[first as usize + at]);
    }
}

/// Reads numbers out of the arena: `to[first + i] = arena[region · 64 + i]`.
#[cube(launch, address_type = "dynamic")]
pub fn take_out<E: Float>(
    arena: &[E],
    to: &mut [f32],
    region: u32,
    first: u32,
    count: u32,
    #[define(E)] _format: ElemType,
) {
    let at = ABSOLUTE_POS;
    if at < count as usize {
        to[first as usize + at] = f32::cast_from(arena[region as usize * REGION + at]);
    }
}

/// Fills the front of the numbers: prologues that change nothing, ones, mixing weights and factors,
/// in this order.
#[cube(launch, address_type = "dynamic")]
pub fn prepare(numbers: &mut [f32], mixing: &[f32], factors: &[f32], plain: u32, ones: u32, mixed: u32, dropped: u32) {
    let at = ABSOLUTE_POS;
    let (plain, ones, mixed, dropped) = (plain as usize, ones as usize, mixed as usize, dropped as usize);
    if at < plain {
        let place = at % PROLOGUE;
        numbers[at] = select(place == GAIN || place == INVERSE_DEVIATION, 1.0f32, 0.0f32);
    } else if at < plain + ones {
        numbers[at] = 1.0;
    } else if at < plain + ones + mixed {
        numbers[at] = mixing[at - plain - ones];
    } else if at < plain + ones + mixed + dropped {
        numbers[at] = factors[at - plain - ones - mixed];
    }
}

/// `to[i] = from[i]`
#[cube(launch, address_type = "dynamic")]
pub fn copy(from: &[f32], to: &mut [f32], count: u32) {
    let at = ABSOLUTE_POS;
    if at < count as usize {
        to[at] = from[at];
    }
}

/// `to[i] = 0`
#[cube(launch, address_type = "dynamic")]
pub fn clear(to: &mut [f32], count: u32) {
    let at = ABSOLUTE_POS;
    if at < count as usize {
        to[at] = 0.0;
    }
}
