//! Every native operator held to burn's own, value and gradients, over awkward shapes.

use burn::tensor::{Device, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Kernels, Window};
use crate::space::network::{Conv, Pool};

/// Largest difference, relative to the largest value of the reference. Both sides compute in `f32` and differ only in
/// the order of sums of up to some thousand terms: about `sqrt(1000) * 2⁻²⁴ ≈ 2e-6`, and as much again for the
/// reference's own rounding.
const TOLERANCE: f32 = 4e-6;

fn random(rng: &mut ChaCha8Rng, shape: [usize; 4], device: &Device) -> Tensor<4> {
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| rng.random_range(-1.0..1.0)).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

fn assert_close<const D: usize>(native: Tensor<D>, reference: Tensor<D>, what: &str) {
    assert_eq!(native.dims(), reference.dims(), "{what}: shape");
    let largest: f32 = reference.clone().abs().max().into_scalar();
    let difference: f32 = (native - reference).abs().max().into_scalar();
    assert!(difference <= TOLERANCE * largest.max(1e-3), "{what}: {difference} apart, largest value {largest}");
}

/// Which inputs require a gradient.
#[derive(Debug, Clone, Copy)]
enum Tracked {
    Input,
    Weight,
    Both,
}

/// Holds an operator of an input and a weight to its reference, with gradients of a random weighted sum of its output.
fn assert_parity(
    x: &Tensor<4>,
    weight: &Tensor<4>,
    rng: &mut ChaCha8Rng,
    what: &str,
    operator: impl Fn(Kernels, Tensor<4>, Tensor<4>) -> Tensor<4>,
) {
    let plain = operator(Kernels::Native, x.clone(), weight.clone());
    let reference = operator(Kernels::Reference, x.clone(), weight.clone());
    let factor = random(rng, reference.dims(), &x.device());
    assert_close(plain, reference, &format!("{what}, value"));
    for tracked in [Tracked::Input, Tracked::Weight, Tracked::Both] {
        let run = |kernels| {
            let (mut x, mut weight) = (x.clone().autodiff(), weight.clone().autodiff());
            if !matches!(tracked, Tracked::Weight) {
                x = x.require_grad();
            }
            if !matches!(tracked, Tracked::Input) {
                weight = weight.require_grad();
            }
            let output = operator(kernels, x.clone(), weight.clone());
            let gradients = (output.clone() * factor.clone().autodiff()).sum().backward();
            (output.inner(), x.grad(&gradients), weight.grad(&gradients))
        };
        let (native, reference) = (run(Kernels::Native), run(Kernels::Reference));
        let what = format!("{what}, {tracked:?} tracked");
        assert_close(native.0, reference.0, &what);
        for (name, native, reference) in [("input", native.1, reference.1), ("weight", native.2, reference.2)] {
            match (native, reference) {
                (Some(native), Some(reference)) => {
                    assert_close(native, reference, &format!("{what}, gradient of {name}"))
                }
                (None, None) => {}
                (native, reference) => {
                    panic!("{what}: gradient of {name}: {:?} against {:?}", native.is_some(), reference.is_some())
                }
            }
        }
    }
}

/// Input sides, kernel, and how it steps: square and not, odd and even, strided, dilated, padded more than it reaches.
fn geometries() -> Vec<([usize; 2], [usize; 2], Window)> {
    let window = |stride, padding, dilation| Window { stride, padding, dilation };
    vec![
        ([9, 9], [3, 3], window([1, 1], [1, 1], [1, 1])),
        ([8, 11], [3, 3], window([2, 2], [1, 1], [1, 1])),
        ([7, 6], [5, 5], window([1, 1], [2, 2], [1, 1])),
        ([13, 12], [5, 5], window([2, 2], [4, 4], [2, 2])),
        ([10, 9], [3, 3], window([1, 1], [2, 2], [2, 2])),
        ([6, 19], [1, 7], window([1, 1], [0, 3], [1, 1])),
        ([6, 19], [7, 1], window([2, 1], [3, 0], [1, 1])),
        ([5, 5], [2, 2], window([1, 1], [0, 0], [1, 1])),
        ([4, 5], [3, 2], window([3, 2], [2, 1], [1, 2])),
        ([5, 4], [2, 2], window([1, 1], [3, 3], [1, 1])),
        ([1, 1], [1, 1], window([1, 1], [0, 0], [1, 1])),
        ([7, 5], [1, 1], window([1, 1], [1, 1], [1, 1])),
        ([33, 31], [3, 3], window([1, 1], [1, 1], [1, 1])),
    ]
}

#[test]
fn full_and_grouped_convolutions_match() {
    let (mut rng, device) = (ChaCha8Rng::seed_from_u64(1), Device::flex());
    for (sides, kernel, window) in geometries() {
        for (images, inputs, outputs, groups) in
            [(1, 1, 1, 1), (2, 3, 7, 1), (3, 8, 4, 1), (2, 6, 10, 2), (17, 2, 5, 1)]
        {
            let x = random(&mut rng, [images, inputs, sides[0], sides[1]], &device);
            let weight = random(&mut rng, [outputs, inputs / groups, kernel[0], kernel[1]], &device);
            let Window { stride, padding, dilation } = window;
            let conv = Conv { kernel, stride, padding, dilation, groups, bias: false };
            let what = format!("{images} x {inputs} -> {outputs} in {groups} groups, {sides:?}, {conv:?}");
            assert_parity(&x, &weight, &mut rng, &what, |kernels, x, weight| kernels.conv(x, weight, None, &conv));
        }
    }
}

#[test]
fn depthwise_convolutions_match() {
    let (mut rng, device) = (ChaCha8Rng::seed_from_u64(2), Device::flex());
    for (sides, kernel, window) in geometries() {
        for (images, channels, multiplier) in [(1, 1, 1), (3, 5, 1), (2, 3, 2)] {
            let x = random(&mut rng, [images, channels, sides[0], sides[1]], &device);
            let weight = random(&mut rng, [channels * multiplier, 1, kernel[0], kernel[1]], &device);
            let what = format!("{images} x {channels} x {multiplier}, {sides:?}, {kernel:?}, {window:?}");
            assert_parity(&x, &weight, &mut rng, &what, |kernels, x, weight| kernels.depthwise(x, weight, window));
        }
    }
}

#[test]
fn pointwise_convolutions_match() {
    let (mut rng, device) = (ChaCha8Rng::seed_from_u64(3), Device::flex());
    for stride in [1, 2] {
        for (images, inputs, outputs, height, width) in
            [(1, 1, 1, 3, 4), (2, 5, 9, 7, 7), (3, 16, 8, 8, 8), (2, 4, 4, 1, 1)]
        {
            let x = random(&mut rng, [images, inputs, height, width], &device);
            let weight = random(&mut rng, [outputs, inputs, 1, 1], &device);
            let what = format!("{images} x {inputs} -> {outputs}, {height}x{width}, stride {stride}");
            assert_parity(&x, &weight, &mut rng, &what, |kernels, x, weight| kernels.pointwise(x, weight, stride));
        }
    }
}

/// Transposed and sliced tensors are views whose values are not in order.
#[test]
fn views_are_read_as_what_they_show() {
    let (mut rng, device) = (ChaCha8Rng::seed_from_u64(4), Device::flex());
    let x = random(&mut rng, [3, 9, 6, 10], &device).swap_dims(1, 2).slice([0..2, 1..5, 0..9, 2..9]);
    let weight = random(&mut rng, [3, 3, 4, 6], &device).permute([3, 2, 1, 0]).narrow(0, 0, 5);
    let conv = Conv { kernel: [3, 3], stride: [1, 1], padding: [1, 1], dilation: [1, 1], groups: 1, bias: false };
    assert_parity(&x, &weight, &mut rng, "views", |kernels, x, weight| kernels.conv(x, weight, None, &conv));
    // The gradient that arrives at the operator is a view too.
    assert_parity(&x, &weight, &mut rng, "transposed output", |kernels, x, weight| {
        kernels.conv(x, weight, None, &conv).swap_dims(2, 3)
    });
    let pool = Pool { kernel: 3, stride: 2, padding: 1 };
    assert_pool_parity(&x, pool, &mut rng, "views");
    assert_batch_norm_parity(&x, true, &mut rng, "views");
}

#[test]
fn a_bias_is_added_to_each_pixel_and_learns() {
    let (mut rng, device) = (ChaCha8Rng::seed_from_u64(5), Device::flex().autodiff());
    let conv = Conv { kernel: [3, 3], stride: [2, 2], padding: [1, 1], dilation: [1, 1], groups: 1, bias: true };
    let (x, weight) = (random(&mut rng, [2, 3, 5, 5], &device), random(&mut rng, [4, 3, 3, 3], &device));
    let bias = Tensor::<1>::from_floats([1.0, -2.0, 3.0, 0.5], &device).require_grad();
    let output = Kernels::Native.conv(x.clone(), weight.clone(), Some(bias.clone()), &conv);
    let without = Kernels::Native.conv(x, weight, None, &conv);
    assert_close(
        (output.clone() - without).inner(),
        bias.clone().inner().reshape([1, 4, 1, 1]).expand([2, 4, 3, 3]),
        "bias",
    );
    let gradients = output.sum().backward();
    let gradient: Vec<f32> = bias.grad(&gradients).unwrap().into_data().try_to_vec().unwrap();
    assert_eq!(gradient, [18.0; 4]);
}

fn assert_pool_parity(x: &Tensor<4>, pool: Pool, rng: &mut ChaCha8Rng, what: &str) {
    type Operator = fn(Kernels, Tensor<4>, &Pool) -> Tensor<4>;
    for (name, operator) in [("max", Kernels::max_pool as Operator), ("avg", Kernels::avg_pool as Operator)] {
        let run = |kernels, factor: Option<Tensor<4>>| {
            let x = x.clone().autodiff().require_grad();
            let output = operator(kernels, x.clone(), &pool);
            let loss = factor.map_or(output.clone(), |factor| output.clone() * factor.autodiff());
            (output.inner(), x.grad(&loss.sum().backward()).unwrap())
        };
        let factor = random(rng, operator(Kernels::Reference, x.clone(), &pool).dims(), &x.device());
        let (native, reference) = (run(Kernels::Native, Some(factor.clone())), run(Kernels::Reference, Some(factor)));
        assert_close(
            operator(Kernels::Native, x.clone(), &pool),
            reference.0.clone(),
            &format!("{name} {what}, plain"),
        );
        assert_close(native.0, reference.0, &format!("{name} {what}, value"));
        assert_close(native.1, reference.1, &format!("{name} {what}, gradient"));
    }
}

#[test]
fn pools_match() {
    let (mut rng, device) = (ChaCha8Rng::seed_from_u64(6), Device::flex());
    for shape in [[1, 1, 3, 3], [2, 3, 8, 8], [3, 2, 9, 7], [1, 5, 33, 32], [2, 1, 4, 19]] {
        for (kernel, stride, padding) in [(3, 1, 1), (3, 2, 1), (2, 2, 0), (3, 3, 0), (1, 1, 0), (2, 1, 1)] {
            let x = random(&mut rng, shape, &device);
            let pool = Pool { kernel, stride, padding };
            assert_pool_parity(&x, pool, &mut rng, &format!("{shape:?} {pool:?}"));
        }
    }
}

#[test]
fn the_first_of_equal_maxima_takes_the_gradient() {
    let device = Device::flex().autodiff();
    let x = Tensor::<4>::ones([1, 1, 3, 3], &device).require_grad();
    let output = Kernels::Native.max_pool(x.clone(), &Pool { kernel: 2, stride: 1, padding: 0 });
    let gradient: Vec<f32> = x.grad(&output.sum().backward()).unwrap().into_data().try_to_vec().unwrap();
    assert_eq!(gradient, [1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
}

fn assert_batch_norm_parity(x: &Tensor<4>, affine: bool, rng: &mut ChaCha8Rng, what: &str) {
    let (device, channels) = (x.device(), x.dims()[1]);
    let factor = random(rng, x.dims(), &device);
    let vector = |rng: &mut ChaCha8Rng| random(rng, [1, 1, 1, channels], &device).reshape([channels]);
    let (scale, shift): (Tensor<1>, Tensor<1>) = (vector(rng), vector(rng));
    let run = |kernels: Kernels| {
        let [scale, shift] = [&scale, &shift].map(|value| affine.then(|| value.clone().autodiff().require_grad()));
        let x = x.clone().autodiff().require_grad();
        let result = kernels.batch_norm_train(x.clone(), scale.clone(), shift.clone(), 1e-5);
        let gradients = (result.output.clone() * factor.clone().autodiff()).sum().backward();
        let of_affine = [scale, shift].map(|value| value.map(|value| value.grad(&gradients).unwrap()));
        (result.output.inner(), result.mean.inner(), result.variance.inner(), x.grad(&gradients).unwrap(), of_affine)
    };
    let (native, reference) = (run(Kernels::Native), run(Kernels::Reference));
    assert_close(native.0, reference.0, &format!("{what}, value"));
    assert_close(native.1, reference.1, &format!("{what}, mean"));
    assert_close(native.2, reference.2, &format!("{what}, variance"));
    assert_close(native.3, reference.3, &format!("{what}, gradient of input"));
    for (native, reference) in native.4.into_iter().zip(reference.4) {
        if let (Some(native), Some(reference)) = (native, reference) {
            assert_close(native, reference, &format!("{what}, gradient of scale or shift"));
        }
    }
}

#[test]
fn batch_norm_in_training_matches() {
    let (mut rng, device) = (ChaCha8Rng::seed_from_u64(7), Device::flex());
    // Two values a channel would leave nothing but rounding in the gradient: whatever they are, they become -1 and 1.
    for shape in [[2, 1, 1, 2], [4, 3, 5, 7], [1, 4, 9, 9], [17, 2, 8, 8], [2, 3, 40, 33]] {
        for affine in [false, true] {
            let x = random(&mut rng, shape, &device);
            assert_batch_norm_parity(&x, affine, &mut rng, &format!("{shape:?}, affine {affine}"));
        }
    }
}

/// 0, 1, 2, 5: mean 2, squares about it 4 + 1 + 0 + 9 = 14, biased variance 14 / 4 (unbiased would be 14 / 3).
#[test]
fn batch_norm_of_four_numbers_by_hand() {
    let device = Device::flex();
    let x = Tensor::<1>::from_floats([0.0, 1.0, 2.0, 5.0], &device).reshape([2, 1, 1, 2]);
    let scale = Tensor::<1>::from_floats([2.0], &device);
    let shift = Tensor::<1>::from_floats([1.0], &device);
    for kernels in [Kernels::Native, Kernels::Reference] {
        let result = kernels.batch_norm_train(x.clone(), Some(scale.clone()), Some(shift.clone()), 0.0);
        let [mean, variance]: [f32; 2] = [result.mean.into_scalar(), result.variance.into_scalar()];
        assert_eq!([mean, variance], [2.0, 3.5], "{kernels}");
        let output: Vec<f32> = result.output.into_data().try_to_vec().unwrap();
        for (output, x) in output.into_iter().zip([0.0f32, 1.0, 2.0, 5.0]) {
            let expected = (x - 2.0) / 3.5f32.sqrt() * 2.0 + 1.0;
            assert!((output - expected).abs() < 1e-6, "{kernels}: {output} for {expected}");
        }
    }
}

/// A mean a thousand deviations away: a one-pass variance would have no digit right.
#[test]
fn batch_norm_keeps_its_digits_far_from_zero() {
    let (mut rng, device) = (ChaCha8Rng::seed_from_u64(8), Device::flex());
    let values: Vec<f32> = (0..8 * 700).map(|_| 1000.0 + rng.random_range(-1.0f32..1.0)).collect();
    let count = values.len() as f64;
    let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / count;
    let variance = values.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / count;
    let x = Tensor::<4>::from_data(TensorData::new(values, [8, 1, 20, 35]), &device);
    let result = Kernels::Native.batch_norm_train(x, None, None, 1e-5);
    let [native_mean, native_variance]: [f32; 2] = [result.mean.into_scalar(), result.variance.into_scalar()];
    assert!((f64::from(native_mean) / mean - 1.0).abs() < 1e-7, "{native_mean} for {mean}");
    assert!((f64::from(native_variance) / variance - 1.0).abs() < 1e-6, "{native_variance} for {variance}");
}

#[test]
fn batch_norm_by_given_statistics_is_the_formula() {
    let device = Device::flex();
    let x = Tensor::<1>::from_floats([3.0, 5.0, -1.0, 0.0], &device).reshape([1, 2, 1, 2]);
    let mean = Tensor::<1>::from_floats([1.0, -1.0], &device);
    let variance = Tensor::<1>::from_floats([4.0, 0.25], &device);
    let output: Vec<f32> =
        Kernels::Native.batch_norm_eval(x, None, None, mean, variance, 0.0).into_data().try_to_vec().unwrap();
    assert_eq!(output, [1.0, 2.0, 0.0, 2.0]);
}

#[test]
fn nan_and_infinity_go_through() {
    let device = Device::flex().autodiff();
    let mut values = vec![1.0f32; 2 * 4 * 6 * 6];
    values[40] = f32::NAN;
    values[200] = f32::INFINITY;
    let x = Tensor::<4>::from_data(TensorData::new(values, [2, 4, 6, 6]), &device).require_grad();
    let weight = Tensor::<4>::ones([4, 4, 3, 3], &device).require_grad();
    let filters = Tensor::<4>::ones([4, 1, 3, 3], &device).require_grad();
    let window = Window { padding: [1, 1], ..Window::default() };
    let conv = Conv { kernel: [3, 3], stride: [1, 1], padding: [1, 1], dilation: [1, 1], groups: 1, bias: false };
    let pool = Pool { kernel: 3, stride: 1, padding: 1 };
    let native = Kernels::Native;
    for output in [
        native.conv(x.clone(), weight, None, &conv),
        native.depthwise(x.clone(), filters, window),
        native.max_pool(x.clone(), &pool),
        native.avg_pool(x.clone(), &pool),
        native.batch_norm_train(x.clone(), None, None, 1e-5).output,
    ] {
        let values: Vec<f32> = output.clone().into_data().try_to_vec().unwrap();
        assert!(values[40].is_nan(), "the NaN is lost");
        assert!(!values[200].is_finite(), "the infinity is lost");
        assert!(x.grad(&output.sum().backward()).is_some());
    }
}

#[test]
fn other_number_formats_fall_back_to_the_reference() {
    use burn::tensor::DType;
    let device = Device::flex();
    let x = Tensor::<4>::ones([1, 1, 2, 2], &device).cast(DType::F64);
    let output = Kernels::Native.avg_pool(x, &Pool { kernel: 2, stride: 2, padding: 0 });
    assert_eq!(output.dtype(), DType::F64);
}
