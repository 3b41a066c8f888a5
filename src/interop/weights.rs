//! Tensors in files: safetensors under the names that PyTorch's code bases use.

use crate::{
    model::{Layout, TensorGroup},
    space::network::Network,
};
use burn::tensor::Device;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use std::sync::Arc;

/// A file of weights does not fit a network.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    #[error("the weights are no safetensors file: {0}")]
    Format(#[from] safetensors::SafeTensorError),
    #[error("the weights lack the tensor `{0}`")]
    Lacking(String),
    #[error("the weights' tensor `{name}` is {found}, the network expects float32 {expected:?}")]
    Shape { name: String, found: String, expected: Vec<usize> },
}

/// The weights and running statistics of `network` from a safetensors file under their names. Other tensors are left alone.
pub fn from_safetensors(
    bytes: &[u8],
    network: &Network,
    device: &Device,
) -> Result<(TensorGroup, TensorGroup), WeightsError> {
    let file = SafeTensors::deserialize(bytes)?;
    let group = |learned: bool| {
        let specs = network.tensors().into_iter().filter(|spec| spec.role.is_learned() == learned);
        let layout = Arc::new(Layout::new(specs.map(|spec| (spec.name, spec.shape))));
        let mut numbers = Vec::with_capacity(layout.len());
        for (name, shape, _) in layout.iter() {
            let view = file.tensor(name).map_err(|_| WeightsError::Lacking(name.to_owned()))?;
            if view.dtype() != Dtype::F32 || view.shape() != shape {
                let found = format!("{:?} {:?}", view.dtype(), view.shape());
                return Err(WeightsError::Shape { name: name.to_owned(), found, expected: shape.to_vec() });
            }
            let fours = view.data().chunks_exact(4);
            numbers.extend(fours.map(|four| f32::from_le_bytes(four.try_into().expect("chunks of four"))));
        }
        Ok(TensorGroup::from_host(layout, numbers, device))
    };
    Ok((group(true)?, group(false)?))
}

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
