//! Pooling by burn's operators.

use burn::tensor::Tensor;
use burn::tensor::module::{avg_pool2d, max_pool2d};
use burn::tensor::ops::{AvgPoolOptions, MaxPoolOptions};

use crate::space::network::Pool;

pub(in crate::kernels) fn max(x: Tensor<4>, pool: &Pool) -> Tensor<4> {
    let options = MaxPoolOptions::new([pool.kernel; 2]).with_stride([pool.stride; 2]).with_padding([pool.padding; 2]);
    max_pool2d(x, options)
}

pub(in crate::kernels) fn avg(x: Tensor<4>, pool: &Pool) -> Tensor<4> {
    let options = AvgPoolOptions::new([pool.kernel; 2])
        .with_stride([pool.stride; 2])
        .with_padding([pool.padding; 2])
        .with_count_include_pad(false);
    avg_pool2d(x, options)
}
