//! The reverse pass: steps in reverse order, each sending the gradient of what it wrote on to what
//! it read.

use super::{combine, convolve_backward, element::Element, pass_state::PassState, pool, reverse::Reverse};
use crate::{
    pass::Wanted,
    profile::Direction,
    program::{Read, Step},
};
use std::time::Instant;

/// Gradients of a pass; of what is not asked for they hold anything.
pub(crate) struct Gradients {
    /// `[weights]`
    pub weights: Vec<f32>,
    /// `[mixing]`
    pub mixing: Vec<f32>,
    /// Of the inputs end to end, each `[n, c, h, w]`, where asked for.
    pub inputs: Option<Vec<f32>>,
}

/// Runs a pass backwards. `outputs` is the gradient of its outputs, end to end.
pub(super) fn run<E: Element>(state: PassState<E>, outputs: &[f32], wanted: Wanted) -> Gradients {
    let program = state.pass.program.clone();
    let mut reverse = Reverse::new(state, wanted);
    reverse.seed(outputs);
    let clock = reverse.state.pass.clock.clone();
    for (at, step) in program.steps.iter().enumerate().rev() {
        let began = Instant::now();
        let output = step.output();
        let gradient = reverse.settle(output);
        if !gradient.is_zero() && reverse.needs(output) {
            remake(&mut reverse.state, step);
            match step {
                Step::Convolve { branches, .. } => {
                    convolve_backward::backward(&mut reverse, branches, output, &gradient);
                }
                Step::Pool { pool, .. } => pool::backward(&mut reverse, pool, output, &gradient),
                Step::Combine { terms, .. } => {
                    let of_node = gradient.whole(&reverse.state, output);
                    combine::backward(&mut reverse, terms, output, &of_node);
                }
            }
        }
        reverse.state.maps[output] = None;
        if let Some(clock) = &clock {
            clock.add(at + 1, Direction::Reverse, began);
        }
    }
    let began = Instant::now();
    let mut inputs = Vec::new();
    for &map in &program.inputs {
        // Norms of an input have parameters, whether its own gradient is asked for or not.
        let of_map = reverse.settle(map);
        if wanted.inputs {
            let start = inputs.len();
            inputs.resize(start + reverse.state.images * program.maps[map].elements(), 0.0);
            reverse.state.layout.export(map, &of_map.whole(&reverse.state, map), &mut inputs[start..]);
        }
    }
    if let Some(clock) = &clock {
        clock.add(0, Direction::Reverse, began);
    }
    Gradients { weights: reverse.weights, mixing: reverse.mixing, inputs: wanted.inputs.then_some(inputs) }
}

/// Makes those of the maps that a step reads anew that were not kept.
fn remake<E: Element>(state: &mut PassState<E>, step: &Step) {
    let program = state.pass.program.clone();
    for Read { map, .. } in step.reads() {
        let writer = program.steps.iter().find(|writer| writer.output() == *map);
        if state.maps[*map].is_none()
            && let Some(writer @ Step::Combine { terms, output }) = writer
        {
            remake(state, writer);
            state.maps[*map] = Some(combine::forward(state, terms, *output, false).0);
        }
    }
}
