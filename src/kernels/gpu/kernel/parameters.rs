//! The last step of every parameter's gradient: partial sums added up in a fixed order.

use super::UNITS;
use super::combine::mixing_of;
use super::gradient::{CENTRED, Entry, PLAIN, SUMS, source_of};
use super::record::{At, NONE, Record, Records, count_of, first_of, record};
use super::source::{GAIN, INVERSE_DEVIATION, SHIFT, prologue_of};
use super::sums::cube_sum;
use crate::gpu::launch::{Bindings, Launch};
use cubecl::prelude::*;

record! {
    /// Weights that follow each other.
    Run {
        /// First partial sum.
        partial: usize,
        /// Weights, and partial sums of a chunk.
        count: usize,
        /// Offset of the first weight.
        weight: usize,
    }
}

/// Adds up the chunks of filters' gradients: `gradient[first + i] += Σ_chunk partial[chunk, i]`.
///
/// Grid: numbers of a run by [`UNITS`], runs (a [`Run`] each).
#[cube(launch, address_type = "dynamic")]
pub fn reduce(numbers: &[f32], gradient: &mut [f32], table: &[u32], records: u32, chunks: u32) {
    let run = records as usize + CUBE_POS_Y as usize * Run::WORDS;
    let count = table[run + Run::count];
    let at = CUBE_POS_X * UNITS + UNIT_POS;
    if at < count {
        let mut sum = 0.0f32;
        for chunk in 0..chunks {
            sum += numbers[table[run + Run::partial] as usize + (chunk * count + at) as usize];
        }
        gradient[(table[run + Run::weight] + at) as usize] += sum;
    }
}

/// A launch of [`reduce()`].
#[derive(Debug, Clone, Copy)]
pub struct Reduce {
    pub runs: Records<Run>,
    /// The longest run.
    pub longest: usize,
    pub chunks: usize,
}

impl Launch for Reduce {
    fn cubes(&self, _images: usize) -> [usize; 3] {
        [self.longest.div_ceil(UNITS as usize), self.runs.count, 1]
    }

    fn run(&self, on: &Bindings<'_>) {
        let (client, cubes, units, address) = on.grid(self);
        let (numbers, gradient, table) = (on.numbers.arg(), on.weight_gradient(), on.table.arg());
        let (records, chunks) = (self.runs.first(), self.chunks as u32);
        reduce::launch(client, cubes, units, address, numbers, gradient, table, records, chunks);
    }
}

record! {
    /// A bias of a dense convolution.
    Bias {
        /// The first chunk's [`SUMS`].
        partial: usize,
        /// Its offset in the weights.
        weight: usize,
    }
}

/// Adds up the chunks of biases' gradients: of an entry's sums the plain one.
///
/// Grid: biases by [`UNITS`], a [`Bias`] each.
#[cube(launch, address_type = "dynamic")]
pub fn reduce_biases(numbers: &[f32], gradient: &mut [f32], table: &[u32], records: u32, biases: u32, chunks: u32) {
    let bias = CUBE_POS_X * UNITS + UNIT_POS;
    if bias < biases {
        let record = records as usize + bias as usize * Bias::WORDS;
        let mut sum = 0.0f32;
        for chunk in 0..chunks as usize {
            sum += numbers[table[record + Bias::partial] as usize + chunk * SUMS + PLAIN];
        }
        gradient[table[record + Bias::weight] as usize] += sum;
    }
}

/// A launch of [`reduce_biases()`].
#[derive(Debug, Clone, Copy)]
pub struct ReduceBiases {
    pub biases: Records<Bias>,
    pub chunks: usize,
}

impl Launch for ReduceBiases {
    fn cubes(&self, _images: usize) -> [usize; 3] {
        [self.biases.count.div_ceil(UNITS as usize), 1, 1]
    }

    fn run(&self, on: &Bindings<'_>) {
        let (client, cubes, units, address) = on.grid(self);
        let (numbers, gradient, table) = (on.numbers.arg(), on.weight_gradient(), on.table.arg());
        let (records, biases, chunks) = (self.biases.first(), self.biases.count as u32, self.chunks as u32);
        reduce_biases::launch(client, cubes, units, address, numbers, gradient, table, records, biases, chunks);
    }
}

record! {
    /// An entry that a parameter's gradient has a share of.
    Share {
        entry: At<Entry>,
        /// Place in the numbers of its [`SUMS`].
        sums: usize,
    }
}

record! {
    /// A channel of a norm.
    NormChannel {
        shares: Records<Share>,
        /// Offsets in the weights.
        scale: Option<usize>,
        shift: Option<usize>,
    }
}

/// The gradients of norms' scales and shifts: `Σ weight · Σ g · (z − mean) / deviation` and
/// `Σ weight · Σ g`.
///
/// Grid: channels by [`UNITS`], a [`NormChannel`] each.
#[cube(launch, address_type = "dynamic")]
pub fn norm_parameters(numbers: &[f32], gradient: &mut [f32], table: &[u32], records: u32, channels: u32) {
    let channel = CUBE_POS_X * UNITS + UNIT_POS;
    if channel < channels {
        let record = records as usize + channel as usize * NormChannel::WORDS;
        let mut scale = 0.0f32;
        let mut shift = 0.0f32;
        let first = first_of(table, record + NormChannel::shares);
        for at in 0..count_of(table, record + NormChannel::shares) {
            let share = first + at as usize * Share::WORDS;
            let (entry, sums) = (table[share + Share::entry] as usize, table[share + Share::sums] as usize);
            let weight = numbers[mixing_of(table, entry + Entry::term)];
            let prologue = prologue_of(table, source_of(entry));
            shift += weight * numbers[sums + PLAIN];
            scale += weight * numbers[sums + CENTRED] * numbers[prologue + INVERSE_DEVIATION];
        }
        let (scale_at, shift_at) = (table[record + NormChannel::scale], table[record + NormChannel::shift]);
        if scale_at != NONE {
            gradient[scale_at as usize] += scale;
        }
        if shift_at != NONE {
            gradient[shift_at as usize] += shift;
        }
    }
}

/// A launch of [`norm_parameters()`].
#[derive(Debug, Clone, Copy)]
pub struct NormParameters {
    pub channels: Records<NormChannel>,
}

impl Launch for NormParameters {
    fn cubes(&self, _images: usize) -> [usize; 3] {
        [self.channels.count.div_ceil(UNITS as usize), 1, 1]
    }

    fn run(&self, on: &Bindings<'_>) {
        let (client, cubes, units, address) = on.grid(self);
        let (numbers, gradient, table) = (on.numbers.arg(), on.weight_gradient(), on.table.arg());
        let (records, channels) = (self.channels.first(), self.channels.count as u32);
        norm_parameters::launch(client, cubes, units, address, numbers, gradient, table, records, channels);
    }
}

/// The gradients of mixing weights, each over all channels of its terms:
/// `Σ gain · Σ g · (z − mean) + shift · Σ g`.
///
/// Grid: one cube a mixing weight, which is the [`Records`] of its shares in the table.
#[cube(launch, address_type = "dynamic")]
pub fn mixing_gradient(numbers: &[f32], gradient: &mut [f32], table: &[u32], records: u32) {
    let mut shared = Shared::<[f32]>::new_slice(UNITS as usize);
    let record = records as usize + CUBE_POS_X as usize * Records::<Share>::WORDS;
    let mut sum = 0.0f32;
    let first = first_of(table, record);
    for at in range_stepped(UNIT_POS, count_of(table, record), UNITS) {
        let share = first + at as usize * Share::WORDS;
        let (entry, sums) = (table[share + Share::entry] as usize, table[share + Share::sums] as usize);
        let prologue = prologue_of(table, source_of(entry));
        sum += numbers[prologue + GAIN] * numbers[sums + CENTRED] + numbers[prologue + SHIFT] * numbers[sums + PLAIN];
    }
    let sum = cube_sum(&mut shared, sum);
    if UNIT_POS == 0 {
        gradient[CUBE_POS_X as usize] = sum;
    }
}

/// A launch of [`mixing_gradient()`].
#[derive(Debug, Clone, Copy)]
pub struct MixingGradient {
    pub weights: Records<Records<Share>>,
}

impl Launch for MixingGradient {
    fn cubes(&self, _images: usize) -> [usize; 3] {
        [self.weights.count, 1, 1]
    }

    fn run(&self, on: &Bindings<'_>) {
        let (client, cubes, units, address) = on.grid(self);
        let (numbers, gradient, table) = (on.numbers.arg(), on.mixing_gradient(), on.table.arg());
        mixing_gradient::launch(client, cubes, units, address, numbers, gradient, table, self.weights.first());
    }
}
