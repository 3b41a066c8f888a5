//! Dense convolution as a product of matrices that are never written out, and its input's gradient.
//!
//! A cube makes a [`Tile`] of the result: some channels by some pixels, each unit 4 by 4. Both
//! factors go through shared memory [`DEPTH`] deep; while one stage is worked on, a unit holds its
//! part of the next. Units load along pixels, so that neighbours read neighbours, and each unit
//! loads for one pixel only: where it lies is worked out once and not in the loop.

use super::held::{HELD, applied, hold, pixel_of};
use super::{PLANE, SOURCE, UNITS, column_reached, column_read, row_reached, row_read, start_of};
use crate::program::Frame;
use cubecl::prelude::*;

const DEPTH: usize = 8;
/// A unit's part of a tile has this side.
const SIDE: usize = 4;
/// Rows of a tile at most.
const MOST_ROWS: usize = 64;

/// What a cube makes: rows are channels, columns pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in super::super) struct Tile {
    pub rows: usize,
}

impl Tile {
    /// As few rows as share out all channels evenly, so that what is left of a tile is pixels.
    pub fn of(channels: usize) -> Self {
        Self { rows: channels.div_ceil(channels.div_ceil(MOST_ROWS)).next_multiple_of(SIDE).max(16) }
    }

    /// Units beside each other; those that no row is left for only load.
    fn lanes(self) -> usize {
        UNITS as usize * SIDE / self.rows
    }

    pub fn columns(self) -> usize {
        self.lanes() * SIDE
    }

    /// Stages' rows that are loaded at one time, and how often a unit loads.
    fn lines(self) -> usize {
        (UNITS as usize / self.columns()).min(DEPTH)
    }

    fn loads(self) -> usize {
        DEPTH.div_ceil(self.lines())
    }

    /// Numbers of the left factor that a unit loads.
    fn left_loads(self) -> usize {
        (DEPTH * self.rows).div_ceil(UNITS as usize)
    }
}

/// First source, inputs, outputs, offset of the weights, offset of the bias and one (0: no bias), the plane of the first
/// output: one group of one branch.
pub(in super::super) const PRODUCT: usize = 5 + PLANE;

/// `out[o, n, y, x] = bias[o] + Σ_{i, t} weight[o, i, t] · source[i, n, y · s + ty · d + start, …]`, the source's norm and
/// ReLU folded in.
///
/// Grid: positions `n · oh · ow` by a tile's columns, outputs by its rows, records ([`PRODUCT`]
/// words).
#[cube(launch, address_type = "dynamic")]
pub fn dense<E: Float>(
    arena: &mut [E],
    numbers: &[f32],
    weights: &[f32],
    table: &[u32],
    records: u32,
    images: u32,
    height: u32,
    width: u32,
    out_height: u32,
    out_width: u32,
    #[comptime] tile: Tile,
    #[comptime] frame: Frame,
    #[define(E)] _format: ElemType,
) {
    let (rows, columns) = comptime!((tile.rows, tile.columns()));
    let taps = comptime!(frame.taps());
    let mut left = Shared::<[f32]>::new_slice(comptime!(DEPTH * rows));
    let mut right = Shared::<[f32]>::new_slice(comptime!(DEPTH * columns));
    // Of two stages: while one is read, the next is loaded.
    let mut planes = Shared::<[u32]>::new_slice(comptime!(2 * DEPTH * HELD));
    let mut norms = Shared::<[f32]>::new_slice(comptime!(2 * DEPTH * HELD));
    let mut next_left = Array::<f32>::new(comptime!(tile.left_loads()));
    let mut next_right = Array::<f32>::new(comptime!(tile.loads()));
    let mut there = Array::<u32>::new(comptime!(tile.loads()));
    let mut sums = Array::<f32>::new(comptime!(SIDE * SIDE));

    let product = records as usize + CUBE_POS_Z as usize * PRODUCT;
    let sources = table[product] as usize;
    let outputs = table[product + 2] as usize;
    let weight = table[product + 3] as usize;
    let plane = out_height * out_width;
    let positions = images * plane;
    let first_row = CUBE_POS_Y as usize * rows;
    let mut depth = table[product + 1] as usize * taps;
    let stride = depth;
    if first_row >= outputs {
        depth *= 0;
    }

    let unit = UNIT_POS as usize;
    let (line, column) = (unit / columns, unit % columns);
    let position = CUBE_POS_X * columns as u32 + column as u32;
    let inside = position < positions && line < comptime!(tile.lines());
    let (image, pixel) = ((position / plane) as usize, position % plane);
    let (oy, ox) = (pixel / out_width, pixel % out_width);

    load_channels(&mut planes, &mut norms, numbers, table, sources, 0usize, depth, taps);
    load_channels(&mut planes, &mut norms, numbers, table, sources, DEPTH, depth, taps);
    sync_cube();
    for turn in range_stepped(0, depth + DEPTH, DEPTH) {
        // What this turn reads is worked on in the next.
        if turn > 0 {
            #[unroll]
            for load in 0..comptime!(tile.left_loads()) {
                let element = unit + load * UNITS as usize;
                if element < comptime!(DEPTH * rows) {
                    left[element % DEPTH * rows + element / DEPTH] = next_left[load];
                }
            }
            let stage = (turn / DEPTH + 1) % 2 * comptime!(DEPTH * HELD);
            #[unroll]
            for load in 0..comptime!(tile.loads()) {
                let row = line + load * comptime!(tile.lines());
                if line < comptime!(tile.lines()) && row < DEPTH {
                    let channel = stage + row * HELD;
                    right[row * columns + column] =
                        applied(&planes, &norms, channel, next_right[load], there[load] != 0);
                }
            }
            sync_cube();
            load_channels(&mut planes, &mut norms, numbers, table, sources, turn + DEPTH, depth, taps);
        }
        if turn < depth {
            #[unroll]
            for load in 0..comptime!(tile.left_loads()) {
                let element = unit + load * UNITS as usize;
                let (row, at) = (element / DEPTH, element % DEPTH);
                next_left[load] = 0.0;
                if element < comptime!(DEPTH * rows) && first_row + row < outputs && turn + at < depth {
                    next_left[load] = weights[weight + (first_row + row) * stride + turn + at];
                }
            }
            let stage = turn / DEPTH % 2 * comptime!(DEPTH * HELD);
            #[unroll]
            for load in 0..comptime!(tile.loads()) {
                let row = line + load * comptime!(tile.lines());
                let at = turn + row;
                let channel = stage + row * HELD;
                let (mut y, mut x) = (oy, ox);
                if comptime!(frame != Frame::PIXEL) {
                    let tap = (at % taps) as u32;
                    y = row_read(oy, tap / comptime!(frame.kernel[1] as u32), frame);
                    x = column_read(ox, tap % comptime!(frame.kernel[1] as u32), frame);
                }
                there[load] = 0;
                if inside && row < DEPTH && at < depth && y < height && x < width {
                    let at = pixel_of(&planes, channel, image, (y * width + x) as usize);
                    next_right[load] = f32::cast_from(arena[at]);
                    there[load] = 1;
                }
            }
        }
        if turn > 0 {
            multiply(&left, &right, &mut sums, tile);
            sync_cube();
        }
    }

    let bias = table[product + 4] as usize;
    #[unroll]
    for j in 0..SIDE {
        let position = CUBE_POS_X * columns as u32 + column_of(j, tile) as u32;
        if position < positions && works(tile) {
            let to = start_of(table, product + 5, (position / plane) as usize) + (position % plane) as usize;
            #[unroll]
            for i in 0..SIDE {
                let row = first_row + row_of(i, tile);
                if row < outputs {
                    let mut sum = sums[i * SIDE + j];
                    if bias != 0 {
                        sum += weights[bias - 1 + row];
                    }
                    arena[to + row * plane as usize] = E::cast_from(sum);
                }
            }
        }
    }
}

/// The plane of the first channel that is written, first reader and number of readers, channels, whether it is added to
/// what is there.
pub(in super::super) const INPUT_TARGET: usize = PLANE + 4;

/// The plane of the first output's gradient, outputs, offset of the weights of the first output and the first channel, how
/// far apart the weights of two outputs lie.
pub(in super::super) const INPUT_READER: usize = PLANE + 3;

/// The gradient of what dense convolutions of one window read, before the ReLU is undone, over all
/// that read a run of channels:
/// `g[i, n, y, x] (+)= Σ_{reader, o, t} weight[o, i, t] · dout[o, n, (y − ty · d − start) / s, …]`.
///
/// Grid: positions `n · h · w` by a tile's columns, channels by its rows, targets ([`INPUT_TARGET`]
/// words).
#[cube(launch, address_type = "dynamic")]
pub fn dense_input_gradient<E: Float>(
    arena: &mut [E],
    weights: &[f32],
    table: &[u32],
    targets: u32,
    images: u32,
    height: u32,
    width: u32,
    out_height: u32,
    out_width: u32,
    #[comptime] tile: Tile,
    #[comptime] frame: Frame,
    #[define(E)] _format: ElemType,
) {
    let (rows, columns) = comptime!((tile.rows, tile.columns()));
    let taps = comptime!(frame.taps());
    let mut left = Shared::<[f32]>::new_slice(comptime!(DEPTH * rows));
    let mut right = Shared::<[f32]>::new_slice(comptime!(DEPTH * columns));
    let mut next_left = Array::<f32>::new(comptime!(tile.left_loads()));
    let mut next_right = Array::<f32>::new(comptime!(tile.loads()));
    let mut sums = Array::<f32>::new(comptime!(SIDE * SIDE));

    let target = targets as usize + CUBE_POS_Z as usize * INPUT_TARGET;
    let first_reader = table[target + PLANE] as usize;
    let channels = table[target + PLANE + 2] as usize;
    let plane = height * width;
    let positions = images * plane;
    let out_plane = (out_height * out_width) as usize;
    let first_row = CUBE_POS_Y as usize * rows;
    let mut readers = table[target + PLANE + 1] as usize;
    if first_row >= channels {
        readers *= 0;
    }

    let unit = UNIT_POS as usize;
    let (line, column) = (unit / columns, unit % columns);
    let position = CUBE_POS_X * columns as u32 + column as u32;
    let inside = position < positions && line < comptime!(tile.lines());
    let (image, pixel) = ((position / plane) as usize, position % plane);
    let (y, x) = (pixel / width, pixel % width);

    for number in 0..readers {
        let reader = first_reader + number * INPUT_READER;
        let weight = table[reader + PLANE + 1] as usize;
        let stride = table[reader + PLANE + 2] as usize;
        let depth = table[reader + PLANE] as usize * taps;
        let from = start_of(table, reader, image);
        for turn in range_stepped(0, depth + DEPTH, DEPTH) {
            // What this turn reads is worked on in the next.
            if turn > 0 {
                #[unroll]
                for load in 0..comptime!(tile.left_loads()) {
                    let element = unit + load * UNITS as usize;
                    if element < comptime!(DEPTH * rows) {
                        left[element] = next_left[load];
                    }
                }
                #[unroll]
                for load in 0..comptime!(tile.loads()) {
                    let row = line + load * comptime!(tile.lines());
                    if line < comptime!(tile.lines()) && row < DEPTH {
                        right[row * columns + column] = next_right[load];
                    }
                }
                sync_cube();
            }
            if turn < depth {
                #[unroll]
                for load in 0..comptime!(tile.left_loads()) {
                    // Neighbours read neighbours in a 1x1 convolution, whose channels lie side by
                    // side.
                    let element = unit + load * UNITS as usize;
                    let (row, at) = (element % rows, turn + element / rows);
                    next_left[load] = 0.0;
                    if element < comptime!(DEPTH * rows) && at < depth && first_row + row < channels {
                        next_left[load] = weights[weight + at / taps * stride + (first_row + row) * taps + at % taps];
                    }
                }
                #[unroll]
                for load in 0..comptime!(tile.loads()) {
                    let row = line + load * comptime!(tile.lines());
                    let at = turn + row;
                    let (mut oy, mut ox) = (y, x);
                    if comptime!(frame != Frame::PIXEL) {
                        let tap = (at % taps) as u32;
                        oy = row_reached(y, tap / comptime!(frame.kernel[1] as u32), frame);
                        ox = column_reached(x, tap % comptime!(frame.kernel[1] as u32), frame);
                    }
                    next_right[load] = 0.0;
                    if inside && row < DEPTH && at < depth && oy < out_height && ox < out_width {
                        let pixel = (oy * out_width + ox) as usize;
                        next_right[load] = f32::cast_from(arena[from + at / taps * out_plane + pixel]);
                    }
                }
            }
            if turn > 0 {
                multiply(&left, &right, &mut sums, tile);
                sync_cube();
            }
        }
    }

    let adds = table[target + PLANE + 3] != 0;
    #[unroll]
    for j in 0..SIDE {
        let position = CUBE_POS_X * columns as u32 + column_of(j, tile) as u32;
        if position < positions && works(tile) {
            let to = start_of(table, target, (position / plane) as usize) + (position % plane) as usize;
            #[unroll]
            for i in 0..SIDE {
                let row = first_row + row_of(i, tile);
                if row < channels {
                    let at = to + row * plane as usize;
                    let mut sum = sums[i * SIDE + j];
                    if adds {
                        sum += f32::cast_from(arena[at]);
                    }
                    arena[at] = E::cast_from(sum);
                }
            }
        }
    }
}

/// Loads what is known of the channels of a stage, a tap of a channel each unit: where they lie and
/// what is done to them.
#[cube]
fn load_channels(
    planes: &mut Shared<[u32]>,
    norms: &mut Shared<[f32]>,
    numbers: &[f32],
    table: &[u32],
    sources: usize,
    begin: usize,
    depth: usize,
    #[comptime] taps: usize,
) {
    let unit = UNIT_POS as usize;
    let at = begin + unit;
    if unit < DEPTH && at < depth {
        let to = (begin / DEPTH % 2 * DEPTH + unit) * HELD;
        hold(planes, norms, to, numbers, table, sources + at / taps * SOURCE);
    }
}

/// Whether a part of the tile is left for a unit.
#[cube]
fn works(#[comptime] tile: Tile) -> bool {
    (UNIT_POS as usize) < comptime!(tile.rows / SIDE * tile.lanes())
}

/// The row in a cube's tile of a unit's `i`th row: four in a row, so that a warp reads few.
#[cube]
fn row_of(i: usize, #[comptime] tile: Tile) -> usize {
    min(UNIT_POS as usize / comptime!(tile.lanes()), comptime!(tile.rows / SIDE - 1)) * SIDE + i
}

/// The column in a cube's tile of a unit's `j`th column: neighbours have neighbours.
#[cube]
fn column_of(j: usize, #[comptime] tile: Tile) -> usize {
    let lanes = comptime!(tile.lanes());
    UNIT_POS as usize % lanes + j * lanes
}

/// Adds the product of two stages to a unit's sums.
#[cube]
fn multiply(left: &Shared<[f32]>, right: &Shared<[f32]>, sums: &mut Array<f32>, #[comptime] tile: Tile) {
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
