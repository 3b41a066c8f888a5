//! Programs on the processor.
//!
//! Channels are the lanes of vectors ([`layout`]). An operator does with the maps of a few images
//! all there is to do with them while they are in the second-level cache: a convolution reads its
//! source, normalises and rectifies it, lays it out with padding ([`canvas`]), convolves,
//! multiplies, and takes the statistics of what it has written, before the next images are touched.
//! In reverse it makes the gradient of its output ([`gradient`]) and the depthwise outputs anew
//! instead of reading them from memory.
//!
//! Threads take images. Sums over images are taken in an order that depends on shapes alone.

mod backward;
mod branches;
mod canvas;
mod combine;
mod convolve;
mod convolve_backward;
mod element;
mod gradient;
mod layout;
mod memory;
mod pass_state;
mod pool;
mod prologue;
mod reverse;
mod simd;
mod source;
mod statistics;
mod tasks;
mod weight_gradients;
mod winograd;
mod written;

use super::{
    Pass, Precision,
    pass::Wanted,
    profile::Direction,
    program::{MapId, Step},
};
use backward::Gradients;
use element::{Bf16, Element};
use layout::Layout;
use memory::Buffer;
use pass_state::PassState;
use simd::sums::{Moments, moments};
use std::time::Instant;

/// What a pass gives beside its state.
pub(super) struct Output {
    /// The program's outputs end to end, each `[n, c, h, w]`.
    pub outputs: Vec<f32>,
    /// `[running]`: what the batch had where a batch norm ran in training, what it was given
    /// elsewhere.
    pub observed: Vec<f32>,
}

/// What a pass leaves for its reverse.
#[derive(Debug)]
pub(super) enum State {
    F32(PassState<f32>),
    Bf16(PassState<Bf16>),
}

/// Runs a program.
///
/// # Shapes
/// `inputs` end to end, each `[images, c, h, w]`; the vectors as long as the program says.
///
/// `keep` says whether the state is wanted: without it every map's memory is given back after its
/// last reader, with it only that of maps which the reverse makes anew.
pub(super) fn forward(pass: Pass, images: usize, inputs: &[f32], vectors: [&[f32]; 3], keep: bool) -> (Output, State) {
    // Among the threads that share the work: from elsewhere, each of many steps would wait until
    // one of them woke up.
    rayon::scope(|_| match pass.precision {
        Precision::Bf16 => {
            let (output, state) = run(pass, images, inputs, vectors, keep);
            (output, State::Bf16(state))
        }
        _ => {
            let (output, state) = run(pass, images, inputs, vectors, keep);
            (output, State::F32(state))
        }
    })
}

/// Runs a pass backwards. `outputs` is the gradient of its outputs, end to end.
pub(super) fn backward(state: State, outputs: &[f32], wanted: Wanted) -> Gradients {
    // Among the threads that share the work, as forwards.
    rayon::scope(|_| match state {
        State::F32(state) => backward::run(state, outputs, wanted),
        State::Bf16(state) => backward::run(state, outputs, wanted),
    })
}

fn run<E: Element>(
    pass: Pass,
    images: usize,
    inputs: &[f32],
    [weights, mixing, running]: [&[f32]; 3],
    keep: bool,
) -> (Output, PassState<E>) {
    let program = pass.program.clone();
    let norms = statistics::norms_of_maps(&program);
    let mut observed = running.to_vec();
    let mut of_weights = Buffer::take(weights.len());
    of_weights.copy_from_slice(weights);
    let mut state = PassState {
        layout: Layout::new(&program, images),
        pass,
        images,
        weights: of_weights,
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
        let wanted = state.map(map).statistics && state.pass.training;
        let (values, by_group) = match writer {
            Writer::Input(map, values) => take_in(&state, map, values, wanted),
            Writer::Step(_, Step::Convolve { branches, output }) => {
                convolve::forward(&state, branches, *output, wanted)
            }
            Writer::Step(_, Step::Pool { pool, output }) => pool::forward(&state, pool, *output, wanted),
            Writer::Step(_, Step::Combine { terms, output }) => combine::forward(&state, terms, *output, wanted),
        };
        state.maps[map] = Some(values);
        let of_channels = if wanted { statistics::join(&state.layout, map, &by_group) } else { Vec::new() };
        state.normalise(&norms[map], &of_channels, running, &mut observed);
        if let Some(clock) = &state.pass.clock {
            let at = if let Writer::Step(at, _) = writer { at + 1 } else { 0 };
            clock.add(at, Direction::Forward, began);
        }
        if let Writer::Step(at, _) = writer {
            for &map in &dead[at] {
                if !keep || state.is_remade(map) {
                    state.maps[map] = None;
                }
            }
        }
    }
    let mut outputs = Vec::new();
    for &map in &program.outputs {
        let start = outputs.len();
        outputs.resize(start + images * program.maps[map].elements(), 0.0);
        state.layout.export(map, state.values(map), &mut outputs[start..]);
    }
    (Output { outputs, observed }, state)
}

/// Where a map's values come from.
#[derive(Clone, Copy)]
enum Writer<'a> {
    Input(MapId, &'a [f32]),
    Step(usize, &'a Step),
}

/// An input as maps lie, and its moments by group and block where they are asked for.
fn take_in<E: Element>(state: &PassState<E>, map: MapId, x: &[f32], wanted: bool) -> (Buffer<E>, Vec<Vec<Moments>>) {
    let mut input = Buffer::take(state.len(map));
    state.layout.import(map, x, &mut input);
    let group = state.layout.chunk(map, state.layout.blocks(map));
    let found = input.chunks_exact(group).map(|of_group| moments_of(state, map, of_group, wanted)).collect();
    (input, found)
}

/// The moments of each block of a map, of one group of images, where they are asked for.
fn moments_of<E: Element>(state: &PassState<E>, map: MapId, values: &[E], wanted: bool) -> Vec<Moments> {
    if !wanted {
        return Vec::new();
    }
    values.chunks_exact(state.layout.chunk(map, 1)).map(moments).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Plans, draft::small_supernet};
    use std::sync::Arc;

    #[test]
    fn a_pass_in_bf16_keeps_half_the_memory() {
        fn kept<E: Element>() -> usize {
            let program = Arc::new(small_supernet(9, 10, 12));
            let [inputs, weights, mixing, running] =
                [5 * program.input_elements(), program.weights, program.mixing, program.running].map(|n| vec![0.5; n]);
            let factors = Arc::new(vec![1.0; 5 * program.factors]);
            let (precision, plans) = (Precision::F32, Plans::default());
            let pass = Pass { program, training: true, epsilon: 1e-5, precision, factors, plans, clock: None };
            let (_, state) = run::<E>(pass, 5, &inputs, [&weights, &mixing, &running], true);
            state.maps.iter().flatten().map(Buffer::bytes).sum()
        }
        let (all, half) = (kept::<f32>(), kept::<Bf16>());
        // A buffer begins and ends with a line.
        assert!(all / 2 <= half && half < all / 2 + all / 50, "{half} of {all} bytes");
    }
}
