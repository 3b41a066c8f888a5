//! Dot products of the rows of two sets of planes.

#![expect(
    clippy::needless_range_loop,
    reason = "tiles are indexed by several numbers at once, whose bounds are constants"
)]

use pulp::{Simd, WithSimd};

use super::Rows;
use super::vector::{dispatch, load, sum_lanes, unrolled};

/// Lanes over which a tile of sums stays in registers: eight left planes of so many are 16 KiB,
/// half of the nearest cache, and the sums across lanes that end each block are a few percent of
/// the work.
const BLOCK: usize = 512;

/// For every plane `m` of `left` (planes `left_stride` apart, their rows `output_pitch`) and every
/// offset `k`:
///
/// ```text
/// sums[m * offsets.len() + k] += Σ_r Σ_l left[m * left_stride + r * output_pitch + l]
///                                      * input[offsets[k] + r * input_pitch + l]
/// ```
///
/// # Panics
/// When the rows do not fit the slices, or `sums` is not one value a pair.
pub(crate) fn dots(
    left: &[f32],
    left_stride: usize,
    left_count: usize,
    offsets: &[usize],
    input: &[f32],
    rows: Rows,
    sums: &mut [f32],
) {
    assert_eq!(sums.len(), left_count * offsets.len(), "a sum a pair");
    if rows.is_empty() || sums.is_empty() {
        return;
    }
    rows.check_input(offsets, input.len());
    rows.check_output(left_count, left_stride, left.len());
    dispatch(Dots { left: left.as_ptr(), left_stride, left_count, offsets, input: input.as_ptr(), rows, sums });
}

struct Dots<'a> {
    /// `rows` of every left plane can be read from here.
    left: *const f32,
    left_stride: usize,
    left_count: usize,
    offsets: &'a [usize],
    /// `rows` of every offset can be read from here.
    input: *const f32,
    rows: Rows,
    sums: &'a mut [f32],
}

/// A part of the rows.
#[derive(Clone, Copy)]
struct Block {
    row: usize,
    rows: usize,
    lane: usize,
    lanes: usize,
}

impl WithSimd for Dots<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let Rows { count, width, .. } = self.rows;
        let high = (BLOCK / width).max(1);
        for lane in (0..width).step_by(BLOCK) {
            let lanes = (width - lane).min(BLOCK);
            for row in (0..count).step_by(high) {
                self.block::<S>(simd, Block { row, rows: (count - row).min(high), lane, lanes });
            }
        }
    }
}

impl Dots<'_> {
    #[inline(always)]
    fn block<S: Simd>(&mut self, simd: S, block: Block) {
        let tile = if S::REGISTER_COUNT < 32 { 4 } else { 8 };
        for plane in (0..self.left_count).step_by(tile) {
            match (self.left_count - plane).min(tile) {
                1 => self.planes::<S, 1, 6>(simd, block, plane),
                2 => self.planes::<S, 2, 3>(simd, block, plane),
                3 => self.planes::<S, 3, 3>(simd, block, plane),
                4 => self.planes::<S, 4, 3>(simd, block, plane),
                5 if tile > 4 => self.planes::<S, 5, 3>(simd, block, plane),
                6 if tile > 4 => self.planes::<S, 6, 3>(simd, block, plane),
                7 if tile > 4 => self.planes::<S, 7, 3>(simd, block, plane),
                _ if tile > 4 => self.planes::<S, 8, 3>(simd, block, plane),
                _ => {}
            }
        }
    }

    /// `M` left planes from `plane` on, with `K` offsets at a time.
    #[inline(always)]
    fn planes<S: Simd, const M: usize, const K: usize>(&mut self, simd: S, block: Block, plane: usize) {
        let mut k = 0;
        while k < self.offsets.len() {
            k += match self.offsets.len() - k {
                1 => self.tile::<S, M, 1>(simd, block, plane, k),
                2 => self.tile::<S, M, 2>(simd, block, plane, k),
                // Four left over are two and two.
                4 if K == 3 => self.tile::<S, M, 2>(simd, block, plane, k),
                left if left < K => self.tile::<S, M, 3>(simd, block, plane, k),
                _ => self.tile::<S, M, K>(simd, block, plane, k),
            };
        }
    }

    /// `M` left planes from `plane` on and `K` offsets from `k` on, over one block. Returns `K`.
    #[inline(always)]
    fn tile<S: Simd, const M: usize, const K: usize>(
        &mut self,
        simd: S,
        block: Block,
        plane: usize,
        k: usize,
    ) -> usize {
        let mut sums = [[simd.splat_f32s(0.0); K]; M];
        let mut offsets = [0; K];
        offsets.copy_from_slice(&self.offsets[k..k + K]);
        let Rows { input_pitch, output_pitch, .. } = self.rows;
        // SAFETY: `dots` has checked that the rows of every plane and offset can be read, and the
        // block lies in them.
        unsafe {
            for row in block.row..block.row + block.rows {
                let left = self.left.add(plane * self.left_stride + row * output_pitch);
                let input = self.input.add(row * input_pitch);
                for lane in (block.lane..block.lane + block.lanes).step_by(S::F32_LANES) {
                    let mut inputs = [simd.splat_f32s(0.0); K];
                    for k in 0..K {
                        inputs[k] = load::<S>(input.add(offsets[k] + lane));
                    }
                    for m in 0..M {
                        let left = load::<S>(left.add(m * self.left_stride + lane));
                        for k in 0..K {
                            sums[m][k] = simd.mul_add_e_f32s(left, inputs[k], sums[m][k]);
                        }
                    }
                }
            }
        }
        // Trees of the longer side of the tile: fewer, and fuller.
        let pairs = self.offsets.len();
        let all = &mut self.sums[plane * pairs + k..][..(M - 1) * pairs + K];
        if M < K {
            for m in 0..M {
                let sums = sum_lanes(simd, sums[m], K);
                for at in 0..K {
                    all[m * pairs + at] += sums[at];
                }
            }
        } else {
            unrolled!(AT, 6 => {
                if AT < K {
                    let mut column = [simd.splat_f32s(0.0); M];
                    for m in 0..M {
                        column[m] = sums[m][AT];
                    }
                    let sums = sum_lanes(simd, column, M);
                    for m in 0..M {
                        all[m * pairs + AT] += sums[m];
                    }
                }
            });
        }
        K
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{ROWS, assert_close, span, values};
    use super::super::vector::levels;
    use super::*;

    #[test]
    fn dots_are_those_of_scalar_loops() {
        levels::each(|| {
            for planes in 1..=20 {
                for (at, rows) in ROWS.into_iter().enumerate() {
                    check(planes, [1, 3, 10, 27][(planes + at) % 4], rows);
                }
            }
            for inputs in 1..=14 {
                check(1, inputs, ROWS[0]);
                check(2, inputs, ROWS[1]);
            }
            check(3, 4, Rows { count: 5, width: 528, input_pitch: 530, output_pitch: 528 });
        });
    }

    fn check(planes: usize, inputs: usize, rows: Rows) {
        let offsets: Vec<usize> = (0..inputs).map(|k| k * 29 % 64 + k / 3 * 16).collect();
        let input = values(1, offsets.iter().max().unwrap() + span(rows, rows.input_pitch));
        let stride = span(rows, rows.output_pitch) + 3;
        let left = values(2, planes * stride - 3);
        let mut sums = values(3, planes * inputs);
        let mut expected = sums.clone();
        for m in 0..planes {
            for (k, offset) in offsets.iter().enumerate() {
                let mut dot = 0.0;
                for r in 0..rows.count {
                    for l in 0..rows.width {
                        let left = left[m * stride + r * rows.output_pitch + l];
                        dot += f64::from(left) * f64::from(input[offset + r * rows.input_pitch + l]);
                    }
                }
                let sum = &mut expected[m * inputs + k];
                *sum = (f64::from(*sum) + dot) as f32;
            }
        }
        dots(&left, stride, planes, &offsets, &input, rows, &mut sums);
        assert_close(&sums, &expected, ((rows.count * rows.width) as f64).sqrt());
    }
}
