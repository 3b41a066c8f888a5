//! What a block is worked on with: scratch memory, and how planes lie in it.

use crate::cpu::memory::{Area, ScratchGuard, ScratchPool};
use crate::cpu::prepared::Prepared;
use crate::cpu::staging::{Canvas, Staging, roomy};
use crate::cpu::winograd::Tiles;

/// Areas of one thread, which keep their size from block to block.
#[derive(Default)]
pub(super) struct Scratch {
    /// The source, staged.
    pub staged: Area,
    /// Rows of the source, and of the output's gradient, for windows of three rows.
    pub transformed: Tiles,
    pub of_output: Tiles,
    /// What tiles of rows send back to their source: products of all branches, summed.
    pub products: Area,
    pub spare: Vec<f32>,
    /// The output's gradient, plane by plane as it is in a map, and with padded rows.
    pub compact: Area,
    pub padded: Area,
    /// Depthwise outputs, or what a strided window spreads over the source, or room for tiles.
    pub depth: Area,
    /// The gradients of depthwise outputs.
    pub of_depth: Area,
    /// One plane as it is in a map, and planes staged for the way back.
    pub plane: Area,
    pub reversed: Area,
    /// The source's gradient.
    pub of_source: Area,
}

impl Scratch {
    pub fn take() -> ScratchGuard<Self> {
        static POOL: ScratchPool<Scratch> = ScratchPool::new();
        POOL.take()
    }
}

/// A branch of a block, and how its planes lie.
#[derive(Clone, Copy)]
pub(super) struct Work<'a> {
    pub prepared: &'a Prepared<'a>,
    /// The source, as the branch's window reads it.
    pub staging: &'a Staging,
    /// The gradient of the output, and of the source.
    pub of_output: &'a Canvas,
    pub of_source: &'a Canvas,
}

impl Work<'_> {
    /// Distance of two planes of the output's gradient as they are in a map.
    pub fn compact(&self) -> usize {
        roomy(self.of_output.compact())
    }

    /// Its values.
    pub fn values(&self) -> usize {
        self.prepared.branch.channels * self.compact()
    }

    /// The output's gradient with padded rows, planes [`Canvas::plane`] apart. Where rows need no
    /// padding it is the compact one, whose planes are as far apart.
    pub fn padded<'b>(&self, compact: &'b [f32], padded: &'b mut Area) -> &'b [f32] {
        if self.of_output.is_dense() {
            return compact;
        }
        padded.of(self.prepared.branch.channels * self.of_output.plane())
    }
}
