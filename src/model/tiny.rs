//! Tables of alphas and images of noise, for tests.

use super::{Layout, TensorGroup};
use crate::space::network::AlphaTable;
use burn::tensor::{Device, Tensor, TensorData};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use std::sync::Arc;

/// A table whose edges have so many candidates.
pub(super) fn table(widths: &[usize]) -> AlphaTable {
    let names = |width: usize| (0..width).map(|at| at.to_string()).collect();
    AlphaTable {
        label: "alphas".into(),
        kind: "cell".into(),
        candidates: widths.iter().map(|&width| names(width)).collect(),
        ..AlphaTable::default()
    }
}

/// Its alphas.
pub(super) fn alphas(shape: [usize; 2], numbers: Vec<f32>) -> TensorGroup {
    let layout = Layout::new([("alphas".to_owned(), shape.to_vec())]);
    TensorGroup::from_host(Arc::new(layout), numbers, &Device::flex())
}

/// Normal numbers, the same whatever other tests draw meanwhile: burn has one generator a process.
pub(crate) fn noise<const D: usize>(seed: u64, shape: [usize; D], device: &Device) -> Tensor<D> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let numbers: Vec<f32> = (0..shape.iter().product()).map(|_| StandardNormal.sample(&mut random)).collect();
    Tensor::from_data(TensorData::new(numbers, shape), device)
}
