//! Tables of alphas in which an edge may have fewer candidates than the widest.

use super::host;
use crate::space::network::AlphaTable;
use burn::tensor::{Device, Tensor, TensorData};

/// Subtracted from an unused alpha: exp of it is exactly 0, and unlike infinity it makes no NaN.
const FAR_BELOW: f32 = 1e30;

pub(super) fn is_ragged(table: &AlphaTable) -> bool {
    table.candidates.iter().any(|edge| edge.len() < table.columns())
}

/// Alphas whose softmax is 0 where an edge has no candidate.
pub(super) fn masked(table: &AlphaTable, alpha: Tensor<2>) -> Tensor<2> {
    if !is_ragged(table) {
        return alpha;
    }
    let unused = used(table, &alpha.device()).sub_scalar(1.0).mul_scalar(FAR_BELOW);
    alpha + unused
}

/// 1 for the largest of an edge's numbers, the first of equal ones: `[edges, candidates]`,
/// untracked. Waits for the device.
pub(super) fn one_hot(table: &AlphaTable, numbers: Tensor<2>) -> Tensor<2> {
    let (shape, device) = (numbers.dims(), numbers.device());
    let columns = table.columns();
    let mut ones = vec![0.0_f32; shape.iter().product()];
    for (row, (edge, numbers)) in table.candidates.iter().zip(host(numbers).chunks(columns)).enumerate() {
        let largest = (0..edge.len()).reduce(|best, at| if numbers[at] > numbers[best] { at } else { best });
        if let Some(at) = largest {
            ones[row * columns + at] = 1.0;
        }
    }
    Tensor::from_data(TensorData::new(ones, shape), &device)
}

/// 1 where an edge has a candidate, 0 elsewhere: `[edges, candidates]`.
pub(super) fn used(table: &AlphaTable, device: &Device) -> Tensor<2> {
    let shape = [table.rows(), table.columns()];
    let numbers: Vec<f32> = table
        .candidates
        .iter()
        .flat_map(|edge| (0..table.columns()).map(|column| f32::from(u8::from(column < edge.len()))))
        .collect();
    Tensor::from_data(TensorData::new(numbers, shape), device)
}
