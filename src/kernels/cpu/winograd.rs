//! Three rows of a window at the price of two.
//!
//! Two rows of outputs `y₀, y₁` of a window of three rows `g₀, g₁, g₂` read four rows of inputs `d₀ … d₃`. Winograd's minimal
//! filter F(2, 3) (Lavin & Gray, arXiv 1509.09308, section 4.1) takes four products a column for these two outputs, where the
//! definition takes six:
//!
//! ```text
//! t = (d₀ − d₂, d₁ + d₂, d₂ − d₁, d₁ − d₃)      u = (g₀, (g₀ + g₁ + g₂) / 2, (g₀ − g₁ + g₂) / 2, g₂)
//! m = t ⊙ u                                      y₀ = m₀ + m₁ + m₂,  y₁ = m₁ − m₂ − m₃
//! ```
//!
//! It is used along the rows only: columns are the lanes of a vector, where neighbours are shifted reads and cost nothing to
//! find. Sums of three values are all that is added to the rounding of the definition.

use super::{
    memory::Area,
    simd::{
        Rows,
        dots::dots,
        product::{Panels, product},
    },
    staging::{Canvas, Staging, roomy},
};
use crate::kernels::program::{Branch, Dense, Frame};
use pulp::Arch;

/// Products of a pair of rows.
const PRODUCTS: usize = 4;

/// Fewest channels on either side for which the sums before and after the products are worth their while.
const LEAST: usize = 8;

/// Whether a branch's window and sides allow it.
pub(super) fn applies(branch: &Branch, inputs: usize, input: [usize; 2], output: [usize; 2]) -> bool {
    let fits = |dense: Dense| {
        let Frame { kernel, stride, dilation, .. } = dense.frame;
        dense.groups == 1 && kernel[0] == 3 && stride == [1, 1] && dilation[0] == 1
    };
    branch.depthwise.is_none()
        && branch.dense.is_some_and(fits)
        && input[0].is_multiple_of(2)
        && output[0].is_multiple_of(2)
        && inputs.min(branch.channels) >= LEAST
}

/// The weights `u`, one matrix a product.
pub(super) struct Filters([Panels; PRODUCTS]);

impl Filters {
    /// Of the weights of `outputs` outputs by tap: `weight(output, input, row, column)`, `width` columns a window.
    pub fn new(
        outputs: usize,
        inputs: usize,
        width: usize,
        weight: impl Fn(usize, usize, usize, usize) -> f32,
    ) -> Self {
        let of_product = |at: usize| {
            Panels::pack(outputs, inputs * width, |output, input| {
                let [first, middle, last] = [0, 1, 2].map(|row| weight(output, input / width, row, input % width));
                match at {
                    0 => first,
                    1 => (first + middle + last) / 2.0,
                    2 => (first - middle + last) / 2.0,
                    _ => last,
                }
            })
        };
        Self(std::array::from_fn(of_product))
    }
}

/// How the transformed rows of staged planes lie: product by product, channel by channel, a row for each pair of outputs.
#[derive(Debug, Clone, Copy)]
struct Transformed {
    pairs: usize,
    pitch: usize,
    plane: usize,
}

impl Transformed {
    fn new(staging: &Staging) -> Self {
        let (pairs, pitch) = (staging.output[0] / 2, staging.pitch);
        Self { pairs, pitch, plane: roomy(pairs * pitch) }
    }

    /// Where the taps of a row of the window are read: channels in turn.
    fn offsets(&self, staging: &Staging, channels: usize) -> Vec<usize> {
        let columns = &staging.offsets[..staging.frame.kernel[1]];
        (0..channels).flat_map(|channel| columns.iter().map(move |offset| channel * self.plane + offset)).collect()
    }
}

/// The rows `t` of staged planes.
pub(super) fn transform<'a>(staging: &Staging, staged: &[f32], channels: usize, area: &'a mut Area) -> &'a mut [f32] {
    let Transformed { pairs, pitch, plane } = Transformed::new(staging);
    let products = channels * plane;
    let out = area.of(PRODUCTS * products);
    Arch::new().dispatch(
        #[inline(always)]
        || {
            let (first, rest) = out.split_at_mut(products);
            let (second, rest) = rest.split_at_mut(products);
            let (third, fourth) = rest.split_at_mut(products);
            for channel in 0..channels {
                for pair in 0..pairs {
                    let row = |at: usize| &staged[channel * staging.plane + (2 * pair + at) * pitch..][..pitch];
                    let [d0, d1, d2, d3] = [row(0), row(1), row(2), row(3)];
                    let at = channel * plane + pair * pitch;
                    let [t0, t1] = [&mut first[at..][..pitch], &mut second[at..][..pitch]];
                    let [t2, t3] = [&mut third[at..][..pitch], &mut fourth[at..][..pitch]];
                    for lane in 0..pitch {
                        t0[lane] = d0[lane] - d2[lane];
                        t1[lane] = d1[lane] + d2[lane];
                        t2[lane] = d2[lane] - d1[lane];
                        t3[lane] = d1[lane] - d3[lane];
                    }
                }
            }
        },
    );
    out
}

/// The outputs of transformed rows, planes `stride` apart as `canvas` has them; added to what is there where `accumulate`.
#[expect(clippy::too_many_arguments, reason = "what is read, what is written, and how both lie")]
pub(super) fn outputs(
    filters: &Filters,
    bias: Option<&[f32]>,
    staging: &Staging,
    transformed: &[f32],
    channels: usize,
    canvas: &Canvas,
    out: &mut [f32],
    stride: usize,
    accumulate: bool,
    area: &mut Area,
) {
    let lies = Transformed::new(staging);
    let pitch = canvas.pitch;
    let (plane, count) = (roomy(lies.pairs * pitch), filters.0[0].outputs());
    let products = count * plane;
    let found = area.of(PRODUCTS * products);
    let rows = Rows { count: lies.pairs, width: pitch, input_pitch: lies.pitch, output_pitch: pitch };
    let offsets = lies.offsets(staging, channels);
    for (at, (panels, found)) in filters.0.iter().zip(found.chunks_exact_mut(products)).enumerate() {
        let input = &transformed[at * channels * lies.plane..][..channels * lies.plane];
        product(panels, None, &offsets, input, rows, found, plane, false);
    }
    Arch::new().dispatch(
        #[inline(always)]
        || {
            for output in 0..count {
                let bias = bias.map_or(0.0, |bias| bias[output]);
                for pair in 0..lies.pairs {
                    let of = |at: usize| &found[at * products + output * plane + pair * pitch..][..pitch];
                    let [m0, m1, m2, m3] = [of(0), of(1), of(2), of(3)];
                    let (y0, y1) = out[output * stride + 2 * pair * pitch..][..2 * pitch].split_at_mut(pitch);
                    if accumulate {
                        for lane in 0..pitch {
                            y0[lane] += m0[lane] + m1[lane] + m2[lane];
                            y1[lane] += m1[lane] - m2[lane] - m3[lane];
                        }
                    } else {
                        for lane in 0..pitch {
                            y0[lane] = m0[lane] + m1[lane] + m2[lane] + bias;
                            y1[lane] = m1[lane] - m2[lane] - m3[lane] + bias;
                        }
                    }
                }
            }
        },
    );
}

/// Values of a branch's sums: `[product][output][input, column]`.
pub(super) fn sums_len(outputs: usize, inputs: usize, width: usize) -> usize {
    PRODUCTS * outputs * inputs * width
}

/// Adds the gradients of the weights `u` to `sums`. `gradient` has planes `stride` apart as `canvas` has them.
#[expect(clippy::too_many_arguments, reason = "what is read, what is written, and how both lie")]
pub(super) fn add_gradient(
    gradient: &[f32],
    stride: usize,
    outputs: usize,
    staging: &Staging,
    transformed: &[f32],
    channels: usize,
    canvas: &Canvas,
    sums: &mut [f32],
    area: &mut Area,
) {
    let lies = Transformed::new(staging);
    let pitch = canvas.pitch;
    let plane = roomy(lies.pairs * pitch);
    let products = outputs * plane;
    let adjoint = area.of(PRODUCTS * products);
    Arch::new().dispatch(
        #[inline(always)]
        || {
            let (first, rest) = adjoint.split_at_mut(products);
            let (second, rest) = rest.split_at_mut(products);
            let (third, fourth) = rest.split_at_mut(products);
            for output in 0..outputs {
                for pair in 0..lies.pairs {
                    let (y0, y1) = gradient[output * stride + 2 * pair * pitch..][..2 * pitch].split_at(pitch);
                    let at = output * plane + pair * pitch;
                    let [m0, m1] = [&mut first[at..][..pitch], &mut second[at..][..pitch]];
                    let [m2, m3] = [&mut third[at..][..pitch], &mut fourth[at..][..pitch]];
                    for lane in 0..pitch {
                        m0[lane] = y0[lane];
                        m1[lane] = y0[lane] + y1[lane];
                        m2[lane] = y0[lane] - y1[lane];
                        m3[lane] = -y1[lane];
                    }
                }
            }
        },
    );
    let rows = Rows { count: lies.pairs, width: pitch, input_pitch: lies.pitch, output_pitch: pitch };
    let offsets = lies.offsets(staging, channels);
    let length = outputs * offsets.len();
    for (at, sums) in sums[..PRODUCTS * length].chunks_exact_mut(length).enumerate() {
        let input = &transformed[at * channels * lies.plane..][..channels * lies.plane];
        dots(&adjoint[at * products..][..products], plane, outputs, &offsets, input, rows, sums);
    }
}

/// From the gradients of `u` to those of the weights, `[output, input][row][column]`.
pub(super) fn weight_gradient(sums: &[f32], pairs: usize, width: usize) -> Vec<f32> {
    let length = pairs * width;
    let mut weights = Vec::with_capacity(3 * length);
    for pair in 0..pairs {
        let of = |at: usize, column: usize| sums[at * length + pair * width + column];
        for row in 0..3 {
            weights.extend((0..width).map(|column| {
                let [u0, u1, u2, u3] = [0, 1, 2, 3].map(|at| of(at, column));
                match row {
                    0 => u0 + (u1 + u2) / 2.0,
                    1 => (u1 - u2) / 2.0,
                    _ => (u1 + u2) / 2.0 + u3,
                }
            }));
        }
    }
    weights
}
