//! Memory of the GPU, and what enters and leaves it.

use super::kernel::{REGION, UNITS, copy};
use cubecl::client::Client;
use cubecl::ir::{AddressType, ElemType};
use cubecl::prelude::{BufferArg, CubeCount, CubeDim};
use cubecl::server::Handle;

/// Part of the GPU's memory.
#[derive(Debug, Clone)]
pub(super) struct Buffer {
    pub handle: Handle,
    /// Numbers in it.
    pub length: usize,
}

impl Buffer {
    /// Room for numbers of so many bytes, for one at least: an empty buffer cannot be bound.
    pub fn room(client: &Client, numbers: usize, bytes: usize) -> Self {
        let length = numbers.max(1);
        Self { handle: client.empty(length * bytes), length }
    }

    /// Room for `f32`.
    pub fn empty(client: &Client, numbers: usize) -> Self {
        Self::room(client, numbers, size_of::<f32>())
    }

    pub fn arg(&self) -> BufferArg {
        // SAFETY: the handle has room for as many numbers as `length` says: both come from one
        // allocation, or from one contiguous tensor.
        unsafe { BufferArg::from_raw_parts(self.handle.clone(), self.length) }
    }
}

/// Launches that move numbers into the buffers of a pass and out of them.
pub(super) struct Elements<'a> {
    pub client: &'a Client,
    /// Number format of the arena.
    pub format: ElemType,
}

impl Elements<'_> {
    pub fn copy(&self, from: &Buffer, to: &Buffer, count: usize) {
        let (cubes, units) = grid(count);
        copy::copy::launch(self.client, cubes, units, address(count), from.arg(), to.arg(), count as u32);
    }

    /// All zeros.
    pub fn clear(&self, to: &Buffer) {
        let (cubes, units) = grid(to.length);
        copy::clear::launch(self.client, cubes, units, address(to.length), to.arg(), to.length as u32);
    }

    /// The front of the numbers; `front` as in the plan.
    pub fn prepare(&self, numbers: &Buffer, mixing: &Buffer, factors: &Buffer, front: [usize; 4]) {
        let (cubes, units) = grid(front.iter().sum());
        let [plain, ones, mixed, dropped] = front.map(|count| count as u32);
        let (address, numbers) = (address(numbers.length), numbers.arg());
        let (mixing, factors) = (mixing.arg(), factors.arg());
        copy::prepare::launch(
            self.client,
            cubes,
            units,
            address,
            numbers,
            mixing,
            factors,
            plain,
            ones,
            mixed,
            dropped,
        );
    }

    /// Some numbers from `first` on to a place in the arena and its length.
    pub fn take_in(&self, arena: &Buffer, from: &Buffer, first: usize, (place, count): (usize, usize)) {
        let (cubes, units) = grid(count);
        let (region, first, count) = ((place / REGION) as u32, first as u32, count as u32);
        let (address, format) = (address(arena.length), self.format);
        copy::take_in::launch(
            self.client,
            cubes,
            units,
            address,
            arena.arg(),
            from.arg(),
            region,
            first,
            count,
            format,
        );
    }

    /// What lies at a place in the arena, of its length, to `first` and further on.
    pub fn take_out(&self, arena: &Buffer, to: &Buffer, first: usize, (place, count): (usize, usize)) {
        let (cubes, units) = grid(count);
        let (region, first, count) = ((place / REGION) as u32, first as u32, count as u32);
        let (address, format) = (address(arena.length), self.format);
        copy::take_out::launch(self.client, cubes, units, address, arena.arg(), to.arg(), region, first, count, format);
    }
}

fn grid(count: usize) -> (CubeCount, CubeDim) {
    let cubes = (count.div_ceil(UNITS as usize) as u32).max(1);
    // In two dimensions: one has 65,535 cubes at most.
    let wide = cubes.min(32_768);
    (CubeCount::Static(wide, cubes.div_ceil(wide), 1), CubeDim::new_1d(UNITS))
}

/// What indices into buffers up to this long need.
pub(super) fn address(length: usize) -> AddressType {
    if length > i32::MAX as usize { AddressType::U64 } else { AddressType::U32 }
}
