//! A reverse pass under way: what is known of the maps' gradients while steps go from the last to
//! the first.

use super::{
    element::Element,
    gradient::{Contribution, Gradient, Linear, Planes, Slot, Sums, through_norm},
    memory::Buffer,
    pass_state::PassState,
    simd::Lanes,
};
use crate::{
    pass::Wanted,
    program::{Activation, MapId, Program, Read, Step},
};
use std::sync::Arc;

/// A reverse pass under way.
pub(super) struct Reverse<E: Element> {
    pub state: PassState<E>,
    /// What is known of each map's gradient.
    pub gradients: Vec<Gradient<E>>,
    /// What readers of each map have left.
    pub slots: Vec<Vec<Slot<E>>>,
    /// Gradients of the vectors.
    pub weights: Vec<f32>,
    pub mixing: Vec<f32>,
    pub wanted: Wanted,
    /// Of each map whether its gradient is on the way to one that is asked for.
    needed: Vec<bool>,
}

impl<E: Element> Reverse<E> {
    /// Nothing is known yet.
    pub fn new(state: PassState<E>, wanted: Wanted) -> Self {
        let program = state.pass.program.clone();
        let maps = program.maps.len();
        Self {
            gradients: std::iter::repeat_with(Gradient::default).take(maps).collect(),
            slots: std::iter::repeat_with(Vec::new).take(maps).collect(),
            weights: vec![0.0; if wanted.weights { program.weights } else { 0 }],
            mixing: vec![0.0; program.mixing],
            needed: needed(&program, wanted),
            wanted,
            state,
        }
    }

    /// The gradients of the outputs are where everything begins.
    pub fn seed(&mut self, outputs: &[f32]) {
        let program = self.state.pass.program.clone();
        let mut rest = outputs;
        for &map in &program.outputs {
            let (own, others) = rest.split_at(self.state.images * program.maps[map].elements());
            rest = others;
            let mut values = Buffer::take(self.state.len(map));
            self.state.layout.import(map, own, &mut values);
            let channels = program.maps[map].channels;
            let read = Read { map, first: 0, channels, norm: None, activation: Activation::None };
            self.contribute(&read, None, Planes::Own(Arc::new(values)), None);
        }
    }

    /// Adds to a map's gradient; without `alpha` as it is.
    pub fn contribute(&mut self, read: &Read, alpha: Option<&[f32]>, planes: Planes<E>, factor: Option<usize>) {
        let blocks = self.state.layout.blocks_of(read);
        let of_block = |block| match alpha {
            Some(alpha) => self.state.lanes(read, block, |channel| alpha[channel]),
            None => Lanes::ONE,
        };
        let alpha = blocks.clone().map(of_block).collect();
        let contribution = Contribution { read: *read, blocks, alpha, planes, factor };
        self.gradients[read.map].contributions.push(contribution);
    }

    /// All of a map's gradient: nobody reads it any more.
    pub fn settle(&mut self, map: MapId) -> Gradient<E> {
        for slot in std::mem::take(&mut self.slots[map]) {
            let alpha = slot.read.norm.map(|norm| {
                let sums = match self.needs_sums(&slot.read) {
                    true => slot.sums(&self.state, &self.state.norms[norm]),
                    false => vec![Sums::default(); slot.read.channels],
                };
                self.through(&slot.read, norm, 1.0, &sums)
            });
            self.contribute(&slot.read, alpha.as_deref(), Planes::Own(Arc::new(slot.values)), None);
        }
        std::mem::take(&mut self.gradients[map])
    }

    /// Whether a map's gradient is on the way to one that is asked for.
    pub fn needs(&self, map: MapId) -> bool {
        self.needed[map]
    }

    /// Whether the gradient of what is read is wanted, of itself or of a norm on the way.
    pub fn wants(&self, read: &Read) -> bool {
        wants(self.state.program(), self.wanted, &self.needed, read)
    }

    /// Whether the gradient of a norm, where there is one, is more than a factor: the batch's
    /// statistics or its parameters take part.
    pub fn needs_sums(&self, read: &Read) -> bool {
        let is_of_batch = self.state.pass.training && self.needs(read.map);
        read.norm.is_some_and(|norm| is_of_batch || asks_for(self.state.program(), self.wanted, norm))
    }

    /// The gradient of a norm: scale and shift take theirs, what the map's own value adds is noted,
    /// and what the gradient of the normalised value is to be multiplied with is returned.
    pub fn through(&mut self, read: &Read, norm: usize, weight: f32, sums: &[Sums]) -> Vec<f32> {
        let program = self.state.pass.program.clone();
        let map = program.maps[read.map];
        let count = self.state.pass.training.then_some(self.state.images * map.pixels());
        let channels = &self.state.norms[norm];
        let (alpha, linear): (Vec<f32>, Vec<Linear>) =
            channels.iter().zip(sums).map(|(channel, sums)| through_norm(channel, weight, *sums, count)).unzip();
        for (at, (channel, sums)) in channels.iter().zip(sums).enumerate() {
            if let Some(scale) = program.norms[norm].scale.filter(|_| self.wanted.weights) {
                self.weights[scale + at] += (f64::from(weight * channel.inverse) * sums.product) as f32;
            }
            if let Some(shift) = program.norms[norm].shift.filter(|_| self.wanted.weights) {
                self.weights[shift + at] += (f64::from(weight) * sums.gradient) as f32;
            }
        }
        if count.is_some() {
            self.gradients[read.map].add_linear(map.channels, read.first, &linear);
        }
        alpha
    }

    /// The slot of a read, taken out, and whether nothing has been written to it.
    pub fn slot(&mut self, read: &Read) -> (Slot<E>, bool) {
        let slots = &mut self.slots[read.map];
        if let Some(at) = slots.iter().position(|slot| slot.is_of(read)) {
            return (slots.swap_remove(at), false);
        }
        let blocks = self.state.layout.blocks_of(read);
        let values = Buffer::take(self.state.layout.len(read.map, blocks.len()));
        (Slot { read: *read, blocks, values }, true)
    }

    pub fn keep(&mut self, slot: Slot<E>) {
        self.slots[slot.read.map].push(slot);
    }
}

/// Whether parameters of a norm are asked for.
fn asks_for(program: &Program, wanted: Wanted, norm: usize) -> bool {
    wanted.weights && (program.norms[norm].scale.is_some() || program.norms[norm].shift.is_some())
}

fn wants(program: &Program, wanted: Wanted, needed: &[bool], read: &Read) -> bool {
    needed[read.map] || read.norm.is_some_and(|norm| asks_for(program, wanted, norm))
}

/// Of each map whether its gradient is on the way to one that is asked for.
fn needed(program: &Program, wanted: Wanted) -> Vec<bool> {
    let mut needed = vec![false; program.maps.len()];
    program.inputs.iter().for_each(|&map| needed[map] = wanted.inputs);
    for step in &program.steps {
        let has_own = match step {
            Step::Convolve { .. } => wanted.weights,
            Step::Pool { .. } => false,
            Step::Combine { terms, .. } => wanted.mixing && terms.iter().any(|term| term.weight.is_some()),
        };
        needed[step.output()] = has_own || step.reads().any(|read| wants(program, wanted, &needed, read));
    }
    needed
}
