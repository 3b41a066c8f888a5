//! The launches of a pass.

use super::super::kernel::statistics::MOMENTS;
use super::super::launch::Launch;
use super::table::{Plane, Source};
use super::{PLAIN, Planner, Split, Stretch, last_reads, pixels, plain, sides};
use crate::gpu::kernel::{PROLOGUE, REGION};
use crate::gpu::window::Window;
use crate::program::{Branch, Dense, Frame, PoolKind, PoolStep, Read, Step, Term};
use std::collections::BTreeMap;

/// Depthwise outputs that a dense product reads: they lie in the arena for as long as a step runs.
pub(super) struct Scratch {
    pub stretch: Stretch,
    /// First channel of each branch; `None` for those without both convolutions.
    first: Vec<Option<usize>>,
    channels: usize,
    pixels: usize,
}

impl Scratch {
    /// The plane of a branch's channel.
    pub fn plane(&self, branch: usize, channel: usize) -> Option<Plane> {
        self.first[branch].map(|first| Plane::of(self.stretch.start, first + channel, self.channels, self.pixels))
    }
}

/// One group of one dense product.
pub(super) struct Product {
    /// What it reads: the place of its first source in the table.
    pub sources: usize,
    pub inputs: usize,
    pub outputs: usize,
    /// Offset of its filters, and of its first bias.
    pub weight: usize,
    bias: Option<usize>,
    /// Of its first output.
    plane: Plane,
}

impl Product {
    /// Its record.
    pub fn words(&self) -> [usize; 8] {
        let Self { sources, inputs, outputs, weight, .. } = *self;
        let bias = self.bias.map_or(0, |bias| bias + 1);
        [sources, inputs, outputs, weight, bias, self.plane.region / REGION, self.plane.first, self.plane.image]
    }
}

impl Planner<'_> {
    pub(super) fn forward(&mut self) {
        let program = self.program;
        self.numbers.take(self.front.iter().sum());
        self.norms = program.norms.iter().map(|norm| self.numbers.take(norm.channels * PROLOGUE).start).collect();
        if !self.purpose.of_batch {
            self.given_norms();
        }
        self.write(0);
        self.statistics(0);
        let dead = last_reads(program);
        for (step, dead) in program.steps.iter().zip(dead) {
            let output = step.output();
            self.write(output);
            match step {
                Step::Convolve { branches, .. } => self.convolve(branches, output),
                Step::Pool { pool, .. } => self.pool(pool, output),
                Step::Combine { terms, .. } => self.combine(terms, output),
            }
            self.statistics(output);
            if !self.purpose.reverse {
                for map in dead {
                    if let Some(stretch) = self.maps[map] {
                        self.arena.give(stretch);
                    }
                }
            }
        }
    }

    fn write(&mut self, map: usize) {
        let numbers = self.positions(map) * self.program.maps[map].channels;
        self.maps[map] = Some(self.arena.take(numbers));
    }

    fn convolve(&mut self, branches: &[Branch], output: usize) {
        let scratch = self.scratch(branches, output);
        self.depthwise(branches, output, &scratch, |_| true);
        for (window, records) in self.products(branches, &scratch, output, self.place(output)) {
            self.launches.push(Launch::Dense {
                records: self.table.next(),
                products: records.len(),
                outputs: records.iter().map(|record| record.outputs).max().unwrap_or(0),
                window,
            });
            records.iter().for_each(|record| self.table.push(&record.words()));
        }
        self.arena.give(scratch.stretch);
    }

    /// Room for the depthwise outputs of a step.
    pub(super) fn scratch(&mut self, branches: &[Branch], output: usize) -> Scratch {
        let mut channels = 0;
        let first = branches
            .iter()
            .map(|branch| {
                let both = branch.depthwise.is_some() && branch.dense.is_some();
                let first = both.then_some(channels);
                channels += first.map_or(0, |_| inputs(branch));
                first
            })
            .collect();
        let stretch = self.arena.take(channels * self.positions(output));
        Scratch { stretch, first, channels, pixels: pixels(&self.program.maps[output]) }
    }

    /// The depthwise convolutions of a step, into scratch or, where no product follows, into the output.
    pub(super) fn depthwise(
        &mut self,
        branches: &[Branch],
        output: usize,
        scratch: &Scratch,
        wanted: impl Fn(&Branch) -> bool,
    ) {
        let mut records: BTreeMap<Window, Vec<(Source, Plane, usize)>> = BTreeMap::new();
        for (at, branch) in branches.iter().enumerate().filter(|(_, branch)| wanted(branch)) {
            let Some(depthwise) = branch.depthwise else { continue };
            let records = records.entry(self.window(depthwise.frame, &branch.source, output)).or_default();
            for (channel, source) in self.sources(&branch.source).into_iter().enumerate() {
                let plane = scratch.plane(at, channel).unwrap_or(self.map_plane(output, branch.first + channel));
                records.push((source, plane, depthwise.weight + channel * depthwise.frame.taps()));
            }
        }
        for (window, records) in records {
            self.launches.push(Launch::Depthwise { records: self.table.next(), channels: records.len(), window });
            for (source, plane, weight) in records {
                self.table.source(source);
                self.table.plane(plane);
                self.table.push(&[weight]);
            }
        }
    }

    /// How a frame steps over what is read for an output.
    pub(super) fn window(&self, frame: Frame, source: &[Read], output: usize) -> Window {
        Window { frame, from: self.sides_of(source), to: sides(&self.program.maps[output]) }
    }

    /// Each group of each dense product of a step, by window; the output's channels lie at
    /// `region`. What the products read is written to the table.
    pub(super) fn products(
        &mut self,
        branches: &[Branch],
        scratch: &Scratch,
        output: usize,
        region: usize,
    ) -> BTreeMap<Window, Vec<Product>> {
        let map = self.program.maps[output];
        let mut products: BTreeMap<Window, Vec<Product>> = BTreeMap::new();
        for (at, branch) in branches.iter().enumerate() {
            let Some(dense) = branch.dense else { continue };
            let behind = |channel| scratch.plane(at, channel).map(plain);
            let read: Vec<Source> = self.sources(&branch.source);
            let read: Vec<Source> =
                read.into_iter().enumerate().map(|(channel, source)| behind(channel).unwrap_or(source)).collect();
            let window = self.dense_window(branch, dense, output);
            let (inputs, outputs) = (read.len() / dense.groups, branch.channels / dense.groups);
            for (group, read) in read.chunks(inputs).enumerate() {
                let sources = self.table.next();
                read.iter().for_each(|source| self.table.source(*source));
                let first = group * outputs;
                products.entry(window).or_default().push(Product {
                    sources,
                    inputs,
                    outputs,
                    weight: dense.weight + first * inputs * dense.frame.taps(),
                    bias: dense.bias.map(|bias| bias + first),
                    plane: Plane::of(region, branch.first + first, map.channels, pixels(&map)),
                });
            }
        }
        products
    }

    /// The window of a branch's dense product, as it steps over what the product reads.
    pub(super) fn dense_window(&self, branch: &Branch, dense: Dense, output: usize) -> Window {
        let to = sides(&self.program.maps[output]);
        match branch.depthwise {
            None => self.window(dense.frame, &branch.source, output),
            Some(_) => Window { frame: Frame::PIXEL, from: to, to },
        }
    }

    fn pool(&mut self, pool: &PoolStep, output: usize) {
        let sources = self.sources(&pool.source);
        self.launches.push(Launch::Pool {
            records: self.table.next(),
            channels: sources.len(),
            window: self.window(pool.frame, &pool.source, output),
            maximum: pool.kind == PoolKind::Max,
        });
        for (channel, source) in sources.into_iter().enumerate() {
            self.table.source(source);
            let plane = self.map_plane(output, channel);
            self.table.plane(plane);
        }
    }

    fn combine(&mut self, terms: &[Term], output: usize) {
        let map = self.program.maps[output];
        let mut nodes = Vec::new();
        for channel in 0..map.channels {
            let first = self.table.next();
            let mut count = 0;
            for term in terms {
                if let Some(at) = channel_of(term, channel) {
                    let (mixing, factor) = (self.mixing(term.weight), self.factor(term.factor));
                    let source = self.source(&term.read, at);
                    self.table.term(source, mixing, factor);
                    count += 1;
                }
            }
            nodes.push((first, count));
        }
        self.launches.push(Launch::Combine {
            records: self.table.next(),
            channels: map.channels,
            positions: self.positions(output),
            plane: pixels(&map),
        });
        for (channel, (first, count)) in nodes.into_iter().enumerate() {
            let plane = self.map_plane(output, channel);
            self.table.plane(plane);
            self.table.push(&[first, count]);
        }
    }

    /// What a batch's norms need of a map that was written.
    fn statistics(&mut self, map: usize) {
        let records = self.table.next();
        let channels = if self.purpose.of_batch { self.norm_records(|of| of == map) } else { 0 };
        if channels == 0 {
            return;
        }
        let size = self.program.maps[map];
        let split = Split::of(self.positions(map), 2048, size.channels);
        let partial = self.numbers.take(size.channels * split.chunks * MOMENTS);
        self.launches.push(Launch::Moments {
            region: self.place(map),
            channels: size.channels,
            positions: self.positions(map),
            plane: pixels(&size),
            split,
            partial: partial.start,
        });
        self.launches.push(Launch::NormsOfBatch { records, channels, chunks: split.chunks, partial: partial.start });
        self.numbers.give(partial);
    }

    fn given_norms(&mut self) {
        let records = self.table.next();
        let channels = self.norm_records(|_| true);
        if channels > 0 {
            self.launches.push(Launch::NormsAsGiven { records, channels });
        }
    }

    /// Records of the norms of some maps, a channel each; gives their number.
    fn norm_records(&mut self, of: impl Fn(usize) -> bool) -> usize {
        let mut channels = 0;
        for (norm, &place) in self.program.norms.iter().zip(&self.norms).filter(|(norm, _)| of(norm.map)) {
            for at in 0..norm.channels {
                let parameter = |start: Option<usize>| start.map_or(0, |start| start + at + 1);
                let words = [norm.first + at, place + at * PROLOGUE, parameter(norm.scale), parameter(norm.shift)];
                self.table.push(&words);
                self.table.push(&[norm.mean + at, norm.variance + at]);
            }
            channels += norm.channels;
        }
        channels
    }
}

/// Channels that a branch reads.
pub(super) fn inputs(branch: &Branch) -> usize {
    branch.source.iter().map(|read| read.channels).sum()
}

/// The channel of a term's read that goes to an output channel.
pub(super) fn channel_of(term: &Term, output: usize) -> Option<usize> {
    let away = output.checked_sub(term.at)?;
    (away % term.spread == 0 && away / term.spread < term.read.channels).then_some(away / term.spread)
}

const _: () = assert!(PLAIN == 0, "the numbers begin with the prologue that changes nothing");
