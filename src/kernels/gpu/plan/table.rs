//! The table of a plan: records, word by word.

use super::super::kernel::{NORM, REGION, RELU};

/// The plane of one channel: pixel `p` of image `n` is number `region + first + n · image + p` of the arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plane {
    pub region: usize,
    pub first: usize,
    pub image: usize,
}

impl Plane {
    /// Channel `channel` of a map that lies at `region`.
    pub fn of(region: usize, channel: usize, channels: usize, pixels: usize) -> Self {
        Self { region, first: channel * pixels, image: channels * pixels }
    }
}

/// A channel as it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Source {
    pub plane: Plane,
    /// Place in the numbers.
    pub prologue: usize,
    pub norm: bool,
    pub relu: bool,
}

/// One way in which a channel of a map was read: what was read, how it was weighted, and the gradient of what it was added to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub source: Source,
    /// Places in the numbers.
    pub mixing: usize,
    pub factor: usize,
    pub gradient: Plane,
    /// Index of the norm and channel in it.
    pub norm: Option<(usize, usize)>,
    /// Index of the mixing weight.
    pub weight: Option<usize>,
}

#[derive(Debug, Default)]
pub(super) struct Table {
    pub words: Vec<u32>,
}

impl Table {
    /// Where the next record begins.
    pub fn next(&self) -> usize {
        self.words.len()
    }

    pub fn push(&mut self, words: &[usize]) {
        self.words.extend(words.iter().map(|&word| word as u32));
    }

    pub fn plane(&mut self, plane: Plane) {
        self.push(&[plane.region / REGION, plane.first, plane.image]);
    }

    pub fn source(&mut self, source: Source) {
        self.plane(source.plane);
        let flags = u32::from(source.relu) * RELU + u32::from(source.norm) * NORM;
        self.push(&[source.prologue, flags as usize]);
    }

    pub fn term(&mut self, source: Source, mixing: usize, factor: usize) {
        self.source(source);
        self.push(&[mixing, factor]);
    }

    /// Gives the place of the record.
    pub fn entry(&mut self, entry: &Entry) -> usize {
        let place = self.next();
        self.term(entry.source, entry.mixing, entry.factor);
        self.plane(entry.gradient);
        place
    }
}
