//! One window of weights a channel: its value, the gradient of its weights, the gradient of its
//! input.
//!
//! Lanes are channels, so a tap is a pixel at an offset, at any stride and dilation. Along a row of
//! a window of stride 1 and of a common size, pixels that several outputs read are read once.

#![expect(
    clippy::needless_range_loop,
    reason = "tiles are indexed by several numbers at once, whose bounds are constants"
)]

use pulp::{Simd, WithSimd};

use super::vector::{dispatch, load, store};
use super::{LANES, Lanes, Walk};

/// The taps of a window, in pixels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    /// `[kh, kw]`
    pub kernel: [usize; 2],
    /// From the pixel that is walked over to the first tap.
    pub first: usize,
    /// From one row of taps to the next, and from one column to the next.
    pub apart: [usize; 2],
}

impl Window {
    pub(crate) fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    pub(crate) fn tap(&self, tap: usize) -> usize {
        self.first + tap / self.kernel[1] * self.apart[0] + tap % self.kernel[1] * self.apart[1]
    }
}

/// Outputs of a tile.
const TILE: usize = 8;

/// What to do for a window whose rows have `K` taps, `D` pixels apart; both 0 for any.
trait OfWindow {
    fn run<S: Simd, const K: usize, const D: usize>(&mut self, simd: S);
}

#[inline(always)]
fn by_window<S: Simd>(simd: S, window: &Window, walk: Walk, op: &mut impl OfWindow) {
    match (walk.from.step, window.kernel[1], window.apart[1]) {
        (1, 3, 1) => op.run::<S, 3, 1>(simd),
        (1, 3, 2) => op.run::<S, 3, 2>(simd),
        (1, 5, 1) => op.run::<S, 5, 1>(simd),
        (1, 5, 2) => op.run::<S, 5, 2>(simd),
        _ => op.run::<S, 0, 0>(simd),
    }
}

/// Inputs of a tile: those of the largest window that is read at once.
const INPUTS: usize = TILE + 4 * 2;

/// For every pixel, with `out` as it was where `accumulate`, else zero:
///
/// ```text
/// out[pixel] = out[pixel] + Σ_tap weights[tap] · in[tap + pixel]
/// ```
///
/// # Panics
/// When the pixels do not fit the slices, or there is not a weight a tap.
pub(crate) fn correlate(
    input: &[f32],
    weights: &[Lanes],
    window: &Window,
    walk: Walk,
    out: &mut [f32],
    accumulate: bool,
) {
    if walk.is_empty() {
        return;
    }
    assert_eq!(weights.len(), window.taps(), "a weight a tap");
    walk.check_from(window.tap(window.taps() - 1), input.len());
    walk.check_to(0, out.len());
    let (input, out) = (input.as_ptr(), out.as_mut_ptr());
    dispatch(Correlate { input, weights, window, walk, out, accumulate });
}

struct Correlate<'a> {
    /// Every tap of the walk can be read from here.
    input: *const f32,
    weights: &'a [Lanes],
    window: &'a Window,
    walk: Walk,
    /// The walk can be written from here.
    out: *mut f32,
    accumulate: bool,
}

impl WithSimd for Correlate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        by_window(simd, self.window, self.walk, &mut self);
    }
}

impl OfWindow for Correlate<'_> {
    #[inline(always)]
    fn run<S: Simd, const K: usize, const D: usize>(&mut self, simd: S) {
        let Walk { rows, width, from, to, .. } = self.walk;
        for row in 0..rows {
            for part in (0..LANES).step_by(S::F32_LANES) {
                let mut at = 0;
                while at < width {
                    // SAFETY: a pixel of the walk.
                    let (input, out) = unsafe {
                        let input = self.input.add((row * from.pitch + at * from.step) * LANES + part);
                        (input, self.out.add((row * to.pitch + at * to.step) * LANES + part))
                    };
                    at += match width - at {
                        TILE.. => self.tile::<S, TILE, K, D>(simd, input, out, part),
                        4.. => self.tile::<S, 4, K, D>(simd, input, out, part),
                        2.. => self.tile::<S, 2, K, D>(simd, input, out, part),
                        _ => self.tile::<S, 1, K, D>(simd, input, out, part),
                    };
                }
            }
        }
    }
}

impl Correlate<'_> {
    /// `M` pixels of a row. Returns `M`.
    #[inline(always)]
    fn tile<S: Simd, const M: usize, const K: usize, const D: usize>(
        &self,
        simd: S,
        input: *const f32,
        out: *mut f32,
        part: usize,
    ) -> usize {
        let mut sums = [simd.splat_f32s(0.0); M];
        let Window { kernel, first, apart } = *self.window;
        let (step, to) = (self.walk.from.step * LANES, self.walk.to.step * LANES);
        // SAFETY: `correlate` has checked that every tap can be read, every pixel written, and that
        // there is a weight a tap.
        unsafe {
            if self.accumulate {
                for m in 0..M {
                    sums[m] = load::<S>(out.add(m * to));
                }
            }
            let mut weights = self.weights.as_ptr().cast::<f32>().add(part);
            let mut input = input.add(first * LANES);
            for _ in 0..kernel[0] {
                if K > 0 {
                    let mut inputs = [simd.splat_f32s(0.0); INPUTS];
                    for x in 0..M + (K - 1) * D {
                        inputs[x] = load::<S>(input.add(x * LANES));
                    }
                    for kx in 0..K {
                        let weight = load::<S>(weights.add(kx * LANES));
                        for m in 0..M {
                            sums[m] = simd.mul_add_e_f32s(weight, inputs[m + kx * D], sums[m]);
                        }
                    }
                } else {
                    for kx in 0..kernel[1] {
                        let weight = load::<S>(weights.add(kx * LANES));
                        let tap = input.add(kx * apart[1] * LANES);
                        for m in 0..M {
                            sums[m] = simd.mul_add_e_f32s(weight, load::<S>(tap.add(m * step)), sums[m]);
                        }
                    }
                }
                weights = weights.wrapping_add(kernel[1] * LANES);
                input = input.wrapping_add(apart[0] * LANES);
            }
            for m in 0..M {
                store::<S>(out.add(m * to), sums[m]);
            }
        }
        M
    }
}

/// For every tap:
///
/// ```text
/// sums[tap] += Σ_pixel gradient[pixel] · in[tap + pixel]
/// ```
///
/// The input is walked over as what is read, the gradient as what is written.
///
/// # Panics
/// When the pixels do not fit the slices, or there is not a sum a tap.
pub(crate) fn weight_sums(input: &[f32], gradient: &[f32], window: &Window, walk: Walk, sums: &mut [f32]) {
    if walk.is_empty() {
        return;
    }
    assert_eq!(sums.len(), window.taps() * LANES, "a sum a tap");
    walk.check_from(window.tap(window.taps() - 1), input.len());
    walk.check_to(0, gradient.len());
    let (input, gradient, sums) = (input.as_ptr(), gradient.as_ptr(), sums.as_mut_ptr());
    dispatch(WeightSums { input, gradient, window, walk, sums });
}

struct WeightSums<'a> {
    /// Every tap of the walk can be read from here.
    input: *const f32,
    /// The walk can be read from here.
    gradient: *const f32,
    window: &'a Window,
    walk: Walk,
    /// A pixel a tap can be read and written from here.
    sums: *mut f32,
}

impl WithSimd for WeightSums<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        by_window(simd, self.window, self.walk, &mut self);
    }
}

impl OfWindow for WeightSums<'_> {
    #[inline(always)]
    fn run<S: Simd, const K: usize, const D: usize>(&mut self, simd: S) {
        let Window { kernel, first, apart } = *self.window;
        let Walk { rows, from, to, .. } = self.walk;
        for row in 0..rows {
            for part in (0..LANES).step_by(S::F32_LANES) {
                for ky in 0..kernel[0] {
                    // SAFETY: a row of the walk, and a row of the window.
                    unsafe {
                        let input = self.input.add((row * from.pitch + first + ky * apart[0]) * LANES + part);
                        let gradient = self.gradient.add(row * to.pitch * LANES + part);
                        let sums = self.sums.add(ky * kernel[1] * LANES + part);
                        if K > 0 {
                            self.row::<S, K, D>(simd, input, gradient, sums);
                        } else {
                            for kx in 0..kernel[1] {
                                let (input, sums) = (input.add(kx * apart[1] * LANES), sums.add(kx * LANES));
                                self.row::<S, 1, 1>(simd, input, gradient, sums);
                            }
                        }
                    }
                }
            }
        }
    }
}

impl WeightSums<'_> {
    /// The sums of `K` taps over a row.
    ///
    /// # Safety
    /// The row of every tap and of the gradient can be read, the sums of the taps written too.
    #[inline(always)]
    unsafe fn row<S: Simd, const K: usize, const D: usize>(
        &self,
        simd: S,
        input: *const f32,
        gradient: *const f32,
        place: *mut f32,
    ) {
        let Walk { width, from, to, .. } = self.walk;
        let (step, to) = (from.step * LANES, to.step * LANES);
        // Two sums a tap: what waits for one is done for the other.
        let mut sums = [[simd.splat_f32s(0.0); K]; 2];
        // SAFETY: as asked of the caller.
        unsafe {
            for kx in 0..K {
                sums[0][kx] = load::<S>(place.add(kx * LANES));
            }
            let tiles = width / TILE;
            for tile in 0..tiles {
                let (input, gradient) = (input.add(tile * TILE * step), gradient.add(tile * TILE * to));
                if K > 1 {
                    let mut inputs = [simd.splat_f32s(0.0); INPUTS];
                    for x in 0..TILE + (K - 1) * D {
                        inputs[x] = load::<S>(input.add(x * LANES));
                    }
                    for m in 0..TILE {
                        let gradient = load::<S>(gradient.add(m * to));
                        for kx in 0..K {
                            sums[m % 2][kx] = simd.mul_add_e_f32s(gradient, inputs[m + kx * D], sums[m % 2][kx]);
                        }
                    }
                } else {
                    for m in 0..TILE {
                        let (gradient, input) = (load::<S>(gradient.add(m * to)), load::<S>(input.add(m * step)));
                        sums[m % 2][0] = simd.mul_add_e_f32s(gradient, input, sums[m % 2][0]);
                    }
                }
            }
            for x in tiles * TILE..width {
                let gradient = load::<S>(gradient.add(x * to));
                for kx in 0..K {
                    let input = load::<S>(input.add(x * step + kx * D * LANES));
                    sums[1][kx] = simd.mul_add_e_f32s(gradient, input, sums[1][kx]);
                }
            }
            for kx in 0..K {
                store::<S>(place.add(kx * LANES), simd.add_f32s(sums[0][kx], sums[1][kx]));
            }
        }
    }
}

/// For every pixel and tap, the gradient of the input of [`correlate`]:
///
/// ```text
/// out[tap + pixel] += weights[tap] · gradient[pixel]
/// ```
///
/// The output is walked over as what is read there, the gradient as what is written.
///
/// # Panics
/// When the pixels do not fit the slices, or there is not a weight a tap.
pub(crate) fn spread(gradient: &[f32], weights: &[Lanes], window: &Window, walk: Walk, out: &mut [f32]) {
    if walk.is_empty() {
        return;
    }
    assert_eq!(weights.len(), window.taps(), "a weight a tap");
    walk.check_from(window.tap(window.taps() - 1), out.len());
    walk.check_to(0, gradient.len());
    dispatch(Spread { gradient: gradient.as_ptr(), weights, window, walk, out: out.as_mut_ptr() });
}

struct Spread<'a> {
    /// The walk can be read from here.
    gradient: *const f32,
    weights: &'a [Lanes],
    window: &'a Window,
    walk: Walk,
    /// Every tap of the walk can be read and written from here.
    out: *mut f32,
}

impl WithSimd for Spread<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Walk { rows, width, from, to, .. } = self.walk;
        for row in 0..rows {
            for (tap, weight) in self.weights.iter().enumerate() {
                for part in (0..LANES).step_by(S::F32_LANES) {
                    // SAFETY: `spread` has checked that the walk can be read, every tap written.
                    unsafe {
                        let weight = load::<S>(weight.0.as_ptr().add(part));
                        let gradient = self.gradient.add(row * to.pitch * LANES + part);
                        let out = self.out.add((self.window.tap(tap) + row * from.pitch) * LANES + part);
                        for x in 0..width {
                            let out = out.add(x * from.step * LANES);
                            let gradient = load::<S>(gradient.add(x * to.step * LANES));
                            store::<S>(out, simd.mul_add_e_f32s(weight, gradient, load::<S>(out)));
                        }
                    }
                }
            }
        }
    }
}
