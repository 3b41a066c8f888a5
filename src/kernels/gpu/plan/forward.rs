//! The launches of a pass.

use super::{PLAIN, Planner, Stretch, plain};
use crate::gpu::kernel::combine::{Combine, Node, Term as SourceTerm};
use crate::gpu::kernel::dense::{self, Product};
use crate::gpu::kernel::depthwise::{self, Filtered};
use crate::gpu::kernel::pool::{Pool, Pooled};
use crate::gpu::kernel::record::Records;
use crate::gpu::kernel::source::{PROLOGUE, Plane, Source};
use crate::gpu::kernel::statistics::{MOMENTS, MapMoments, Normed, NormsAsGiven, NormsOfBatch};
use crate::gpu::split::Split;
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

impl Planner<'_> {
    pub(super) fn forward(&mut self) {
        let program = self.program;
        self.numbers.take(self.front.iter().sum());
        self.norms = program.norms.iter().map(|norm| self.numbers.take(norm.channels * PROLOGUE).start).collect();
        if !self.purpose.of_batch {
            self.given_norms();
        }
        for &map in &program.inputs {
            self.write(map);
            self.statistics(map);
        }
        let dead = program.last_uses();
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
        self.maps[map] = Some(self.arena.take(self.elements(map)));
    }

    fn convolve(&mut self, branches: &[Branch], output: usize) {
        let scratch = self.scratch(branches, output);
        self.depthwise(branches, output, &scratch, |_| true);
        for (window, products) in self.products(branches, &scratch, output, self.place(output)) {
            let outputs = products.iter().map(|product| product.outputs).max().unwrap_or(0);
            let products = self.table.put(products);
            self.launch(dense::Dense { products, outputs, window });
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
                channels += first.map_or(0, |_| branch.inputs());
                first
            })
            .collect();
        let stretch = self.arena.take(channels * self.positions(output));
        Scratch { stretch, first, channels, pixels: self.program.maps[output].pixels() }
    }

    /// The depthwise convolutions of a step, into scratch or, where no product follows, into the
    /// output.
    pub(super) fn depthwise(
        &mut self,
        branches: &[Branch],
        output: usize,
        scratch: &Scratch,
        wanted: impl Fn(&Branch) -> bool,
    ) {
        let mut windows: BTreeMap<Window, Vec<Filtered>> = BTreeMap::new();
        for (at, branch) in branches.iter().enumerate().filter(|(_, branch)| wanted(branch)) {
            let Some(depthwise) = branch.depthwise else { continue };
            let channels = windows.entry(self.window(depthwise.frame, &branch.source, output)).or_default();
            for (channel, source) in self.sources(&branch.source).into_iter().enumerate() {
                let plane = scratch.plane(at, channel).unwrap_or(self.map_plane(output, branch.first + channel));
                let weight = depthwise.weight + channel * depthwise.frame.taps();
                channels.push(Filtered { source, plane, weight });
            }
        }
        for (window, channels) in windows {
            let channels = self.table.put(channels);
            self.launch(depthwise::Depthwise { channels, window });
        }
    }

    /// How a frame steps over what is read for an output.
    pub(super) fn window(&self, frame: Frame, source: &[Read], output: usize) -> Window {
        Window { frame, from: self.sides_of(source), to: self.program.maps[output].sides() }
    }

    /// Each group of each dense product of a step, by window; the output's channels lie from
    /// `start` on. What the products read is written to the table.
    pub(super) fn products(
        &mut self,
        branches: &[Branch],
        scratch: &Scratch,
        output: usize,
        start: usize,
    ) -> BTreeMap<Window, Vec<Product>> {
        let mut products: BTreeMap<Window, Vec<Product>> = BTreeMap::new();
        for (at, branch) in branches.iter().enumerate() {
            let Some(dense) = branch.dense else { continue };
            let behind = |channel| scratch.plane(at, channel).map(plain);
            let read = self.sources(&branch.source).into_iter().enumerate();
            let read: Vec<Source> = read.map(|(channel, source)| behind(channel).unwrap_or(source)).collect();
            let window = self.dense_window(branch, dense, output);
            let (inputs, outputs) = (read.len() / dense.groups, branch.channels / dense.groups);
            for (group, read) in read.chunks(inputs).enumerate() {
                let first = group * outputs;
                products.entry(window).or_default().push(Product {
                    sources: self.table.put(read.iter().copied()),
                    outputs,
                    weight: dense.weight + first * inputs * dense.frame.taps(),
                    bias: dense.bias.map(|bias| bias + first),
                    plane: self.plane(start, output, branch.first + first),
                });
            }
        }
        products
    }

    /// The window of a branch's dense product, as it steps over what the product reads.
    pub(super) fn dense_window(&self, branch: &Branch, dense: Dense, output: usize) -> Window {
        let to = self.program.maps[output].sides();
        match branch.depthwise {
            None => self.window(dense.frame, &branch.source, output),
            Some(_) => Window { frame: Frame::PIXEL, from: to, to },
        }
    }

    fn pool(&mut self, pool: &PoolStep, output: usize) {
        let sources = self.sources(&pool.source).into_iter().enumerate();
        let channels: Vec<Pooled> =
            sources.map(|(channel, source)| Pooled { source, plane: self.map_plane(output, channel) }).collect();
        let (channels, window) = (self.table.put(channels), self.window(pool.frame, &pool.source, output));
        self.launch(Pool { channels, window, maximum: pool.kind == PoolKind::Max });
    }

    fn combine(&mut self, terms: &[Term], output: usize) {
        let map = self.program.maps[output];
        let mut nodes = Vec::new();
        for channel in 0..map.channels {
            let read = terms.iter().filter_map(|term| Some((term, term.channel_to(channel)?)));
            let read: Vec<SourceTerm> = read.map(|(term, at)| self.term(term, at)).collect();
            nodes.push(Node { plane: self.map_plane(output, channel), terms: self.table.put(read) });
        }
        let nodes = self.table.put(nodes);
        self.launch(Combine { nodes, positions: self.positions(output), pixels: map.pixels() });
    }

    /// Channel `at` of what a term reads, with what it is multiplied with.
    pub(super) fn term(&self, term: &Term, at: usize) -> SourceTerm {
        let (mixing, factor) = (self.mixing(term.weight), self.factor(term.factor));
        SourceTerm { source: self.source(&term.read, at), mixing, factor }
    }

    /// What a batch's norms need of a map that was written.
    fn statistics(&mut self, map: usize) {
        if !self.purpose.of_batch {
            return;
        }
        let channels = self.normed(|of| of == map);
        if channels.count == 0 {
            return;
        }
        let size = self.program.maps[map];
        let split = Split::of(self.positions(map), 2048, size.channels);
        let partial = self.numbers.take(size.channels * split.chunks * MOMENTS);
        self.launch(MapMoments {
            place: self.place(map),
            channels: size.channels,
            positions: self.positions(map),
            pixels: size.pixels(),
            split,
            partial: partial.start,
        });
        self.launch(NormsOfBatch { channels, chunks: split.chunks, partial: partial.start });
        self.numbers.give(partial);
    }

    fn given_norms(&mut self) {
        let channels = self.normed(|_| true);
        if channels.count > 0 {
            self.launch(NormsAsGiven { channels });
        }
    }

    /// The channels of the norms of some maps.
    fn normed(&mut self, of: impl Fn(usize) -> bool) -> Records<Normed> {
        let norms = self.program.norms.iter().zip(&self.norms).filter(|(norm, _)| of(norm.map));
        self.table.put(norms.flat_map(|(norm, &place)| {
            (0..norm.channels).map(move |at| Normed {
                channel: norm.first + at,
                prologue: place + at * PROLOGUE,
                scale: norm.scale.map(|start| start + at),
                shift: norm.shift.map(|start| start + at),
                mean: norm.mean + at,
                variance: norm.variance + at,
            })
        }))
    }
}

const _: () = assert!(PLAIN == 0, "the numbers begin with the prologue that changes nothing");
