//! What is done to a value as it is read: a norm, then an activation.

use super::simd::Lanes;

/// What a reader does to the values of a block before anything else: `max(x · factor + offset,
/// least)`; a value that is no number stays one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Prologue {
    pub factor: Lanes,
    pub offset: Lanes,
    /// Zero for a ReLU, else no number is less.
    pub least: f32,
}

impl Prologue {
    /// Values as they are.
    pub const NONE: Self = Self { factor: Lanes::ONE, offset: Lanes::ZERO, least: f32::NEG_INFINITY };

    /// Whether values stay numbers of their format.
    pub fn keeps_format(&self) -> bool {
        (self.factor, self.offset) == (Lanes::ONE, Lanes::ZERO)
    }
}
