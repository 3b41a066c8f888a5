//! Operations: what may stand on an edge.

use super::width::Width;
use crate::config::{Fields, Node, Problems};
use crate::space::primitives::{
    Effect,
    options::{Phase, Role},
    steps::Steps,
};

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
            let effect = match steps.effect(Effect::NONE, stride, phase) {
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
