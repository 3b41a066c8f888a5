//! What a launch is, and what all launches of a pass are given.

use super::buffer::{Buffer, address};
use super::kernel::UNITS;
use cubecl::client::Client;
use cubecl::ir::{AddressType, ElemType};
use cubecl::prelude::{BufferArg, CubeCount, CubeDim};
use std::fmt::Debug;

/// A kernel with what it is given beside the buffers. The types stand beside their kernels.
pub(super) trait Launch: Debug + Send + Sync {
    /// Cubes in each dimension of the grid.
    fn cubes(&self, images: usize) -> [usize; 3];

    fn run(&self, on: &Bindings<'_>);

    fn fits_a_grid(&self, images: usize) -> bool {
        self.cubes(images).iter().all(|&cubes| cubes <= MOST_CUBES)
    }
}

/// Grids have this many cubes in a dimension at most: what WebGPU promises everywhere.
const MOST_CUBES: usize = 65_535;

/// What all launches of a pass are given.
pub(super) struct Bindings<'a> {
    pub client: &'a Client,
    /// Number format of the arena.
    pub format: ElemType,
    pub images: usize,
    pub epsilon: f32,
    pub arena: Buffer,
    pub numbers: Buffer,
    pub weights: Buffer,
    pub table: Buffer,
    /// Of a forward pass the running statistics and what the batch had for them, of a reverse pass
    /// the gradients of weights and mixing weights.
    pub vectors: [Buffer; 2],
}

impl Bindings<'_> {
    /// The grid of a launch, and the width of its indices.
    pub fn grid(&self, launch: &impl Launch) -> (&Client, CubeCount, CubeDim, AddressType) {
        // They fit 32 bits: `Plan::new` has asked `fits_a_grid`.
        let [x, y, z] = launch.cubes(self.images).map(|cubes| cubes as u32);
        let address = address(self.arena.length.max(self.numbers.length));
        (self.client, CubeCount::Static(x, y, z), CubeDim::new_1d(UNITS), address)
    }

    pub fn running(&self) -> BufferArg {
        self.vectors[0].arg()
    }

    pub fn observed(&self) -> BufferArg {
        self.vectors[1].arg()
    }

    pub fn weight_gradient(&self) -> BufferArg {
        self.vectors[0].arg()
    }

    pub fn mixing_gradient(&self) -> BufferArg {
        self.vectors[1].arg()
    }
}
