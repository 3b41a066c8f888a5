//! Batch norm in training on the CPU, a channel at a time.

use burn_flex::FlexTensor;
use pulp::{Arch, Simd, WithSimd};

use crate::kernels::buffer::{build_channels, tensor, values};

/// Values that are summed in `f32`, several sums side by side, before the sum goes on in `f64`: with AVX2 32
/// sums of 32 values, so that rounding stays near one part in 10⁷ whatever the size of the batch.
const BLOCK: usize = 1024;

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
    let (output, statistics) = build_channels(sides, |channel, out| {
        let (mean, variance) = moments(planes(source, sides, channel), sides[2]);
        let factor = values(&scale)[channel] * inverse_deviation(variance, epsilon);
        let shift = values(&shift)[channel];
        for (x, out) in planes(source, sides, channel).zip(out) {
            map(x, x, out, |x, _| (x - mean) * factor + shift);
        }
        (mean, variance)
    });
    let (mean, variance): (Vec<f32>, Vec<f32>) = statistics.into_iter().unzip();
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
            let sums = sums(gradient, 0.0, x, mean);
            sum_gradient += sums.first;
            sum_product += sums.product;
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

/// Mean and biased variance of planes of `plane` values. Each plane is read once from memory and gives its mean and the
/// squares about it; planes are then joined in `f64`, where the squares about the common mean are those about the
/// plane's own and `plane * (difference of the means)²` (Chan, Golub & LeVeque 1983, equation 2.1).
fn moments<'a>(planes: impl Iterator<Item = &'a [f32]>, plane: usize) -> (f32, f32) {
    let (mut count, mut mean, mut squares) = (0.0, 0.0, 0.0);
    for x in planes {
        let plane = plane as f64;
        let plane_mean = (sums(x, 0.0, x, 0.0).first / plane) as f32;
        let about_mean = sums(x, plane_mean, x, plane_mean);
        // The rounding of `plane_mean` to `f32` is made good: `first` would be zero about the exact mean.
        let shift = about_mean.first / plane;
        let difference = f64::from(plane_mean) + shift - mean;
        squares += about_mean.product - shift * shift * plane;
        squares += difference * difference * count * plane / (count + plane);
        count += plane;
        mean += difference * plane / count;
    }
    (mean as f32, (squares / count) as f32)
}

/// What [`sums`] gives.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    /// `Σ (a - a0)`
    first: f64,
    /// `Σ (a - a0) * (b - b0)`
    product: f64,
}

/// Sums over two slices of the same length about `a0` and `b0`, in an order that depends on the length alone.
fn sums(a: &[f32], a0: f32, b: &[f32], b0: f32) -> Sums {
    let mut total = Sums::default();
    for (a, b) in a.chunks(BLOCK).zip(b.chunks(BLOCK)) {
        let [first, product] = Arch::new().dispatch(BlockSums { a, a0, b, b0 });
        total.first += f64::from(first);
        total.product += f64::from(product);
    }
    total
}

/// The sums of [`sums`] over one block, in `f32`.
struct BlockSums<'a> {
    a: &'a [f32],
    a0: f32,
    b: &'a [f32],
    b0: f32,
}

impl WithSimd for BlockSums<'_> {
    type Output = [f32; 2];

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> [f32; 2] {
        /// Sums side by side: enough to hide the latency of an addition.
        const SUMS: usize = 4;
        let (a0, b0) = (simd.splat_f32s(self.a0), simd.splat_f32s(self.b0));
        let ((a, a_rest), (b, b_rest)) = (S::as_simd_f32s(self.a), S::as_simd_f32s(self.b));
        let mut first = [simd.splat_f32s(0.0); SUMS];
        let mut product = [simd.splat_f32s(0.0); SUMS];
        let ((a, a_vectors), (b, b_vectors)) = (a.as_chunks::<SUMS>(), b.as_chunks::<SUMS>());
        for (a, b) in a.iter().zip(b) {
            for i in 0..SUMS {
                let (a, b) = (simd.sub_f32s(a[i], a0), simd.sub_f32s(b[i], b0));
                first[i] = simd.add_f32s(first[i], a);
                product[i] = simd.mul_add_e_f32s(a, b, product[i]);
            }
        }
        for (i, (&a, &b)) in a_vectors.iter().zip(b_vectors).enumerate() {
            let (a, b) = (simd.sub_f32s(a, a0), simd.sub_f32s(b, b0));
            first[i] = simd.add_f32s(first[i], a);
            product[i] = simd.mul_add_e_f32s(a, b, product[i]);
        }
        let join = |sums: [S::f32s; SUMS]| {
            let halves = [simd.add_f32s(sums[0], sums[1]), simd.add_f32s(sums[2], sums[3])];
            simd.reduce_sum_f32s(simd.add_f32s(halves[0], halves[1]))
        };
        let (mut first, mut product) = (join(first), join(product));
        for (a, b) in a_rest.iter().zip(b_rest) {
            first += a - self.a0;
            product += (a - self.a0) * (b - self.b0);
        }
        [first, product]
    }
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
