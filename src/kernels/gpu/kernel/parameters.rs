//! The last step of every parameter's gradient: partial sums added up in a fixed order.

use super::{PROLOGUE, SOURCE, SOURCE_PROLOGUE, UNITS, cube_sum};
use cubecl::prelude::*;

/// First partial sum, how many numbers a chunk has, offset of the first weight.
pub(in super::super) const RUN: usize = 3;

/// Adds up the chunks of filters' gradients: `gradient[first + i] += Σ_chunk partial[chunk, i]`.
///
/// Grid: numbers of a run by [`UNITS`], runs ([`RUN`] words).
#[cube(launch, address_type = "dynamic")]
pub fn reduce(numbers: &[f32], gradient: &mut [f32], table: &[u32], records: u32, chunks: u32) {
    let run = records as usize + CUBE_POS_Y as usize * RUN;
    let count = table[run + 1];
    let at = CUBE_POS_X * UNITS + UNIT_POS;
    if at < count {
        let mut sum = 0.0f32;
        for chunk in 0..chunks {
            sum += numbers[table[run] as usize + (chunk * count + at) as usize];
        }
        gradient[(table[run + 2] + at) as usize] += sum;
    }
}

/// First partial sum and offset of the weight.
pub(in super::super) const BIAS: usize = 2;

/// Adds up the chunks of biases' gradients, every second of which is another sum.
///
/// Grid: biases by [`UNITS`], [`BIAS`] words each.
#[cube(launch, address_type = "dynamic")]
pub fn reduce_biases(numbers: &[f32], gradient: &mut [f32], table: &[u32], records: u32, biases: u32, chunks: u32) {
    let bias = CUBE_POS_X * UNITS + UNIT_POS;
    if bias < biases {
        let record = records as usize + bias as usize * BIAS;
        let mut sum = 0.0f32;
        for chunk in 0..chunks as usize {
            sum += numbers[table[record] as usize + chunk * 2];
        }
        gradient[table[record + 1] as usize] += sum;
    }
}

/// First share and number of shares, offsets of scale and shift in the weights and one (0: none).
pub(in super::super) const NORM_PARAMETERS: usize = 4;

/// An entry's place in the table and its two sums' place in the numbers.
pub(in super::super) const SHARE: usize = 2;

/// The gradients of norms' scales and shifts: `Σ weight · Σ g · (z − mean) / deviation` and `Σ weight · Σ g`.
///
/// Grid: channels by [`UNITS`], [`NORM_PARAMETERS`] words each.
#[cube(launch, address_type = "dynamic")]
pub fn norm_parameters(numbers: &[f32], gradient: &mut [f32], table: &[u32], records: u32, channels: u32) {
    let channel = CUBE_POS_X * UNITS + UNIT_POS;
    if channel < channels {
        let record = records as usize + channel as usize * NORM_PARAMETERS;
        let mut scale = 0.0f32;
        let mut shift = 0.0f32;
        for at in 0..table[record + 1] {
            let share = (table[record] + at * SHARE as u32) as usize;
            let (entry, sums) = (table[share] as usize, table[share + 1] as usize);
            let weight = numbers[table[entry + SOURCE] as usize];
            shift += weight * numbers[sums];
            scale += weight * numbers[sums + 1] * numbers[table[entry + SOURCE_PROLOGUE] as usize + 3];
        }
        let (scale_at, shift_at) = (table[record + 2] as usize, table[record + 3] as usize);
        if scale_at != 0 {
            gradient[scale_at - 1] += scale;
        }
        if shift_at != 0 {
            gradient[shift_at - 1] += shift;
        }
    }
}

/// First share and number of shares.
pub(in super::super) const MIXED: usize = 2;

/// The gradients of mixing weights, each over all channels of its terms:
/// `Σ gain · Σ g · (z − mean) + shift · Σ g`.
///
/// Grid: one cube a mixing weight, [`MIXED`] words each.
#[cube(launch, address_type = "dynamic")]
pub fn mixing_gradient(numbers: &[f32], gradient: &mut [f32], table: &[u32], records: u32) {
    let mut shared = Shared::<[f32]>::new_slice(UNITS as usize);
    let record = records as usize + CUBE_POS_X as usize * MIXED;
    let mut sum = 0.0f32;
    for at in range_stepped(UNIT_POS, table[record + 1], UNITS) {
        let share = (table[record] + at * SHARE as u32) as usize;
        let (entry, sums) = (table[share] as usize, table[share + 1] as usize);
        let prologue = table[entry + SOURCE_PROLOGUE] as usize;
        sum += numbers[prologue + 1] * numbers[sums + 1] + numbers[prologue + 2] * numbers[sums];
    }
    let sum = cube_sum(&mut shared, sum);
    if UNIT_POS == 0 {
        gradient[CUBE_POS_X as usize] = sum;
    }
}

const _: () = assert!(PROLOGUE == 4, "places in records are written out above");
