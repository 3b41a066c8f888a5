//! The state of a pass: what its steps have written so far, and what its reverse needs of it.

use super::{
    layout::Blocks,
    memory::Buffer,
    prologue::Prologue,
    staging::{Lane, Staging},
    statistics::{self, Channel, Statistics},
};
use crate::{
    Pass,
    program::{Map, MapId, Program, Read},
};
use std::ops::Range;

/// The maps of a pass, and the statistics of their channels.
#[derive(Debug)]
pub(crate) struct PassState {
    pub(super) pass: Pass,
    pub(super) images: usize,
    pub(super) weights: Vec<f32>,
    pub(super) mixing: Vec<f32>,
    pub(super) maps: Vec<Option<Buffer>>,
    /// What each norm makes of its channels, once its map is written.
    pub(super) norms: Vec<Vec<Channel>>,
}

impl PassState {
    pub(super) fn program(&self) -> &Program {
        &self.pass.program
    }

    pub(super) fn map(&self, map: MapId) -> &Map {
        &self.program().maps[map]
    }

    pub(super) fn blocks(&self, map: MapId) -> Blocks {
        Blocks::new(self.map(map), self.images)
    }

    pub(super) fn values(&self, map: MapId) -> &[f32] {
        self.maps[map].as_ref().expect("a map is kept as long as a step reads it")
    }

    /// Rows of factors, one value an image.
    pub(super) fn factor(&self, row: usize) -> &[f32] {
        &self.pass.factors[row * self.images..][..self.images]
    }

    /// A map has been written: its norms learn what they make of it, and what the batch had for the
    /// running statistics goes to `observed`.
    pub(super) fn normalise(
        &mut self,
        norms: &[usize],
        statistics: &[Statistics],
        running: &[f32],
        observed: &mut [f32],
    ) {
        for &at in norms {
            let norm = self.pass.program.norms[at];
            let of_norm = if self.pass.training {
                let of_norm = statistics[norm.first..][..norm.channels].to_vec();
                let count = self.images * self.map(norm.map).pixels();
                statistics::observe(&norm, &of_norm, count, observed);
                of_norm
            } else {
                statistics::given(&norm, running)
            };
            self.norms[at] = statistics::channels(&norm, &of_norm, &self.weights, self.pass.epsilon);
        }
    }

    /// The parts of a source with the number of their first channel.
    pub(super) fn parts(source: &[Read]) -> impl Iterator<Item = (usize, &Read)> {
        source.iter().scan(0, |next, read| {
            let first = *next;
            *next += read.channels;
            Some((first, read))
        })
    }

    /// How a channel of a read is made from the map's value.
    pub(super) fn prologue(&self, read: &Read, channel: usize) -> Prologue {
        let normed = read.norm.map_or(Prologue::NONE, |norm| {
            let Channel { factor, offset, .. } = self.norms[norm][channel];
            Prologue { factor, offset, ..Prologue::NONE }
        });
        normed.then(read.activation)
    }

    /// Stages channel `channel` of a read for the images of a block of `staging`'s.
    pub(super) fn stage(
        &self,
        read: &Read,
        channel: usize,
        images: Range<usize>,
        staging: &Staging,
        fill: f32,
        to: &mut [f32],
    ) {
        let prologue = self.prologue(read, channel);
        match self.plane(read, channel, &images) {
            Some(plane) => staging.stage(plane, fill, to, prologue),
            None => staging.stage_lanes(&self.lanes(read, channel, images), fill, to, prologue.function()),
        }
    }

    /// The plane of these images, where a block of the map has exactly them.
    pub(super) fn plane(&self, read: &Read, channel: usize, images: &Range<usize>) -> Option<&[f32]> {
        let blocks = self.blocks(read.map);
        let block = images.start / blocks.together;
        let fits = block * blocks.together == images.start && blocks.block(block).1 == images.len();
        fits.then(|| blocks.plane(self.values(read.map), block, read.first + channel))
    }

    fn lanes(&self, read: &Read, channel: usize, images: Range<usize>) -> Vec<Lane<'_>> {
        let (blocks, values) = (self.blocks(read.map), self.values(read.map));
        images
            .map(|image| {
                let block = image / blocks.together;
                let plane = blocks.plane(values, block, read.first + channel);
                Lane { plane, lane: image % blocks.together, images: blocks.block(block).1 }
            })
            .collect()
    }
}
