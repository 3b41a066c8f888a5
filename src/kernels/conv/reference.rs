//! Convolution by burn's operator.

use burn::tensor::Tensor;
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;

use crate::kernels::Window;

pub(in crate::kernels) fn convolve(x: Tensor<4>, weight: Tensor<4>, window: Window, groups: usize) -> Tensor<4> {
    conv2d(x, weight, None, ConvOptions::new(window.stride, window.padding, window.dilation, groups))
}
