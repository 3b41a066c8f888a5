//! Where a step is lowered, and what it may ask of that.

use super::options::{Phase, When};
use crate::space::language::{
    labels::join,
    width::{Letters, Width},
};
use crate::space::lowering::error::SpaceError;
use std::cell::Cell;

/// Bounds of what can be asked for; they keep products from overflowing.
pub const MOST_CHANNELS: usize = 1 << 14;

/// What is the same in all of a network.
#[derive(Debug)]
pub struct Surroundings {
    pub phase: Phase,
    noises: Cell<usize>,
}

impl Surroundings {
    pub fn new(phase: Phase) -> Self {
        Self { phase, noises: Cell::new(0) }
    }

    /// The number of the next layer of noise.
    pub fn next_noise(&self) -> usize {
        self.noises.replace(self.noises.get() + 1)
    }
}

/// The place of a step in a network.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    pub network: &'a Surroundings,
    /// What the chain is called.
    pub chain: &'a str,
    /// The step's own label, if it has one.
    pub label: Option<&'a str>,
    pub position: usize,
    /// What `C` and `I` stand for.
    pub letters: Letters,
    /// Stride of the edge, 1 elsewhere.
    pub stride: usize,
    /// Of a head, the channels that its output is asked for.
    pub asked: Option<usize>,
}

impl<'a> Place<'a> {
    pub fn new(network: &'a Surroundings, chain: &'a str, channels: usize, stride: usize) -> Self {
        let letters = Letters { here: channels, input: channels };
        Self { network, chain, label: None, position: 0, letters, stride, asked: None }
    }

    /// Whether something stands here.
    pub fn has(&self, when: When) -> bool {
        when.holds(self.network.phase, self.letters)
    }

    /// What the step is called.
    pub fn name(&self) -> String {
        match self.label {
            Some(label) => join(self.chain, label),
            None => join(self.chain, &self.position.to_string()),
        }
    }

    /// The channels that `width` stands for here.
    pub fn channels_of(&self, width: Width) -> Result<usize, SpaceError> {
        let usable = width.resolve(self.letters).filter(|width| *width <= MOST_CHANNELS);
        usable.ok_or_else(|| self.no_width(self.name(), width.to_string()))
    }

    pub fn no_width(&self, place: String, width: String) -> SpaceError {
        SpaceError::Width { place, width, channels: self.letters.here }
    }
}
