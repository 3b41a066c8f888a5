//! The two loops of a convolution over staged planes (see [`Stage`](crate::kernels::stage::Stage)), in vector registers.
//!
//! - [`correlate`]: `out[m][p] = Σ_k weights[k][m] * input[offsets[k] + p]`, the value and the gradient of the input;
//! - [`accumulate_dots`]: `sums[m][k] += Σ_p rows[m][p] * input[offsets[k] + p]`, the gradient of the weight.
//!
//! Both keep a tile of sums in registers and read each input once a tile, as a matrix product does, but from shifted
//! positions: the matrix of columns ("im2col") is never written.

use pulp::{Arch, Simd, WithSimd};

/// Rows of a tile. Four rows of three vectors are twelve sums, which together with three inputs and a weight fill the
/// sixteen registers of AVX2, and are enough independent sums to hide the latency of a fused multiply-add.
pub(super) const ROWS: usize = 4;

/// Computes `out[m * grid + p] = Σ_k weights[k * rows + m] * input[offsets[k] + p]` for `m < rows`, `p < grid`.
/// `rows` is at most [`ROWS`].
pub(super) fn correlate(rows: usize, weights: &[f32], offsets: &[usize], input: &[f32], grid: usize, out: &mut [f32]) {
    let job = Correlate { weights, offsets, input, grid, out };
    match rows {
        1 => Arch::new().dispatch(Rows::<1, 6>(job)),
        2 => Arch::new().dispatch(Rows::<2, 4>(job)),
        3 => Arch::new().dispatch(Rows::<3, 4>(job)),
        4 => Arch::new().dispatch(Rows::<4, 3>(job)),
        _ => unreachable!("weights are packed in blocks of at most {ROWS} rows"),
    }
}

struct Correlate<'a> {
    weights: &'a [f32],
    offsets: &'a [usize],
    input: &'a [f32],
    grid: usize,
    out: &'a mut [f32],
}

/// A block of `M` rows, in tiles of up to `N` vectors.
struct Rows<'a, const M: usize, const N: usize>(Correlate<'a>);

impl<const M: usize, const N: usize> WithSimd for Rows<'_, M, N> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let mut job = self.0;
        let mut at = 0;
        while at + N * S::F32_LANES <= job.grid {
            job.tile::<S, M, N>(simd, at, N * S::F32_LANES);
            at += N * S::F32_LANES;
        }
        // What is left is less than a whole tile; its last vector may be partial.
        let left = job.grid - at;
        match left.div_ceil(S::F32_LANES) {
            0 => {}
            1 => job.tile::<S, M, 1>(simd, at, left),
            2 => job.tile::<S, M, 2>(simd, at, left),
            3 => job.tile::<S, M, 3>(simd, at, left),
            _ => {
                job.tile::<S, M, 3>(simd, at, 3 * S::F32_LANES);
                let (at, left) = (at + 3 * S::F32_LANES, left - 3 * S::F32_LANES);
                match left.div_ceil(S::F32_LANES) {
                    1 => job.tile::<S, M, 1>(simd, at, left),
                    2 => job.tile::<S, M, 2>(simd, at, left),
                    _ => job.tile::<S, M, 3>(simd, at, left),
                }
            }
        }
    }
}

impl Correlate<'_> {
    /// Positions `at..at + width`, which are `N` vectors of which the last may be partial.
    #[inline(always)]
    fn tile<S: Simd, const M: usize, const N: usize>(&mut self, simd: S, at: usize, width: usize) {
        let mut sums = [[simd.splat_f32s(0.0); N]; M];
        let (weights, _) = self.weights.as_chunks::<M>();
        if width == N * S::F32_LANES {
            for (weights, offset) in weights.iter().zip(self.offsets) {
                let (inputs, _) = S::as_simd_f32s(&self.input[offset + at..][..N * S::F32_LANES]);
                for n in 0..N {
                    for m in 0..M {
                        sums[m][n] = simd.mul_add_e_f32s(simd.splat_f32s(weights[m]), inputs[n], sums[m][n]);
                    }
                }
            }
            for (m, sums) in sums.iter().enumerate() {
                let (out, _) = S::as_mut_simd_f32s(&mut self.out[m * self.grid + at..][..N * S::F32_LANES]);
                out.copy_from_slice(sums);
            }
        } else {
            let whole = (N - 1) * S::F32_LANES;
            for (weights, offset) in weights.iter().zip(self.offsets) {
                let input = &self.input[offset + at..][..width];
                let (inputs, _) = S::as_simd_f32s(&input[..whole]);
                let last = simd.partial_load_f32s(&input[whole..]);
                for n in 0..N {
                    let input = if n + 1 < N { inputs[n] } else { last };
                    for m in 0..M {
                        sums[m][n] = simd.mul_add_e_f32s(simd.splat_f32s(weights[m]), input, sums[m][n]);
                    }
                }
            }
            for (m, sums) in sums.iter().enumerate() {
                let (out, rest) = self.out[m * self.grid + at..][..width].split_at_mut(whole);
                let (out, _) = S::as_mut_simd_f32s(out);
                out.copy_from_slice(&sums[..N - 1]);
                simd.partial_store_f32s(rest, sums[N - 1]);
            }
        }
    }
}

/// Staged images of which one group's weight gradient is the sum.
#[derive(Clone, Copy)]
pub(super) struct Samples<'a> {
    /// Images in turn, each `[rows, grid]`: the output's gradient, zero in the gaps of the grid.
    pub gradients: &'a [f32],
    /// Images in turn, each the staged planes that `offsets` point into.
    pub inputs: &'a [f32],
    pub images: usize,
    pub rows: usize,
    pub grid: usize,
}

/// Adds `Σ_image Σ_p gradients[m][p] * inputs[offsets[k] + p]` to `sums[m * offsets.len() + k]`, for every row `m`.
pub(super) fn accumulate_dots(samples: Samples<'_>, offsets: &[usize], sums: &mut [f32]) {
    Arch::new().dispatch(Dots { samples, offsets, sums });
}

struct Dots<'a> {
    samples: Samples<'a>,
    offsets: &'a [usize],
    sums: &'a mut [f32],
}

impl WithSimd for Dots<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let rows = self.samples.rows;
        for row in (0..rows / ROWS * ROWS).step_by(ROWS) {
            self.row_block::<S, ROWS, 3>(simd, row);
        }
        let row = rows / ROWS * ROWS;
        match rows % ROWS {
            1 => self.row_block::<S, 1, 5>(simd, row),
            2 => self.row_block::<S, 2, 3>(simd, row),
            3 => self.row_block::<S, 3, 3>(simd, row),
            _ => {}
        }
    }
}

impl Dots<'_> {
    /// `M` rows from `row` on, with `K` taps at a time.
    #[inline(always)]
    fn row_block<S: Simd, const M: usize, const K: usize>(&mut self, simd: S, row: usize) {
        let mut tap = 0;
        while tap + K <= self.offsets.len() {
            self.tile::<S, M, K>(simd, row, tap);
            tap += K;
        }
        match self.offsets.len() - tap {
            0 => {}
            1 => self.tile::<S, M, 1>(simd, row, tap),
            2 => self.tile::<S, M, 2>(simd, row, tap),
            3 => self.tile::<S, M, 3>(simd, row, tap),
            _ => self.tile::<S, M, 4>(simd, row, tap),
        }
    }

    #[inline(always)]
    fn tile<S: Simd, const M: usize, const K: usize>(&mut self, simd: S, row: usize, tap: usize) {
        let Samples { gradients, inputs, images, rows, grid } = self.samples;
        let offsets: [usize; K] = std::array::from_fn(|k| self.offsets[tap + k]);
        let mut sums = [[simd.splat_f32s(0.0); K]; M];
        let (whole, input_len) = (grid / S::F32_LANES, inputs.len() / images);
        for image in 0..images {
            let gradients = &gradients[(image * rows + row) * grid..][..M * grid];
            let inputs = &inputs[image * input_len..][..input_len];
            let gradients: [&[f32]; M] = std::array::from_fn(|m| &gradients[m * grid..][..grid]);
            let inputs: [&[f32]; K] = std::array::from_fn(|k| &inputs[offsets[k]..][..grid]);
            let gradient_vectors = gradients.map(|values| &S::as_simd_f32s(values).0[..whole]);
            let input_vectors = inputs.map(|values| &S::as_simd_f32s(values).0[..whole]);
            for i in 0..whole {
                let inputs = input_vectors.map(|vectors| vectors[i]);
                for m in 0..M {
                    for k in 0..K {
                        sums[m][k] = simd.mul_add_e_f32s(gradient_vectors[m][i], inputs[k], sums[m][k]);
                    }
                }
            }
            if whole * S::F32_LANES < grid {
                let inputs = inputs.map(|values| simd.partial_load_f32s(&values[whole * S::F32_LANES..]));
                for m in 0..M {
                    let gradient = simd.partial_load_f32s(&gradients[m][whole * S::F32_LANES..]);
                    for k in 0..K {
                        sums[m][k] = simd.mul_add_e_f32s(gradient, inputs[k], sums[m][k]);
                    }
                }
            }
        }
        for (m, sums) in sums.into_iter().enumerate() {
            let row = &mut self.sums[(row + m) * self.offsets.len() + tap..][..K];
            row.iter_mut().zip(sums).for_each(|(sum, lanes)| *sum += simd.reduce_sum_f32s(lanes));
        }
    }
}
