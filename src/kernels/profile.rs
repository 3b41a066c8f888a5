//! Where a program's time goes, operator by operator: what a person who wants to know what to make
//! faster asks first.

use super::precision::Precision;
use super::program::{Branch, Frame, PoolKind, Program, Read, Step};
use indexmap::IndexMap;
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

/// Adds up the seconds that each step of a program takes, over all passes that carry it. Engines
/// that run ahead of the caller, as those of GPUs do, leave it as it is.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    /// Forward and reverse, of taking the inputs in and of each step.
    seconds: Arc<Mutex<Vec<[f64; 2]>>>,
}

/// A direction of a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Forward,
    Reverse,
}

/// What the steps of one kind took and did, of one pass.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct OperatorTime {
    /// `mean pool 3x3`, `node`, or what a step's branches convolve by, side by side:
    /// `convolution 3x3 | product`.
    pub operator: String,
    pub steps: usize,
    pub forward_ms: f64,
    pub reverse_ms: f64,
    /// Floating-point operations of both ways, a multiply-add being two; those of direct
    /// convolution, whatever the algorithm.
    pub gflop: f64,
    /// The least that both ways read and write of feature maps: each once, and their gradients
    /// once.
    pub gbyte: f64,
}

impl Clock {
    /// Forgets what it has seen.
    pub fn reset(&self) {
        self.seconds.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Adds the time since `began` to a step, counted from 1; 0 is taking the input in.
    pub(super) fn add(&self, step: usize, way: Direction, began: Instant) {
        let seconds = began.elapsed().as_secs_f64();
        let mut all = self.seconds.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() <= step {
            all.resize(step + 1, [0.0; 2]);
        }
        all[step][way as usize] += seconds;
    }

    /// The times of one of `passes` passes of these programs, each with its clock, on `images`
    /// images: by kind of operator, the longest first.
    pub fn by_operator<'a>(
        programs: impl IntoIterator<Item = (&'a Self, &'a Program)>,
        precision: Precision,
        images: usize,
        passes: usize,
    ) -> Vec<OperatorTime> {
        let mut kinds: IndexMap<String, OperatorTime> = IndexMap::new();
        let times = programs.into_iter().flat_map(|(clock, program)| {
            let seconds = clock.seconds.lock().unwrap_or_else(PoisonError::into_inner).clone();
            seconds.into_iter().enumerate().map(move |(at, seconds)| (program, at, seconds))
        });
        for (program, at, [forward, reverse]) in times {
            let (operator, multiply_adds, values) = match at.checked_sub(1).map(|at| &program.steps[at]) {
                None => ("input".to_owned(), 0, program.input_elements()),
                Some(step) => (name(step), multiply_adds(program, step), values(program, step)),
            };
            let nothing = OperatorTime {
                operator: operator.clone(),
                steps: 0,
                forward_ms: 0.0,
                reverse_ms: 0.0,
                gflop: 0.0,
                gbyte: 0.0,
            };
            let kind = kinds.entry(operator).or_insert(nothing);
            let scale = 1e3 / passes as f64;
            kind.steps += 1;
            kind.forward_ms += forward * scale;
            kind.reverse_ms += reverse * scale;
            // In reverse each multiply-add has two, one for either factor; each map is read again
            // and its gradient moved.
            kind.gflop += 3.0 * 2.0 * (multiply_adds * images) as f64 / 1e9;
            kind.gbyte += 3.0 * precision.bytes() as f64 * (values * images) as f64 / 1e9;
        }
        let mut kinds: Vec<OperatorTime> = kinds.into_values().collect();
        kinds.sort_by(|a, b| (b.forward_ms + b.reverse_ms).total_cmp(&(a.forward_ms + a.reverse_ms)));
        kinds
    }
}

fn name(step: &Step) -> String {
    match step {
        Step::Convolve { branches, .. } => {
            let kinds: BTreeSet<String> = branches.iter().map(kind_of).collect();
            kinds.into_iter().collect::<Vec<_>>().join(" | ")
        }
        Step::Pool { pool, .. } => {
            let kind = if pool.kind == PoolKind::Max { "max" } else { "mean" };
            format!("{kind} pool {}", window(&pool.frame))
        }
        Step::Combine { .. } => "node".to_owned(),
    }
}

fn kind_of(branch: &Branch) -> String {
    let dense = branch.dense.map(|dense| match dense.frame.taps() {
        1 => "product".to_owned(),
        _ => format!("convolution {}", window(&dense.frame)),
    });
    let depthwise = branch.depthwise.map(|depthwise| format!("depthwise {}", window(&depthwise.frame)));
    depthwise.into_iter().chain(dense).collect::<Vec<_>>().join(", ")
}

/// `5x5 dilated`
fn window(frame: &Frame) -> String {
    let [height, width] = frame.kernel;
    format!("{height}x{width}{}", if frame.dilation == [1; 2] { "" } else { " dilated" })
}

/// Of one image, forward.
fn multiply_adds(program: &Program, step: &Step) -> usize {
    let pixels = program.maps[step.output()].pixels();
    match step {
        Step::Convolve { branches, .. } => branches.iter().map(|branch| pixels * of_branch(branch)).sum(),
        // A pool compares and adds; nothing is multiplied but a mean's divisor.
        Step::Pool { .. } => 0,
        Step::Combine { terms, .. } => terms.iter().map(|term| pixels * term.read.channels).sum(),
    }
}

/// Multiply-adds of a branch for one pixel of its output.
fn of_branch(branch: &Branch) -> usize {
    let inputs = branch.inputs();
    let depthwise = branch.depthwise.map_or(0, |depthwise| inputs * depthwise.frame.taps());
    let dense = branch.dense.map_or(0, |dense| branch.channels * inputs / dense.groups * dense.frame.taps());
    depthwise + dense
}

/// Values of one image that a step reads and writes, each part of a map once.
fn values(program: &Program, step: &Step) -> usize {
    let mut read: Vec<&Read> = Vec::new();
    for of_step in step.reads() {
        let same = |other: &&Read| (other.map, other.first) == (of_step.map, of_step.first);
        if !read.iter().any(same) {
            read.push(of_step);
        }
    }
    let read: usize = read.iter().map(|read| read.channels * program.maps[read.map].pixels()).sum();
    read + program.maps[step.output()].elements()
}

#[cfg(test)]
mod tests {
    use super::super::program::{Activation, Dense, Map, Term};
    use super::*;

    /// A 3x3 convolution from 2 to 4 channels on 4x4 pixels, then a node of one term; by hand.
    #[test]
    fn work_is_counted_by_kind_of_operator() {
        let map = |channels| Map { channels, height: 4, width: 4, statistics: false };
        let read = |map, channels| Read { map, first: 0, channels, norm: None, activation: Activation::None };
        let frame = Frame { kernel: [3; 2], start: [-1; 2], ..Frame::PIXEL };
        let dense = Some(Dense { weight: 0, bias: None, frame, groups: 1 });
        let branch = Branch { source: vec![read(0, 2)], depthwise: None, dense, first: 0, channels: 4 };
        let term = Term { read: read(1, 4), at: 0, spread: 1, weight: None, factor: None };
        let program = Program {
            maps: vec![map(2), map(4), map(4)],
            steps: vec![
                Step::Convolve { branches: vec![branch], output: 1 },
                Step::Combine { terms: vec![term], output: 2 },
            ],
            ..Program::default()
        };
        let clock = Clock::default();
        for step in [0, 1, 2, 1] {
            clock.add(step, Direction::Forward, Instant::now());
        }
        clock.add(2, Direction::Reverse, Instant::now());
        let mut kinds = Clock::by_operator([(&clock, &program)], Precision::F32, 10, 2);
        kinds.sort_by(|a, b| a.operator.cmp(&b.operator));
        let names: Vec<&str> = kinds.iter().map(|kind| kind.operator.as_str()).collect();
        assert_eq!(names, ["convolution 3x3", "input", "node"]);
        let flop = |kind: &OperatorTime| (kind.gflop * 1e9).round();
        assert_eq!(flop(&kinds[0]), 6.0 * 10.0 * (16 * 4 * 2 * 9) as f64);
        assert_eq!(flop(&kinds[2]), 6.0 * 10.0 * (16 * 4) as f64);
        assert_eq!((kinds[0].gbyte * 1e9).round(), 12.0 * 10.0 * (16 * (2 + 4)) as f64);
        assert!(kinds[2].reverse_ms > 0.0 && kinds[1].reverse_ms == 0.0);
        clock.reset();
        assert!(Clock::by_operator([(&clock, &program)], Precision::F32, 10, 2).is_empty());
    }
}
