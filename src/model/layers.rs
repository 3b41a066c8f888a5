//! Layers by burn's own operators, on every device: what networks are made of where they do not run
//! as programs.

use crate::space::network::{Conv, Padding, Pool};
use burn::tensor::{
    Device, Tensor, module,
    ops::{AvgPoolOptions, ConvOptions, MaxPoolOptions, PadMode},
};

/// Convolves `x` as `conv` says and adds `bias` to every pixel of its channel.
///
/// # Shapes
/// `x` `[n, in, h, w]`, `weight` `[out, in / groups, kh, kw]`, `bias` `[out]` → `[n, out, oh, ow]`
pub fn conv(x: Tensor<4>, weight: Tensor<4>, bias: Option<Tensor<1>>, conv: &Conv) -> Tensor<4> {
    module::conv2d(x, weight, bias, ConvOptions::new(conv.stride, conv.padding, conv.dilation, conv.groups))
}

/// Convolves with a 1x1 kernel, reading every `stride`th pixel in both axes.
///
/// # Shapes
/// `x` `[n, in, h, w]`, `weight` `[out, in, 1, 1]` → `[n, out, ceil(h / stride), ceil(w / stride)]`
pub fn pointwise(x: Tensor<4>, weight: Tensor<4>, stride: usize) -> Tensor<4> {
    module::conv2d(x, weight, None, ConvOptions::new([stride; 2], [0; 2], [1; 2], 1))
}

/// Channels become pixels: `by · by` of them one channel of sides `by` times as long, row by row.
///
/// # Shapes
/// `[n, c · by², h, w]` → `[n, c, h · by, w · by]`
pub fn pixel_shuffle(x: Tensor<4>, by: usize) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    let channels = channels / (by * by);
    let parts: Tensor<6> = x.reshape([batch, channels, by, by, height, width]);
    parts.permute([0, 1, 4, 2, 5, 3]).reshape([batch, channels, height * by, width * by])
}

/// Each pixel becomes a square of equal ones.
///
/// # Shapes
/// `[n, c, h, w]` → `[n, c, h · by, w · by]`
pub fn upsample(x: Tensor<4>, by: usize) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    let pixels: Tensor<6> = x.reshape([batch, channels, height, 1, width, 1]);
    let squares = pixels.expand([batch, channels, height, by, width, by]);
    squares.reshape([batch, channels, height * by, width * by])
}

/// Takes the maximum of each window; the first maximum in reading order takes the gradient.
///
/// # Shapes
/// `[n, c, h, w]` → `[n, c, oh, ow]`
pub fn max_pool(x: Tensor<4>, pool: &Pool) -> Tensor<4> {
    let options = MaxPoolOptions::new([pool.kernel; 2]).with_stride([pool.stride; 2]);
    match pool.padding {
        Padding::Each(padding) => module::max_pool2d(x, options.with_padding([padding; 2])),
        Padding::Same => module::max_pool2d(padded(x, pool, f32::NEG_INFINITY), options),
    }
}

/// Takes the mean of each window's pixels, those of the padding not counted.
///
/// # Shapes
/// `[n, c, h, w]` → `[n, c, oh, ow]`
pub fn avg_pool(x: Tensor<4>, pool: &Pool) -> Tensor<4> {
    let options = AvgPoolOptions::new([pool.kernel; 2]).with_stride([pool.stride; 2]);
    match pool.padding {
        Padding::Each(padding) => {
            module::avg_pool2d(x, options.with_padding([padding; 2]).with_count_include_pad(false))
        }
        Padding::Same => {
            let share = padded(x.ones_like(), pool, 0.0);
            module::avg_pool2d(padded(x, pool, 0.0), options.clone()) / module::avg_pool2d(share, options)
        }
    }
}

/// With what lies around it where a pool's window steps.
fn padded(x: Tensor<4>, pool: &Pool, value: f32) -> Tensor<4> {
    let [_, _, height, width] = x.dims();
    let [[top, bottom], [left, right]] = [height, width].map(|side| pool.around(side));
    x.pad((left, right, top, bottom), PadMode::Constant(value))
}

/// What [`batch_norm_train`] gives.
#[derive(Debug, Clone)]
pub struct BatchNormOutput {
    /// `[n, c, h, w]`
    pub output: Tensor<4>,
    /// Mean of the batch `[c]`, without gradient.
    pub mean: Tensor<1>,
    /// Biased variance of the batch `[c]` (divided by `n * h * w`), without epsilon and without
    /// gradient.
    pub variance: Tensor<1>,
}

/// Normalises each channel by the mean and variance of this batch (Ioffe & Szegedy 2015,
/// arXiv:1502.03167, algorithm 1), then scales and shifts it where asked. The gradient reaches `x`
/// through the statistics too.
///
/// # Shapes
/// `x` `[n, c, h, w]`; `scale`, `shift` `[c]`, absent for ones and zeros
pub fn batch_norm_train(
    x: Tensor<4>,
    scale: Option<Tensor<1>>,
    shift: Option<Tensor<1>>,
    epsilon: f64,
) -> BatchNormOutput {
    let (scale, shift) = affine(scale, shift, x.dims()[1], &x.device());
    let result = module::batch_norm_train(x, scale, shift, epsilon);
    BatchNormOutput { output: result.output, mean: result.mean, variance: result.variance }
}

/// Normalises each channel by statistics that are given, then scales and shifts it where asked.
///
/// # Shapes
/// `x` `[n, c, h, w]`; all others `[c]`
pub fn batch_norm_eval(
    x: Tensor<4>,
    scale: Option<Tensor<1>>,
    shift: Option<Tensor<1>>,
    running_mean: Tensor<1>,
    running_var: Tensor<1>,
    epsilon: f64,
) -> Tensor<4> {
    let (scale, shift) = affine(scale, shift, x.dims()[1], &x.device());
    module::batch_norm(x, scale, shift, running_mean, running_var, epsilon)
}

/// Scale and shift where given, else ones and zeros.
fn affine(
    scale: Option<Tensor<1>>,
    shift: Option<Tensor<1>>,
    channels: usize,
    device: &Device,
) -> (Tensor<1>, Tensor<1>) {
    (
        scale.unwrap_or_else(|| Tensor::ones([channels], device)),
        shift.unwrap_or_else(|| Tensor::zeros([channels], device)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::host;
    use burn::tensor::TensorData;

    #[test]
    fn channels_become_pixels_row_by_row() {
        let numbers: Vec<f32> = (0..8).map(|number| number as f32).collect();
        let x = Tensor::from_data(TensorData::new(numbers, [1, 8, 1, 1]), &Device::flex());
        let shuffled = pixel_shuffle(x, 2);
        assert_eq!(shuffled.dims(), [1, 2, 2, 2]);
        assert_eq!(host(shuffled), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
        // Two pixels beside each other stay so.
        let numbers: Vec<f32> = (0..8).map(|number| number as f32).collect();
        let x = Tensor::from_data(TensorData::new(numbers, [1, 4, 1, 2]), &Device::flex());
        assert_eq!(host(pixel_shuffle(x, 2)), [0.0, 2.0, 1.0, 3.0, 4.0, 6.0, 5.0, 7.0]);
    }
}
