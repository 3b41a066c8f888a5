//! Weighted sums of the channels of pixels.

#![expect(
    clippy::needless_range_loop,
    reason = "tiles are indexed by several numbers at once, whose bounds are constants"
)]

use std::{ops::Range, sync::Arc};

use pulp::{Simd, WithSimd};

use super::vector::{dispatch, each_channel, load, of_images, part, store};
use super::{LANES, Lanes, Walk};
use crate::cpu::{layout::NARROW, memory::Buffer};

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
#[derive(Debug, Clone)]
pub(crate) struct Panels {
    entries: Arc<[Entry]>,
    layers: Range<usize>,
    panels: Arc<[Panel]>,
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
    /// `row(layer, entry, channel, first, weights)` writes those of some blocks of outputs, from the
    /// first on, a value a lane.
    pub(crate) fn pack(
        layers: usize,
        entries: Vec<Entry>,
        blocks: usize,
        row: impl Fn(usize, usize, usize, usize, &mut [[f32; LANES]]),
    ) -> Self {
        let depth: usize = entries.iter().map(|entry| entry.channels).sum();
        let count = blocks.div_ceil(MOST);
        let panels = (0..count).map(|at| {
            let (first, end) = (at * blocks / count, (at + 1) * blocks / count);
            let mut packed = Buffer::take(layers * depth * (end - first) * LANES);
            let mut to = packed.chunks_exact_mut((end - first) * LANES);
            for layer in 0..layers {
                for (entry, Entry { channels, .. }) in entries.iter().enumerate() {
                    for (channel, to) in to.by_ref().take(*channels).enumerate() {
                        row(layer, entry, channel, first, to.as_chunks_mut().0);
                    }
                }
            }
            Panel { first, blocks: end - first, weights: packed }
        });
        Self { panels: panels.collect(), layers: 0..layers, entries: entries.into() }
    }

    /// One layer alone.
    pub(crate) fn layer(&self, layer: usize) -> Self {
        Self { layers: layer..layer + 1, ..self.clone() }
    }
}

/// What is read: pixels of channels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Input<'a> {
    pub values: &'a [f32],
    /// Values from one layer to the next.
    pub layer: usize,
    /// Channels of a pixel at most: [`LANES`], or [`NARROW`] of each of some images.
    pub width: usize,
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
    let (walk, layers) = (walk.flat(), panels.layers.len() - 1);
    for entry in &*panels.entries {
        walk.check_from(entry.pixel, input.values.len().saturating_sub(layers * input.layer));
        assert!(entry.channels <= input.width && [LANES, NARROW].contains(&input.width), "channels of a pixel");
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
        match (self.input.width < LANES, self.walk.from.step) {
            (true, 1) => self.run::<S, LANES, true>(simd, output),
            (true, _) => self.run::<S, 0, true>(simd, output),
            (false, 1) => self.run::<S, LANES, false>(simd, output),
            (false, _) => self.run::<S, 0, false>(simd, output),
        }
    }
}

impl Product<'_> {
    #[inline(always)]
    fn run<S: Simd, const STEP: usize, const SHARED: bool>(&self, simd: S, output: *mut f32) {
        let most = if S::REGISTER_COUNT < 32 { 2 } else { MOST };
        let depth: usize = self.panels.entries.iter().map(|entry| entry.channels).sum();
        for (place, layer) in self.panels.layers.clone().enumerate() {
            for panel in &*self.panels.panels {
                let mut column = 0;
                while column < panel.blocks * LANES {
                    let vectors = ((panel.blocks * LANES - column) / S::F32_LANES).min(most);
                    // SAFETY: `product` has checked that each layer's pixels are among the values;
                    // the panel has `depth · blocks` vectors of weights a layer.
                    let tile = unsafe {
                        Tile {
                            panel,
                            column,
                            input: self.input.values.as_ptr().add(place * self.input.layer),
                            weights: panel.weights.as_ptr().add(layer * depth * panel.blocks * LANES + column),
                            output: output.add(place * self.output.layer),
                            step: self.walk.from.step * LANES,
                        }
                    };
                    match vectors {
                        1 => self.rows::<S, 1, STEP, SHARED>(simd, tile),
                        2 => self.rows::<S, 2, STEP, SHARED>(simd, tile),
                        3 => self.rows::<S, 3, STEP, SHARED>(simd, tile),
                        _ => self.rows::<S, 4, STEP, SHARED>(simd, tile),
                    }
                    column += vectors * S::F32_LANES;
                }
            }
        }
    }

    #[inline(always)]
    fn rows<S: Simd, const N: usize, const STEP: usize, const SHARED: bool>(&self, simd: S, tile: Tile<'_>) {
        let Walk { images, rows, width, from, to } = self.walk;
        let room = if S::REGISTER_COUNT < 32 { 8 } else { 16 };
        for (image, row) in (0..images).flat_map(|image| (0..rows).map(move |row| (image, row))) {
            let (from_row, to_row) = (image * from.image + row * from.pitch, image * to.image + row * to.pitch);
            let mut at = 0;
            while at < width {
                // SAFETY: a pixel of the walk.
                let tile = unsafe {
                    Tile {
                        input: tile.input.add((from_row + at * from.step) * LANES),
                        output: tile.output.add((to_row + at * to.step) * LANES),
                        ..tile
                    }
                };
                let left = width - at;
                at += if left >= 16 && N == 1 && room == 16 {
                    self.tile::<S, 16, N, STEP, SHARED>(simd, tile)
                } else if left >= 8 && 8 * N <= room + 8 {
                    self.tile::<S, 8, N, STEP, SHARED>(simd, tile)
                } else if left >= 4 {
                    self.tile::<S, 4, N, STEP, SHARED>(simd, tile)
                } else if left >= 2 {
                    self.tile::<S, 2, N, STEP, SHARED>(simd, tile)
                } else {
                    self.tile::<S, 1, N, STEP, SHARED>(simd, tile)
                };
            }
        }
    }

    /// `M` pixels at `N` vectors of outputs. Returns `M`.
    #[inline(always)]
    fn tile<S: Simd, const M: usize, const N: usize, const STEP: usize, const SHARED: bool>(
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
            for entry in &*self.panels.entries {
                let mut from = tile.input.add(entry.pixel * LANES);
                if SHARED {
                    each_channel!(CHANNEL => {
                        if CHANNEL < entry.channels {
                            for m in 0..M {
                                for n in 0..N {
                                    let x = of_images::<S, CHANNEL>(from.add(m * step), parts[n]);
                                    let weight = load::<S>(weights.add(n * S::F32_LANES));
                                    sums[m][n] = simd.mul_add_e_f32s(x, weight, sums[m][n]);
                                }
                            }
                            weights = weights.wrapping_add(tile.panel.blocks * LANES);
                        }
                    });
                    continue;
                }
                for _ in 0..entry.channels {
                    let mut column = [simd.splat_f32s(0.0); N];
                    for n in 0..N {
                        column[n] = load::<S>(weights.add(n * S::F32_LANES));
                    }
                    for m in 0..M {
                        let x = simd.splat_f32s(*from.add(m * step));
                        for n in 0..N {
                            sums[m][n] = simd.mul_add_e_f32s(x, column[n], sums[m][n]);
                        }
                    }
                    weights = weights.wrapping_add(tile.panel.blocks * LANES);
                    from = from.wrapping_add(1);
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
