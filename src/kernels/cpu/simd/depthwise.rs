//! One window of weights over one plane: its value, the gradient of its weights, the gradient of
//! its input.
//!
//! Windows of stride 1 (see [`Taps::new`]) are walked down columns of the plane, so that a vector
//! of the input is read once for all the rows of the window that meet it.

#![expect(
    clippy::needless_range_loop,
    reason = "tiles are indexed by several numbers at once, whose bounds are constants"
)]

use std::hint::black_box;

use pulp::{Simd, WithSimd};

use super::Rows;
use super::dots::dots;
use super::product::single;
use super::vector::{MOST_SUMS, dispatch, load, store, sum_lanes, unrolled};

/// Where the taps of a window stand in a staged plane.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taps<'a> {
    /// One a tap, in reading order.
    offsets: &'a [usize],
    /// The last of them.
    last: usize,
    /// `[kh, kw]`
    kernel: [usize; 2],
    row_step: Option<usize>,
    /// Distance of two rows of the staged plane.
    pitch: usize,
}

impl<'a> Taps<'a> {
    /// `row_step` is for a window of stride 1 its dilation `d`, a promise that
    /// `offsets[ky * kw + kx] == offsets[kx] + ky * d * pitch`.
    ///
    /// # Panics
    /// When the offsets do not fit the kernel `[kh, kw]`, or break the promise of `row_step`.
    pub(crate) fn new(offsets: &'a [usize], kernel: [usize; 2], row_step: Option<usize>, pitch: usize) -> Self {
        let [height, width] = kernel;
        assert_eq!(offsets.len(), height * width, "an offset a tap");
        if let Some(step) = row_step {
            assert!(step > 0, "rows of a window are apart");
            let pairs = offsets.iter().zip(offsets.get(width..).unwrap_or_default());
            let is_kept = pairs.fold(true, |kept, (tap, below)| kept & (*below == tap + step * pitch));
            assert!(is_kept, "rows of a window of stride 1 are {step} rows of the plane apart");
        }
        let last = offsets.iter().fold(0, |last, offset| last.max(*offset));
        Self { offsets, last, kernel, row_step, pitch }
    }

    /// # Panics
    /// When the rows are those of another plane, or reach past an input of `len` values.
    #[inline]
    fn check(&self, rows: Rows, len: usize) {
        assert_eq!(rows.input_pitch, self.pitch, "rows of the plane that the taps are of");
        rows.check_reach(self.last, len);
    }
}

/// For every row `r` and lane `l`, with `out` as it was where `accumulate`, else zero:
///
/// ```text
/// out[r * output_pitch + l] = out[…] + Σ_t weights[t] * input[offsets[t] + r * input_pitch + l]
/// ```
///
/// # Panics
/// When the rows are not those of the window, or do not fit the slices.
pub(crate) fn correlate(input: &[f32], weights: &[f32], taps: Taps<'_>, rows: Rows, out: &mut [f32], accumulate: bool) {
    if rows.is_empty() {
        return;
    }
    taps.check(rows, input.len());
    assert_eq!(weights.len(), taps.offsets.len(), "a weight a tap");
    rows.check_output(1, 0, out.len());
    match taps.row_step {
        Some(step) if matches!(taps.kernel[0], 3 | 5 | 7) => dispatch(Correlate {
            columns: Columns { taps, step, rows, input: input.as_ptr() },
            weights,
            out: out.as_mut_ptr(),
            accumulate,
        }),
        _ => single(weights, taps.offsets, input, rows, out, accumulate),
    }
}

/// For every tap `t`:
///
/// ```text
/// sums[t] += Σ_r Σ_l grad[r * output_pitch + l] * input[offsets[t] + r * input_pitch + l]
/// ```
///
/// # Panics
/// When the rows are not those of the window or do not fit the slices, or `sums` not the taps.
pub(crate) fn plane_dots(grad: &[f32], input: &[f32], taps: Taps<'_>, rows: Rows, sums: &mut [f32]) {
    if rows.is_empty() {
        return;
    }
    taps.check(rows, input.len());
    assert_eq!(sums.len(), taps.offsets.len(), "a sum a tap");
    rows.check_output(1, 0, grad.len());
    match taps.row_step {
        Some(step) if matches!(taps.kernel, [3, 3] | [5, 5]) => dispatch(PlaneDots {
            columns: Columns { taps, step, rows, input: input.as_ptr() },
            grad: grad.as_ptr(),
            sums,
        }),
        _ => dots(grad, 0, 1, taps.offsets, input, rows, sums),
    }
}

/// For every tap `t` in turn, row `r` and lane `l`, the gradient of the input of [`correlate`]:
///
/// ```text
/// out_staged[offsets[t] + r * input_pitch + l] += weights[t] * grad[r * output_pitch + l]
/// ```
///
/// # Panics
/// When the rows do not fit the slices, or there is not a weight a tap.
pub(crate) fn spread(grad: &[f32], weights: &[f32], offsets: &[usize], rows: Rows, out_staged: &mut [f32]) {
    if rows.is_empty() {
        return;
    }
    assert_eq!(weights.len(), offsets.len(), "a weight a tap");
    rows.check_input(offsets, out_staged.len());
    rows.check_output(1, 0, grad.len());
    dispatch(Spread { grad: grad.as_ptr(), weights, offsets, rows, out: out_staged.as_mut_ptr() });
}

/// A window of stride 1 over a plane.
#[derive(Clone, Copy)]
struct Columns<'a> {
    taps: Taps<'a>,
    /// Rows of the plane from one row of the window to the next.
    step: usize,
    rows: Rows,
    /// `rows` of every offset of the window can be read from here.
    input: *const f32,
}

impl Columns<'_> {
    /// Runs of rows that are `step` apart: the first row and the count of each. Every row is in one
    /// run.
    #[inline(always)]
    fn runs(self) -> impl Iterator<Item = (usize, usize)> {
        let (count, step) = (self.rows.count, self.step);
        let (least, longer) = if step == 1 { (count, 0) } else { (count / step, count % step) };
        (0..step.min(count)).map(move |first| (first, least + usize::from(first < longer)))
    }
}

struct Correlate<'a> {
    columns: Columns<'a>,
    weights: &'a [f32],
    /// `rows` can be written from here.
    out: *mut f32,
    accumulate: bool,
}

impl WithSimd for Correlate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self.columns.taps.kernel[0] {
            3 => self.runs::<S, 3>(simd),
            5 => self.runs::<S, 5>(simd),
            _ => self.runs::<S, 7>(simd),
        }
    }
}

impl Correlate<'_> {
    #[inline(always)]
    fn runs<S: Simd, const KH: usize>(self, simd: S) {
        let step = self.columns.step;
        for (mut row, mut left) in self.columns.runs() {
            while left > 0 {
                let rows = match left {
                    8.. => self.band::<S, KH, 8>(simd, row),
                    4..8 => self.band::<S, KH, 4>(simd, row),
                    2..4 => self.band::<S, KH, 2>(simd, row),
                    _ => self.band::<S, KH, 1>(simd, row),
                };
                row += rows * step;
                left -= rows;
            }
        }
    }

    /// `R` rows from `row` on. Returns `R`.
    #[inline(always)]
    fn band<S: Simd, const KH: usize, const R: usize>(&self, simd: S, row: usize) -> usize {
        let (width, mut lane) = (self.columns.rows.width, 0);
        // Two vectors a row share their weights, where there are registers for 16 sums.
        if S::REGISTER_COUNT >= 32 {
            while lane + 2 * S::F32_LANES <= width {
                self.tile::<S, KH, R, 2>(simd, row, lane);
                lane += 2 * S::F32_LANES;
            }
        }
        while lane < width {
            self.tile::<S, KH, R, 1>(simd, row, lane);
            lane += S::F32_LANES;
        }
        R
    }

    #[inline(always)]
    fn tile<S: Simd, const KH: usize, const R: usize, const N: usize>(&self, simd: S, row: usize, lane: usize) {
        let Columns { taps, step, rows, input } = self.columns;
        let mut sums = [[simd.splat_f32s(0.0); N]; R];
        // SAFETY: `correlate` has checked that `rows` can be read from every offset, that the
        // window's rows are `step` rows of the plane apart, and that `rows` can be written; `R`
        // rows from `row` on, `step` apart, are among them.
        unsafe {
            let out = self.out.add(row * rows.output_pitch + lane);
            let out_step = step * rows.output_pitch;
            if self.accumulate {
                for r in 0..R {
                    for n in 0..N {
                        sums[r][n] = load::<S>(out.add(r * out_step + n * S::F32_LANES));
                    }
                }
            }
            let input = input.add(row * rows.input_pitch + lane);
            let input_step = step * rows.input_pitch;
            for kx in 0..taps.kernel[1] {
                let mut weights = [simd.splat_f32s(0.0); KH];
                for ky in 0..KH {
                    weights[ky] = simd.splat_f32s(self.weights[ky * taps.kernel[1] + kx]);
                }
                let mut input = input.add(taps.offsets[kx]);
                unrolled!(Y, 14 => {
                    if Y < R + KH - 1 {
                        for n in 0..N {
                            let vector = load::<S>(input.add(n * S::F32_LANES));
                            for ky in 0..KH {
                                if Y.wrapping_sub(ky) < R {
                                    sums[Y - ky][n] = simd.mul_add_e_f32s(weights[ky], vector, sums[Y - ky][n]);
                                }
                            }
                        }
                        input = input.wrapping_add(input_step);
                    }
                });
            }
            for r in 0..R {
                for n in 0..N {
                    store::<S>(out.add(r * out_step + n * S::F32_LANES), sums[r][n]);
                }
            }
        }
    }
}

struct PlaneDots<'a> {
    columns: Columns<'a>,
    /// `rows` can be read from here.
    grad: *const f32,
    sums: &'a mut [f32],
}

impl WithSimd for PlaneDots<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match self.columns.taps.kernel {
            [3, _] => self.square::<S, 3>(simd),
            _ => self.square::<S, 5>(simd),
        }
    }
}

impl PlaneDots<'_> {
    /// A square window of `K`.
    #[inline(always)]
    fn square<S: Simd, const K: usize>(self, simd: S) {
        let mut sums = [[simd.splat_f32s(0.0); K]; K];
        // Each height of band in a pass of its own, so that the sums stay in registers all through
        // it.
        self.bands::<S, K, 8>(simd, None, &mut sums);
        self.bands::<S, K, 4>(simd, Some(8), &mut sums);
        self.bands::<S, K, 2>(simd, Some(4), &mut sums);
        self.bands::<S, K, 1>(simd, Some(2), &mut sums);
        let mut flat = [simd.splat_f32s(0.0); MOST_SUMS];
        for ky in 0..K {
            for kx in 0..K {
                flat[ky * K + kx] = sums[ky][kx];
            }
        }
        let flat = sum_lanes(simd, flat, K * K);
        let sums = &mut self.sums[..K * K];
        for tap in 0..K * K {
            sums[tap] += flat[tap];
        }
    }

    /// Bands of `R` rows of what bands of `before` rows leave of each run.
    #[inline(always)]
    fn bands<S: Simd, const K: usize, const R: usize>(
        &self,
        simd: S,
        before: Option<usize>,
        all: &mut [[S::f32s; K]; K],
    ) {
        let Columns { taps, step, rows, input } = self.columns;
        let mut sums = *all;
        let mut offsets = [0; K];
        offsets.copy_from_slice(&taps.offsets[..K]);
        for (first, count) in self.columns.runs() {
            let left = before.map_or(count, |before| count % before);
            for band in 0..left / R {
                let row = first + (count - left + band * R) * step;
                // SAFETY: `plane_dots` has checked that `rows` can be read from `grad` and from
                // every offset of the window, and that the window's rows are `step` rows of the
                // plane apart; `R` rows from `row` on, `step` apart, are among them.
                unsafe {
                    let grad = self.grad.add(row * rows.output_pitch);
                    let input = input.add(row * rows.input_pitch);
                    for lane in (0..rows.width).step_by(S::F32_LANES) {
                        // Hidden from the compiler, which would else keep the place of every row
                        // and tap on the stack.
                        let (mut grad, mut input) = (black_box(grad.add(lane)), black_box(input.add(lane)));
                        let mut grads = [simd.splat_f32s(0.0); R];
                        unrolled!(Y, 14 => {
                            if Y < R {
                                grads[Y] = load::<S>(grad);
                                grad = grad.wrapping_add(step * rows.output_pitch);
                            }
                            if Y < R + K - 1 {
                                for kx in 0..K {
                                    let vector = load::<S>(input.add(offsets[kx]));
                                    for ky in 0..K {
                                        if Y.wrapping_sub(ky) < R {
                                            sums[ky][kx] = simd.mul_add_e_f32s(grads[Y - ky], vector, sums[ky][kx]);
                                        }
                                    }
                                }
                                input = input.wrapping_add(step * rows.input_pitch);
                            }
                        });
                    }
                }
            }
        }
        *all = sums;
    }
}

struct Spread<'a> {
    /// `rows` can be read from here.
    grad: *const f32,
    weights: &'a [f32],
    offsets: &'a [usize],
    rows: Rows,
    /// `rows` of every offset can be read and written from here.
    out: *mut f32,
}

impl WithSimd for Spread<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Rows { count, width, input_pitch, output_pitch } = self.rows;
        for (&weight, &offset) in self.weights.iter().zip(self.offsets) {
            let weight = simd.splat_f32s(weight);
            for row in 0..count {
                // SAFETY: `spread` has checked that `rows` can be read, and those of every offset
                // written.
                unsafe {
                    let grad = self.grad.add(row * output_pitch);
                    let out = self.out.add(offset + row * input_pitch);
                    for lane in (0..width).step_by(S::F32_LANES) {
                        let sum = load::<S>(out.add(lane));
                        let sum = simd.mul_add_e_f32s(weight, load::<S>(grad.add(lane)), sum);
                        store::<S>(out.add(lane), sum);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{ROWS, assert_close, span, values};
    use super::super::vector::levels;
    use super::*;

    const KERNELS: [[usize; 2]; 9] = [[1, 1], [3, 3], [5, 5], [7, 7], [1, 7], [7, 1], [3, 5], [5, 3], [2, 3]];

    /// Calls `test` with the taps of every kernel, with and without a row step, over every set of
    /// rows, and with the values that the taps span.
    fn each_shape(mut test: impl FnMut(Taps<'_>, Rows, usize)) {
        levels::each(|| {
            for [height, width] in KERNELS {
                for rows in ROWS {
                    for step in [None, Some(1), Some(2), Some(3)] {
                        let offset = |tap: usize| match step {
                            Some(step) => tap % width * step + tap / width * step * rows.input_pitch,
                            None => tap * 29 % 64,
                        };
                        let offsets: Vec<usize> = (0..height * width).map(|tap| 2 + offset(tap)).collect();
                        let reach = offsets.iter().max().unwrap() + span(rows, rows.input_pitch);
                        test(Taps::new(&offsets, [height, width], step, rows.input_pitch), rows, reach);
                    }
                }
            }
        });
    }

    #[test]
    fn correlations_are_those_of_scalar_loops() {
        each_shape(|taps, rows, reach| {
            let (input, weights) = (values(1, reach), values(2, taps.offsets.len()));
            let start = values(3, span(rows, rows.output_pitch));
            for accumulate in [false, true] {
                let mut expected = start.clone();
                for r in 0..rows.count {
                    for l in 0..rows.width {
                        let read = |offset| f64::from(input[offset + r * rows.input_pitch + l]);
                        let pairs = taps.offsets.iter().zip(&weights);
                        let sum: f64 = pairs.map(|(&offset, &weight)| f64::from(weight) * read(offset)).sum();
                        let out = &mut expected[r * rows.output_pitch + l];
                        *out = (if accumulate { f64::from(*out) } else { 0.0 } + sum) as f32;
                    }
                }
                let mut out = start.clone();
                correlate(&input, &weights, taps, rows, &mut out, accumulate);
                assert_close(&out, &expected, 1.0);
            }
        });
    }

    #[test]
    fn plane_dots_are_those_of_scalar_loops() {
        each_shape(|taps, rows, reach| {
            let (input, grad) = (values(1, reach), values(2, span(rows, rows.output_pitch)));
            let mut sums = values(3, taps.offsets.len());
            let mut expected = sums.clone();
            for (sum, offset) in expected.iter_mut().zip(taps.offsets) {
                let mut dot = 0.0;
                for r in 0..rows.count {
                    for l in 0..rows.width {
                        let grad = f64::from(grad[r * rows.output_pitch + l]);
                        dot += grad * f64::from(input[offset + r * rows.input_pitch + l]);
                    }
                }
                *sum = (f64::from(*sum) + dot) as f32;
            }
            plane_dots(&grad, &input, taps, rows, &mut sums);
            assert_close(&sums, &expected, ((rows.count * rows.width) as f64).sqrt());
        });
    }

    #[test]
    fn spreads_are_those_of_scalar_loops() {
        each_shape(|taps, rows, reach| {
            let (grad, weights) = (values(1, span(rows, rows.output_pitch)), values(2, taps.offsets.len()));
            let mut out = values(3, reach);
            let mut expected: Vec<f64> = out.iter().map(|&out| f64::from(out)).collect();
            for (&offset, &weight) in taps.offsets.iter().zip(&weights) {
                for r in 0..rows.count {
                    for l in 0..rows.width {
                        expected[offset + r * rows.input_pitch + l] +=
                            f64::from(weight) * f64::from(grad[r * rows.output_pitch + l]);
                    }
                }
            }
            spread(&grad, &weights, taps.offsets, rows, &mut out);
            assert_close(&out, &expected.iter().map(|&out| out as f32).collect::<Vec<_>>(), 1.0);
        });
    }

    #[test]
    #[should_panic(expected = "rows of a window of stride 1 are 1 rows of the plane apart")]
    fn a_broken_promise_is_refused() {
        let rows = Rows { count: 2, width: 16, input_pitch: 20, output_pitch: 16 };
        let taps = Taps::new(&[0, 20, 41], [3, 1], Some(1), rows.input_pitch);
        correlate(&[0.0; 100], &[1.0; 3], taps, rows, &mut [0.0; 32], false);
    }
}
