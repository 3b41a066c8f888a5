//! The launches of depthwise convolutions in reverse: gradients of their filters and of what they
//! read.

use super::Planner;
use super::backward::{Convolved, Readers, channels_of};
use super::forward::Scratch;
use super::gradients::Gradients;
use crate::gpu::kernel::depthwise_gradient::{
    DepthwiseInput, DepthwiseWeight, FilterGradient, InputReader, InputTarget,
};
use crate::gpu::kernel::parameters::Run;
use crate::gpu::kernel::source::{Plane, Source};
use crate::gpu::split::Split;
use crate::gpu::window::Window;
use std::collections::BTreeMap;

/// The filters of a branch: the offset of the first, and what each channel reads and the gradient
/// of what it writes.
struct Filters {
    weight: usize,
    channels: Vec<(Source, Plane)>,
}

impl Planner<'_> {
    /// The plane of the gradient of what a branch's depthwise convolution writes: in front of a
    /// product it lies in scratch.
    fn depthwise_gradient(&self, step: Convolved<'_>, branch: usize, channel: usize, between: &Scratch) -> Plane {
        let direct = || self.output_gradient(step, step.branches[branch].first + channel);
        between.plane(branch, channel).unwrap_or_else(direct)
    }

    pub(super) fn depthwise_weights_back(&mut self, step: Convolved<'_>, between: &Scratch) {
        let mut windows: BTreeMap<Window, Vec<Filters>> = BTreeMap::new();
        for (at, branch) in step.branches.iter().enumerate() {
            let Some(depthwise) = branch.depthwise else { continue };
            let sources = self.sources(&branch.source).into_iter().enumerate();
            let channels =
                sources.map(|(channel, source)| (source, self.depthwise_gradient(step, at, channel, between)));
            let filters = Filters { weight: depthwise.weight, channels: channels.collect() };
            windows.entry(self.window(depthwise.frame, &branch.source, step.output)).or_default().push(filters);
        }
        for (window, branches) in windows {
            let taps = window.frame.taps();
            let channels: usize = branches.iter().map(|filters| filters.channels.len()).sum();
            let split = Split::of(self.images * window.strips(), 512, channels);
            let all = self.numbers.take(channels * taps * split.chunks);
            let (mut filters, mut runs) = (Vec::new(), Vec::new());
            let mut next = all.start;
            for Filters { weight, channels } in branches {
                let count = channels.len() * taps;
                runs.push(Run { partial: next, count, weight });
                for (channel, (source, gradient)) in channels.into_iter().enumerate() {
                    let partial = next + channel * taps;
                    filters.push(FilterGradient { source, gradient, partial, stride: count });
                }
                next += count * split.chunks;
            }
            let filters = self.table.put(filters);
            self.launch(DepthwiseWeight { filters, window, split });
            self.reduce(runs, split.chunks);
            self.numbers.give(all);
        }
    }

    pub(super) fn depthwise_inputs_back(&mut self, gradients: &mut Gradients, step: Convolved<'_>, between: &Scratch) {
        let mut windows: BTreeMap<Window, Readers<InputReader>> = BTreeMap::new();
        for (at, branch) in step.branches.iter().enumerate() {
            let Some(depthwise) = branch.depthwise else { continue };
            let read = windows.entry(self.window(depthwise.frame, &branch.source, step.output)).or_default();
            for (input, (part, channel)) in channels_of(&branch.source).enumerate() {
                if let Some(view) = self.view(part, channel) {
                    let plane = self.depthwise_gradient(step, at, input, between);
                    let weight = depthwise.weight + input * depthwise.frame.taps();
                    read.entry(view).or_default().push(InputReader { plane, weight });
                }
            }
        }
        for (window, read) in windows.into_iter().filter(|(_, read)| !read.is_empty()) {
            let mut targets = Vec::new();
            for ((view, channel), readers) in read {
                let (plane, adds) = self.target(gradients, view, channel..channel + 1);
                targets.push(InputTarget { plane, readers: self.table.put(readers), adds });
            }
            let targets = self.table.put(targets);
            self.launch(DepthwiseInput { targets, window });
        }
    }
}
