//! Tables of alphas, for tests.

use super::{Layout, TensorGroup};
use crate::space::network::AlphaTable;
use burn::tensor::Device;
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
