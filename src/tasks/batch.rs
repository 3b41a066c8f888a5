//! What a step sees at once.

use burn::tensor::{Int, Tensor};

/// Examples on a device.
#[derive(Debug, Clone)]
pub struct Batch {
    /// `[batch, channels, height, width]`
    pub inputs: Tensor<4>,
    pub targets: Targets,
}

/// What examples ought to lead to, by names that the [`Objective`](super::Objective) of their task
/// knows.
#[derive(Debug, Clone, Default)]
pub struct Targets(Vec<(&'static str, Target)>);

/// One target of every example of a batch.
#[derive(Debug, Clone)]
pub enum Target {
    /// A whole number each: a class, an action. `[batch]`
    Whole(Tensor<1, Int>),
    /// Numbers of any shape, those of an example in a row. `[batch, numbers]`
    Real(Tensor<2>),
}

/// What [`Targets`] rest on: who asks for a target is who made it.
const NAMED: &str = "an objective asks for the targets that its task makes";

impl Batch {
    /// Examples in the batch.
    pub fn size(&self) -> usize {
        self.inputs.dims()[0]
    }
}

impl Targets {
    pub fn new(targets: impl IntoIterator<Item = (&'static str, Target)>) -> Self {
        Self(targets.into_iter().collect())
    }

    /// The whole numbers called `name`: `[batch]`.
    pub fn whole(&self, name: &str) -> Tensor<1, Int> {
        match self.get(name) {
            Some(Target::Whole(numbers)) => numbers.clone(),
            _ => unreachable!("{NAMED}: {name}"),
        }
    }

    /// The numbers called `name`: `[batch, numbers]`.
    pub fn real(&self, name: &str) -> Tensor<2> {
        match self.get(name) {
            Some(Target::Real(numbers)) => numbers.clone(),
            _ => unreachable!("{NAMED}: {name}"),
        }
    }

    /// Whether there is a target called `name`.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    fn get(&self, name: &str) -> Option<&Target> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, target)| target)
    }
}
