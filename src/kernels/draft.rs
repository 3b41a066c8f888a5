//! Programs put together piece by piece, for tests.

use crate::program::{
    Activation, Branch, Dense, Depthwise, Frame, Map, Norm, PoolKind, PoolStep, Program, Read, Step, Term,
};

/// A program under construction, with weights laid out as they come.
pub struct Draft {
    program: Program,
}

impl Draft {
    pub fn new(channels: usize, height: usize, width: usize) -> Self {
        let input = Map { channels, height, width, statistics: false };
        Self { program: Program { maps: vec![input], inputs: vec![0], ..Program::default() } }
    }

    fn map(&mut self, channels: usize, height: usize, width: usize) -> usize {
        self.program.maps.push(Map { channels, height, width, statistics: false });
        self.program.maps.len() - 1
    }

    fn weights(&mut self, length: usize) -> usize {
        self.program.weights += length;
        self.program.weights - length
    }

    pub fn whole(&self, map: usize) -> Read {
        Read { map, first: 0, channels: self.program.maps[map].channels, norm: None, activation: Activation::None }
    }

    pub fn norm(&mut self, read: Read, affine: bool) -> Read {
        self.program.maps[read.map].statistics = true;
        let (scale, shift) = match affine {
            true => (Some(self.weights(read.channels)), Some(self.weights(read.channels))),
            false => (None, None),
        };
        let mean = self.program.running;
        self.program.running += 2 * read.channels;
        let Read { map, first, channels, .. } = read;
        self.program.norms.push(Norm { map, first, channels, scale, shift, mean, variance: mean + channels });
        Read { norm: Some(self.program.norms.len() - 1), ..read }
    }

    pub fn mixing(&mut self) -> Option<usize> {
        self.program.mixing += 1;
        Some(self.program.mixing - 1)
    }

    /// Sides of what a frame makes of a map.
    fn sides(&self, map: usize, frame: &Frame) -> [usize; 2] {
        let map = self.program.maps[map];
        [(map.height, 0), (map.width, 1)].map(|(side, axis)| {
            let reach = (frame.kernel[axis] - 1) * frame.dilation[axis];
            let padded = side as isize + (-frame.start[axis]).max(0) * 2 - frame.start[axis].max(0);
            (padded as usize - reach - 1) / frame.stride[axis] + 1
        })
    }

    /// A separable, depthwise or dense branch of `source`; its channels begin at `first`.
    pub fn branch(&mut self, source: Vec<Read>, kind: Kind, frame: Frame, channels: usize, first: usize) -> Branch {
        let inputs: usize = source.iter().map(|read| read.channels).sum();
        let depthwise = match kind {
            Kind::Dense { .. } => None,
            _ => Some(Depthwise { weight: self.weights(inputs * frame.taps()), frame }),
        };
        let dense = match kind {
            Kind::Depthwise => None,
            Kind::Separable => {
                Some(Dense { weight: self.weights(inputs * channels), bias: None, frame: Frame::PIXEL, groups: 1 })
            }
            Kind::Dense { groups, bias } => {
                let weight = self.weights(channels * inputs / groups * frame.taps());
                Some(Dense { weight, bias: bias.then(|| self.weights(channels)), frame, groups })
            }
        };
        let channels = if dense.is_none() { inputs } else { channels };
        Branch { source, depthwise, dense, first, channels }
    }

    pub fn convolve(&mut self, branches: Vec<Branch>) -> usize {
        let first = &branches[0];
        let frame = first
            .depthwise
            .map_or_else(|| first.dense.map_or(Frame::PIXEL, |dense| dense.frame), |depthwise| depthwise.frame);
        let [height, width] = self.sides(first.source[0].map, &frame);
        let channels = branches.iter().map(|branch| branch.channels).sum();
        let output = self.map(channels, height, width);
        self.program.steps.push(Step::Convolve { branches, output });
        output
    }

    pub fn pool(&mut self, source: Vec<Read>, frame: Frame, kind: PoolKind) -> usize {
        let [height, width] = self.sides(source[0].map, &frame);
        let output = self.map(source.iter().map(|read| read.channels).sum(), height, width);
        self.program.steps.push(Step::Pool { pool: PoolStep { source, frame, kind }, output });
        output
    }

    pub fn combine(&mut self, terms: Vec<Term>, channels: usize, like: usize) -> usize {
        let Map { height, width, .. } = self.program.maps[like];
        let output = self.map(channels, height, width);
        self.program.steps.push(Step::Combine { terms, output });
        output
    }

    /// Ends in scores: all of a map's pixels are summed by a window as large as the map.
    pub fn finish(mut self, map: usize) -> Program {
        let Map { height, width, .. } = self.program.maps[map];
        let frame = Frame { kernel: [height, width], ..Frame::PIXEL };
        let source = vec![self.whole(map)];
        let branch = self.branch(source, Kind::Dense { groups: 1, bias: true }, frame, 3, 0);
        let scores = self.convolve(vec![branch]);
        self.program.outputs.push(scores);
        self.program
    }
}

#[derive(Clone, Copy)]
pub enum Kind {
    Depthwise,
    Separable,
    Dense { groups: usize, bias: bool },
}

pub fn frame(kernel: usize, stride: usize, dilation: usize) -> Frame {
    let start = [-(((kernel - 1) * dilation / 2) as isize); 2];
    Frame { kernel: [kernel; 2], stride: [stride; 2], start, dilation: [dilation; 2] }
}

/// A stem and a cell with all that programs can say: branches of one source, a second stage that
/// reads a norm behind a ReLU, a pool that two nodes read, a concatenation, an affine norm,
/// factors, shuffled channels, a rectified term, a reduction.
pub fn small_supernet(channels: usize, height: usize, width: usize) -> Program {
    let mut draft = Draft::new(channels, height, width);
    let width_of_cell = 6;
    let source = vec![draft.whole(0)];
    let stem = draft.branch(source, Kind::Dense { groups: 1, bias: false }, frame(3, 1, 1), width_of_cell, 0);
    let stem = draft.convolve(vec![stem]);
    let read = draft.whole(stem);
    let read = draft.norm(read, true);
    let term = |read, weight, factor| Term { read, at: 0, spread: 1, weight, factor };
    let state = draft.combine(vec![term(read, None, None)], width_of_cell, stem);

    let rectified = Read { activation: Activation::Relu, ..draft.whole(state) };
    let mut branches = Vec::new();
    for (at, (kernel, dilation)) in [(3, 1), (5, 1), (3, 2), (5, 2)].into_iter().enumerate() {
        let first = at * width_of_cell;
        branches.push(draft.branch(vec![rectified], Kind::Separable, frame(kernel, 1, dilation), width_of_cell, first));
    }
    let first_stage = draft.convolve(branches);
    let part =
        |at: usize| Read { map: first_stage, first: at * 6, channels: 6, norm: None, activation: Activation::None };
    let mut second = Vec::new();
    for at in 0..2 {
        let read = draft.norm(part(at), false);
        let source = vec![Read { activation: Activation::Relu, ..read }];
        second.push(draft.branch(source, Kind::Separable, frame(3 + 2 * at, 1, 1), 6, at * 6));
    }
    let second_stage = draft.convolve(second);
    let source = vec![draft.whole(state)];
    let pooled = draft.pool(source, frame(3, 1, 1), PoolKind::Max);
    let mut terms = Vec::new();
    for at in 0..2 {
        let read = Read { map: second_stage, first: at * 6, channels: 6, norm: None, activation: Activation::None };
        let read = draft.norm(read, false);
        terms.push(term(read, draft.mixing(), None));
        let read = draft.norm(part(2 + at), at == 1);
        terms.push(term(read, draft.mixing(), Some(at)));
    }
    draft.program.factors = 2;
    terms.push(term(draft.whole(state), draft.mixing(), None));
    let read = draft.whole(pooled);
    let read = draft.norm(read, false);
    terms.push(term(read, draft.mixing(), None));
    let node = draft.combine(terms, 6, state);

    // Another node reads the same pool, a rectified map and shuffled halves of the first node.
    let again = draft.whole(pooled);
    let again = draft.norm(again, false);
    let shut = Read { activation: Activation::Relu, ..draft.norm(part(3), false) };
    let mut terms = vec![term(again, draft.mixing(), None), term(shut, draft.mixing(), Some(0))];
    for half in 0..2 {
        let read = Read { map: node, first: half * 3, channels: 3, norm: None, activation: Activation::None };
        terms.push(Term { read, at: half, spread: 2, weight: None, factor: None });
    }
    let other = draft.combine(terms, 6, state);

    // The next cell reads the concatenation, halved.
    let concat = vec![
        Read { activation: Activation::Relu, ..draft.whole(node) },
        Read { activation: Activation::Relu, ..draft.whole(other) },
    ];
    let halve = Frame { stride: [2; 2], ..Frame::PIXEL };
    let shifted = Frame { start: [1; 2], ..halve };
    let [rows, cols] = draft.sides(node, &halve);
    let same = draft.sides(node, &shifted) == [rows, cols];
    let first = draft.branch(concat.clone(), Kind::Dense { groups: 1, bias: false }, halve, 4, 0);
    let frame = if same { shifted } else { halve };
    let second = draft.branch(concat, Kind::Dense { groups: 1, bias: false }, frame, 4, 4);
    let reduced = draft.convolve(vec![first, second]);
    let read = draft.whole(reduced);
    let read = draft.norm(read, true);
    let last = draft.combine(vec![term(read, None, None)], 8, reduced);
    draft.finish(last)
}
