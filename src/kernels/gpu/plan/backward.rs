//! The launches of the reverse pass: steps from the last to the first.

use super::forward::{Product, Scratch, channel_of, inputs};
use super::gradients::{Gradients, View, untouched};
use super::table::{Entry, Plane, Source};
use super::{Planner, Split, Stretch, pixels};
use crate::gpu::kernel::dense_weight;
use crate::gpu::launch::Launch;
use crate::gpu::window::Window;
use crate::program::{Branch, PoolKind, PoolStep, Step, Term};
use std::collections::BTreeMap;

/// What reads a channel in a dense convolution: branch, group, and which input of the group it is.
type DenseReader = (usize, usize, usize);

/// Channels in a row whose gradient is made at one time.
struct DenseTarget {
    /// Of the first.
    plane: Plane,
    readers: Vec<DenseReader>,
    channels: usize,
    adds: bool,
}

/// Channels in a row of a view with the same readers: those of the first.
struct DenseRun {
    view: View,
    first: usize,
    readers: Vec<DenseReader>,
    channels: usize,
    adds: bool,
}

impl DenseRun {
    fn goes_on(&self, view: View, channel: usize, readers: &[DenseReader], adds: bool) -> bool {
        let next = |first: &DenseReader| (first.0, first.1, first.2 + self.channels);
        (view, channel, adds) == (self.view, self.first + self.channels, self.adds)
            && readers.iter().copied().eq(self.readers.iter().map(next))
    }
}

/// What reads a channel of a view in dense convolutions of one window.
type DenseReaders = BTreeMap<(View, usize), Vec<DenseReader>>;

/// The depthwise filters of a branch: the offset of the first, and what each channel reads and its
/// gradient.
type Filters = (usize, Vec<(Source, Plane)>);

/// What reads a channel of a view in depthwise convolutions of one window: its gradient's plane,
/// its filter's offset.
type DepthwiseReaders = BTreeMap<(View, usize), Vec<(Plane, usize)>>;

impl Planner<'_> {
    /// Gives where the gradient of the input lies, where it is asked for. `seeds`: where the gradients of the outputs lie.
    pub(super) fn reverse(&mut self, seeds: &[Stretch]) -> Option<usize> {
        let program = self.program;
        let mut gradients = Gradients::new(program);
        for (&map, seed) in program.outputs.iter().zip(seeds) {
            let size = program.maps[map];
            for channel in 0..size.channels {
                let plane = Plane::of(seed.start, channel, size.channels, pixels(&size));
                gradients.enter(map, channel, untouched(self.map_plane(map, channel), self.ones(), plane));
            }
        }
        for step in program.steps.iter().rev() {
            let output = step.output();
            let Some(whole) = self.gradient(&mut gradients, output) else { continue };
            match step {
                Step::Convolve { branches, .. } => self.convolve_back(&mut gradients, branches, output, whole.stretch),
                Step::Pool { pool, .. } => self.pool_back(&mut gradients, pool, output, whole.stretch),
                Step::Combine { terms, .. } => {
                    self.combine_back(&mut gradients, terms, output, whole.stretch);
                    continue;
                }
            }
            self.arena.give(whole.stretch);
        }
        // The input may be a term that is weighted, and the weight's gradient asked for.
        let input = self.gradient(&mut gradients, 0);
        self.parameters(&gradients);
        input.filter(|_| self.purpose.input).map(|whole| whole.stretch.start)
    }

    /// A node's gradient is what arrives at each of its terms: nothing is computed, it is only kept.
    fn combine_back(&mut self, gradients: &mut Gradients, terms: &[Term], output: usize, whole: Stretch) {
        let size = self.program.maps[output];
        for term in terms.iter().filter(|term| self.wants(&term.read) || term.weight.is_some()) {
            for (channel, at) in (0..size.channels).filter_map(|channel| Some((channel, channel_of(term, channel)?))) {
                let entry = Entry {
                    source: self.source(&term.read, at),
                    mixing: self.mixing(term.weight),
                    factor: self.factor(term.factor),
                    gradient: Plane::of(whole.start, channel, size.channels, pixels(&size)),
                    norm: term.read.norm.map(|norm| (norm, at)),
                    weight: term.weight,
                };
                gradients.enter(term.read.map, term.read.first + at, entry);
            }
        }
        if let Some(stretch) = gradients.hold(whole, terms.iter().map(|term| term.read.map).collect()) {
            self.arena.give(stretch);
        }
    }

    fn convolve_back(&mut self, gradients: &mut Gradients, branches: &[Branch], output: usize, whole: Stretch) {
        let dense = branches.iter().any(|branch| branch.dense.is_some());
        if dense {
            self.biases_back(branches, output, whole);
            let scratch = self.scratch(branches, output);
            self.depthwise(branches, output, &scratch, |branch| branch.dense.is_some());
            self.dense_weights_back(branches, output, whole, &scratch);
            self.arena.give(scratch.stretch);
        }
        // Where a depthwise convolution stands in front of a product, the gradient between the two lies here.
        let between = self.scratch(branches, output);
        if dense {
            self.dense_inputs_back(gradients, branches, output, whole, &between);
        }
        if branches.iter().any(|branch| branch.depthwise.is_some()) {
            self.depthwise_weights_back(branches, output, whole, &between);
            self.depthwise_inputs_back(gradients, branches, output, whole, &between);
        }
        self.arena.give(between.stretch);
    }

    fn biases_back(&mut self, branches: &[Branch], output: usize, whole: Stretch) {
        let size = self.program.maps[output];
        let biased = branches.iter().filter_map(|branch| Some((branch, branch.dense?.bias?)));
        let biases: Vec<(usize, usize)> = biased
            .flat_map(|(branch, bias)| (0..branch.channels).map(move |at| (branch.first + at, bias + at)))
            .collect();
        if biases.is_empty() {
            return;
        }
        let split = Split::of(self.positions(output), 2048, biases.len());
        let partial = self.numbers.take(biases.len() * split.chunks * 2);
        let records = self.table.next();
        for (channel, _) in &biases {
            let plane = Plane::of(whole.start, *channel, size.channels, pixels(&size));
            let entry = untouched(plane, self.ones(), plane);
            self.table.entry(&entry);
        }
        self.launches.push(Launch::EntrySums {
            records,
            entries: biases.len(),
            positions: self.positions(output),
            plane: pixels(&size),
            split,
            partial: partial.start,
        });
        let records = self.table.next();
        for (number, (_, bias)) in biases.iter().enumerate() {
            self.table.push(&[partial.start + number * split.chunks * 2, *bias]);
        }
        self.launches.push(Launch::ReduceBiases { records, biases: biases.len(), chunks: split.chunks });
        self.numbers.give(partial);
    }

    fn dense_weights_back(&mut self, branches: &[Branch], output: usize, whole: Stretch, scratch: &Scratch) {
        let positions = self.positions(output);
        for (window, products) in self.products(branches, scratch, output, whole.start) {
            let inner = |product: &Product| product.inputs * window.frame.taps();
            let outputs = products.iter().map(|product| product.outputs).max().unwrap_or(1);
            let longest = products.iter().map(inner).max().unwrap_or(1);
            let [y, x] = dense_weight::Tile::of(outputs, longest).count(outputs, longest);
            let split = Split::of(positions, 256, y * x * products.len());
            let count = |product: &Product| product.outputs * inner(product);
            let partial = self.numbers.take(split.chunks * products.iter().map(count).sum::<usize>());
            let records = self.table.next();
            let mut runs = Vec::new();
            let mut next = partial.start;
            for product in &products {
                self.table.push(&product.words());
                self.table.push(&[next]);
                runs.push([next, count(product), product.weight]);
                next += count(product) * split.chunks;
            }
            self.launches.push(Launch::DenseWeight {
                records,
                products: products.len(),
                outputs,
                inner: longest,
                window,
                split,
            });
            self.reduce(&runs, split.chunks);
            self.numbers.give(partial);
        }
    }

    fn reduce(&mut self, runs: &[[usize; 3]], chunks: usize) {
        let records = self.table.next();
        runs.iter().for_each(|run| self.table.push(run));
        let longest = runs.iter().map(|run| run[1]).max().unwrap_or(0);
        self.launches.push(Launch::Reduce { records, runs: runs.len(), longest, chunks });
    }

    /// The gradient of what dense products read: between the two convolutions of a branch, or in a view.
    fn dense_inputs_back(
        &mut self,
        gradients: &mut Gradients,
        branches: &[Branch],
        output: usize,
        whole: Stretch,
        between: &Scratch,
    ) {
        let mut windows: BTreeMap<Window, (Vec<DenseTarget>, DenseReaders)> = BTreeMap::new();
        for (at, branch) in branches.iter().enumerate() {
            let Some(dense) = branch.dense else { continue };
            let (targets, read) = windows.entry(self.dense_window(branch, dense, output)).or_default();
            if let Some(plane) = between.plane(at, 0) {
                let (readers, channels) = (vec![(at, 0, 0)], inputs(branch));
                targets.push(DenseTarget { plane, readers, channels, adds: false });
                continue;
            }
            let group = inputs(branch) / dense.groups;
            let channels = branch.source.iter().flat_map(|read| (0..read.channels).map(move |at| (read, at)));
            for (input, (part, channel)) in channels.enumerate() {
                if let Some(view) = self.view(part, channel) {
                    read.entry(view).or_default().push((at, input / group, input % group));
                }
            }
        }
        for (window, (mut targets, read)) in windows {
            let mut runs: Vec<DenseRun> = Vec::new();
            for ((view, first), readers) in read {
                let adds = Self::was_written(gradients, view, first);
                match runs.last_mut().filter(|run| run.goes_on(view, first, &readers, adds)) {
                    Some(run) => run.channels += 1,
                    None => runs.push(DenseRun { view, first, readers, channels: 1, adds }),
                }
            }
            for DenseRun { view, first, readers, channels, .. } in runs {
                let (plane, adds) = self.target(gradients, view, first..first + channels);
                targets.push(DenseTarget { plane, readers, channels, adds });
            }
            if !targets.is_empty() {
                self.dense_inputs(window, &targets, branches, output, whole);
            }
        }
    }

    fn dense_inputs(
        &mut self,
        window: Window,
        targets: &[DenseTarget],
        branches: &[Branch],
        output: usize,
        whole: Stretch,
    ) {
        let size = self.program.maps[output];
        let mut records = Vec::new();
        for DenseTarget { plane, readers, channels, adds } in targets {
            records.push((*plane, [self.table.next(), readers.len(), *channels, usize::from(*adds)]));
            for &(at, group, input) in readers {
                let branch = &branches[at];
                let Some(dense) = branch.dense else { continue };
                let (group_inputs, outputs) = (inputs(branch) / dense.groups, branch.channels / dense.groups);
                let taps = dense.frame.taps();
                let of_outputs = Plane::of(whole.start, branch.first + group * outputs, size.channels, pixels(&size));
                self.table.plane(of_outputs);
                let weight = dense.weight + (group * outputs * group_inputs + input) * taps;
                self.table.push(&[outputs, weight, group_inputs * taps]);
            }
        }
        self.launches.push(Launch::DenseInput {
            targets: self.table.next(),
            runs: records.len(),
            channels: targets.iter().map(|target| target.channels).max().unwrap_or(0),
            window,
        });
        for (plane, words) in records {
            self.table.plane(plane);
            self.table.push(&words);
        }
    }

    /// The plane of the gradient of a depthwise convolution's output.
    fn behind(
        &self,
        branch: (usize, &Branch),
        channel: usize,
        output: usize,
        whole: Stretch,
        between: &Scratch,
    ) -> Plane {
        let size = self.program.maps[output];
        let direct = Plane::of(whole.start, branch.1.first + channel, size.channels, pixels(&size));
        between.plane(branch.0, channel).unwrap_or(direct)
    }

    fn depthwise_weights_back(&mut self, branches: &[Branch], output: usize, whole: Stretch, between: &Scratch) {
        let mut windows: BTreeMap<Window, Vec<Filters>> = BTreeMap::new();
        for (at, branch) in branches.iter().enumerate() {
            let Some(depthwise) = branch.depthwise else { continue };
            let sources = self.sources(&branch.source).into_iter().enumerate();
            let channels =
                sources.map(|(channel, source)| (source, self.behind((at, branch), channel, output, whole, between)));
            let window = self.window(depthwise.frame, &branch.source, output);
            windows.entry(window).or_default().push((depthwise.weight, channels.collect()));
        }
        for (window, filters) in windows {
            let taps = window.frame.taps();
            let channels: usize = filters.iter().map(|(_, channels)| channels.len()).sum();
            let split = Split::of(self.images * window.strips(), 1024, channels * window.frame.kernel[1]);
            let partial = self.numbers.take(channels * taps * split.chunks);
            let records = self.table.next();
            let mut runs = Vec::new();
            let mut next = partial.start;
            for (weight, channels) in filters {
                let count = channels.len() * taps;
                runs.push([next, count, weight]);
                for (channel, (source, plane)) in channels.into_iter().enumerate() {
                    self.table.source(source);
                    self.table.plane(plane);
                    self.table.push(&[next + channel * taps, count]);
                }
                next += count * split.chunks;
            }
            self.launches.push(Launch::DepthwiseWeight { records, channels, window, split });
            self.reduce(&runs, split.chunks);
            self.numbers.give(partial);
        }
    }

    fn depthwise_inputs_back(
        &mut self,
        gradients: &mut Gradients,
        branches: &[Branch],
        output: usize,
        whole: Stretch,
        between: &Scratch,
    ) {
        let mut windows: BTreeMap<Window, DepthwiseReaders> = BTreeMap::new();
        for (at, branch) in branches.iter().enumerate() {
            let Some(depthwise) = branch.depthwise else { continue };
            let read = windows.entry(self.window(depthwise.frame, &branch.source, output)).or_default();
            let channels = branch.source.iter().flat_map(|read| (0..read.channels).map(move |at| (read, at)));
            for (input, (part, channel)) in channels.enumerate() {
                if let Some(view) = self.view(part, channel) {
                    let plane = self.behind((at, branch), input, output, whole, between);
                    let weight = depthwise.weight + input * depthwise.frame.taps();
                    read.entry(view).or_default().push((plane, weight));
                }
            }
        }
        for (window, read) in windows.into_iter().filter(|(_, read)| !read.is_empty()) {
            let mut records = Vec::new();
            for ((view, channel), readers) in read {
                let (plane, adds) = self.target(gradients, view, channel..channel + 1);
                records.push((plane, [self.table.next(), readers.len(), usize::from(adds)]));
                for (plane, weight) in readers {
                    self.table.plane(plane);
                    self.table.push(&[weight]);
                }
            }
            let targets = self.table.next();
            self.launches.push(Launch::DepthwiseInput { targets, channels: records.len(), window });
            for (plane, words) in records {
                self.table.plane(plane);
                self.table.push(&words);
            }
        }
    }

    fn pool_back(&mut self, gradients: &mut Gradients, pool: &PoolStep, output: usize, whole: Stretch) {
        let size = self.program.maps[output];
        let mut read: BTreeMap<(View, usize), Vec<Plane>> = BTreeMap::new();
        let channels = pool.source.iter().flat_map(|read| (0..read.channels).map(move |at| (read, at)));
        for (channel, (part, at)) in channels.enumerate() {
            if let Some(view) = self.view(part, at) {
                let plane = Plane::of(whole.start, channel, size.channels, pixels(&size));
                read.entry(view).or_default().push(plane);
            }
        }
        let mut records = Vec::new();
        for ((view, channel), readers) in read {
            let (plane, adds) = self.target(gradients, view, channel..channel + 1);
            let first = self.table.next();
            readers.iter().for_each(|plane| self.table.plane(*plane));
            let source = self.table.next();
            self.table.source(self.view_source(view, channel));
            records.push((plane, [first, readers.len(), usize::from(adds), source]));
        }
        if records.is_empty() {
            return;
        }
        self.launches.push(Launch::PoolInput {
            targets: self.table.next(),
            channels: records.len(),
            window: self.window(pool.frame, &pool.source, output),
            maximum: pool.kind == PoolKind::Max,
        });
        for (plane, words) in records {
            self.table.plane(plane);
            self.table.push(&words);
        }
    }
}
