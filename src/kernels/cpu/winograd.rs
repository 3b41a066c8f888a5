//! Three rows of a window at the price of one and a half.
//!
//! Four rows of outputs `y₀ … y₃` of a window of three rows `g₀, g₁, g₂` read six rows of inputs
//! `d₀ … d₅`. Winograd's minimal filter F(4, 3) (Lavin & Gray, arXiv 1509.09308, section 4.1) takes
//! six products a column for these four outputs, where the definition takes twelve. With the points
//! 0, ±p, ±q and infinity of polynomials, `p² = 1/2` and `q² = 2`:
//!
//! ```text
//! t₀ = d₀ − 5/2 d₂ + d₄                          u₀ = g₀
//! t₁, t₂ = (d₄ − 2 d₂) ± p (d₃ − 2 d₁)           u₁, u₂ = −2/3 (g₀ ± p g₁ + g₂ / 2)
//! t₃, t₄ = (d₄ − d₂ / 2) ± q (d₃ − d₁ / 2)       u₃, u₄ = (g₀ ± q g₁ + 2 g₂) / 6
//! t₅ = d₁ − 5/2 d₃ + d₅                          u₅ = g₂
//!
//! m = t ⊙ u
//!
//! y₀ = m₀ + (m₁ + m₂) + (m₃ + m₄)                y₂ = (m₁ + m₂) / 2 + 2 (m₃ + m₄)
//! y₁ = p (m₁ − m₂) + q (m₃ − m₄)                 y₃ = p/2 (m₁ − m₂) + 2 q (m₃ − m₄) + m₅
//! ```
//!
//! The points are our choice: whole ones (0, ±1, ±2) make larger factors, and rounding errors half
//! as large again.
//!
//! It is used along the rows only: columns are the lanes of a vector, where neighbours are shifted
//! reads and cost nothing to find. Where the rows are no multiple of four, the last tile reads
//! zeros and its outputs beyond the last row are dropped.

use super::{
    memory::Area,
    prologue::Prologue,
    simd::{
        Rows,
        dots::dots,
        product::{Panels, product},
        row_tiles::{self, Before, Lines, P, PRODUCTS, Plane, Q, ROWS},
    },
    staging::{Canvas, Staging, roomy},
};
use crate::program::{Branch, Dense, Frame};

/// Fewest channels on either side for which the sums before and after the products are worth their
/// while.
const LEAST: usize = 8;

/// Whether a branch's window and sides allow it.
pub(super) fn applies(branch: &Branch, inputs: usize, input: [usize; 2], output: [usize; 2]) -> bool {
    let fits = |dense: Dense| {
        let Frame { kernel, stride, dilation, .. } = dense.frame;
        dense.groups == 1 && kernel[0] == 3 && stride == [1, 1] && dilation[0] == 1
    };
    branch.depthwise.is_none()
        && branch.dense.is_some_and(fits)
        && input == output
        && 3 * output[0] > PRODUCTS
        && inputs.min(branch.channels) >= LEAST
}

/// The weights `u`, one matrix a product.
pub(super) struct Filters(Box<[Panels; PRODUCTS]>);

impl Filters {
    /// Of the weights of `outputs` outputs by tap: `weight(output, input, row, column)`, `width`
    /// columns a window.
    pub fn new(
        outputs: usize,
        inputs: usize,
        width: usize,
        weight: impl Fn(usize, usize, usize, usize) -> f32,
    ) -> Self {
        Self(Box::new(Panels::pack_many(outputs, inputs, width, |output, input, column| {
            let [first, middle, last] = [0, 1, 2].map(|row| weight(output, input, row, column));
            let (near, of_near) = ((first + last / 2.0) / -1.5, P * middle / -1.5);
            let (far, of_far) = ((first + 2.0 * last) / 6.0, Q * middle / 6.0);
            [first, near + of_near, near - of_near, far + of_far, far - of_far, last]
        })))
    }
}

/// How the transformed rows of staged planes lie: product by product, channel by channel, a row for
/// each tile.
#[derive(Debug, Clone, Copy)]
struct Transformed {
    tiles: usize,
    pitch: usize,
    plane: usize,
}

impl Transformed {
    fn new(staging: &Staging) -> Self {
        let (tiles, pitch) = (staging.output[0].div_ceil(ROWS), staging.pitch);
        Self { tiles, pitch, plane: roomy(tiles * pitch) }
    }

    /// Where the taps of a row of the window are read: channels in turn.
    fn offsets(&self, staging: &Staging, channels: usize) -> Vec<usize> {
        let columns = &staging.offsets[..staging.frame.kernel[1]];
        (0..channels).flat_map(|channel| columns.iter().map(move |offset| channel * self.plane + offset)).collect()
    }
}

/// Transformed rows, and small change that goes with them.
#[derive(Default)]
pub(super) struct Tiles {
    values: Area,
    /// How the values lie: what is zero stays zero as long as they lie alike.
    lie: Option<[usize; 5]>,
    /// As many zeros as the longest row has values.
    zeros: Vec<f32>,
}

/// As many zeros as are asked for.
fn zeros_of(zeros: &mut Vec<f32>, length: usize) -> &[f32] {
    zeros.resize(zeros.len().max(length), 0.0);
    &zeros[..length]
}

/// The rows `t` of planes that would be staged by `staging`, each as its prologue makes it.
pub(super) fn transform<'a>(
    staging: &Staging,
    channels: usize,
    plane: impl Fn(usize) -> (&'a [f32], Prologue),
    into: &mut Tiles,
) {
    let Transformed { tiles, pitch, plane: distance } = Transformed::new(staging);
    let Tiles { values: out, lie, zeros } = into;
    let out = out.of(PRODUCTS * channels * distance);
    let [left, count, from] = staging.lanes();
    let lies = Some([channels, tiles, pitch, left, count]);
    if *lie != lies {
        out.fill(0.0);
        *lie = lies;
    }
    let mut of_products = parts(out, channels * distance).map(|part| part.chunks_exact_mut(distance));
    for channel in 0..channels {
        let (values, Prologue { factor, offset, least }) = plane(channel);
        let (width, start) = (staging.input[1] * staging.images, staging.frame.start[0]);
        let plane = Plane { values, width, start, from, count };
        let before = Before { scale: factor, shift: offset, least };
        let out = of_products.each_mut().map(|part| part.next().unwrap_or_default());
        row_tiles::inputs(plane, before, zeros_of(zeros, count), out, staging.output[0], pitch, left);
    }
}

/// The parts of an area, one a product.
fn parts(all: &mut [f32], length: usize) -> [&mut [f32]; PRODUCTS] {
    let mut parts = all.chunks_exact_mut(length.max(1));
    [(); PRODUCTS].map(|()| parts.next().unwrap_or_default())
}

/// The products `m` of transformed rows, added to what is there where `accumulate`: what several
/// branches send back to one source is summed before the sums behind the products.
pub(super) fn products(
    filters: &Filters,
    staging: &Staging,
    transformed: &Tiles,
    channels: usize,
    canvas: &Canvas,
    accumulate: bool,
    area: &mut Area,
) {
    let transformed = transformed.values.all();
    let lies = Transformed::new(staging);
    let pitch = canvas.pitch;
    let plane = roomy(lies.tiles * pitch);
    let products = filters.0[0].outputs() * plane;
    let found = area.of(PRODUCTS * products);
    let rows = Rows { count: lies.tiles, width: pitch, input_pitch: lies.pitch, output_pitch: pitch };
    let offsets = lies.offsets(staging, channels);
    for (at, (panels, found)) in filters.0.iter().zip(found.chunks_exact_mut(products)).enumerate() {
        let input = &transformed[at * channels * lies.plane..][..channels * lies.plane];
        product(panels, None, &offsets, input, rows, found, plane, accumulate);
    }
}

/// The outputs of `count` planes of products that lie as `canvas` says, rows `pitch` and planes
/// `stride` apart; added to what is there where `accumulate`, and then without a bias. What `spare`
/// holds is lost.
#[expect(clippy::too_many_arguments, reason = "what is read, what is written, and how both lie")]
pub(super) fn outputs(
    count: usize,
    bias: Option<&[f32]>,
    canvas: &Canvas,
    out: &mut [f32],
    [pitch, stride]: [usize; 2],
    accumulate: bool,
    area: &mut Area,
    spare: &mut Vec<f32>,
) {
    let plane = roomy(canvas.rows.div_ceil(ROWS) * canvas.pitch);
    let found = area.of(PRODUCTS * count * plane);
    let lines = Lines { rows: canvas.rows, width: canvas.width, pitch };
    for (output, out) in out.chunks_mut(stride).take(count).enumerate() {
        let bias = bias.map_or(0.0, |bias| bias[output]);
        let of_product: [&[f32]; PRODUCTS] = std::array::from_fn(|at| &found[(at * count + output) * plane..][..plane]);
        row_tiles::outputs(of_product, canvas.pitch, bias, out, lines, accumulate, spare);
    }
}

/// Values of a branch's sums: `[product][output][input, column]`.
pub(super) fn sums_len(outputs: usize, inputs: usize, width: usize) -> usize {
    PRODUCTS * outputs * inputs * width
}

/// Adds the gradients of the weights `u` to `sums`. `gradient` has planes `stride` apart, as they
/// are in a map.
#[expect(clippy::too_many_arguments, reason = "what is read, what is written, and how both lie")]
pub(super) fn add_gradient(
    gradient: &[f32],
    stride: usize,
    outputs: usize,
    staging: &Staging,
    transformed: &mut Tiles,
    channels: usize,
    canvas: &Canvas,
    sums: &mut [f32],
    area: &mut Area,
) {
    let Tiles { values, zeros, .. } = transformed;
    let transformed = values.all();
    let lies = Transformed::new(staging);
    let pitch = canvas.pitch;
    let plane = roomy(lies.tiles * pitch);
    let products = outputs * plane;
    let adjoint = area.of(PRODUCTS * products);
    let lines = Lines { rows: canvas.rows, width: canvas.width, pitch: canvas.width };
    let zeros = zeros_of(zeros, canvas.width);
    let mut of_products = parts(adjoint, products).map(|part| part.chunks_exact_mut(plane));
    for y in gradient.chunks(stride).take(outputs) {
        let out = of_products.each_mut().map(|part| part.next().unwrap_or_default());
        row_tiles::adjoints(y, lines, zeros, out, pitch);
    }
    let rows = Rows { count: lies.tiles, width: pitch, input_pitch: lies.pitch, output_pitch: pitch };
    let offsets = lies.offsets(staging, channels);
    let length = outputs * offsets.len();
    for (at, sums) in sums[..PRODUCTS * length].chunks_exact_mut(length).enumerate() {
        let input = &transformed[at * channels * lies.plane..][..channels * lies.plane];
        dots(&adjoint[at * products..][..products], plane, outputs, &offsets, input, rows, sums);
    }
}

/// Adds to the gradients of the weights, `[output, input][row][column]`, what those of `u` make of
/// them.
pub(super) fn weight_gradient(sums: &[f32], width: usize, weights: &mut [f32]) {
    let mut of_products = sums.chunks_exact((sums.len() / PRODUCTS).max(1));
    let u: [&[f32]; PRODUCTS] = std::array::from_fn(|_| of_products.next().unwrap_or_default());
    for (pair, weights) in weights.chunks_exact_mut(3 * width).enumerate() {
        for column in 0..width {
            let at = pair * width + column;
            let (near, of_near) = ((u[1][at] + u[2][at]) / 3.0, (u[1][at] - u[2][at]) / 1.5);
            let (far, of_far) = ((u[3][at] + u[4][at]) / 3.0, (u[3][at] - u[4][at]) / 6.0);
            weights[column] += u[0][at] - 2.0 * near + far / 2.0;
            weights[width + column] += Q * of_far - P * of_near;
            weights[2 * width + column] += far - near + u[5][at];
        }
    }
}
