//! The state of a pass: what its steps have written so far, and what its reverse needs of it.

use super::{
    element::Element,
    layout::Layout,
    memory::Buffer,
    prologue::Prologue,
    simd::Lanes,
    statistics::{self, Channel, Statistics},
};
use crate::{
    Pass,
    program::{Activation, Map, MapId, Program, Read, Step},
};

/// Most terms of a node that is not kept for the reverse.
const FEW: usize = 4;

/// The maps of a pass, and the statistics of their channels.
#[derive(Debug)]
pub(crate) struct PassState<E: Element> {
    pub(super) pass: Pass,
    pub(super) images: usize,
    pub(super) layout: Layout,
    pub(super) weights: Buffer,
    pub(super) mixing: Vec<f32>,
    pub(super) maps: Vec<Option<Buffer<E>>>,
    /// What each norm makes of its channels, once its map is written.
    pub(super) norms: Vec<Vec<Channel>>,
}

/// A block of a source: of which read, its number there, and which channels of the source it has.
#[derive(Debug, Clone, Copy)]
pub(super) struct SourceBlock<'a> {
    pub read: &'a Read,
    /// Its number among the blocks of the map.
    pub block: usize,
    pub first: usize,
    pub channels: usize,
}

impl<E: Element> PassState<E> {
    pub(super) fn program(&self) -> &Program {
        &self.pass.program
    }

    pub(super) fn map(&self, map: MapId) -> &Map {
        &self.program().maps[map]
    }

    /// Values of all blocks of a map.
    pub(super) fn len(&self, map: MapId) -> usize {
        self.layout.len(map, self.layout.blocks(map))
    }

    pub(super) fn values(&self, map: MapId) -> &[E] {
        self.maps[map].as_ref().expect("a map is kept as long as a step reads it")
    }

    /// Whether a map is not kept for the reverse: it is a node of so few terms that it is soon made
    /// anew. What a norm reads is wanted longer than by its readers.
    pub(super) fn is_remade(&self, map: MapId) -> bool {
        let is_of_few =
            |step: &Step| matches!(step, Step::Combine { terms, output } if *output == map && terms.len() <= FEW);
        self.program().norms.iter().all(|norm| norm.map != map) && self.program().steps.iter().any(is_of_few)
    }

    /// A block of a map, of one group of images.
    pub(super) fn plane(&self, map: MapId, group: usize, block: usize) -> &[E] {
        self.layout.plane(map, self.values(map), self.layout.blocks(map), group, block)
    }

    /// What the images of a group are multiplied with.
    pub(super) fn factors(&self, row: usize, group: usize) -> Lanes {
        let factors = &self.pass.factors[row * self.images..][..self.images];
        self.layout.of_images(group, |image| factors[image])
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

    /// The blocks of a source, in order.
    pub(super) fn blocks<'a>(&self, source: &'a [Read]) -> Vec<SourceBlock<'a>> {
        let mut first = 0;
        let blocks = source.iter().flat_map(|read| self.layout.blocks_of(read).map(move |block| (read, block)));
        let blocks = blocks.map(|(read, block)| {
            let channels = self.layout.channels(read.map, block).len();
            first += channels;
            SourceBlock { read, block, first: first - channels, channels }
        });
        blocks.collect()
    }

    /// What the channels of a block have, by their number in the read.
    pub(super) fn lanes(&self, read: &Read, block: usize, value: impl Fn(usize) -> f32) -> Lanes {
        self.layout.lanes(self.layout.channels(read.map, block), |channel| value(channel - read.first))
    }

    /// How a block of a read is made from the map's values.
    pub(super) fn prologue(&self, read: &Read, block: usize) -> Prologue {
        let mut prologue = Prologue::NONE;
        if let Some(norm) = read.norm {
            let channels = &self.norms[norm];
            prologue.factor = self.lanes(read, block, |channel| channels[channel].factor);
            prologue.offset = self.lanes(read, block, |channel| channels[channel].offset);
        }
        if read.activation == Activation::Relu {
            prologue.least = 0.0;
        }
        prologue
    }
}
