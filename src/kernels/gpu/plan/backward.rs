//! The launches of the reverse pass: steps from the last to the first.
//!
//! A step's output is read by later steps only, so its gradient is whole when its turn comes
//! ([`Gradients`]); the step then adds to the gradients of what it read.

use super::gradients::{Arrival, Gradients, View};
use super::{Planner, Stretch};
use crate::gpu::kernel::gradient::{Entry, EntrySums, SUMS};
use crate::gpu::kernel::parameters::{Bias, Reduce, ReduceBiases, Run};
use crate::gpu::kernel::pool::{InputTarget, PoolInput, PoolMaxima};
use crate::gpu::kernel::source::Plane;
use crate::gpu::split::Split;
use crate::program::{Branch, PoolKind, PoolStep, Read, Step, Term};
use std::collections::BTreeMap;

/// A step of convolutions, and where the gradient of its output lies.
#[derive(Clone, Copy)]
pub(super) struct Convolved<'a> {
    pub branches: &'a [Branch],
    pub output: usize,
    pub gradient: Stretch,
}

/// What reads each channel of a view.
pub(super) type Readers<R> = BTreeMap<(View, usize), Vec<R>>;

impl Planner<'_> {
    /// Gives where the gradient of each input lies, where it is asked for. `seeds`: where the
    /// gradients of the outputs lie.
    pub(super) fn reverse(&mut self, seeds: &[Stretch]) -> Vec<Option<usize>> {
        let program = self.program;
        let mut gradients = Gradients::new(program);
        for (&map, seed) in program.outputs.iter().zip(seeds) {
            for channel in 0..program.maps[map].channels {
                let plane = self.plane(seed.start, map, channel);
                gradients.enter(map, channel, self.untouched(self.map_plane(map, channel), plane));
            }
            gradients.hold(*seed, vec![map]);
        }
        for step in program.steps.iter().rev() {
            let output = step.output();
            let Some(gradient) = self.gradient(&mut gradients, output) else { continue };
            match step {
                Step::Convolve { branches, .. } => {
                    self.convolve_back(&mut gradients, Convolved { branches, output, gradient });
                }
                Step::Pool { pool, .. } => self.pool_back(&mut gradients, pool, output, gradient),
                Step::Combine { terms, .. } => {
                    self.combine_back(&mut gradients, terms, output, gradient);
                    continue;
                }
            }
            self.arena.give(gradient);
        }
        // An input may be a term that is weighted, and the weight's gradient asked for.
        let inputs: Vec<_> = program.inputs.iter().map(|&map| self.gradient(&mut gradients, map)).collect();
        self.parameters(&gradients);
        inputs.into_iter().map(|input| input.filter(|_| self.purpose.inputs).map(|stretch| stretch.start)).collect()
    }

    /// A node's gradient is what arrives at each of its terms: nothing is computed, it is only
    /// kept.
    fn combine_back(&mut self, gradients: &mut Gradients, terms: &[Term], output: usize, gradient: Stretch) {
        let size = self.program.maps[output];
        for term in terms.iter().filter(|term| self.wants(&term.read) || term.weight.is_some()) {
            for (channel, at) in (0..size.channels).filter_map(|channel| Some((channel, term.channel_to(channel)?))) {
                let plane = self.plane(gradient.start, output, channel);
                let arrival = Arrival {
                    entry: Entry { term: self.term(term, at), gradient: plane },
                    norm: term.read.norm.map(|norm| (norm, at)),
                    weight: term.weight,
                };
                gradients.enter(term.read.map, term.read.first + at, arrival);
            }
        }
        if let Some(stretch) = gradients.hold(gradient, terms.iter().map(|term| term.read.map).collect()) {
            self.arena.give(stretch);
        }
    }

    fn convolve_back(&mut self, gradients: &mut Gradients, step: Convolved<'_>) {
        let Convolved { branches, output, .. } = step;
        let dense = branches.iter().any(|branch| branch.dense.is_some());
        if dense && self.purpose.weights {
            self.biases_back(step);
            let scratch = self.scratch(branches, output);
            self.depthwise(branches, output, &scratch, |branch| branch.dense.is_some());
            self.dense_weights_back(step, &scratch);
            self.arena.give(scratch.stretch);
        }
        // Where a depthwise convolution stands in front of a product, the gradient between the two
        // lies here.
        let between = self.scratch(branches, output);
        if dense {
            self.dense_inputs_back(gradients, step, &between);
        }
        if branches.iter().any(|branch| branch.depthwise.is_some()) {
            if self.purpose.weights {
                self.depthwise_weights_back(step, &between);
            }
            self.depthwise_inputs_back(gradients, step, &between);
        }
        self.arena.give(between.stretch);
    }

    /// The plane of the gradient of a channel of a step's output.
    pub(super) fn output_gradient(&self, step: Convolved<'_>, channel: usize) -> Plane {
        self.plane(step.gradient.start, step.output, channel)
    }

    /// A bias takes the sum of its channel's gradient: that of an entry with nothing in between.
    fn biases_back(&mut self, step: Convolved<'_>) {
        let biased = step.branches.iter().filter_map(|branch| Some((branch, branch.dense?.bias?)));
        let biases: Vec<(usize, usize)> = biased
            .flat_map(|(branch, bias)| (0..branch.channels).map(move |at| (branch.first + at, bias + at)))
            .collect();
        if biases.is_empty() {
            return;
        }
        let (positions, pixels) = (self.positions(step.output), self.program.maps[step.output].pixels());
        let split = Split::of(positions, 2048, biases.len());
        let partial = self.numbers.take(biases.len() * split.chunks * SUMS);
        let planes = biases.iter().map(|(channel, _)| self.output_gradient(step, *channel));
        let entries: Vec<Entry> = planes.map(|plane| self.untouched(plane, plane).entry).collect();
        let entries = self.table.put(entries);
        self.launch(EntrySums { entries, positions, pixels, split, partial: partial.start });
        let sums = |number: usize| partial.start + number * split.chunks * SUMS;
        let biases = biases.into_iter().enumerate().map(|(number, (_, weight))| Bias { partial: sums(number), weight });
        let biases = self.table.put(biases);
        self.launch(ReduceBiases { biases, chunks: split.chunks });
        self.numbers.give(partial);
    }

    /// Adds the partial sums of filters up.
    pub(super) fn reduce(&mut self, runs: Vec<Run>, chunks: usize) {
        let longest = runs.iter().map(|run| run.count).max().unwrap_or(0);
        let runs = self.table.put(runs);
        self.launch(Reduce { runs, longest, chunks });
    }

    fn pool_back(&mut self, gradients: &mut Gradients, pool: &PoolStep, output: usize, gradient: Stretch) {
        let mut read: Readers<Plane> = BTreeMap::new();
        for (channel, (part, at)) in channels_of(&pool.source).enumerate() {
            if let Some(view) = self.view(part, at) {
                read.entry(view).or_default().push(self.plane(gradient.start, output, channel));
            }
        }
        if read.is_empty() {
            return;
        }
        let (maximum, positions) = (pool.kind == PoolKind::Max, self.positions(output));
        let maxima = self.numbers.take(if maximum { read.len() * positions } else { 0 });
        let mut targets = Vec::new();
        for (number, ((view, channel), readers)) in read.into_iter().enumerate() {
            let (plane, adds) = self.target(gradients, view, channel..channel + 1);
            let readers = self.table.put(readers);
            let source = self.table.put([self.view_source(view, channel)]).at(0);
            targets.push(InputTarget { plane, readers, adds, source, maxima: maxima.start + number * positions });
        }
        let (targets, window) = (self.table.put(targets), self.window(pool.frame, &pool.source, output));
        if maximum {
            self.launch(PoolMaxima { targets, window });
        }
        self.launch(PoolInput { targets, window, maximum });
        self.numbers.give(maxima);
    }
}

/// Every channel of a source: the read that it belongs to, and its number there.
pub(super) fn channels_of(source: &[Read]) -> impl Iterator<Item = (&Read, usize)> {
    source.iter().flat_map(|read| (0..read.channels).map(move |at| (read, at)))
}
