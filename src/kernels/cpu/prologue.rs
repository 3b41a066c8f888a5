//! What is done to a value as it is read: a norm, then an activation.

use crate::program::Activation;

/// What a reader does to a value before anything else: `max(x · factor + offset, least)`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Prologue {
    pub factor: f32,
    pub offset: f32,
    /// Zero for a ReLU, else no number is less.
    pub least: f32,
}

impl Prologue {
    /// Values as they are.
    pub const NONE: Self = Self { factor: 1.0, offset: 0.0, least: f32::NEG_INFINITY };

    /// The same with an activation behind it.
    pub fn then(self, activation: Activation) -> Self {
        match activation {
            Activation::None => self,
            Activation::Relu => Self { least: 0.0, ..self },
        }
    }

    /// A value that is no number stays one.
    pub fn function(self) -> impl Fn(f32) -> f32 + Copy {
        move |x| {
            let y = x * self.factor + self.offset;
            if y < self.least { self.least } else { y }
        }
    }
}
