//! Mean and variance of channels, and what norms make of them.

use super::{REGION, UNITS};
use cubecl::prelude::*;

/// Count, mean, and sum of squares about the mean, of part of a channel.
pub(in super::super) const MOMENTS: usize = 3;

/// The moments of one chunk of positions of a channel. Each unit's sums are about a number of its own, units are joined by
/// Chan's rule: digits stay however far from zero the mean lies.
///
/// Writes `numbers[partial + (channel · chunks + chunk) · 3 ..]`. Grid: chunks of `length` positions, channels.
#[cube(launch, address_type = "dynamic")]
pub fn moments<E: Float>(
    arena: &[E],
    numbers: &mut [f32],
    region: u32,
    channels: u32,
    positions: u32,
    plane: u32,
    length: u32,
    partial: u32,
    #[define(E)] _format: ElemType,
) {
    let mut counts = Shared::<[f32]>::new_slice(UNITS as usize);
    let mut means = Shared::<[f32]>::new_slice(UNITS as usize);
    let mut squares = Shared::<[f32]>::new_slice(UNITS as usize);
    let unit = UNIT_POS as usize;
    let first = region as usize * REGION + (CUBE_POS_Y * plane) as usize;
    let begin = CUBE_POS_X * length;
    let end = min(begin + length, positions);
    let mut count = 0.0f32;
    let mut about = 0.0f32;
    let mut sum = 0.0f32;
    let mut square = 0.0f32;
    for position in range_stepped(begin + UNIT_POS, end, UNITS) {
        let at = first + (position / plane) as usize * (channels * plane) as usize + (position % plane) as usize;
        let value = f32::cast_from(arena[at]);
        if count == 0.0 {
            about = value;
        }
        let away = value - about;
        count += 1.0;
        sum += away;
        square += away * away;
    }
    let own = max(count, 1.0);
    counts[unit] = count;
    means[unit] = about + sum / own;
    squares[unit] = square - sum * (sum / own);
    sync_cube();
    #[unroll]
    for step in 0..comptime!(UNITS.ilog2()) {
        let half = comptime!(UNITS as usize >> (step + 1));
        if unit < half {
            let other = unit + half;
            let (ours, theirs) = (counts[unit], counts[other]);
            let share = theirs / max(ours + theirs, 1.0);
            let apart = means[other] - means[unit];
            let together = squares[unit] + squares[other] + apart * apart * (ours * share);
            let mean = means[unit] + apart * share;
            counts[unit] = ours + theirs;
            means[unit] = mean;
            squares[unit] = together;
        }
        sync_cube();
    }
    if UNIT_POS == 0 {
        let to = partial as usize + (CUBE_POS_Y * CUBE_COUNT_X + CUBE_POS_X) as usize * MOMENTS;
        numbers[to] = counts[0];
        numbers[to + 1] = means[0];
        numbers[to + 2] = squares[0];
    }
}

/// The channel in its map, the prologue's place in the numbers, offsets of scale and shift in the weights and one (0: none),
/// offsets of mean and variance in the running statistics.
pub(in super::super) const NORMED: usize = 6;

/// A norm's prologues from the moments of the batch, joined in the order of chunks, and what the batch had for the running
/// statistics: the mean and the unbiased variance.
///
/// Grid: channels of norms by [`UNITS`], [`NORMED`] words each.
#[cube(launch, address_type = "dynamic")]
pub fn norms_of_batch(
    numbers: &mut [f32],
    observed: &mut [f32],
    weights: &[f32],
    table: &[u32],
    records: u32,
    channels: u32,
    chunks: u32,
    partial: u32,
    epsilon: f32,
) {
    let channel = CUBE_POS_X * UNITS + UNIT_POS;
    if channel < channels {
        let record = records as usize + channel as usize * NORMED;
        let from = partial as usize + (table[record] * chunks) as usize * MOMENTS;
        let mut count = numbers[from];
        let mut mean = numbers[from + 1];
        let mut square = numbers[from + 2];
        for chunk in 1..chunks as usize {
            let next = from + chunk * MOMENTS;
            let theirs = numbers[next];
            let share = theirs / (count + theirs);
            let apart = numbers[next + 1] - mean;
            square += numbers[next + 2] + apart * apart * (count * share);
            mean += apart * share;
            count += theirs;
        }
        observed[table[record + 4] as usize] = mean;
        observed[table[record + 5] as usize] = square / max(count - 1.0, 1.0);
        prologue(numbers, weights, table, record, mean, square / count + epsilon);
    }
}

/// A norm's prologues from statistics that are given.
///
/// Grid: channels of norms by [`UNITS`], [`NORMED`] words each.
#[cube(launch, address_type = "dynamic")]
pub fn norms_as_given(
    numbers: &mut [f32],
    running: &[f32],
    weights: &[f32],
    table: &[u32],
    records: u32,
    channels: u32,
    epsilon: f32,
) {
    let channel = CUBE_POS_X * UNITS + UNIT_POS;
    if channel < channels {
        let record = records as usize + channel as usize * NORMED;
        let (mean, variance) = (running[table[record + 4] as usize], running[table[record + 5] as usize]);
        prologue(numbers, weights, table, record, mean, variance + epsilon);
    }
}

#[cube]
fn prologue(numbers: &mut [f32], weights: &[f32], table: &[u32], record: usize, mean: f32, variance: f32) {
    let inverse_deviation = 1.0 / f32::sqrt(variance);
    let (scale, shift) = (table[record + 2] as usize, table[record + 3] as usize);
    let mut gain = inverse_deviation;
    if scale != 0 {
        gain *= weights[scale - 1];
    }
    let mut offset = 0.0f32;
    if shift != 0 {
        offset += weights[shift - 1];
    }
    let to = table[record + 1] as usize;
    numbers[to] = mean;
    numbers[to + 1] = gain;
    numbers[to + 2] = offset;
    numbers[to + 3] = inverse_deviation;
}
