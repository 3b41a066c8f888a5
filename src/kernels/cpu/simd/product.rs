//! Weighted sums of inputs: a matrix product whose second matrix is read from shifted positions of
//! staged planes, so that the matrix of columns ("im2col") is never written.

#![expect(
    clippy::needless_range_loop,
    reason = "tiles are indexed by several numbers at once, whose bounds are constants"
)]

use std::hint::black_box;

use pulp::{Simd, WithSimd};

use super::Rows;
use super::vector::{dispatch, load, store};

/// Outputs of a panel. Eight outputs of three vectors are 24 sums, which together with three inputs
/// and a weight fit the 32 registers of AVX-512; with 16 registers a panel is taken in two halves,
/// two vectors at a time.
const PANEL: usize = 8;

/// A matrix of weights, laid out in panels of up to eight outputs: `[input][output of the panel]`,
/// one after another.
#[derive(Debug)]
pub(crate) struct Panels {
    weights: Vec<f32>,
    outputs: usize,
    inputs: usize,
}

impl Panels {
    pub(crate) fn pack(outputs: usize, inputs: usize, weight: impl Fn(usize, usize) -> f32) -> Self {
        let mut weights = Vec::with_capacity(outputs * inputs);
        for first in (0..outputs).step_by(PANEL) {
            for input in 0..inputs {
                weights.extend((first..outputs.min(first + PANEL)).map(|output| weight(output, input)));
            }
        }
        Self { weights, outputs, inputs }
    }

    /// Several matrices of one shape whose weights are found together. Inputs are numbered by
    /// channel and `columns` a channel.
    pub(crate) fn pack_many<const N: usize>(
        outputs: usize,
        channels: usize,
        columns: usize,
        weights: impl Fn(usize, usize, usize) -> [f32; N],
    ) -> [Self; N] {
        let inputs = channels * columns;
        let mut many = [(); N].map(|()| Self { weights: vec![0.0; outputs * inputs], outputs, inputs });
        let mut at = 0;
        for first in (0..outputs).step_by(PANEL) {
            for channel in 0..channels {
                for column in 0..columns {
                    for output in first..outputs.min(first + PANEL) {
                        let weights = weights(output, channel, column);
                        for n in 0..N {
                            many[n].weights[at] = weights[n];
                        }
                        at += 1;
                    }
                }
            }
        }
        many
    }

    pub(crate) fn outputs(&self) -> usize {
        self.outputs
    }
}

/// For every output `o` of `panels`, row `r` and lane `l`, with `w` the weights, `b` the bias or
/// zero, and `out` as it was where `accumulate`, else zero:
///
/// ```text
/// out[o * out_stride + r * output_pitch + l]
///     = out[…] + b[o] + Σ_k w[o][k] * input[offsets[k] + r * input_pitch + l]
/// ```
///
/// # Panics
/// When `offsets` or `bias` do not fit the panels, or the rows the slices.
#[expect(clippy::too_many_arguments, reason = "two matrices, their layouts, and how they meet")]
pub(crate) fn product(
    panels: &Panels,
    bias: Option<&[f32]>,
    offsets: &[usize],
    input: &[f32],
    rows: Rows,
    out: &mut [f32],
    out_stride: usize,
    accumulate: bool,
) {
    assert_eq!(offsets.len(), panels.inputs, "an offset an input");
    assert!(bias.is_none_or(|bias| bias.len() == panels.outputs), "a bias an output");
    if panels.outputs == 0 || rows.is_empty() {
        return;
    }
    let weights = Weights { panels: &panels.weights, outputs: panels.outputs, bias };
    weighted_sums(weights, offsets, input, rows, out, out_stride, accumulate);
}

/// As [`product`], for one output whose weights stand in a slice.
pub(super) fn single(weights: &[f32], offsets: &[usize], input: &[f32], rows: Rows, out: &mut [f32], accumulate: bool) {
    assert_eq!(offsets.len(), weights.len(), "an offset a weight");
    if !rows.is_empty() {
        let weights = Weights { panels: weights, outputs: 1, bias: None };
        weighted_sums(weights, offsets, input, rows, out, 0, accumulate);
    }
}

/// The panels of a [`Panels`].
#[derive(Clone, Copy)]
struct Weights<'a> {
    panels: &'a [f32],
    outputs: usize,
    bias: Option<&'a [f32]>,
}

fn weighted_sums(
    weights: Weights<'_>,
    offsets: &[usize],
    input: &[f32],
    rows: Rows,
    out: &mut [f32],
    out_stride: usize,
    accumulate: bool,
) {
    rows.check_input(offsets, input.len());
    rows.check_output(weights.outputs, out_stride, out.len());
    assert_eq!(weights.panels.len(), weights.outputs * offsets.len(), "a weight a pair");
    dispatch(Product { weights, offsets, input: input.as_ptr(), rows, out: out.as_mut_ptr(), out_stride, accumulate });
}

struct Product<'a> {
    weights: Weights<'a>,
    offsets: &'a [usize],
    /// `rows` of every offset can be read from here.
    input: *const f32,
    rows: Rows,
    /// `rows` of every output can be written from here.
    out: *mut f32,
    out_stride: usize,
    accumulate: bool,
}

/// Where a vector is read, from an offset, and written, from the start of an output.
#[derive(Clone, Copy, Default)]
struct Position {
    input: usize,
    output: usize,
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // Few outputs have few sums: wider strips hide the latency of an addition.
        match (S::REGISTER_COUNT, self.weights.outputs) {
            (_, 1) | (32.., ..=4) => self.strips::<S, 6>(simd),
            (32.., _) => self.strips::<S, 3>(simd),
            // Three vectors of four outputs would just fit 16 registers, and in practice do not.
            _ => self.strips::<S, 2>(simd),
        }
    }
}

impl Product<'_> {
    /// Strips of `N` vectors, every panel over each while its inputs are in the nearest cache.
    #[inline(always)]
    fn strips<S: Simd, const N: usize>(self, simd: S) {
        let Rows { count, width, input_pitch, output_pitch } = self.rows;
        let mut left = count * (width / S::F32_LANES);
        let (mut next, mut lane) = (Position::default(), 0);
        while left > 0 {
            // Four left over are two and two: a strip of one has nothing to share its weights with.
            let vectors = if left == N + 1 { N - 1 } else { left.min(N) };
            let mut at = [next; N];
            for at in &mut at[..vectors] {
                *at = next;
                lane += S::F32_LANES;
                next = Position { input: next.input + S::F32_LANES, output: next.output + S::F32_LANES };
                if lane == width {
                    lane = 0;
                    next.input = next.input + input_pitch - width;
                    next.output = next.output + output_pitch - width;
                }
            }
            left -= vectors;
            self.strip::<S, N>(simd, &at, vectors);
        }
    }

    #[inline(always)]
    fn strip<S: Simd, const N: usize>(&self, simd: S, at: &[Position; N], vectors: usize) {
        match vectors {
            1 => self.panels::<S, 1>(simd, first(at)),
            2 => self.panels::<S, 2>(simd, first(at)),
            3 if N > 2 => self.panels::<S, 3>(simd, first(at)),
            4 if N > 3 => self.panels::<S, 4>(simd, first(at)),
            5 if N > 3 => self.panels::<S, 5>(simd, first(at)),
            _ if N > 3 => self.panels::<S, 6>(simd, first(at)),
            _ => {}
        }
    }

    #[inline(always)]
    fn panels<S: Simd, const N: usize>(&self, simd: S, at: [Position; N]) {
        let outputs = self.weights.outputs;
        let tile = if S::REGISTER_COUNT < 32 || N > 3 { PANEL / 2 } else { PANEL };
        for panel in (0..outputs).step_by(PANEL) {
            let step = (outputs - panel).min(PANEL);
            for part in (0..step).step_by(tile) {
                let output = panel + part;
                // `panel` outputs of a weight an offset come before this panel. Hidden from the
                // compiler, which would else step the places of every height of tile along, on the
                // stack, whichever tile is next.
                let (output, weights) = black_box((output, &self.weights.panels[panel * self.offsets.len()..][part..]));
                match (step - part).min(tile) {
                    1 => self.tile::<S, 1, N>(simd, weights, step, output, at),
                    2 => self.tile::<S, 2, N>(simd, weights, step, output, at),
                    3 => self.tile::<S, 3, N>(simd, weights, step, output, at),
                    4 => self.tile::<S, 4, N>(simd, weights, step, output, at),
                    5 if tile > 4 => self.tile::<S, 5, N>(simd, weights, step, output, at),
                    6 if tile > 4 => self.tile::<S, 6, N>(simd, weights, step, output, at),
                    7 if tile > 4 => self.tile::<S, 7, N>(simd, weights, step, output, at),
                    _ if tile > 4 => self.tile::<S, 8, N>(simd, weights, step, output, at),
                    _ => {}
                }
            }
        }
    }

    /// `M` outputs from `output` on, whose weights of one offset stand `step` from those of the
    /// next, at `N` vectors.
    #[inline(always)]
    fn tile<S: Simd, const M: usize, const N: usize>(
        &self,
        simd: S,
        weights: &[f32],
        step: usize,
        output: usize,
        at: [Position; N],
    ) {
        let mut sums = [[simd.splat_f32s(0.0); N]; M];
        let mut weights = weights.as_ptr();
        // SAFETY: `weighted_sums` has checked that the rows of every offset can be read, those of
        // every output read and written, and that there is a weight for each pair; the positions
        // are of vectors within rows.
        unsafe {
            let out = self.out.add(output * self.out_stride);
            if self.accumulate {
                for m in 0..M {
                    for n in 0..N {
                        sums[m][n] = load::<S>(out.add(m * self.out_stride + at[n].output));
                    }
                }
            }
            if let Some(bias) = self.weights.bias {
                for m in 0..M {
                    let bias = simd.splat_f32s(bias[output + m]);
                    for n in 0..N {
                        sums[m][n] = simd.add_f32s(sums[m][n], bias);
                    }
                }
            }
            for &offset in self.offsets {
                let input = self.input.add(offset);
                let mut inputs = [simd.splat_f32s(0.0); N];
                for n in 0..N {
                    inputs[n] = load::<S>(input.add(at[n].input));
                }
                for m in 0..M {
                    let weight = simd.splat_f32s(*weights.add(m));
                    for n in 0..N {
                        sums[m][n] = simd.mul_add_e_f32s(weight, inputs[n], sums[m][n]);
                    }
                }
                weights = weights.wrapping_add(step);
            }
            for m in 0..M {
                for n in 0..N {
                    store::<S>(out.add(m * self.out_stride + at[n].output), sums[m][n]);
                }
            }
        }
    }
}

/// The first `N` of `M` positions.
#[inline(always)]
fn first<const M: usize, const N: usize>(at: &[Position; M]) -> [Position; N] {
    let mut first = [Position::default(); N];
    first[..N.min(M)].copy_from_slice(&at[..N.min(M)]);
    first
}

#[cfg(test)]
mod tests {
    use super::super::sample::{ROWS, assert_close, span, values};
    use super::super::vector::levels;
    use super::*;

    /// One weight layout, one set of rows, against the definition.
    fn check(outputs: usize, inputs: usize, rows: Rows, bias: Option<&[f32]>, accumulate: bool) {
        let weights = values(1, outputs * inputs);
        let panels = Panels::pack(outputs, inputs, |output, input| weights[output * inputs + input]);
        let offsets: Vec<usize> = (0..inputs).map(|k| k * 29 % 64 + k / 3 * 16).collect();
        let reach = offsets.iter().max().unwrap() + span(rows, rows.input_pitch);
        let input = values(2, reach);
        let stride = span(rows, rows.output_pitch) + 3;
        let start = values(3, outputs * stride - 3);
        let mut expected = start.clone();
        for o in 0..outputs {
            for r in 0..rows.count {
                for l in 0..rows.width {
                    let out = &mut expected[o * stride + r * rows.output_pitch + l];
                    let dot: f64 = offsets
                        .iter()
                        .enumerate()
                        .map(|(k, offset)| {
                            f64::from(weights[o * inputs + k]) * f64::from(input[offset + r * rows.input_pitch + l])
                        })
                        .sum();
                    let before = if accumulate { f64::from(*out) } else { 0.0 };
                    *out = (before + bias.map_or(0.0, |bias| f64::from(bias[o])) + dot) as f32;
                }
            }
        }
        let mut out = start;
        product(&panels, bias, &offsets, &input, rows, &mut out, stride, accumulate);
        assert_close(&out, &expected, (inputs as f64).sqrt());
    }

    #[test]
    fn products_are_those_of_scalar_loops() {
        levels::each(|| {
            for outputs in 1..=40 {
                let bias = values(4, outputs);
                for (at, rows) in ROWS.into_iter().enumerate() {
                    let inputs = [1, 3, 10, 27][(outputs + at) % 4];
                    check(outputs, inputs, rows, (at % 3 == 0).then_some(&bias), (outputs + at) % 2 == 0);
                }
            }
        });
    }

    #[test]
    fn nothing_to_add_up_leaves_the_bias() {
        let rows = ROWS[4];
        check(3, 1, rows, Some(&[0.5, -1.0, 2.0]), false);
        let mut out = vec![f32::NAN; 160];
        product(&Panels::pack(1, 0, |_, _| 0.0), Some(&[0.5]), &[], &[], rows, &mut out, 0, false);
        assert_eq!(out, [0.5; 160]);
    }

    #[test]
    #[should_panic(expected = "a tap at 7 reads 160 values of 166")]
    fn taps_past_the_input_are_refused() {
        let rows = Rows { count: 5, width: 32, input_pitch: 32, output_pitch: 32 };
        product(&Panels::pack(1, 1, |_, _| 1.0), None, &[7], &[0.0; 166], rows, &mut [0.0; 160], 0, false);
    }

    #[test]
    #[should_panic(expected = "2 planes of 160 values, 160 apart, in 319")]
    fn outputs_past_the_end_are_refused() {
        let rows = Rows { count: 5, width: 32, input_pitch: 32, output_pitch: 32 };
        product(&Panels::pack(2, 1, |_, _| 1.0), None, &[0], &[0.0; 160], rows, &mut [0.0; 319], 160, false);
    }
}
