//! Batch norm by burn's operators.

use burn::tensor::Tensor;
use burn::tensor::module;

use super::{BatchNormOutput, affine};

pub(in crate::kernels) fn train(
    x: Tensor<4>,
    scale: Option<Tensor<1>>,
    shift: Option<Tensor<1>>,
    epsilon: f64,
) -> BatchNormOutput {
    let (scale, shift) = affine(scale, shift, x.dims()[1], &x.device());
    let result = module::batch_norm_train(x, scale, shift, epsilon);
    BatchNormOutput { output: result.output, mean: result.mean, variance: result.variance }
}

pub(in crate::kernels) fn eval(
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
