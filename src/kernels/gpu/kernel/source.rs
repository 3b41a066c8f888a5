//! Channels: where one lies, and what is done to it as it is read.

use super::REGION;
use super::record::{Record, record};
use crate::program::Activation;
use cubecl::prelude::*;

record! {
    /// The plane of one channel: pixel `p` of image `n` is number
    /// `region · REGION + first + n · image + p` of the arena.
    Plane {
        region: usize,
        first: usize,
        image: usize,
    }
}

impl Plane {
    /// Channel `channel` of a map of `channels` that begins at number `start` of the arena.
    pub fn of(start: usize, channel: usize, channels: usize, pixels: usize) -> Self {
        Self { region: start / REGION, first: channel * pixels, image: channels * pixels }
    }
}

record! {
    /// A channel as it is read.
    Source {
        plane: Plane,
        /// Place in the numbers.
        prologue: usize,
        flags: Flags,
    }
}

/// What is done to a channel as it is read, a bit each: whether its prologue is a batch norm, and
/// its activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flags {
    pub norm: bool,
    pub activation: Activation,
}

/// Bits of [`Flags`].
pub const RELU: u32 = 1;
pub const NORM: u32 = 2;

impl Record for Flags {
    const WORDS: usize = 1;

    fn write(&self, words: &mut Vec<u32>) {
        let activation = match self.activation {
            Activation::None => 0,
            Activation::Relu => RELU,
        };
        words.push(activation | if self.norm { NORM } else { 0 });
    }
}

/// A prologue in the numbers, and the places of its four:
/// `y = (z − mean) · gain + shift`.
pub const PROLOGUE: usize = 4;
pub const MEAN: usize = 0;
pub const GAIN: usize = 1;
pub const SHIFT: usize = 2;
pub const INVERSE_DEVIATION: usize = 3;

/// Where a plane lies: a record's words, loaded once for many images.
#[derive(CubeType, Clone, Copy)]
pub struct Located {
    first: usize,
    image: usize,
}

#[cube]
impl Located {
    pub fn of(table: &[u32], plane: usize) -> Located {
        Located {
            first: table[plane + Plane::region] as usize * REGION + table[plane + Plane::first] as usize,
            image: table[plane + Plane::image] as usize,
        }
    }

    /// Where the plane of an image begins.
    pub fn start(&self, image: usize) -> usize {
        self.first + image * self.image
    }
}

/// Where the plane of an image begins.
#[cube]
pub fn start_of(table: &[u32], plane: usize, image: usize) -> usize {
    Located::of(table, plane).start(image)
}

/// Whether a ReLU stands between a source's prologue and its reader.
#[cube]
pub fn is_rectified(table: &[u32], source: usize) -> bool {
    table[source + Source::flags] & RELU != 0
}

/// Whether a source's prologue is a batch norm.
#[cube]
pub fn is_normed(table: &[u32], source: usize) -> bool {
    table[source + Source::flags] & NORM != 0
}

/// The place in the numbers of a source's prologue.
#[cube]
pub fn prologue_of(table: &[u32], source: usize) -> usize {
    table[source + Source::prologue] as usize
}

/// What is done to a channel as it is read: loaded once, for one number or many.
#[derive(CubeType, Clone, Copy)]
pub struct Prologue {
    mean: f32,
    pub gain: f32,
    shift: f32,
    rectified: bool,
}

#[cube]
impl Prologue {
    pub fn of(numbers: &[f32], table: &[u32], source: usize) -> Prologue {
        let prologue = prologue_of(table, source);
        Prologue {
            mean: numbers[prologue + MEAN],
            gain: numbers[prologue + GAIN],
            shift: numbers[prologue + SHIFT],
            rectified: is_rectified(table, source),
        }
    }

    /// Normalised, then rectified where the source says so. NaN stays NaN.
    pub fn apply(&self, value: f32) -> f32 {
        let value = (value - self.mean) * self.gain + self.shift;
        select(self.rectified && value < 0.0, 0.0, value)
    }

    /// Whether a gradient gets through to what is applied to a number.
    pub fn passes(&self, value: f32) -> bool {
        !self.rectified || (value - self.mean) * self.gain + self.shift > 0.0
    }
}
