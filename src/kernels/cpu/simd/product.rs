//! Weighted sums of the channels of pixels.

#![expect(
    clippy::needless_range_loop,
    reason = "tiles are indexed by several numbers at once, whose bounds are constants"
)]

use pulp::{Simd, WithSimd};

use super::vector::{dispatch, load, part, store};
use super::{LANES, Lanes, Walk};
use crate::cpu::memory::Buffer;

/// A pixel whose channels are summed: how far from the one that is walked over, and how many it
/// has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub pixel: usize,
    pub channels: usize,
}

/// Most blocks of outputs that a panel has.
const MOST: usize = 4;

/// Weights, packed for a few blocks of outputs at a time. Of several layers, each a product of its
/// own, the entries are the same.
#[derive(Debug)]
pub(crate) struct Panels {
    entries: Vec<Entry>,
    layers: usize,
    panels: Vec<Panel>,
}

/// Some blocks of outputs.
#[derive(Debug)]
struct Panel {
    first: usize,
    blocks: usize,
    /// `[layer][entry, channel][block][lane]`
    weights: Buffer,
}

impl Panels {
    /// `weights(entry, channel, block)` are each layer's of every lane of a block of outputs.
    pub(crate) fn pack<const L: usize>(
        entries: Vec<Entry>,
        blocks: usize,
        weights: impl Fn(usize, usize, usize) -> [Lanes; L],
    ) -> Self {
        let depth: usize = entries.iter().map(|entry| entry.channels).sum();
        let count = blocks.div_ceil(MOST);
        let panels = (0..count).map(|at| {
            let (first, end) = (at * blocks / count, (at + 1) * blocks / count);
            let blocks = end - first;
            let mut panel = Panel { first, blocks, weights: Buffer::take(L * depth * blocks * LANES) };
            let packed = panel.weights.as_chunks_mut::<LANES>().0;
            let mut k = 0;
            for (entry, Entry { channels, .. }) in entries.iter().enumerate() {
                for channel in 0..*channels {
                    for block in 0..blocks {
                        for (layer, lanes) in weights(entry, channel, first + block).into_iter().enumerate() {
                            packed[(layer * depth + k) * blocks + block] = lanes.0;
                        }
                    }
                    k += 1;
                }
            }
            panel
        });
        Self { panels: panels.collect(), entries, layers: L }
    }
}

/// What is read: pixels of channels as they are, or with each channel spread over the lanes that it
/// is multiplied in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Input<'a> {
    pub values: &'a [f32],
    /// Values of a pixel: [`LANES`], or as many for each channel.
    pub pixel: usize,
    /// Values from one layer to the next.
    pub layer: usize,
}

impl Input<'_> {
    fn is_spread(self) -> bool {
        self.pixel > LANES
    }
}

/// What is written: blocks of outputs.
#[derive(Debug)]
pub(crate) struct Output<'a> {
    pub values: &'a mut [f32],
    /// Values from one block to the next.
    pub block: usize,
    /// Values from one layer to the next.
    pub layer: usize,
}

/// For every layer, block and pixel, with `out` as it was where `accumulate`, else zero:
///
/// ```text
/// out[block][pixel] = out[…] + bias[block]
///                   + Σ_entry Σ_channel weights[…] · in[entry + pixel][channel]
/// ```
///
/// # Panics
/// When the pixels do not fit the slices.
pub(crate) fn product(
    panels: &Panels,
    bias: Option<&[Lanes]>,
    input: Input<'_>,
    output: Output<'_>,
    walk: Walk,
    accumulate: bool,
) {
    if walk.is_empty() || panels.panels.is_empty() {
        return;
    }
    let (walk, layers) = (walk.flat(), panels.layers - 1);
    for entry in &panels.entries {
        walk.check_from(entry.pixel, input.pixel, input.values.len().saturating_sub(layers * input.layer));
        let each = if input.is_spread() { LANES } else { 1 };
        assert!(entry.channels * each <= input.pixel, "channels of a pixel");
    }
    let blocks: usize = panels.panels.iter().map(|panel| panel.blocks).sum();
    walk.check_to(0, output.values.len().saturating_sub(layers * output.layer + (blocks - 1) * output.block));
    assert!(bias.is_none_or(|bias| bias.len() >= blocks), "a bias a block");
    dispatch(Product { panels, bias, input, output, walk, accumulate });
}

struct Product<'a> {
    panels: &'a Panels,
    bias: Option<&'a [Lanes]>,
    input: Input<'a>,
    output: Output<'a>,
    walk: Walk,
    accumulate: bool,
}

/// Where a tile begins: its pixels, its weights, its outputs.
#[derive(Clone, Copy)]
struct Tile<'a> {
    panel: &'a Panel,
    /// The first column, in values of the panel's lanes.
    column: usize,
    input: *const f32,
    weights: *const f32,
    output: *mut f32,
    /// Values from one pixel to the next that is read.
    step: usize,
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let output = self.output.values.as_mut_ptr();
        match (self.input.is_spread(), self.walk.from.step) {
            (true, _) => self.run::<S, 0, true>(simd, output),
            (false, 1) => self.run::<S, LANES, false>(simd, output),
            (false, _) => self.run::<S, 0, false>(simd, output),
        }
    }
}

impl Product<'_> {
    #[inline(always)]
    fn run<S: Simd, const STEP: usize, const SPREAD: bool>(&self, simd: S, output: *mut f32) {
        let most = if S::REGISTER_COUNT < 32 { 2 } else { MOST };
        let depth: usize = self.panels.entries.iter().map(|entry| entry.channels).sum();
        for layer in 0..self.panels.layers {
            for panel in &self.panels.panels {
                let mut column = 0;
                while column < panel.blocks * LANES {
                    let vectors = ((panel.blocks * LANES - column) / S::F32_LANES).min(most);
                    // SAFETY: `product` has checked that each layer's pixels are among the values;
                    // the panel has `depth · blocks` vectors of weights a layer.
                    let tile = unsafe {
                        Tile {
                            panel,
                            column,
                            input: self.input.values.as_ptr().add(layer * self.input.layer),
                            weights: panel.weights.as_ptr().add(layer * depth * panel.blocks * LANES + column),
                            output: output.add(layer * self.output.layer),
                            step: self.walk.from.step * self.input.pixel,
                        }
                    };
                    match vectors {
                        1 => self.rows::<S, 1, STEP, SPREAD>(simd, tile),
                        2 => self.rows::<S, 2, STEP, SPREAD>(simd, tile),
                        3 => self.rows::<S, 3, STEP, SPREAD>(simd, tile),
                        _ => self.rows::<S, 4, STEP, SPREAD>(simd, tile),
                    }
                    column += vectors * S::F32_LANES;
                }
            }
        }
    }

    #[inline(always)]
    fn rows<S: Simd, const N: usize, const STEP: usize, const SPREAD: bool>(&self, simd: S, tile: Tile<'_>) {
        let Walk { rows, width, from, to } = self.walk;
        let room = if S::REGISTER_COUNT < 32 { 8 } else { 16 };
        for row in 0..rows {
            let mut at = 0;
            while at < width {
                // SAFETY: a pixel of the walk.
                let tile = unsafe {
                    Tile {
                        input: tile.input.add((row * from.pitch + at * from.step) * self.input.pixel),
                        output: tile.output.add((row * to.pitch + at * to.step) * LANES),
                        ..tile
                    }
                };
                let left = width - at;
                at += if left >= 16 && N == 1 && room == 16 {
                    self.tile::<S, 16, N, STEP, SPREAD>(simd, tile)
                } else if left >= 8 && 8 * N <= room + 8 {
                    self.tile::<S, 8, N, STEP, SPREAD>(simd, tile)
                } else if left >= 4 {
                    self.tile::<S, 4, N, STEP, SPREAD>(simd, tile)
                } else if left >= 2 {
                    self.tile::<S, 2, N, STEP, SPREAD>(simd, tile)
                } else {
                    self.tile::<S, 1, N, STEP, SPREAD>(simd, tile)
                };
            }
        }
    }

    /// `M` pixels at `N` vectors of outputs. Returns `M`.
    #[inline(always)]
    fn tile<S: Simd, const M: usize, const N: usize, const STEP: usize, const SPREAD: bool>(
        &self,
        simd: S,
        tile: Tile<'_>,
    ) -> usize {
        let step = if STEP > 0 { STEP } else { tile.step };
        let mut sums = [[simd.splat_f32s(0.0); N]; M];
        let mut weights = tile.weights;
        // SAFETY: `product` has checked that the pixels of every entry can be read, those of every
        // block read and written, and that there is a bias a block.
        unsafe {
            let mut outputs = [tile.output; N];
            let mut parts = [0; N];
            for n in 0..N {
                let column = tile.column + n * S::F32_LANES;
                parts[n] = part::<S>(column);
                outputs[n] = tile.output.add((tile.panel.first + column / LANES) * self.output.block + parts[n]);
                if let Some(bias) = self.bias {
                    let lanes = bias.as_ptr().add(tile.panel.first + column / LANES).cast::<f32>();
                    let bias = load::<S>(lanes.add(parts[n]));
                    for m in 0..M {
                        sums[m][n] = bias;
                    }
                }
            }
            let to = self.walk.to.step * LANES;
            if self.accumulate {
                for m in 0..M {
                    for n in 0..N {
                        sums[m][n] = simd.add_f32s(sums[m][n], load::<S>(outputs[n].add(m * to)));
                    }
                }
            }
            for entry in &self.panels.entries {
                let mut from = tile.input.add(entry.pixel * self.input.pixel);
                for _ in 0..entry.channels {
                    let mut column = [simd.splat_f32s(0.0); N];
                    for n in 0..N {
                        column[n] = load::<S>(weights.add(n * S::F32_LANES));
                    }
                    for m in 0..M {
                        let place = from.add(m * step);
                        for n in 0..N {
                            let x = if SPREAD { load::<S>(place.add(parts[n])) } else { simd.splat_f32s(*place) };
                            sums[m][n] = simd.mul_add_e_f32s(x, column[n], sums[m][n]);
                        }
                    }
                    weights = weights.wrapping_add(tile.panel.blocks * LANES);
                    from = from.wrapping_add(if SPREAD { LANES } else { 1 });
                }
            }
            for m in 0..M {
                for n in 0..N {
                    store::<S>(outputs[n].add(m * to), sums[m][n]);
                }
            }
        }
        M
    }
}
