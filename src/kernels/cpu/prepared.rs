//! Branches with what their reverse needs for every block, and the gradients of their weights.

use super::{
    convolve::frame,
    memory::Buffer,
    pass_state::PassState,
    simd::product::Panels,
    winograd::{self, Filters},
};
use crate::program::{Branch, Dense, Frame};
use rayon::prelude::*;

/// A branch with what is the same for every block.
pub(super) struct Prepared<'a> {
    pub branch: &'a Branch,
    pub frame: Frame,
    pub inputs: usize,
    /// Of each group, what carries the output's gradient to the source, or to the depthwise output.
    pub panels: Vec<Panels>,
    /// The same for tiles of rows, in the panels' place.
    pub filters: Option<Filters>,
    /// Depthwise weights with each filter's taps in reverse, which carry a gradient back at stride
    /// 1.
    pub reversed: Vec<f32>,
    /// Where its weights' gradients begin in a task's sums: dense, depthwise, bias.
    pub sums: [usize; 3],
    /// The slot of each part of its source, where its gradient is wanted.
    pub slots: Vec<Option<usize>>,
}

impl<'a> Prepared<'a> {
    pub fn new(
        state: &PassState,
        branch: &'a Branch,
        sides: [usize; 2],
        slots: Vec<Option<usize>>,
        sums: [usize; 3],
    ) -> Self {
        let weights = state.weights.as_slice();
        let source = state.map(branch.source[0].map);
        let inputs = branch.inputs();
        let frame = frame(branch);
        let taps = frame.taps();
        let by_rows = winograd::applies(branch, inputs, source.sides(), sides);
        let reversed = branch.depthwise.map_or_else(Vec::new, |depthwise| {
            let filters = weights[depthwise.weight..][..inputs * taps].chunks_exact(taps);
            filters.flat_map(|filter| filter.iter().rev().copied()).collect()
        });
        let filters = branch.dense.filter(|_| by_rows).map(|dense| {
            let width = frame.kernel[1];
            // From outputs to inputs, rows and columns of the window in reverse.
            Filters::new(inputs, branch.channels, width, |input, output, row, column| {
                weights[dense.weight + ((output * inputs + input) * 3 + 2 - row) * width + width - 1 - column]
            })
        });
        let by_tap = branch.dense.iter().filter(|_| !by_rows);
        let panels = by_tap.flat_map(|dense| backward_panels(dense, branch.channels, inputs, weights)).collect();
        Self { branch, frame, inputs, panels, filters, reversed, sums, slots }
    }

    /// Whether a gradient of the source is wanted.
    pub fn is_wanted(&self) -> bool {
        self.slots.iter().any(Option::is_some)
    }

    /// Adds its sums to the gradients of its weights.
    pub fn add_sums(&self, sums: &[f32], weights: &mut [f32]) {
        let branch = self.branch;
        let dense =
            branch.dense.map(|dense| (dense.weight, branch.channels * self.inputs / dense.groups * dense.frame.taps()));
        let depthwise = branch.depthwise.map(|depthwise| (depthwise.weight, self.inputs * self.frame.taps()));
        let bias = branch.dense.and_then(|dense| dense.bias).map(|bias| (bias, branch.channels));
        let by_rows = self.filters.is_some();
        if let Some((weight, length)) = dense.filter(|_| by_rows) {
            let width = self.frame.kernel[1];
            let sums = &sums[self.sums[0]..][..winograd::sums_len(branch.channels, self.inputs, width)];
            winograd::weight_gradient(sums, width, &mut weights[weight..][..length]);
        }
        for (start, place) in self.sums.into_iter().zip([dense.filter(|_| !by_rows), depthwise, bias]) {
            let Some((weight, length)) = place else { continue };
            let to = &mut weights[weight..][..length];
            to.iter_mut().zip(&sums[start..]).for_each(|(weight, sum)| *weight += sum);
        }
    }
}

/// How many gradients of weights a branch has in a task's sums: dense, depthwise, bias.
pub(super) fn sums_of(state: &PassState, branch: &Branch, sides: [usize; 2]) -> [usize; 3] {
    let source = state.map(branch.source[0].map);
    let inputs = branch.inputs();
    let frame = frame(branch);
    let by_rows = winograd::applies(branch, inputs, source.sides(), sides);
    let of_dense = branch.dense.map_or(0, |dense| match by_rows {
        true => winograd::sums_len(branch.channels, inputs, frame.kernel[1]),
        false => branch.channels * inputs / dense.groups * dense.frame.taps(),
    });
    let of_depthwise = branch.depthwise.map_or(0, |_| inputs * frame.taps());
    [of_dense, of_depthwise, branch.dense.and_then(|dense| dense.bias).map_or(0, |_| branch.channels)]
}

/// Of each group: at stride 1, taps in reverse over the staged gradient (`[in][out, tap]`); else
/// the columns that are spread over the source (`[in, tap][out]`).
fn backward_panels<'a>(
    dense: &'a Dense,
    channels: usize,
    inputs: usize,
    weights: &'a [f32],
) -> impl Iterator<Item = Panels> + use<'a> {
    let (outputs, inputs, taps) = (channels / dense.groups, inputs / dense.groups, dense.frame.taps());
    (0..dense.groups).map(move |group| {
        let weights = &weights[dense.weight + group * outputs * inputs * taps..];
        let weight = move |output: usize, input: usize, tap: usize| weights[(output * inputs + input) * taps + tap];
        if dense.frame.stride == [1, 1] {
            Panels::pack(inputs, outputs * taps, |input, at| weight(at / taps, input, taps - 1 - at % taps))
        } else {
            Panels::pack(inputs * taps, outputs, |at, output| weight(output, at / taps, at % taps))
        }
    })
}

/// Values of each task's sums that are added up at a time.
const PIECE: usize = 1 << 12;

/// The sum of what the tasks found, `length` values each, in their order.
pub(super) fn total(mut sums: Buffer, length: usize) -> Buffer {
    let (total, rest) = sums.split_at_mut(length);
    total.par_chunks_mut(PIECE).enumerate().for_each(|(piece, total)| {
        for of_task in rest.chunks_exact(length) {
            let of_task = &of_task[piece * PIECE..][..total.len()];
            total.iter_mut().zip(of_task).for_each(|(total, sum)| *total += sum);
        }
    });
    sums
}
