//! The launches of the reverse pass: steps from the last to the first.

use super::forward::{Scratch, channel_of, inputs};
use super::gradients::{Gradients, View, untouched};
use super::table::{Entry, Plane, Source};
use super::{Planner, Split, Stretch, pixels, sides};
use crate::kernels::gpu::kernel::dense_weight;
use crate::kernels::gpu::launch::Launch;
use crate::kernels::program::{Branch, PoolKind, PoolStep, Step, Term};
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
    sides: [usize; 2],
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

/// A depthwise channel for its filter's gradient: what it reads, its gradient, the words behind them.
type FilterRecord = (Source, Plane, [usize; 3]);

/// What reads a channel of a view in depthwise convolutions: its gradient's plane, the words behind it.
type DepthwiseReaders = BTreeMap<(View, usize), Vec<(Plane, [usize; 2])>>;

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
        let split = Split::of(self.positions(output), 2048, 32);
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
        let products = self.products(branches, scratch, output, whole.start);
        let taps: Vec<usize> = branches
            .iter()
            .filter_map(|branch| branch.dense)
            .flat_map(|dense| std::iter::repeat_n(dense.frame.taps(), dense.groups))
            .collect();
        let side = |numbers: usize| numbers.div_ceil(dense_weight::SIDE);
        let inner = |(record, taps): (&Vec<usize>, &usize)| record[1] * taps;
        let tiles: usize =
            products.iter().zip(&taps).map(|pair| side(pair.0[2]) * side(inner(pair))).sum::<usize>().max(1);
        // Some cubes for each of a large GPU's processors, and no more numbers to add up than that takes.
        let most = (1056 / tiles).clamp(1, (65_535 / products.len()).max(1));
        let split = Split::of(positions, 256, most);
        let counts: Vec<usize> = products.iter().zip(&taps).map(|pair| pair.0[2] * inner(pair)).collect();
        let partial = self.numbers.take(split.chunks * counts.iter().sum::<usize>());
        let outputs = products.iter().map(|record| record[2]).max().unwrap_or(0);
        let longest_inner = products.iter().zip(&taps).map(inner).max().unwrap_or(0);
        let records = self.table.next();
        let mut runs = Vec::new();
        let mut next = partial.start;
        for (product, count) in products.iter().zip(&counts) {
            self.table.push(product);
            self.table.push(&[next]);
            runs.push([next, *count, product[3]]);
            next += count * split.chunks;
        }
        self.launches.push(Launch::DenseWeight {
            records,
            products: products.len(),
            outputs,
            inner: longest_inner,
            positions,
            split,
        });
        self.reduce(&runs, split.chunks);
        self.numbers.give(partial);
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
        let to = sides(&self.program.maps[output]);
        let mut targets: Vec<DenseTarget> = Vec::new();
        let mut read: BTreeMap<(View, usize), Vec<DenseReader>> = BTreeMap::new();
        for (at, branch) in branches.iter().enumerate() {
            let Some(dense) = branch.dense else { continue };
            if let Some(plane) = between.plane(at, 0) {
                let (readers, channels) = (vec![(at, 0, 0)], inputs(branch));
                targets.push(DenseTarget { plane, readers, channels, adds: false, sides: to });
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
            let sides = sides(&self.program.maps[view.0]);
            targets.push(DenseTarget { plane, readers, channels, adds, sides });
        }
        if targets.is_empty() {
            return;
        }
        let size = self.program.maps[output];
        let mut records = Vec::new();
        for DenseTarget { plane, readers, channels, adds, sides: from } in &targets {
            let frames: Vec<usize> =
                readers.iter().map(|reader| self.dense_frame(&branches[reader.0], output)).collect();
            let first = self.table.next();
            for ((at, group, input), frame) in readers.iter().zip(frames) {
                let branch = &branches[*at];
                let Some(dense) = branch.dense else { continue };
                let (group_inputs, outputs) = (inputs(branch) / dense.groups, branch.channels / dense.groups);
                let taps = dense.frame.taps();
                let of_outputs = Plane::of(whole.start, branch.first + group * outputs, size.channels, pixels(&size));
                self.table.plane(of_outputs);
                let weight = dense.weight + (group * outputs * group_inputs + input) * taps;
                self.table.push(&[outputs, weight, group_inputs * taps, frame]);
            }
            records.push((*plane, [first, readers.len(), *channels, usize::from(*adds), from[0], from[1]]));
        }
        let widest = |of: fn(&[usize; 6]) -> usize| records.iter().map(|(_, words)| of(words)).max().unwrap_or(0);
        self.launches.push(Launch::DenseInput {
            targets: self.table.next(),
            runs: records.len(),
            channels: widest(|words| words[2]),
            positions: self.images * widest(|words| words[4] * words[5]),
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
        let positions = self.positions(output);
        let to = sides(&self.program.maps[output]);
        let filters = || branches.iter().enumerate().filter_map(|(at, branch)| Some((at, branch, branch.depthwise?)));
        let channels: usize = filters().map(|(_, branch, _)| inputs(branch)).sum();
        let taps = filters().map(|(_, _, depthwise)| depthwise.frame.taps()).max().unwrap_or(0);
        let weights: usize = filters().map(|(_, branch, depthwise)| inputs(branch) * depthwise.frame.taps()).sum();
        let split = Split::of(positions, 2048, (8192 / weights.max(1)).clamp(1, 32));
        let partial = self.numbers.take(weights * split.chunks);
        let (mut records, mut runs): (Vec<FilterRecord>, Vec<[usize; 3]>) = (Vec::new(), Vec::new());
        let mut next = partial.start;
        for (at, branch, depthwise) in filters() {
            let frame = self.table.frame(depthwise.frame, self.sides_of(&branch.source), to);
            let (taps, sources) = (depthwise.frame.taps(), self.sources(&branch.source));
            let count = sources.len() * taps;
            runs.push([next, count, depthwise.weight]);
            for (channel, source) in sources.into_iter().enumerate() {
                let plane = self.behind((at, branch), channel, output, whole, between);
                records.push((source, plane, [frame, next + channel * taps, count]));
            }
            next += count * split.chunks;
        }
        self.launches.push(Launch::DepthwiseWeight { records: self.table.next(), channels, taps, positions, split });
        for (source, plane, words) in records {
            self.table.source(source);
            self.table.plane(plane);
            self.table.push(&words);
        }
        self.reduce(&runs, split.chunks);
        self.numbers.give(partial);
    }

    fn depthwise_inputs_back(
        &mut self,
        gradients: &mut Gradients,
        branches: &[Branch],
        output: usize,
        whole: Stretch,
        between: &Scratch,
    ) {
        let to = sides(&self.program.maps[output]);
        let mut read = DepthwiseReaders::new();
        for (at, branch) in branches.iter().enumerate() {
            let Some(depthwise) = branch.depthwise else { continue };
            let frame = self.table.frame(depthwise.frame, self.sides_of(&branch.source), to);
            let channels = branch.source.iter().flat_map(|read| (0..read.channels).map(move |at| (read, at)));
            for (input, (part, channel)) in channels.enumerate() {
                if let Some(view) = self.view(part, channel) {
                    let plane = self.behind((at, branch), input, output, whole, between);
                    let weight = depthwise.weight + input * depthwise.frame.taps();
                    read.entry(view).or_default().push((plane, [weight, frame]));
                }
            }
        }
        let mut records = Vec::new();
        for ((view, channel), readers) in read {
            let (plane, adds) = self.target(gradients, view, channel..channel + 1);
            let first = self.table.next();
            for (plane, words) in &readers {
                self.table.plane(*plane);
                self.table.push(words);
            }
            let [height, width] = sides(&self.program.maps[view.0]);
            records.push((plane, [first, readers.len(), usize::from(adds), height, width]));
        }
        let positions = records.iter().map(|(_, words)| self.images * words[3] * words[4]).max();
        let Some(positions) = positions else { return };
        let launch = Launch::DepthwiseInput { targets: self.table.next(), channels: records.len(), positions };
        self.launches.push(launch);
        for (plane, words) in records {
            self.table.plane(plane);
            self.table.push(&words);
        }
    }

    fn pool_back(&mut self, gradients: &mut Gradients, pool: &PoolStep, output: usize, whole: Stretch) {
        let size = self.program.maps[output];
        let from = self.sides_of(&pool.source);
        let frame = self.table.frame(pool.frame, from, sides(&size));
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
            frame,
            positions: self.images * from[0] * from[1],
            maximum: pool.kind == PoolKind::Max,
        });
        for (plane, words) in records {
            self.table.plane(plane);
            self.table.push(&words);
        }
    }
}
