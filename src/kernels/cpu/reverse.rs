//! The reverse pass: steps in reverse order, each sending the gradient of what it wrote on to what it read.

use super::{
    combine, convolve_backward,
    gradient::{Contribution, Gradient, Linear, Planes, Slot, Sums, through_norm},
    memory::Buffer,
    pool,
    tape::Tape,
};
use crate::{
    profile::Way,
    program::{MapId, Read, Step},
};
use std::{sync::Arc, time::Instant};

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
pub(crate) struct Gradients {
    /// `[weights]`
    pub weights: Vec<f32>,
    /// `[mixing]`
    pub mixing: Vec<f32>,
    /// `[n, c, h, w]`, where asked for.
    pub input: Option<Vec<f32>>,
}

/// Runs a pass backwards. `outputs` is the gradient of its outputs, end to end.
pub(crate) fn backward(tape: Tape, outputs: &[f32], of_input: bool) -> Gradients {
    // Among the threads that share the work, as forwards.
    rayon::scope(|_| run(tape, outputs, of_input))
}

fn run(tape: Tape, outputs: &[f32], of_input: bool) -> Gradients {
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
    let clock = reverse.tape.pass.clock.clone();
    for (at, step) in program.steps.iter().enumerate().rev() {
        let began = Instant::now();
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
        if let Some(clock) = &clock {
            clock.add(at + 1, Way::Reverse, began);
        }
    }
    let began = Instant::now();
    // Norms of what is given have parameters too.
    for &map in &program.given {
        reverse.settle(map);
    }
    let of_map = reverse.settle(0);
    let input = of_input.then(|| {
        let blocks = reverse.tape.blocks(0);
        let gradient = of_map.whole(&reverse.tape, 0);
        let mut input = vec![0.0; blocks.len()];
        blocks.export(&gradient, &mut input);
        input
    });
    if let Some(clock) = &clock {
        clock.add(0, Way::Reverse, began);
    }
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
                    let read = Read { map, first: slot.first, channels: slot.channels, norm: Some(norm), relu: false };
                    self.through(&read, norm, 1.0, &sums)
                }
            };
            let planes = Planes { values: Arc::new(slot.values), blocks, at: 0, spread: 1 };
            let contribution = Contribution { first: slot.first, alpha, planes, factor: None };
            self.gradients[map].contributions.push(contribution);
        }
        std::mem::take(&mut self.gradients[map])
    }

    /// Whether the gradient of what is read is wanted, of itself or of a norm on the way.
    pub fn wants(&self, read: &Read) -> bool {
        let given = || self.tape.pass.program.given.contains(&read.map);
        let of_map = if read.map == 0 { self.of_input } else { !given() };
        of_map || read.norm.is_some()
    }

    /// The gradient of a norm: scale and shift take theirs, what the map's own value adds is noted, and what the gradient of
    /// the normalised value is to be multiplied with is returned.
    pub fn through(&mut self, read: &Read, norm: usize, weight: f32, sums: &[Sums]) -> Vec<f32> {
        let program = self.tape.pass.program.clone();
        let map = program.maps[read.map];
        let count = self.tape.pass.training.then_some(self.tape.images * map.height * map.width);
        let channels = &self.tape.norms[norm];
        let (alpha, linear): (Vec<f32>, Vec<Linear>) =
            channels.iter().zip(sums).map(|(channel, sums)| through_norm(channel, weight, *sums, count)).unzip();
        for (at, (channel, sums)) in channels.iter().zip(sums).enumerate() {
            if let Some(scale) = program.norms[norm].scale {
                self.weights[scale + at] += (f64::from(weight * channel.inverse) * sums.product) as f32;
            }
            if let Some(shift) = program.norms[norm].shift {
                self.weights[shift + at] += (f64::from(weight) * sums.gradient) as f32;
            }
        }
        if count.is_some() {
            self.gradients[read.map].add_linear(map.channels, read.first, &linear);
        }
        alpha
    }

    /// The slot of a read, taken out, and whether nothing has been written to it.
    pub fn slot(&mut self, read: &Read) -> (Slot, bool) {
        let slots = &mut self.slots[read.map];
        if let Some(at) = slots.iter().position(|slot| slot.is_of(read)) {
            return (slots.swap_remove(at), false);
        }
        let mut slot = Slot { first: read.first, channels: read.channels, norm: read.norm, values: Buffer::default() };
        slot.values = Buffer::take(slot.blocks(&self.tape, read.map).len());
        (slot, true)
    }

    pub fn keep(&mut self, read: &Read, slot: Slot) {
        self.slots[read.map].push(slot);
    }
}
