//! Values on their way to a map: computed in `f32`, rounded once.

use super::{element::Element, memory::Area, simd::elementwise};

/// Chunks of a map's values, at equal distances.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunks {
    pub first: usize,
    pub length: usize,
    pub apart: usize,
    pub count: usize,
}

impl Chunks {
    /// All of `length` values.
    pub fn whole(length: usize) -> Self {
        Self { first: 0, length, apart: length, count: 1 }
    }
}

/// Writes chunks of a map. `compute` is given where they begin, and how far apart they are: in the
/// map itself, where that is of `f32`, else in room that is in a cache.
pub(super) fn write<E: Element>(
    map: &mut [E],
    Chunks { first, length, apart, count }: Chunks,
    room: &mut Area,
    compute: impl FnOnce(&mut [f32], usize),
) {
    if let Some(map) = E::floats(map) {
        return compute(&mut map[first..], apart);
    }
    let room = room.of(length * count);
    compute(room, length);
    for (at, computed) in room.chunks_exact(length).enumerate() {
        elementwise::write(computed, &mut map[first + at * apart..][..length], false);
    }
}
