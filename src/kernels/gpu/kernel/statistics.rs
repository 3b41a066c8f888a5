//! Mean and variance of channels, and what norms make of them.

use super::record::{NONE, Record, Records, record};
use super::source::{GAIN, INVERSE_DEVIATION, MEAN, SHIFT};
use super::{REGION, TOGETHER, UNITS};
use crate::gpu::launch::{Bindings, Launch};
use crate::gpu::split::Split;
use cubecl::prelude::*;

/// Count, mean, and sum of squares about the mean, of part of a channel.
#[derive(CubeType, Clone, Copy)]
struct ChannelMoments {
    count: f32,
    mean: f32,
    squares: f32,
}

/// Numbers of [`ChannelMoments`].
pub const MOMENTS: usize = 3;

#[cube]
impl ChannelMoments {
    fn read(numbers: &[f32], at: usize) -> ChannelMoments {
        ChannelMoments { count: numbers[at], mean: numbers[at + 1], squares: numbers[at + 2] }
    }

    fn write(&self, numbers: &mut [f32], at: usize) {
        numbers[at] = self.count;
        numbers[at + 1] = self.mean;
        numbers[at + 2] = self.squares;
    }
}

/// The moments of one chunk of positions of a channel. Each unit's sums are about a number of its
/// own, units are joined by Chan's rule: digits stay however far from zero the mean lies.
///
/// Writes [`ChannelMoments`] `channel · chunks + chunk` from `partial` on. Grid: chunks of `length`
/// positions, channels.
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
    let mut sum = 0.0f32;
    let mut square = 0.0f32;
    let about = value_at::<E>(arena, first, min(begin + UNIT_POS, end - 1), channels, plane);
    for position in range_stepped(begin + UNIT_POS, end, comptime!(UNITS * TOGETHER as u32)) {
        #[unroll]
        for step in 0..TOGETHER {
            let at = position + comptime!(step as u32 * UNITS);
            // The last is read again where there is none, so that no load waits for another.
            let away = value_at::<E>(arena, first, min(at, end - 1), channels, plane) - about;
            let away = select(at < end, away, 0.0);
            count += select(at < end, 1.0f32, 0.0f32);
            sum += away;
            square += away * away;
        }
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
        let found = ChannelMoments { count: counts[0], mean: means[0], squares: squares[0] };
        found.write(numbers, to);
    }
}

/// A number of a channel whose first image begins at `first`, by its position.
#[cube]
fn value_at<E: Float>(arena: &[E], first: usize, position: u32, channels: u32, plane: u32) -> f32 {
    let image = first + (position / plane) as usize * (channels * plane) as usize;
    f32::cast_from(arena[image + (position % plane) as usize])
}

/// A launch of [`moments()`].
#[derive(Debug, Clone, Copy)]
pub struct MapMoments {
    /// Where the map begins in the arena.
    pub place: usize,
    pub channels: usize,
    pub positions: usize,
    /// Pixels of an image.
    pub pixels: usize,
    pub split: Split,
    /// Place of the moments in the numbers.
    pub partial: usize,
}

impl Launch for MapMoments {
    fn cubes(&self, _images: usize) -> [usize; 3] {
        [self.split.chunks, self.channels, 1]
    }

    fn run(&self, on: &Bindings<'_>) {
        let (client, cubes, units, address) = on.grid(self);
        let (arena, numbers) = (on.arena.arg(), on.numbers.arg());
        let (region, channels) = ((self.place / REGION) as u32, self.channels as u32);
        let (positions, plane) = (self.positions as u32, self.pixels as u32);
        let (length, partial, format) = (self.split.length as u32, self.partial as u32, on.format);
        moments::launch(
            client, cubes, units, address, arena, numbers, region, channels, positions, plane, length, partial, format,
        );
    }
}

record! {
    /// A channel of a norm.
    Normed {
        /// Its number in its map.
        channel: usize,
        /// Place in the numbers of the prologue that is written.
        prologue: usize,
        /// Offsets in the weights.
        scale: Option<usize>,
        shift: Option<usize>,
        /// Offsets in the running statistics.
        mean: usize,
        variance: usize,
    }
}

/// A norm's prologues from the moments of the batch, joined in the order of chunks, and what the
/// batch had for the running statistics: the mean and the unbiased variance.
///
/// Grid: channels of norms by [`UNITS`], a [`Normed`] each.
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
        let record = records as usize + channel as usize * Normed::WORDS;
        let from = partial as usize + (table[record + Normed::channel] * chunks) as usize * MOMENTS;
        let first = ChannelMoments::read(&*numbers, from);
        let mut count = first.count;
        let mut mean = first.mean;
        let mut squares = first.squares;
        for chunk in 1..chunks as usize {
            let theirs = ChannelMoments::read(&*numbers, from + chunk * MOMENTS);
            let share = theirs.count / (count + theirs.count);
            let apart = theirs.mean - mean;
            squares += theirs.squares + apart * apart * (count * share);
            mean += apart * share;
            count += theirs.count;
        }
        observed[table[record + Normed::mean] as usize] = mean;
        observed[table[record + Normed::variance] as usize] = squares / max(count - 1.0, 1.0);
        prologue(numbers, weights, table, record, mean, squares / count + epsilon);
    }
}

/// A norm's prologues from statistics that are given.
///
/// Grid: channels of norms by [`UNITS`], a [`Normed`] each.
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
        let record = records as usize + channel as usize * Normed::WORDS;
        let (mean, variance) =
            (running[table[record + Normed::mean] as usize], running[table[record + Normed::variance] as usize]);
        prologue(numbers, weights, table, record, mean, variance + epsilon);
    }
}

/// Writes what a norm makes of a channel.
#[cube]
fn prologue(numbers: &mut [f32], weights: &[f32], table: &[u32], record: usize, mean: f32, variance: f32) {
    let inverse_deviation = 1.0 / f32::sqrt(variance);
    let (scale, shift) = (table[record + Normed::scale], table[record + Normed::shift]);
    let mut gain = inverse_deviation;
    if scale != NONE {
        gain *= weights[scale as usize];
    }
    let mut offset = 0.0f32;
    if shift != NONE {
        offset += weights[shift as usize];
    }
    let to = table[record + Normed::prologue] as usize;
    numbers[to + MEAN] = mean;
    numbers[to + GAIN] = gain;
    numbers[to + SHIFT] = offset;
    numbers[to + INVERSE_DEVIATION] = inverse_deviation;
}

/// A launch of [`norms_of_batch()`].
#[derive(Debug, Clone, Copy)]
pub struct NormsOfBatch {
    pub channels: Records<Normed>,
    pub chunks: usize,
    /// Place of the moments in the numbers.
    pub partial: usize,
}

impl Launch for NormsOfBatch {
    fn cubes(&self, _images: usize) -> [usize; 3] {
        [self.channels.count.div_ceil(UNITS as usize), 1, 1]
    }

    fn run(&self, on: &Bindings<'_>) {
        let (client, cubes, units, address) = on.grid(self);
        let (numbers, observed, weights, table) = (on.numbers.arg(), on.observed(), on.weights.arg(), on.table.arg());
        let (records, channels) = (self.channels.first(), self.channels.count as u32);
        let (chunks, partial) = (self.chunks as u32, self.partial as u32);
        norms_of_batch::launch(
            client, cubes, units, address, numbers, observed, weights, table, records, channels, chunks, partial,
            on.epsilon,
        );
    }
}

/// A launch of [`norms_as_given()`].
#[derive(Debug, Clone, Copy)]
pub struct NormsAsGiven {
    pub channels: Records<Normed>,
}

impl Launch for NormsAsGiven {
    fn cubes(&self, _images: usize) -> [usize; 3] {
        [self.channels.count.div_ceil(UNITS as usize), 1, 1]
    }

    fn run(&self, on: &Bindings<'_>) {
        let (client, cubes, units, address) = on.grid(self);
        let (numbers, running, weights, table) = (on.numbers.arg(), on.running(), on.weights.arg(), on.table.arg());
        let (records, channels) = (self.channels.first(), self.channels.count as u32);
        norms_as_given::launch(
            client, cubes, units, address, numbers, running, weights, table, records, channels, on.epsilon,
        );
    }
}
