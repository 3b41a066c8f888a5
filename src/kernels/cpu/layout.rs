//! How a batch of feature maps lies in memory.
//!
//! The channels of a map are cut into blocks of sixteen, and the values of a pixel's block are one
//! vector, the widest that there is:
//!
//! ```text
//! [image][block][y][x][channel]
//!
//! image 0    block 0: channels 0 … 15             block 1: channels 16 … 17, and padding
//!            (0,0): c0 c1 … c15                   (0,0): c16 c17 .. .. …
//!            (0,1): c0 c1 … c15                   (0,1): c16 c17 .. .. …
//!            (1,0): c0 c1 … c15                   (1,0): c16 c17 .. .. …
//!            (1,1): c0 c1 … c15                   (1,1): c16 c17 .. .. …
//! image 1    block 0 …
//! ```
//!
//! So the tap of a window is a vector at an offset, whatever its stride and dilation; what a norm
//! does to a channel is a lane of a vector; and what is summed over pixels needs no sum across
//! lanes. Lanes of the padding hold anything: no lane is ever read into another but those of
//! channels.
//!
//! In **narrow** programs, of maps with few channels, blocks have four channels, and the same block
//! of four images shares a vector, image by image:
//!
//! ```text
//! images 0 … 3    block 0, (0,0): c0 c1 c2 c3  c0 c1 c2 c3  c0 c1 c2 c3  c0 c1 c2 c3
//! ```
//!
//! The last images of a batch may share it with none: their lanes hold anything too, and sums pass
//! over them.
//!
//! A read of some channels must be whole blocks. So a new block begins wherever a read, a norm or
//! a branch begins or ends, and what a step copies channel by channel has the blocks of what it
//! reads.

use super::{
    element::Element,
    simd::{LANES, Lanes},
};
use crate::program::{MapId, Program, Read, Step};
use std::collections::BTreeSet;
use std::ops::Range;

/// Channels of a block of a narrow program.
pub(super) const NARROW: usize = 4;

/// Values of all maps from which on padding costs more than sums and weights an image.
const MANY: usize = 1 << 24;

/// The blocks of all maps of a program.
#[derive(Debug)]
pub(super) struct Layout {
    images: usize,
    /// Channels of a block at most.
    width: usize,
    /// Of each map where its blocks begin and, behind them, its channels.
    starts: Vec<Vec<usize>>,
    pixels: Vec<usize>,
}

impl Layout {
    pub fn new(program: &Program, images: usize) -> Self {
        let [wide, narrow] = [LANES, NARROW].map(|width| Self::of_width(program, images, width));
        let values = |layout: &Self| (0..layout.pixels.len()).map(|map| layout.len(map, layout.blocks(map))).sum();
        // Tests hold both to the reference, on maps that are small.
        let is_narrow = if cfg!(test) { images > 2 } else { is_narrow(values(&wide), values(&narrow)) };
        if is_narrow { narrow } else { wide }
    }

    fn of_width(program: &Program, images: usize, width: usize) -> Self {
        let starts = cuts(program).iter().map(|cuts| blocks(cuts, width)).collect();
        Self { images, width, starts, pixels: program.maps.iter().map(|map| map.pixels()).collect() }
    }

    /// Channels of a block at most.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Images of a vector.
    pub fn together(&self) -> usize {
        LANES / self.width
    }

    /// How many vectors have the images of the batch.
    pub fn groups(&self) -> usize {
        self.images.div_ceil(self.together())
    }

    /// How many images of a group there are.
    pub fn images_of(&self, group: usize) -> usize {
        self.together().min(self.images - group * self.together())
    }

    pub fn blocks(&self, map: MapId) -> usize {
        self.starts[map].len() - 1
    }

    /// The blocks of a read.
    pub fn blocks_of(&self, read: &Read) -> Range<usize> {
        self.blocks_from(read.map, read.first, read.channels)
    }

    /// The blocks of some channels, which are whole blocks.
    pub fn blocks_from(&self, map: MapId, first: usize, channels: usize) -> Range<usize> {
        let block = |channel| self.starts[map].partition_point(|start| *start < channel);
        block(first)..block(first + channels)
    }

    pub fn channels(&self, map: MapId, block: usize) -> Range<usize> {
        self.starts[map][block]..self.starts[map][block + 1]
    }

    /// The block of a channel, and its place there.
    pub fn place(&self, map: MapId, channel: usize) -> (usize, usize) {
        let block = self.starts[map].partition_point(|start| *start <= channel) - 1;
        (block, channel - self.starts[map][block])
    }

    /// Values of some blocks of a map, of one group.
    pub fn chunk(&self, map: MapId, blocks: usize) -> usize {
        blocks * self.pixels[map] * LANES
    }

    /// Values of some blocks of a map, of all groups.
    pub fn len(&self, map: MapId, blocks: usize) -> usize {
        self.groups() * self.chunk(map, blocks)
    }

    /// A block of a group, of values that have so many blocks of a map.
    pub fn plane<'a, E>(&self, map: MapId, values: &'a [E], blocks: usize, group: usize, block: usize) -> &'a [E] {
        let plane = self.pixels[map] * LANES;
        &values[(group * blocks + block) * plane..][..plane]
    }

    /// What each channel of a block has, in its lane for every image; zero in the padding.
    pub fn lanes(&self, channels: Range<usize>, value: impl Fn(usize) -> f32) -> Lanes {
        let mut lanes = Lanes::ZERO;
        lanes.0.iter_mut().zip(channels).for_each(|(lane, channel)| *lane = value(channel));
        let (first, others) = lanes.0.split_at_mut(self.width);
        others.chunks_exact_mut(self.width).for_each(|lanes| lanes.copy_from_slice(first));
        lanes
    }

    /// As [`lanes`](Self::lanes), of values that are `apart` from each other.
    #[inline(always)]
    pub fn spread(&self, values: &[f32], apart: usize, channels: usize, to: &mut [f32; LANES]) {
        match (self.width, channels) {
            // Most are these: lengths that are known make them quick.
            (LANES, LANES) => *to = std::array::from_fn(|lane| values[lane * apart]),
            (NARROW, NARROW) => {
                to.as_chunks_mut().0.fill(std::array::from_fn::<_, NARROW, _>(|lane| values[lane * apart]));
            }
            _ => *to = self.lanes(0..channels, |channel| values[channel * apart]).0,
        }
    }

    /// What each image of a group has, in all its lanes; zero for images that are none.
    pub fn of_images(&self, group: usize, value: impl Fn(usize) -> f32) -> Lanes {
        let mut lanes = Lanes::ZERO;
        for (at, lanes) in lanes.0.chunks_exact_mut(self.width).take(self.images_of(group)).enumerate() {
            lanes.fill(value(group * self.together() + at));
        }
        lanes
    }

    /// One in the lanes of images that there are, where there are others.
    pub fn present(&self, group: usize) -> Option<Lanes> {
        (self.images_of(group) < self.together()).then(|| self.of_images(group, |_| 1.0))
    }

    /// From `[n, c, h, w]`.
    pub fn import<E: Element>(&self, map: MapId, from: &[f32], to: &mut [E]) {
        to.fill(E::default());
        self.each_plane(map, |nchw, at| {
            let from = &from[nchw..nchw + self.pixels[map]];
            to[at..].iter_mut().step_by(LANES).zip(from).for_each(|(to, from)| *to = E::of(*from));
        });
    }

    /// To `[n, c, h, w]`.
    pub fn export<E: Element>(&self, map: MapId, from: &[E], to: &mut [f32]) {
        self.each_plane(map, |nchw, at| {
            let to = &mut to[nchw..nchw + self.pixels[map]];
            from[at..].iter().step_by(LANES).zip(to).for_each(|(from, to)| *to = from.value());
        });
    }

    /// For every channel of every image: where it begins in `[n, c, h, w]`, and where its first
    /// pixel stands here.
    fn each_plane(&self, map: MapId, mut visit: impl FnMut(usize, usize)) {
        let (pixels, blocks) = (self.pixels[map], self.blocks(map));
        let channels = self.starts[map][blocks];
        for image in 0..self.images {
            let (group, beside) = (image / self.together(), image % self.together() * self.width);
            for block in 0..blocks {
                let start = (group * blocks + block) * pixels * LANES + beside;
                for (lane, channel) in self.channels(map, block).enumerate() {
                    visit((image * channels + channel) * pixels, start + lane);
                }
            }
        }
    }
}

/// Whether a program is to be narrow, by the values of its maps in wide blocks and in narrow ones.
/// Wide blocks are faster, where they are not mostly padding; of few values, even then.
fn is_narrow(of_wide: usize, of_narrow: usize) -> bool {
    let least = if of_wide >= MANY { 3 } else { 5 };
    2 * of_wide > least * of_narrow
}

/// Where blocks of at most `width` channels begin, between cuts.
fn blocks(cuts: &BTreeSet<usize>, width: usize) -> Vec<usize> {
    let ends = cuts.iter().skip(1);
    let mut starts: Vec<usize> = cuts.iter().zip(ends).flat_map(|(start, end)| (*start..*end).step_by(width)).collect();
    starts.extend(cuts.last());
    starts
}

/// The channels of each map at which a block must begin.
fn cuts(program: &Program) -> Vec<BTreeSet<usize>> {
    let mut cuts: Vec<BTreeSet<usize>> = program.maps.iter().map(|map| BTreeSet::from([0, map.channels])).collect();
    // Channels that a step takes over one by one, block by block: map and channel, and how many.
    let mut same: Vec<([(MapId, usize); 2], usize)> = Vec::new();
    for step in &program.steps {
        for read in step.reads() {
            cuts[read.map].extend([read.first, read.first + read.channels]);
        }
        let mut follow = |source: &[Read], output: MapId, first: usize| {
            let mut at = first;
            for read in source {
                same.push(([(read.map, read.first), (output, at)], read.channels));
                at += read.channels;
            }
        };
        match step {
            Step::Convolve { branches, output } => {
                for branch in branches {
                    cuts[*output].extend([branch.first, branch.first + branch.channels]);
                    if branch.dense.is_none() {
                        follow(&branch.source, *output, branch.first);
                    }
                }
            }
            Step::Pool { pool, output } => follow(&pool.source, *output, 0),
            Step::Combine { terms, output } => {
                for term in terms.iter().filter(|term| term.spread == 1) {
                    follow(&[term.read], *output, term.at);
                }
            }
        }
    }
    for ([(map, first), (other, at)], channels) in &same {
        cuts[*map].extend([*first, first + channels]);
        cuts[*other].extend([*at, at + channels]);
    }
    // A cut in one is a cut in the other, and in what that is the same as.
    loop {
        let mut is_new = false;
        for ([(map, first), (other, at)], channels) in &same {
            for (from, start, to, begin) in [(map, first, other, at), (other, at, map, first)] {
                let found: Vec<usize> =
                    cuts[*from].range(start..&(start + channels)).map(|cut| cut - start + begin).collect();
                is_new |= found.into_iter().fold(false, |is_new, cut| cuts[*to].insert(cut) | is_new);
            }
        }
        if !is_new {
            return cuts;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::{Activation, Map, Term};

    fn read(map: MapId, first: usize, channels: usize) -> Read {
        Read { map, first, channels, norm: None, activation: Activation::None }
    }

    /// A node of two parts of a map, and one that is read in part.
    fn program(channels: usize) -> Program {
        let map = |channels| Map { channels, height: 2, width: 3, statistics: false };
        let term = |read, at| Term { read, at, spread: 1, weight: None, factor: None };
        Program {
            maps: vec![map(channels), map(channels + 3), map(2)],
            inputs: vec![0],
            steps: vec![
                Step::Combine { terms: vec![term(read(0, 0, channels), 3)], output: 1 },
                Step::Combine { terms: vec![term(read(1, 3 + channels - 2, 2), 0)], output: 2 },
            ],
            ..Program::default()
        }
    }

    #[test]
    fn blocks_begin_where_reads_do_on_both_sides() {
        let layout = Layout::of_width(&program(36), 2, LANES);
        assert_eq!(layout.starts, [vec![0, 16, 32, 34, 36], vec![0, 3, 19, 35, 37, 39], vec![0, 2]]);
        assert_eq!(layout.blocks_of(&read(1, 37, 2)), 4..5);
        assert_eq!(layout.place(1, 36), (3, 1));
    }

    #[test]
    fn batches_come_back() {
        for (channels, images, width) in [(36, 3, 16), (4, 7, 4), (8, 4, 4), (3, 1, 16)] {
            let map = Map { channels, height: 2, width: 3, statistics: false };
            let program = Program { maps: vec![map], inputs: vec![0], ..Program::default() };
            let layout = Layout::of_width(&program, images, width);
            let nchw: Vec<f32> = (0..images * channels * 6).map(|v| v as f32).collect();
            let mut kept = vec![-1.0; layout.len(0, layout.blocks(0))];
            let mut back = vec![-1.0; nchw.len()];
            layout.import(0, &nchw, &mut kept);
            layout.export(0, &kept, &mut back);
            assert_eq!(back, nchw);
        }
    }

    #[test]
    fn what_would_be_mostly_padding_is_narrow() {
        let found = |channels, side, images| {
            let map = Map { channels, height: side, width: side, statistics: false };
            let program = Program { maps: vec![map; 20], inputs: vec![0], ..Program::default() };
            let values = |width| {
                let layout = Layout::of_width(&program, images, width);
                (0..20).map(|map| layout.len(map, layout.blocks(map))).sum()
            };
            is_narrow(values(LANES), values(NARROW))
        };
        assert!(found(4, 32, 64) && !found(36, 32, 64) && found(4, 8, 32) && !found(8, 8, 32) && !found(4, 224, 1));
    }
}
