//! Operations: what may stand on an edge.

use super::step::{Filters, Phase, Primitive, Role, Steps, Stride};
use super::width::Width;
use crate::config::{Fields, Node, Problems};

/// A candidate as declared: one chain for all strides of an edge, or one for each.
#[derive(Debug, Clone)]
pub enum Operation {
    Any(Steps),
    /// The chains for edges of stride 1 and 2.
    ByStride([Option<Steps>; 2]),
    /// Complained about already: its name is known and nothing more is said of it.
    Broken,
}

impl Operation {
    pub fn read(name: &str, node: &Node, problems: &mut Problems) -> Self {
        let before = problems.len();
        let operation = Self::read_chains(name, node, problems);
        if problems.len() == before { operation } else { Self::Broken }
    }

    fn read_chains(name: &str, node: &Node, problems: &mut Problems) -> Self {
        let what = format!("operation `{name}`");
        let by_stride = |key: &str| node.as_map().is_some_and(|map| map.contains_key(key));
        if !by_stride("stride_1") && !by_stride("stride_2") {
            return Self::Any(Steps::read(node, &what, Role::Operation, problems));
        }
        let mut fields = Fields::open(node, what.clone(), problems);
        let chains = ["stride_1", "stride_2"].map(|key| {
            let node = fields.node(key)?;
            Some(Steps::read(node, &what, Role::Operation, fields.problems()))
        });
        fields.close();
        Self::ByStride(chains)
    }

    /// The chain for an edge of `stride`, if there is one.
    pub fn steps(&self, stride: usize) -> Option<&Steps> {
        match self {
            Self::Any(steps) => Some(steps),
            Self::Broken => None,
            Self::ByStride(chains) => chains.get(stride.checked_sub(1)?)?.as_ref(),
        }
    }

    /// Why the operation cannot stand on an edge of `stride`, if so: it must keep the width `C` and
    /// divide the sides by the stride, in a supernet and in a discrete network.
    pub fn fault(&self, stride: usize) -> Option<String> {
        if matches!(self, Self::Broken) {
            return None;
        }
        let Some(steps) = self.steps(stride) else {
            return Some(format!("has no `stride_{stride}`, which an edge of stride {stride} needs"));
        };
        for phase in [Phase::Search, Phase::Final] {
            let effect = match effect(steps, stride, Effect::NONE, phase) {
                Ok(effect) => effect,
                Err(fault) => return Some(fault),
            };
            if effect.shrink != [stride; 2] {
                let [height, width] = effect.shrink;
                let done = if height == width { format!("{height}") } else { format!("{height}x{width}") };
                return Some(format!("has stride {done} in all, an edge of stride {stride} needs {stride}"));
            }
            if effect.width != Width::CELL {
                return Some(format!("ends at width `{}`, an edge needs `C`", effect.width));
            }
        }
        None
    }
}

/// What a chain does to a feature map of width `C`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Effect {
    width: Width,
    /// By how much each side is divided.
    shrink: [usize; 2],
}

impl Effect {
    const NONE: Self = Self { width: Width::CELL, shrink: [1, 1] };

    fn shrunk(self, by: [usize; 2]) -> Self {
        let [height, width] = self.shrink;
        Self { shrink: [height.saturating_mul(by[0]), width.saturating_mul(by[1])], ..self }
    }
}

fn effect(steps: &Steps, edge: usize, start: Effect, phase: Phase) -> Result<Effect, String> {
    let square = |stride: Stride| [stride.on(edge); 2];
    let mut now = start;
    for step in steps.steps.iter().filter(|step| step.when.holds(phase)) {
        now = match &step.primitive {
            Primitive::Identity
            | Primitive::Relu
            | Primitive::BatchNorm { .. }
            | Primitive::GlobalAvgPool
            | Primitive::Linear => now,
            Primitive::Zero { stride } | Primitive::Noise { stride } => now.shrunk(square(*stride)),
            Primitive::MaxPool(pool) | Primitive::AvgPool(pool) => now.shrunk(square(pool.stride)),
            Primitive::Conv(conv) => {
                let width = match conv.filters {
                    Filters::Depthwise => now.width,
                    Filters::Groups { out, .. } => out,
                };
                Effect { width, ..now.shrunk(conv.stride.map(|stride| stride.on(edge))) }
            }
            Primitive::FactorizedReduce { out, .. } => Effect { width: *out, ..now.shrunk([2, 2]) },
            Primitive::Chain(steps) => effect(steps, edge, now, phase)?,
            Primitive::Sum(branches) => {
                let ends = ends(branches, edge, now, phase)?;
                match ends.split_first() {
                    Some((first, rest)) if rest.iter().all(|end| end == first) => *first,
                    _ => return Err("sums chains of unequal width or stride".to_owned()),
                }
            }
            Primitive::Concat(branches) => {
                let ends = ends(branches, edge, now, phase)?;
                match ends.split_first() {
                    Some((first, rest)) if rest.iter().all(|end| end.shrink == first.shrink) => {
                        let width = rest.iter().try_fold(first.width, |sum, end| sum.plus(end.width));
                        Effect {
                            width: width
                                .ok_or("concatenates widths that do not add up, some with and some without `C`")?,
                            ..*first
                        }
                    }
                    _ => return Err("concatenates chains of unequal stride".to_owned()),
                }
            }
        };
    }
    Ok(now)
}

fn ends(branches: &[Steps], edge: usize, start: Effect, phase: Phase) -> Result<Vec<Effect>, String> {
    branches.iter().map(|branch| effect(branch, edge, start, phase)).collect()
}
