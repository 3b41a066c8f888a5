//! A source and the branches that read it, with their weights as loops want them.

use super::{
    canvas::Canvas,
    pass_state::SourceBlock,
    simd::{Lanes, depthwise::Window, product::Panels},
};
use crate::program::{Branch, Frame, Read};
use std::ops::Range;

/// Branches of one source: it is laid out once for all of them.
pub(super) struct Source<'a> {
    pub reads: &'a [Read],
    pub blocks: Vec<SourceBlock<'a>>,
    pub canvas: Canvas,
    pub branches: Vec<Prepared<'a>>,
}

/// A branch with its weights.
pub(super) struct Prepared<'a> {
    pub branch: &'a Branch,
    /// Its number in the step.
    pub number: usize,
    pub frame: Frame,
    pub window: Window,
    /// What it writes.
    pub blocks: Range<usize>,
    /// Of each block of the source a weight a tap.
    pub depthwise: Vec<Vec<Lanes>>,
    pub dense: Option<Product>,
    /// Of each block that it writes.
    pub bias: Option<Vec<Lanes>>,
}

/// Dense weights, from channels to channels.
pub(super) enum Product {
    /// Of all taps at once forward, a layer a tap in reverse.
    ByTap(Panels),
    /// Products of tiles.
    ByTile(Panels),
}

impl Product {
    pub fn panels(&self) -> &Panels {
        let (Self::ByTap(panels) | Self::ByTile(panels)) = self;
        panels
    }
}
