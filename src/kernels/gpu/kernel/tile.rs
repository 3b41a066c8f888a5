//! A tile of a dense product, and the product of two stages.
//!
//! A cube makes a [`Tile`] of the result: some channels by some pixels, each unit 4 by 4. Both
//! factors go through shared memory [`DEPTH`] deep, the left one as `[depth][rows]`, the right one
//! as `[depth][columns]`; while one stage is worked on, a unit holds its part of the next.

use super::UNITS;
use cubecl::prelude::*;

/// Depth of a stage.
pub const DEPTH: usize = 8;
/// A unit's part of a tile has this side.
pub const SIDE: usize = 4;
/// Rows of a tile at most.
const MOST_ROWS: usize = 64;

/// What a cube makes: rows are channels, columns pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tile {
    pub rows: usize,
}

impl Tile {
    /// As few rows as share out all channels evenly, so that what is left of a tile is pixels.
    pub fn of(channels: usize) -> Self {
        Self { rows: channels.div_ceil(channels.div_ceil(MOST_ROWS)).next_multiple_of(SIDE).max(16) }
    }

    /// Units beside each other; those that no row is left for only load.
    pub fn lanes(self) -> usize {
        UNITS as usize * SIDE / self.rows
    }

    pub fn columns(self) -> usize {
        self.lanes() * SIDE
    }

    /// Stages' rows that are loaded at one time, and how often a unit loads.
    pub fn lines(self) -> usize {
        (UNITS as usize / self.columns()).min(DEPTH)
    }

    pub fn loads(self) -> usize {
        DEPTH.div_ceil(self.lines())
    }

    /// Numbers of the left factor that a unit loads.
    pub fn left_loads(self) -> usize {
        (DEPTH * self.rows).div_ceil(UNITS as usize)
    }

    /// The grid that makes so many channels of so many positions, `records` times.
    pub fn cubes(channels: usize, positions: usize, records: usize) -> [usize; 3] {
        let tile = Self::of(channels);
        [positions.div_ceil(tile.columns()), channels.div_ceil(tile.rows), records]
    }
}

/// Whether a part of the tile is left for a unit.
#[cube]
pub fn works(#[comptime] tile: Tile) -> bool {
    (UNIT_POS as usize) < comptime!(tile.rows / SIDE * tile.lanes())
}

/// The row in a cube's tile of a unit's `i`th row: four in a row, so that a warp reads few.
#[cube]
pub fn row_of(i: usize, #[comptime] tile: Tile) -> usize {
    min(UNIT_POS as usize / comptime!(tile.lanes()), comptime!(tile.rows / SIDE - 1)) * SIDE + i
}

/// The column in a cube's tile of a unit's `j`th column: neighbours have neighbours.
#[cube]
pub fn column_of(j: usize, #[comptime] tile: Tile) -> usize {
    let lanes = comptime!(tile.lanes());
    UNIT_POS as usize % lanes + j * lanes
}

/// Adds the product of two stages to a unit's sums.
#[cube]
pub fn multiply(left: &Shared<[f32]>, right: &Shared<[f32]>, sums: &mut Array<f32>, #[comptime] tile: Tile) {
    let (rows, columns) = comptime!((tile.rows, tile.columns()));
    #[unroll]
    for k in 0..DEPTH {
        #[unroll]
        for j in 0..SIDE {
            let value = right[k * columns + column_of(j, tile)];
            #[unroll]
            for i in 0..SIDE {
                sums[i * SIDE + j] += left[k * rows + row_of(i, tile)] * value;
            }
        }
    }
}
