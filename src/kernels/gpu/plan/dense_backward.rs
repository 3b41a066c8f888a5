//! The launches of dense convolutions in reverse: gradients of their filters and of what they read.

use super::Planner;
use super::backward::{Convolved, Readers, channels_of};
use super::forward::Scratch;
use super::gradients::{Gradients, View};
use crate::gpu::kernel::dense::Product;
use crate::gpu::kernel::dense_input::{DenseInput, InputReader, InputTarget};
use crate::gpu::kernel::dense_weight::{DenseWeight, FilterGradient, Tile};
use crate::gpu::kernel::parameters::Run;
use crate::gpu::kernel::source::Plane;
use crate::gpu::split::Split;
use crate::gpu::window::Window;
use std::collections::BTreeMap;

/// What reads a channel: a branch, a group, and the input of the group that the channel is.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Reader {
    branch: usize,
    group: usize,
    input: usize,
}

/// Channels in a row whose gradient is made at one time, and what reads the first.
struct Target {
    plane: Plane,
    readers: Vec<Reader>,
    channels: usize,
    adds: bool,
}

/// Channels in a row of a view with the same readers: those of the first.
struct ViewRun {
    view: View,
    first: usize,
    readers: Vec<Reader>,
    channels: usize,
    adds: bool,
}

impl ViewRun {
    fn goes_on(&self, view: View, channel: usize, readers: &[Reader], adds: bool) -> bool {
        let next = |first: &Reader| Reader { input: first.input + self.channels, ..*first };
        (view, channel, adds) == (self.view, self.first + self.channels, self.adds)
            && readers.iter().copied().eq(self.readers.iter().map(next))
    }
}

impl Planner<'_> {
    pub(super) fn dense_weights_back(&mut self, step: Convolved<'_>, scratch: &Scratch) {
        let positions = self.positions(step.output);
        for (window, products) in self.products(step.branches, scratch, step.output, step.gradient.start) {
            let inner = |product: &Product| product.sources.count * window.frame.taps();
            let outputs = products.iter().map(|product| product.outputs).max().unwrap_or(1);
            let longest = products.iter().map(inner).max().unwrap_or(1);
            let [y, x] = Tile::of(outputs, longest).count(outputs, longest);
            let split = Split::of(positions, 256, y * x * products.len());
            let count = |product: &Product| product.outputs * inner(product);
            let all = self.numbers.take(split.chunks * products.iter().map(count).sum::<usize>());
            let (mut filters, mut runs) = (Vec::new(), Vec::new());
            let mut partial = all.start;
            for product in products {
                let count = count(&product);
                filters.push(FilterGradient { product, partial });
                runs.push(Run { partial, count, weight: product.weight });
                partial += count * split.chunks;
            }
            let filters = self.table.put(filters);
            self.launch(DenseWeight { filters, outputs, inner: longest, window, split });
            self.reduce(runs, split.chunks);
            self.numbers.give(all);
        }
    }

    /// The gradient of what dense products read: between the two convolutions of a branch, or in a
    /// view.
    pub(super) fn dense_inputs_back(&mut self, gradients: &mut Gradients, step: Convolved<'_>, between: &Scratch) {
        let mut windows: BTreeMap<Window, (Vec<Target>, Readers<Reader>)> = BTreeMap::new();
        for (at, branch) in step.branches.iter().enumerate() {
            let Some(dense) = branch.dense else { continue };
            let (targets, read) = windows.entry(self.dense_window(branch, dense, step.output)).or_default();
            if let Some(plane) = between.plane(at, 0) {
                let readers = vec![Reader { branch: at, group: 0, input: 0 }];
                targets.push(Target { plane, readers, channels: branch.inputs(), adds: false });
                continue;
            }
            let group = branch.inputs() / dense.groups;
            for (input, (part, channel)) in channels_of(&branch.source).enumerate() {
                if let Some(view) = self.view(part, channel) {
                    let reader = Reader { branch: at, group: input / group, input: input % group };
                    read.entry(view).or_default().push(reader);
                }
            }
        }
        for (window, (mut targets, read)) in windows {
            let mut runs: Vec<ViewRun> = Vec::new();
            for ((view, first), readers) in read {
                let adds = Self::was_written(gradients, view, first);
                match runs.last_mut().filter(|run| run.goes_on(view, first, &readers, adds)) {
                    Some(run) => run.channels += 1,
                    None => runs.push(ViewRun { view, first, readers, channels: 1, adds }),
                }
            }
            for ViewRun { view, first, readers, channels, .. } in runs {
                let (plane, adds) = self.target(gradients, view, first..first + channels);
                targets.push(Target { plane, readers, channels, adds });
            }
            if !targets.is_empty() {
                self.dense_inputs(window, targets, step);
            }
        }
    }

    fn dense_inputs(&mut self, window: Window, targets: Vec<Target>, step: Convolved<'_>) {
        let mut records = Vec::new();
        for Target { plane, readers, channels, adds } in targets {
            let readers: Vec<InputReader> =
                readers.iter().filter_map(|reader| self.input_reader(*reader, step)).collect();
            records.push(InputTarget { plane, readers: self.table.put(readers), channels, adds });
        }
        let channels = records.iter().map(|target| target.channels).max().unwrap_or(0);
        let targets = self.table.put(records);
        self.launch(DenseInput { targets, channels, window });
    }

    fn input_reader(&self, reader: Reader, step: Convolved<'_>) -> Option<InputReader> {
        let branch = &step.branches[reader.branch];
        let dense = branch.dense?;
        let (group_inputs, outputs) = (branch.inputs() / dense.groups, branch.channels / dense.groups);
        let (first, taps) = (reader.group * outputs, dense.frame.taps());
        Some(InputReader {
            plane: self.output_gradient(step, branch.first + first),
            outputs,
            weight: dense.weight + (first * group_inputs + reader.input) * taps,
            stride: group_inputs * taps,
        })
    }
}
