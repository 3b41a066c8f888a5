//! The same bits on any number of threads: our programs, and those of burn's CPU backend that
//! networks use too.

use burn::tensor::activation::{log_softmax, relu, softmax};
use burn::tensor::{Device, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Precision, parity};

type Bits = Vec<Vec<u32>>;

fn bits<const D: usize>(tensor: Tensor<D>) -> Vec<u32> {
    tensor.into_data().try_to_vec::<f32>().expect("f32").into_iter().map(f32::to_bits).collect()
}

/// Runs `compute` in pools of 1, 2, 3 and 7 threads and compares everything it gives.
fn assert_same_bits(what: &str, compute: impl Fn() -> Bits + Send + Sync) {
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a thread pool");
        pool.install(&compute)
    };
    let one = run(1);
    for threads in [2, 3, 7] {
        for (index, (many, one)) in run(threads).iter().zip(&one).enumerate() {
            assert!(many == one, "{what}: result {index} differs on {threads} threads");
        }
    }
}

fn random<const D: usize>(seed: u64, shape: [usize; D]) -> Tensor<D> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| rng.random_range(-1.0..1.0)).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex().autodiff()).require_grad()
}

/// The operator's value, then the gradients of its two inputs under a random weighted sum.
fn value_and_gradients<const A: usize, const B: usize, const R: usize>(
    a: [usize; A],
    b: [usize; B],
    operator: impl Fn(Tensor<A>, Tensor<B>) -> Tensor<R>,
) -> Bits {
    let (a, b) = (random(1, a), random(2, b));
    let output = operator(a.clone(), b.clone());
    let gradients = (output.clone() * random(3, output.dims())).sum().backward();
    let of_a = a.grad(&gradients).map(bits);
    let of_b = b.grad(&gradients).map(bits);
    [Some(bits(output.inner())), of_a, of_b].into_iter().flatten().collect()
}

#[test]
fn programs() {
    for (images, precision) in [1, 37].into_iter().flat_map(|images| Precision::ALL.map(|(_, of)| (images, of))) {
        assert_same_bits(&format!("a program on {images} images in {precision}"), || {
            let found = parity::small_supernet_on(images, &Device::flex(), precision);
            found.into_iter().map(|numbers| numbers.into_iter().map(f32::to_bits).collect()).collect()
        });
    }
}

#[test]
fn burns_matrix_product() {
    for (a, b) in [([64, 256], [256, 10]), ([64, 64], [64, 200]), ([256, 768], [768, 512]), ([1, 64], [64, 10])] {
        assert_same_bits(&format!("matmul {a:?} {b:?}"), || value_and_gradients(a, b, |a, b| a.matmul(b)));
    }
    assert_same_bits("batched matmul", || value_and_gradients([32, 48, 64], [32, 64, 40], |a, b| a.matmul(b)));
}

#[test]
fn burns_sums_and_means() {
    let shape = [64, 16, 32, 32];
    assert_same_bits("sum", || value_and_gradients(shape, [1], |x, _| x.sum().reshape([1])));
    assert_same_bits("mean", || value_and_gradients(shape, [1], |x, _| x.mean().reshape([1])));
    for dim in 0..4 {
        assert_same_bits(&format!("sum_dim {dim}"), || value_and_gradients(shape, [1], |x, _| x.sum_dim(dim)));
        assert_same_bits(&format!("mean_dim {dim}"), || value_and_gradients(shape, [1], |x, _| x.mean_dim(dim)));
    }
}

#[test]
fn burns_elementwise_operators() {
    let shape = [64, 16, 32, 32];
    assert_same_bits("relu", || value_and_gradients(shape, [1], |x, _| relu(x)));
    assert_same_bits("add", || value_and_gradients(shape, shape, |a, b| a + b));
    for factor in [[1, 1, 1, 1], [1, 16, 1, 1], [64, 1, 1, 1]] {
        assert_same_bits(&format!("mul {factor:?}"), || value_and_gradients(shape, factor, |a, b| a * b));
        assert_same_bits(&format!("add {factor:?}"), || value_and_gradients(shape, factor, |a, b| a + b));
    }
    for dim in [0, 1] {
        let shape = [512, 200];
        assert_same_bits("softmax", || value_and_gradients(shape, [1], |x, _| softmax(x, dim)));
        assert_same_bits("log_softmax", || value_and_gradients(shape, [1], |x, _| log_softmax(x, dim)));
    }
}

#[test]
fn burns_cat_and_slice() {
    let shape = [64, 16, 32, 32];
    assert_same_bits("cat", || value_and_gradients(shape, shape, |a, b| Tensor::cat(vec![a, b], 1)));
    assert_same_bits("slice", || value_and_gradients(shape, [1], |x, _| x.slice([0..64, 4..12, 1..32, 1..32])));
}
