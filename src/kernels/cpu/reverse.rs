//! The reverse pass: steps in reverse order, each sending the gradient of what it wrote on to what it read.

use super::{
    combine, convolve_backward,
    gradient::{Contribution, Gradient, Planes, Slot},
    memory::Buffer,
    pool,
    tape::Tape,
};
use crate::kernels::program::{MapId, Step};
use std::sync::Arc;

/// A reverse pass under way.
pub(super) struct Reverse {
    pub tape: Tape,
    /// What is known of each map's gradient.
    pub gradients: Vec<Gradient>,
    /// What readers of each map have left.
    pub slots: Vec<Vec<Slot>>,
    /// Gradients of the vectors.
    pub weights: Vec<f32>,
    pub mixing: Vec<f32>,
    /// Whether the input's gradient is asked for.
    pub of_input: bool,
}

/// Gradients of a pass.
pub(in crate::kernels) struct Gradients {
    /// `[weights]`
    pub weights: Vec<f32>,
    /// `[mixing]`
    pub mixing: Vec<f32>,
    /// `[n, c, h, w]`, where asked for.
    pub input: Option<Vec<f32>>,
}

/// Runs a pass backwards. `outputs` is the gradient of its outputs, end to end.
pub(in crate::kernels) fn backward(tape: Tape, outputs: &[f32], of_input: bool) -> Gradients {
    let program = tape.pass.program.clone();
    let maps = program.maps.len();
    let mut reverse = Reverse {
        gradients: std::iter::repeat_with(Gradient::default).take(maps).collect(),
        slots: std::iter::repeat_with(Vec::new).take(maps).collect(),
        weights: vec![0.0; program.weights],
        mixing: vec![0.0; program.mixing],
        of_input,
        tape,
    };
    reverse.seed(outputs);
    for step in program.steps.iter().rev() {
        let output = step.output();
        let gradient = reverse.settle(output);
        if !gradient.is_zero() {
            match step {
                Step::Convolve { branches, .. } => {
                    convolve_backward::backward(&mut reverse, branches, output, &gradient);
                }
                Step::Pool { pool, .. } => pool::backward(&mut reverse, pool, output, &gradient),
                Step::Combine { terms, .. } => {
                    let of_node = gradient.whole(&reverse.tape, output);
                    combine::backward(&mut reverse, terms, output, &of_node);
                }
            }
        }
        reverse.tape.maps[output] = None;
    }
    let input = of_input.then(|| {
        let blocks = reverse.tape.blocks(0);
        let gradient = reverse.settle(0).whole(&reverse.tape, 0);
        let mut input = vec![0.0; blocks.len()];
        blocks.export(&gradient, &mut input);
        input
    });
    Gradients { weights: reverse.weights, mixing: reverse.mixing, input }
}

impl Reverse {
    /// The gradients of the outputs are where everything begins.
    fn seed(&mut self, outputs: &[f32]) {
        let program = self.tape.pass.program.clone();
        let mut rest = outputs;
        for &map in &program.outputs {
            let blocks = self.tape.blocks(map);
            let (own, others) = rest.split_at(blocks.len());
            rest = others;
            let mut values = Buffer::take(blocks.len());
            blocks.import(own, &mut values);
            let planes = Planes { values: Arc::new(values), blocks, at: 0, spread: 1 };
            let alpha = vec![1.0; blocks.channels];
            self.gradients[map].contributions.push(Contribution { first: 0, alpha, planes, factor: None });
        }
    }

    /// All of a map's gradient: nobody reads it any more.
    fn settle(&mut self, map: MapId) -> Gradient {
        for slot in std::mem::take(&mut self.slots[map]) {
            let blocks = slot.blocks(&self.tape, map);
            let alpha = match slot.norm {
                None => vec![1.0; slot.channels],
                Some(norm) => {
                    let sums = slot.sums(&self.tape, map, &self.tape.norms[norm]);
                    let read = crate::kernels::program::Read {
                        map,
                        first: slot.first,
                        channels: slot.channels,
                        norm: Some(norm),
                        relu: false,
                    };
                    self.through(&read, norm, 1.0, &sums)
                }
            };
            let planes = Planes { values: Arc::new(slot.values), blocks, at: 0, spread: 1 };
            let contribution = Contribution { first: slot.first, alpha, planes, factor: None };
            self.gradients[map].contributions.push(contribution);
        }
        std::mem::take(&mut self.gradients[map])
    }
}
