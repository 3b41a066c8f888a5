//! Products of the channels of two maps, summed over pixels.

#![expect(
    clippy::needless_range_loop,
    reason = "tiles are indexed by several numbers at once, whose bounds are constants"
)]

use pulp::{Simd, WithSimd};

use super::product::Input;
use super::vector::{dispatch, each_channel, load, of_images, part, store};
use super::{LANES, Walk};
use crate::cpu::layout::NARROW;

/// What the channels of a pixel are multiplied with: blocks of another map's pixels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gradient<'a> {
    pub values: &'a [f32],
    pub blocks: usize,
    /// Values from one block to the next.
    pub block: usize,
    /// Values from one layer to the next.
    pub layer: usize,
}

/// For each of some layers, of which `sums` has `[layer][channel][block]`:
///
/// ```text
/// sums[channel][block] += Σ_pixel in[pixel][channel] · gradient[block][pixel]
/// ```
///
/// Layers of the sums are `layer` values apart. The input is walked over as what is read, the
/// gradient as what is written.
///
/// # Panics
/// When the pixels do not fit the slices.
pub(crate) fn outer(
    layers: usize,
    channels: usize,
    input: Input<'_>,
    gradient: Gradient<'_>,
    walk: Walk,
    sums: &mut [f32],
    layer: usize,
) {
    if walk.is_empty() || layers * channels * gradient.blocks == 0 {
        return;
    }
    let walk = walk.flat();
    let beyond = (layers - 1) * gradient.layer + (gradient.blocks - 1) * gradient.block;
    walk.check_from(0, input.values.len().saturating_sub((layers - 1) * input.layer));
    walk.check_to(0, gradient.values.len().saturating_sub(beyond));
    assert!(channels <= input.width && [LANES, NARROW].contains(&input.width), "channels of a pixel");
    assert!((layers - 1) * layer + channels * gradient.blocks * LANES <= sums.len(), "a sum a pair");
    dispatch(Outer { layers, channels, input, gradient, walk, sums: sums.as_mut_ptr(), layer });
}

struct Outer<'a> {
    layers: usize,
    channels: usize,
    input: Input<'a>,
    gradient: Gradient<'a>,
    walk: Walk,
    /// All sums can be read and written from here.
    sums: *mut f32,
    layer: usize,
}

impl WithSimd for Outer<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if self.input.width < LANES { self.layers::<S, true>(simd) } else { self.layers::<S, false>(simd) }
    }
}

impl Outer<'_> {
    #[inline(always)]
    fn layers<S: Simd, const SHARED: bool>(&self, simd: S) {
        let columns = self.gradient.blocks * LANES / S::F32_LANES;
        for layer in 0..self.layers {
            let mut column = 0;
            while column < columns {
                column += if SHARED && columns - column >= 4 && S::REGISTER_COUNT >= 32 {
                    self.column::<S, 4, SHARED>(simd, layer, column)
                } else if columns - column >= 2 {
                    self.column::<S, 2, SHARED>(simd, layer, column)
                } else {
                    self.column::<S, 1, SHARED>(simd, layer, column)
                };
            }
        }
    }

    /// All channels at `N` vectors of the gradient. Returns `N`.
    #[inline(always)]
    fn column<S: Simd, const N: usize, const SHARED: bool>(&self, simd: S, layer: usize, column: usize) -> usize {
        let wide = S::REGISTER_COUNT >= 32;
        if SHARED {
            match self.channels {
                1 => self.tile::<S, 1, N, true>(simd, layer, column, 0),
                2 => self.tile::<S, 2, N, true>(simd, layer, column, 0),
                3 => self.tile::<S, 3, N, true>(simd, layer, column, 0),
                _ => self.tile::<S, NARROW, N, true>(simd, layer, column, 0),
            };
            return N;
        }
        let mut channel = 0;
        while channel < self.channels {
            channel += match self.channels - channel {
                16.. if wide && N == 1 => self.tile::<S, 16, N, false>(simd, layer, column, channel),
                8.. if wide || N == 1 => self.tile::<S, 8, N, false>(simd, layer, column, channel),
                4.. => self.tile::<S, 4, N, false>(simd, layer, column, channel),
                2.. => self.tile::<S, 2, N, false>(simd, layer, column, channel),
                _ => self.tile::<S, 1, N, false>(simd, layer, column, channel),
            };
        }
        N
    }

    /// `M` channels at `N` vectors. Returns `M`.
    #[inline(always)]
    fn tile<S: Simd, const M: usize, const N: usize, const SHARED: bool>(
        &self,
        simd: S,
        layer: usize,
        column: usize,
        channel: usize,
    ) -> usize {
        let Walk { images, rows, width, from, to } = self.walk;
        let mut sums = [[simd.splat_f32s(0.0); N]; M];
        let (mut gradients, mut parts) = ([std::ptr::null(); N], [0; N]);
        // SAFETY: `outer` has checked that all pixels of every layer and block can be read, that
        // a pixel has these channels, and that there is a sum a pair.
        unsafe {
            for n in 0..N {
                let lane = (column + n) * S::F32_LANES;
                parts[n] = part::<S>(lane);
                let gradient = self.gradient.values.as_ptr().add(layer * self.gradient.layer);
                gradients[n] = gradient.add(lane / LANES * self.gradient.block + parts[n]);
            }
            let input = self.input.values.as_ptr().add(layer * self.input.layer + if SHARED { 0 } else { channel });
            let pitch = self.gradient.blocks * LANES;
            let place = self.sums.add(layer * self.layer + channel * pitch + column * S::F32_LANES);
            for m in 0..M {
                for n in 0..N {
                    sums[m][n] = load::<S>(place.add(m * pitch + n * S::F32_LANES));
                }
            }
            for (image, row) in (0..images).flat_map(|image| (0..rows).map(move |row| (image, row))) {
                let mut input = input.add((image * from.image + row * from.pitch) * LANES);
                let mut at = (image * to.image + row * to.pitch) * LANES;
                for _ in 0..width {
                    let mut gradient = [simd.splat_f32s(0.0); N];
                    for n in 0..N {
                        gradient[n] = load::<S>(gradients[n].add(at));
                    }
                    if SHARED {
                        each_channel!(CHANNEL => {
                            if CHANNEL < M {
                                for n in 0..N {
                                    let x = of_images::<S, CHANNEL>(input, parts[n]);
                                    sums[CHANNEL][n] = simd.mul_add_e_f32s(x, gradient[n], sums[CHANNEL][n]);
                                }
                            }
                        });
                    } else {
                        for m in 0..M {
                            let x = simd.splat_f32s(*input.add(m));
                            for n in 0..N {
                                sums[m][n] = simd.mul_add_e_f32s(x, gradient[n], sums[m][n]);
                            }
                        }
                    }
                    input = input.wrapping_add(from.step * LANES);
                    at += to.step * LANES;
                }
            }
            for m in 0..M {
                for n in 0..N {
                    store::<S>(place.add(m * pitch + n * S::F32_LANES), sums[m][n]);
                }
            }
        }
        M
    }
}
