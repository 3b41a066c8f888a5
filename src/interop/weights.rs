//! Tensors in files: safetensors under the names that PyTorch's code bases use.

use crate::model::TensorGroup;
use safetensors::{Dtype, tensor::TensorView};

/// All tensors of `groups` as one safetensors file, float32, little endian.
pub fn to_safetensors(groups: &[&TensorGroup]) -> Vec<u8> {
    let bytes: Vec<Vec<u8>> =
        groups.iter().map(|group| group.to_host().iter().flat_map(|number| number.to_le_bytes()).collect()).collect();
    let views = groups.iter().zip(&bytes).flat_map(|(group, bytes)| {
        group.layout().iter().map(move |(name, shape, range)| {
            let part = &bytes[4 * range.start..4 * range.end];
            let view = TensorView::new(Dtype::F32, shape.to_vec(), part).expect("four bytes a number");
            (name.to_owned(), view)
        })
    });
    safetensors::serialize(views, None).expect("valid views serialise")
}
