//! Tensors in files: safetensors under the names that PyTorch's code bases use.

use super::{description::ENTRY, state::ALPHAS, trained::TrainedNetwork};
use crate::model::TensorGroup;
use safetensors::{Dtype, tensor::TensorView};
use std::collections::HashMap;

/// All tensors of `groups` as one safetensors file, float32, little endian.
pub fn to_safetensors(groups: &[&TensorGroup]) -> Vec<u8> {
    let prefixed: Vec<(&str, &TensorGroup)> = groups.iter().map(|group| ("", *group)).collect();
    file(&prefixed, None)
}

/// A network with what it is in the file's header: nothing else is needed to evaluate it.
pub fn described(trained: &TrainedNetwork) -> Vec<u8> {
    let groups = [("", &trained.weights), ("", &trained.running), (ALPHAS, &trained.alphas)];
    let description = serde_json::to_string(&trained.description).expect("a description is plain data");
    file(&groups, Some((ENTRY, description)))
}

/// Tensors as a safetensors file: name, shape, numbers.
///
/// # Panics
/// If a shape does not hold as many numbers.
pub fn tensors(tensors: &[(&str, Vec<usize>, &[f32])]) -> Vec<u8> {
    let data: Vec<Vec<u8>> = tensors.iter().map(|(.., numbers)| bytes(numbers)).collect();
    let views = tensors.iter().zip(&data).map(|((name, shape, _), data)| {
        (*name, TensorView::new(Dtype::F32, shape.clone(), data).expect("as many numbers as the shape holds"))
    });
    safetensors::serialize(views, None).expect("valid views serialise")
}

/// Each group's tensors under its prefix. One entry of metadata at most: the library writes more in
/// the order of a hash.
fn file(groups: &[(&str, &TensorGroup)], entry: Option<(&str, String)>) -> Vec<u8> {
    let data: Vec<Vec<u8>> = groups.iter().map(|(_, group)| bytes(&group.to_host())).collect();
    let views = groups.iter().zip(&data).flat_map(|((prefix, group), data)| {
        group.layout().iter().map(move |(name, shape, range)| {
            let part = &data[4 * range.start..4 * range.end];
            let view = TensorView::new(Dtype::F32, shape.to_vec(), part).expect("four bytes a number");
            (format!("{prefix}{name}"), view)
        })
    });
    let metadata = entry.map(|(key, text)| HashMap::from([(key.to_owned(), text)]));
    safetensors::serialize(views, metadata).expect("valid views serialise")
}

fn bytes(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}
