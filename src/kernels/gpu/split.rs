//! How a sum over positions is cut into parts that cubes take.

/// How a sum over positions is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Split {
    pub chunks: usize,
    pub length: usize,
}

impl Split {
    /// Chunks of at least `least` positions: as many as give each of a large GPU's processors some
    /// cubes where there are `others` cubes a chunk, and no more than that, since what they leave
    /// is added up one by one. Depends on shapes alone.
    pub fn of(positions: usize, least: usize, others: usize) -> Self {
        let most = (CUBES / others.max(1)).clamp(1, MOST_CHUNKS);
        let chunks = positions.div_ceil(least).clamp(1, most);
        let length = positions.div_ceil(chunks).next_multiple_of(16);
        Self { chunks: positions.div_ceil(length), length }
    }
}

/// Cubes that fill a large GPU, and chunks that one unit adds up in passing.
const CUBES: usize = 1056;
const MOST_CHUNKS: usize = 64;
