//! The gradient of a map from everything that read it.
//!
//! Candidates' gradients are never stored: what arrives at a channel is worked out from the
//! gradients of the nodes that it was added to, each with its weight, and batch norm's part in it
//! is a slope and an offset for the whole channel.

use super::combine::{Term, mixing_of};
use super::record::{Record, Records, count_of, first_of, record};
use super::source::{GAIN, INVERSE_DEVIATION, Located, MEAN, Plane, Prologue, Source, is_normed, prologue_of};
use super::sums::cube_sum;
use super::{TOGETHER, UNITS};
use crate::gpu::launch::{Bindings, Launch};
use crate::gpu::split::Split;
use cubecl::prelude::*;

record! {
    /// One way in which a channel of a map was read. A map that a convolution or a pool read has an
    /// entry with the weight 1.
    Entry {
        term: Term,
        /// The gradient of what the term was added to.
        gradient: Plane,
    }
}

/// What was read through an entry.
#[cube]
pub fn source_of(entry: usize) -> usize {
    entry + Entry::term + Term::source
}

/// Two sums of an entry in the numbers, and their places: of the gradient that arrives, and of its
/// product with what the map's value is away from the mean.
pub const SUMS: usize = 2;
pub const PLAIN: usize = 0;
pub const CENTRED: usize = 1;

/// How the gradient of the normalised value arrives through one entry, without the term's weight:
/// loaded once for many numbers.
#[derive(CubeType, Clone, Copy)]
struct Arriving {
    gradient: Located,
    factor: usize,
    prologue: Prologue,
}

#[cube]
impl Arriving {
    fn of(numbers: &[f32], table: &[u32], entry: usize) -> Arriving {
        Arriving {
            gradient: Located::of(table, entry + Entry::gradient),
            factor: table[entry + Entry::term + Term::factor] as usize,
            prologue: Prologue::of(numbers, table, source_of(entry)),
        }
    }

    /// At a pixel of an image where the map has the number `z`.
    fn at<E: Float>(&self, arena: &[E], numbers: &[f32], image: usize, pixel: usize, z: f32) -> f32 {
        let gradient = f32::cast_from(arena[self.gradient.start(image) + pixel]) * numbers[self.factor + image];
        select(self.prologue.passes(z), gradient, 0.0)
    }
}

/// Partial sums of an entry over one chunk of positions: `Σ g` and `Σ g · (z − mean)`, `g` what
/// arrives through it. Mixing weights, scales, shifts and the gradient through a batch's statistics
/// all come from these two.
///
/// Writes the [`SUMS`] of `entry · chunks + chunk` from `partial` on. Grid: chunks of `length`
/// positions, entries.
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
    let entry = records as usize + CUBE_POS_Y as usize * Entry::WORDS;
    let source = source_of(entry);
    let mean = numbers[prologue_of(table, source) + MEAN];
    let own = Located::of(table, source + Source::plane);
    let arriving = Arriving::of(&*numbers, table, entry);
    let begin = CUBE_POS_X * length;
    let end = min(begin + length, positions);
    let mut plain = 0.0f32;
    let mut centred = 0.0f32;
    for first in range_stepped(begin + UNIT_POS, end, comptime!(UNITS * TOGETHER as u32)) {
        #[unroll]
        for step in 0..TOGETHER {
            let position = first + comptime!(step as u32 * UNITS);
            // The last is read again where there is none, so that no load waits for another.
            let at = min(position, end - 1);
            let (image, pixel) = ((at / plane) as usize, (at % plane) as usize);
            let z = f32::cast_from(arena[own.start(image) + pixel]);
            let gradient = arriving.at::<E>(arena, &*numbers, image, pixel, z);
            let gradient = select(position < end, gradient, 0.0);
            plain += gradient;
            centred += gradient * (z - mean);
        }
    }
    let plain = cube_sum(&mut shared, plain);
    let centred = cube_sum(&mut shared, centred);
    if UNIT_POS == 0 {
        let to = partial as usize + (CUBE_POS_Y * CUBE_COUNT_X + CUBE_POS_X) as usize * SUMS;
        numbers[to + PLAIN] = plain;
        numbers[to + CENTRED] = centred;
    }
}

/// A launch of [`entry_sums()`].
#[derive(Debug, Clone, Copy)]
pub struct EntrySums {
    pub entries: Records<Entry>,
    pub positions: usize,
    /// Pixels of an image.
    pub pixels: usize,
    pub split: Split,
    /// Place of the partial sums in the numbers.
    pub partial: usize,
}

impl Launch for EntrySums {
    fn cubes(&self, _images: usize) -> [usize; 3] {
        [self.split.chunks, self.entries.count, 1]
    }

    fn run(&self, on: &Bindings<'_>) {
        let (client, cubes, units, address) = on.grid(self);
        let (arena, numbers, table) = (on.arena.arg(), on.numbers.arg(), on.table.arg());
        let (records, positions, plane) = (self.entries.first(), self.positions as u32, self.pixels as u32);
        let (length, partial, format) = (self.split.length as u32, self.partial as u32, on.format);
        entry_sums::launch(
            client, cubes, units, address, arena, numbers, table, records, positions, plane, length, partial, format,
        );
    }
}

record! {
    /// A channel of a map, and what arrives at it.
    Channel {
        /// The gradient that is written.
        gradient: Plane,
        /// The map itself.
        own: Plane,
        entries: Records<Entry>,
        /// Place in the numbers: [`COEFFICIENTS`].
        coefficients: usize,
    }
}

/// What goes through a batch's statistics is `slope · (z − mean) + offset`: how many numbers of a
/// channel that takes, and their places.
pub const COEFFICIENTS: usize = 3;
const SLOPE: usize = 0;
const CENTRE: usize = 1;
const OFFSET: usize = 2;

/// Adds up the partial sums of each entry and makes a channel's coefficients of them. `inverse` is
/// one over the number of positions, 0 where the statistics were given.
///
/// Writes the [`SUMS`] of each entry from `sums` on. Grid: channels by [`UNITS`], a [`Channel`]
/// each.
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
        let record = records as usize + channel as usize * Channel::WORDS;
        let first = first_of(table, record + Channel::entries);
        let mut slope = 0.0f32;
        let mut centre = 0.0f32;
        let mut offset = 0.0f32;
        for at in 0..count_of(table, record + Channel::entries) {
            let entry = first + at as usize * Entry::WORDS;
            let number = (entry - entries as usize) / Entry::WORDS;
            let mut plain = 0.0f32;
            let mut centred = 0.0f32;
            for chunk in 0..chunks as usize {
                let from = partial as usize + (number * chunks as usize + chunk) * SUMS;
                plain += numbers[from + PLAIN];
                centred += numbers[from + CENTRED];
            }
            numbers[sums as usize + number * SUMS + PLAIN] = plain;
            numbers[sums as usize + number * SUMS + CENTRED] = centred;
            let source = source_of(entry);
            if is_normed(table, source) {
                let prologue = prologue_of(table, source);
                let gain = numbers[prologue + GAIN] * numbers[mixing_of(table, entry + Entry::term)] * inverse;
                let inverse_deviation = numbers[prologue + INVERSE_DEVIATION];
                slope -= gain * inverse_deviation * inverse_deviation * centred;
                offset -= gain * plain;
                centre = numbers[prologue + MEAN];
            }
        }
        let to = table[record + Channel::coefficients] as usize;
        numbers[to + SLOPE] = slope;
        numbers[to + CENTRE] = centre;
        numbers[to + OFFSET] = offset;
    }
}

/// A launch of [`coefficients()`].
#[derive(Debug, Clone, Copy)]
pub struct Coefficients {
    pub channels: Records<Channel>,
    /// Of all channels.
    pub entries: Records<Entry>,
    pub chunks: usize,
    /// Places of partial sums and sums in the numbers.
    pub partial: usize,
    pub sums: usize,
    pub inverse: f32,
}

impl Launch for Coefficients {
    fn cubes(&self, _images: usize) -> [usize; 3] {
        [self.channels.count.div_ceil(UNITS as usize), 1, 1]
    }

    fn run(&self, on: &Bindings<'_>) {
        let (client, cubes, units, address) = on.grid(self);
        let (numbers, table) = (on.numbers.arg(), on.table.arg());
        let (records, channels, entries) = (self.channels.first(), self.channels.count as u32, self.entries.first());
        let (chunks, partial, sums) = (self.chunks as u32, self.partial as u32, self.sums as u32);
        coefficients::launch(
            client,
            cubes,
            units,
            address,
            numbers,
            table,
            records,
            channels,
            entries,
            chunks,
            partial,
            sums,
            self.inverse,
        );
    }
}

/// The gradient of a map from everything that read it:
/// `dz[c, n, p] = Σ_entry weight · gain · arriving + slope · (z − mean) + offset`.
///
/// Grid: positions `n · h · w` by [`UNITS`] times [`TOGETHER`], channels (a [`Channel`] each).
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
    let record = records as usize + CUBE_POS_Y as usize * Channel::WORDS;
    let begin = CUBE_POS_X * comptime!(UNITS * TOGETHER as u32) + UNIT_POS;
    let own = Located::of(table, record + Channel::own);
    let mut images = Array::<usize>::new(TOGETHER);
    let mut pixels = Array::<usize>::new(TOGETHER);
    let mut zs = Array::<f32>::new(TOGETHER);
    let mut sums = Array::<f32>::new(TOGETHER);
    let mut slope = 0.0f32;
    let mut centre = 0.0f32;
    let mut offset = 0.0f32;
    if comptime!(normed) {
        let from = table[record + Channel::coefficients] as usize;
        slope += numbers[from + SLOPE];
        centre += numbers[from + CENTRE];
        offset += numbers[from + OFFSET];
    }
    #[unroll]
    for step in 0..TOGETHER {
        // The last is read again where there is none, so that no load waits for another.
        let at = min(begin + comptime!(step as u32 * UNITS), positions - 1);
        images[step] = (at / plane) as usize;
        pixels[step] = (at % plane) as usize;
        zs[step] = f32::cast_from(arena[own.start(images[step]) + pixels[step]]);
        sums[step] = 0.0;
        if comptime!(normed) {
            sums[step] = slope * (zs[step] - centre) + offset;
        }
    }
    let first = first_of(table, record + Channel::entries);
    for at in 0..count_of(table, record + Channel::entries) {
        let entry = first + at as usize * Entry::WORDS;
        let arriving = Arriving::of(numbers, table, entry);
        let weight = numbers[mixing_of(table, entry + Entry::term)];
        let gain = arriving.prologue.gain * weight;
        #[unroll]
        for step in 0..TOGETHER {
            sums[step] += gain * arriving.at::<E>(&*arena, numbers, images[step], pixels[step], zs[step]);
        }
    }
    let written = Located::of(table, record + Channel::gradient);
    #[unroll]
    for step in 0..TOGETHER {
        if begin + comptime!(step as u32 * UNITS) < positions {
            arena[written.start(images[step]) + pixels[step]] = E::cast_from(sums[step]);
        }
    }
}

/// A launch of [`gather()`].
#[derive(Debug, Clone, Copy)]
pub struct Gather {
    pub channels: Records<Channel>,
    pub positions: usize,
    /// Pixels of an image.
    pub pixels: usize,
    /// Whether anything was read through a norm: then there are coefficients.
    pub normed: bool,
}

impl Launch for Gather {
    fn cubes(&self, _images: usize) -> [usize; 3] {
        [self.positions.div_ceil(UNITS as usize * TOGETHER), self.channels.count, 1]
    }

    fn run(&self, on: &Bindings<'_>) {
        let (client, cubes, units, address) = on.grid(self);
        let (arena, numbers, table) = (on.arena.arg(), on.numbers.arg(), on.table.arg());
        let (records, positions, plane) = (self.channels.first(), self.positions as u32, self.pixels as u32);
        let (normed, format) = (self.normed, on.format);
        gather::launch(client, cubes, units, address, arena, numbers, table, records, positions, plane, normed, format);
    }
}
