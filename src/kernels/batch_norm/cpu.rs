//! Batch norm in training on the CPU, a channel at a time.

use burn_flex::FlexTensor;
use pulp::Arch;

use crate::kernels::buffer::{build_channels, tensor, values};

/// Values that are summed in `f32`, on [`LANES`] sums side by side, before the sum goes on in `f64`: 1,024 / 32 = 32
/// values a lane, so that rounding stays near one part in 10⁷ whatever the size of the batch.
const BLOCK: usize = 1024;

/// Independent sums: two vectors of AVX-512, four of AVX2.
const LANES: usize = 32;

/// The planes of one channel of `[n, c, h, w]`.
fn planes(values: &[f32], [images, channels, plane]: [usize; 3], channel: usize) -> impl Iterator<Item = &[f32]> {
    (0..images).map(move |image| &values[(image * channels + channel) * plane..][..plane])
}

/// `[n, c, h * w]`
fn sides(x: &FlexTensor) -> [usize; 3] {
    let [images, channels, height, width] = x.layout().shape().dims();
    [images, channels, height * width]
}

/// Output, mean and biased variance.
///
/// # Shapes
/// `x` `[n, c, h, w]`; `scale`, `shift` `[c]`
pub(super) fn train(
    x: &FlexTensor,
    scale: &FlexTensor,
    shift: &FlexTensor,
    epsilon: f64,
) -> (FlexTensor, FlexTensor, FlexTensor) {
    let (x, scale, shift) = (x.to_contiguous(), scale.to_contiguous(), shift.to_contiguous());
    let (sides, source) = (sides(&x), values(&x));
    let count = (sides[0] * sides[2]) as f64;
    let (output, moments) = build_channels(sides, |channel, out| {
        let mean = planes(source, sides, channel).map(|x| sum(x, x, |x, _| x)).sum::<f64>() / count;
        let mean = mean as f32;
        let squares = planes(source, sides, channel).map(|x| sum(x, x, |x, _| (x - mean) * (x - mean)));
        let variance = (squares.sum::<f64>() / count) as f32;
        let factor = values(&scale)[channel] * inverse_deviation(variance, epsilon);
        let shift = values(&shift)[channel];
        for (x, out) in planes(source, sides, channel).zip(out) {
            map(x, x, out, |x, _| (x - mean) * factor + shift);
        }
        (mean, variance)
    });
    let (mean, variance): (Vec<f32>, Vec<f32>) = moments.into_iter().unzip();
    (tensor(output, x.layout().shape().clone()), tensor(mean, [sides[1]]), tensor(variance, [sides[1]]))
}

/// Gradients of the input, the scale and the shift. With `g` the gradient of the output and `r = 1 / sqrt(variance +
/// epsilon)`, the gradient of the input is `scale * r * (g - Σ g / m - (x - mean) * r² * Σ g (x - mean) / m)`.
///
/// # Shapes
/// `x`, `gradient` `[n, c, h, w]`; all others `[c]`
pub(super) fn gradients(
    x: &FlexTensor,
    scale: &FlexTensor,
    gradient: &FlexTensor,
    mean: &FlexTensor,
    variance: &FlexTensor,
    epsilon: f64,
) -> (FlexTensor, FlexTensor, FlexTensor) {
    let (x, scale, gradient) = (x.to_contiguous(), scale.to_contiguous(), gradient.to_contiguous());
    let (sides, source, gradients) = (sides(&x), values(&x), values(&gradient));
    let count = (sides[0] * sides[2]) as f64;
    let (of_x, of_affine) = build_channels(sides, |channel, out| {
        let mean = values(mean)[channel];
        let inverse = inverse_deviation(values(variance)[channel], epsilon);
        let (mut sum_gradient, mut sum_product) = (0.0, 0.0);
        for (x, gradient) in planes(source, sides, channel).zip(planes(gradients, sides, channel)) {
            sum_gradient += sum(gradient, gradient, |g, _| g);
            sum_product += sum(gradient, x, |g, x| g * (x - mean));
        }
        let factor = values(&scale)[channel] * inverse;
        let mean_gradient = (sum_gradient / count) as f32;
        let slope = (sum_product / count * f64::from(inverse) * f64::from(inverse)) as f32;
        let pairs = planes(source, sides, channel).zip(planes(gradients, sides, channel));
        for ((x, gradient), out) in pairs.zip(out) {
            map(x, gradient, out, |x, g| factor * (g - mean_gradient - (x - mean) * slope));
        }
        ((sum_product * f64::from(inverse)) as f32, sum_gradient as f32)
    });
    let (of_scale, of_shift): (Vec<f32>, Vec<f32>) = of_affine.into_iter().unzip();
    (tensor(of_x, x.layout().shape().clone()), tensor(of_scale, [sides[1]]), tensor(of_shift, [sides[1]]))
}

fn inverse_deviation(variance: f32, epsilon: f64) -> f32 {
    (1.0 / (f64::from(variance) + epsilon).sqrt()) as f32
}

/// `Σ term(a, b)` over two slices of the same length, in an order that depends on the length alone.
fn sum(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32) -> f64 {
    Arch::new().dispatch(
        #[inline(always)]
        || {
            let mut total = 0.0;
            for (a, b) in a.chunks(BLOCK).zip(b.chunks(BLOCK)) {
                let mut lanes = [0.0f32; LANES];
                let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
                for (a, b) in a.iter().zip(b) {
                    for lane in 0..LANES {
                        lanes[lane] += term(a[lane], b[lane]);
                    }
                }
                for (lane, (&a, &b)) in lanes.iter_mut().zip(a_rest.iter().zip(b_rest)) {
                    *lane += term(a, b);
                }
                total += lanes.iter().map(|&lane| f64::from(lane)).sum::<f64>();
            }
            total
        },
    )
}

/// `out = function(a, b)` for slices of the same length.
fn map(a: &[f32], b: &[f32], out: &mut [f32], function: impl Fn(f32, f32) -> f32) {
    Arch::new().dispatch(
        #[inline(always)]
        || {
            for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
                *out = function(a, b);
            }
        },
    );
}
