//! The gradient of a map from everything that read it.
//!
//! Candidates' gradients are never stored: what arrives at a channel is worked out from the gradients of the nodes that it
//! was added to, each with its weight, and batch norm's part in it is a slope and an offset for the whole channel.

use super::combine::TERM;
use super::{
    NORM, PLANE, PROLOGUE, RELU, SOURCE, SOURCE_FLAGS, SOURCE_PROLOGUE, UNITS, cube_sum, normalised, start_of,
};
use cubecl::prelude::*;

/// A term, and the plane of the gradient of what it was added to: one way in which a channel of a map was read. A map that a
/// convolution or a pool read has an entry with the weight 1.
pub(in super::super) const ENTRY: usize = TERM + PLANE;

/// The gradient of the normalised value that arrives through one entry, without the term's weight.
#[cube]
fn arriving<E: Float>(
    arena: &[E],
    numbers: &[f32],
    table: &[u32],
    entry: usize,
    image: usize,
    pixel: usize,
    z: usize,
) -> f32 {
    let gradient = f32::cast_from(arena[start_of(table, entry + TERM, image) + pixel]);
    let gradient = gradient * numbers[table[entry + SOURCE + 1] as usize + image];
    let mut passes = true;
    if table[entry + SOURCE_FLAGS] & RELU != 0 {
        passes = normalised::<E>(arena, numbers, table[entry + SOURCE_PROLOGUE] as usize, z) > 0.0;
    }
    select(passes, gradient, 0.0)
}

/// Partial sums of an entry over one chunk of positions: `Σ g` and `Σ g · (z − mean)`, `g` what arrives through it.
/// Mixing weights, scales, shifts and the gradient through a batch's statistics all come from these two.
///
/// Writes `numbers[partial + (entry · chunks + chunk) · 2 ..]`. Grid: chunks of `length` positions, entries.
#[cube(launch, address_type = "dynamic")]
pub fn entry_sums<E: Float>(
    arena: &[E],
    numbers: &mut [f32],
    table: &[u32],
    records: u32,
    positions: u32,
    plane: u32,
    length: u32,
    partial: u32,
    #[define(E)] _format: ElemType,
) {
    let mut shared = Shared::<[f32]>::new_slice(UNITS as usize);
    let entry = records as usize + CUBE_POS_Y as usize * ENTRY;
    let mean = numbers[table[entry + SOURCE_PROLOGUE] as usize];
    let begin = CUBE_POS_X * length;
    let end = min(begin + length, positions);
    let mut plain = 0.0f32;
    let mut centred = 0.0f32;
    for position in range_stepped(begin + UNIT_POS, end, UNITS) {
        let (image, pixel) = ((position / plane) as usize, (position % plane) as usize);
        let z = start_of(table, entry, image) + pixel;
        let gradient = arriving::<E>(arena, &*numbers, table, entry, image, pixel, z);
        plain += gradient;
        centred += gradient * (f32::cast_from(arena[z]) - mean);
    }
    let plain = cube_sum(&mut shared, plain);
    let centred = cube_sum(&mut shared, centred);
    if UNIT_POS == 0 {
        let to = partial as usize + (CUBE_POS_Y * CUBE_COUNT_X + CUBE_POS_X) as usize * 2;
        numbers[to] = plain;
        numbers[to + 1] = centred;
    }
}

/// The plane of the gradient that is written, the plane of the map itself, first entry and number of entries, the
/// coefficients' place in the numbers.
pub(in super::super) const CHANNEL: usize = 2 * PLANE + 3;

/// `slope`, `mean`, `offset` of a channel in the numbers: what goes through the batch's statistics is
/// `slope · (z − mean) + offset`.
pub(in super::super) const COEFFICIENTS: usize = 3;

/// Adds up the partial sums of each entry and makes a channel's coefficients of them. `inverse` is one over the number of
/// positions, 0 where the statistics were given.
///
/// Writes the sums to `numbers[sums + entry · 2 ..]`. Grid: channels by [`UNITS`], [`CHANNEL`] words each.
#[cube(launch, address_type = "dynamic")]
pub fn coefficients(
    numbers: &mut [f32],
    table: &[u32],
    records: u32,
    channels: u32,
    entries: u32,
    chunks: u32,
    partial: u32,
    sums: u32,
    inverse: f32,
) {
    let channel = CUBE_POS_X * UNITS + UNIT_POS;
    if channel < channels {
        let record = records as usize + channel as usize * CHANNEL;
        let first = table[record + 2 * PLANE] as usize;
        let mut slope = 0.0f32;
        let mut centre = 0.0f32;
        let mut offset = 0.0f32;
        for at in 0..table[record + 2 * PLANE + 1] {
            let entry = first + at as usize * ENTRY;
            let number = (entry - entries as usize) / ENTRY;
            let mut plain = 0.0f32;
            let mut centred = 0.0f32;
            for chunk in 0..chunks as usize {
                let from = partial as usize + (number * chunks as usize + chunk) * 2;
                plain += numbers[from];
                centred += numbers[from + 1];
            }
            numbers[sums as usize + number * 2] = plain;
            numbers[sums as usize + number * 2 + 1] = centred;
            if table[entry + SOURCE_FLAGS] & NORM != 0 {
                let prologue = table[entry + SOURCE_PROLOGUE] as usize;
                let gain = numbers[prologue + 1] * numbers[table[entry + SOURCE] as usize] * inverse;
                let inverse_deviation = numbers[prologue + 3];
                slope -= gain * inverse_deviation * inverse_deviation * centred;
                offset -= gain * plain;
                centre = numbers[prologue];
            }
        }
        let to = table[record + 2 * PLANE + 2] as usize;
        numbers[to] = slope;
        numbers[to + 1] = centre;
        numbers[to + 2] = offset;
    }
}

/// The gradient of a map from everything that read it:
/// `dz[c, n, p] = Σ_entry weight · gain · arriving + slope · (z − mean) + offset`.
///
/// Grid: positions `n · h · w` by [`UNITS`], channels ([`CHANNEL`] words).
#[cube(launch, address_type = "dynamic")]
pub fn gather<E: Float>(
    arena: &mut [E],
    numbers: &[f32],
    table: &[u32],
    records: u32,
    positions: u32,
    plane: u32,
    #[comptime] normed: bool,
    #[define(E)] _format: ElemType,
) {
    let position = CUBE_POS_X * UNITS + UNIT_POS;
    if position < positions {
        let record = records as usize + CUBE_POS_Y as usize * CHANNEL;
        let (image, pixel) = ((position / plane) as usize, (position % plane) as usize);
        let z = start_of(table, record + PLANE, image) + pixel;
        let first = table[record + 2 * PLANE] as usize;
        let mut sum = 0.0f32;
        if comptime!(normed) {
            let from = table[record + 2 * PLANE + 2] as usize;
            sum += numbers[from] * (f32::cast_from(arena[z]) - numbers[from + 1]) + numbers[from + 2];
        }
        for at in 0..table[record + 2 * PLANE + 1] {
            let entry = first + at as usize * ENTRY;
            let gain = numbers[table[entry + SOURCE_PROLOGUE] as usize + 1] * numbers[table[entry + SOURCE] as usize];
            sum += gain * arriving::<E>(&*arena, numbers, table, entry, image, pixel, z);
        }
        let to = start_of(table, record, image) + pixel;
        arena[to] = E::cast_from(sum);
    }
}

const _: () = assert!(PROLOGUE == 4, "places in a prologue are written out above");
