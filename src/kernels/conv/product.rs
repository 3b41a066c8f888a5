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
        let (mut job, lanes) = (self.0, S::F32_LANES);
        let (grid, mut at) = (job.grid, 0);
        if grid < lanes {
            return job.partial_vector::<S, M>(simd);
        }
        while at + N * lanes <= grid {
            job.tile::<S, M, N>(simd, at);
            at += N * lanes;
        }
        while at + lanes <= grid {
            match (grid - at) / lanes {
                1 => job.tile::<S, M, 1>(simd, at),
                2 => job.tile::<S, M, 2>(simd, at),
                _ => job.tile::<S, M, 3>(simd, at),
            }
            at += ((grid - at) / lanes).min(3) * lanes;
        }
        if at < grid {
            // The last vector overlaps the one before it: the same values are written again.
            job.tile::<S, M, 1>(simd, grid - lanes);
        }
    }
}

impl Correlate<'_> {
    /// `N` vectors of positions from `at` on.
    #[inline(always)]
    fn tile<S: Simd, const M: usize, const N: usize>(&mut self, simd: S, at: usize) {
        let width = N * S::F32_LANES;
        let mut sums = [[simd.splat_f32s(0.0); N]; M];
        let (weights, _) = self.weights.as_chunks::<M>();
        for (weights, offset) in weights.iter().zip(self.offsets) {
            let (inputs, _) = S::as_simd_f32s(&self.input[offset + at..][..width]);
            for n in 0..N {
                for m in 0..M {
                    sums[m][n] = simd.mul_add_e_f32s(simd.splat_f32s(weights[m]), inputs[n], sums[m][n]);
                }
            }
        }
        for (m, sums) in sums.iter().enumerate() {
            let (out, _) = S::as_mut_simd_f32s(&mut self.out[m * self.grid + at..][..width]);
            out.copy_from_slice(sums);
        }
    }

    /// The whole grid, where it is less than a vector.
    #[inline(always)]
    fn partial_vector<S: Simd, const M: usize>(&mut self, simd: S) {
        let mut sums = [simd.splat_f32s(0.0); M];
        let (weights, _) = self.weights.as_chunks::<M>();
        for (weights, &offset) in weights.iter().zip(self.offsets) {
            let input = simd.partial_load_f32s(&self.input[offset..][..self.grid]);
            for m in 0..M {
                sums[m] = simd.mul_add_e_f32s(simd.splat_f32s(weights[m]), input, sums[m]);
            }
        }
        for (out, sums) in self.out.chunks_exact_mut(self.grid).zip(sums) {
            simd.partial_store_f32s(out, sums);
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
    /// Whole vectors.
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
        let (vectors, input_len) = (grid / S::F32_LANES, inputs.len() / images);
        for image in 0..images {
            let gradients = &gradients[(image * rows + row) * grid..][..M * grid];
            let inputs = &inputs[image * input_len..][..input_len];
            let gradients: [&[S::f32s]; M] =
                std::array::from_fn(|m| &S::as_simd_f32s(&gradients[m * grid..][..grid]).0[..vectors]);
            let inputs: [&[S::f32s]; K] =
                std::array::from_fn(|k| &S::as_simd_f32s(&inputs[offsets[k]..][..grid]).0[..vectors]);
            for i in 0..vectors {
                for m in 0..M {
                    for k in 0..K {
                        sums[m][k] = simd.mul_add_e_f32s(gradients[m][i], inputs[k][i], sums[m][k]);
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
