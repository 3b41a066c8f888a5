//! Programs on the processor.
//!
//! A batch is cut into blocks of a few images ([`layout`]). A block of a map fits the second-level
//! cache, and an operator does with a block all there is to do with it: a convolution reads its
//! source, normalises and rectifies it, lays it out so that every tap is a shifted read
//! ([`staging`]), convolves channel by channel, multiplies, and takes the statistics of what it has
//! written, before the next block is touched. In reverse it makes the gradient of its output
//! ([`gradient`]) and the depthwise outputs anew instead of reading them from memory.
//!
//! Threads take blocks. Sums over images are taken in an order that depends on the batch alone.

mod backward;
mod combine;
mod convolve;
mod convolve_backward;
mod gradient;
mod layout;
mod memory;
mod pass_state;
mod pool;
mod prepared;
mod prologue;
mod reverse;
mod scatter;
mod simd;
mod staging;
mod statistics;
mod tasks;
mod winograd;

pub(super) use backward::backward;
pub(super) use pass_state::PassState;

use super::{
    Pass,
    profile::Direction,
    program::{MapId, Step},
};
use memory::Buffer;
use simd::elementwise::{self, Moments};
use std::time::Instant;

/// What a pass gives beside its state.
pub(super) struct Output {
    /// The program's outputs end to end, each `[n, c, h, w]`.
    pub outputs: Vec<f32>,
    /// `[running]`: what the batch had where a batch norm ran in training, what it was given
    /// elsewhere.
    pub observed: Vec<f32>,
}

/// Runs a program.
///
/// # Shapes
/// `inputs` end to end, each `[images, c, h, w]`; the vectors as long as the program says.
///
/// `keep` says whether the state is wanted: without it a map's memory is given back after its last
/// reader.
pub(super) fn forward(
    pass: Pass,
    images: usize,
    inputs: &[f32],
    vectors: [&[f32]; 3],
    keep: bool,
) -> (Output, PassState) {
    // Among the threads that share the work: from elsewhere, each of many steps would wait until
    // one of them woke up.
    rayon::scope(|_| run(pass, images, inputs, vectors, keep))
}

fn run(
    pass: Pass,
    images: usize,
    inputs: &[f32],
    [weights, mixing, running]: [&[f32]; 3],
    keep: bool,
) -> (Output, PassState) {
    let program = pass.program.clone();
    let norms = statistics::norms_of_maps(&program);
    let mut observed = running.to_vec();
    let mut state = PassState {
        pass,
        images,
        weights: weights.to_vec(),
        mixing: mixing.to_vec(),
        maps: std::iter::repeat_with(|| None).take(program.maps.len()).collect(),
        norms: vec![Vec::new(); program.norms.len()],
    };
    let dead = program.last_uses();
    // Nobody writes the inputs: they are taken in where steps would have been.
    let mut rest = inputs;
    let writers = program.inputs.iter().map(|&map| {
        let (own, others) = rest.split_at(images * program.maps[map].elements());
        rest = others;
        Writer::Input(map, own)
    });
    for writer in writers.chain(program.steps.iter().enumerate().map(|(at, step)| Writer::Step(at, step))) {
        let began = Instant::now();
        let map = match writer {
            Writer::Input(map, _) => map,
            Writer::Step(_, step) => step.output(),
        };
        let moments = state.map(map).statistics && state.pass.training;
        let (values, by_block) = match writer {
            Writer::Input(map, values) => take_in(&state, map, values, moments),
            Writer::Step(_, Step::Convolve { branches, output }) => {
                convolve::forward(&state, branches, *output, moments)
            }
            Writer::Step(_, Step::Pool { pool, output }) => pool::forward(&state, pool, *output, moments),
            Writer::Step(_, Step::Combine { terms, output }) => combine::forward(&state, terms, *output, moments),
        };
        state.maps[map] = Some(values);
        let of_channels: Vec<statistics::Statistics> = if moments {
            let runs = |channel: usize| by_block.iter().map(move |of_block| of_block[channel]);
            (0..state.map(map).channels).map(|channel| statistics::join(runs(channel))).collect()
        } else {
            Vec::new()
        };
        state.normalise(&norms[map], &of_channels, running, &mut observed);
        if let Some(clock) = &state.pass.clock {
            let at = if let Writer::Step(at, _) = writer { at + 1 } else { 0 };
            clock.add(at, Direction::Forward, began);
        }
        if let Writer::Step(at, _) = writer
            && !keep
        {
            for &map in &dead[at] {
                state.maps[map] = None;
            }
        }
    }
    let mut outputs = Vec::new();
    for &map in &program.outputs {
        let blocks = state.blocks(map);
        let start = outputs.len();
        outputs.resize(start + blocks.len(), 0.0);
        blocks.export(state.values(map), &mut outputs[start..]);
    }
    (Output { outputs, observed }, state)
}

/// Where a map's values come from.
#[derive(Clone, Copy)]
enum Writer<'a> {
    Input(MapId, &'a [f32]),
    Step(usize, &'a Step),
}

/// An input in blocks, and its moments by block and channel where they are asked for.
fn take_in(state: &PassState, map: MapId, x: &[f32], moments: bool) -> (Buffer, Vec<Vec<Moments>>) {
    let blocks = state.blocks(map);
    let mut input = Buffer::take(blocks.len());
    blocks.import(x, &mut input);
    let of_block = |block| (0..blocks.channels).map(|c| elementwise::moments(blocks.plane(&input, block, c))).collect();
    let found = if moments { (0..blocks.count()).map(of_block).collect() } else { Vec::new() };
    (input, found)
}
