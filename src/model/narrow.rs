//! The part of the weights that a supernet of chosen widths reads.

use super::{Layout, Views};
use crate::space::{beginning, network::Network};
use burn::tensor::{Int, Tensor, TensorData};
use std::sync::Arc;

/// Where the weights of a narrow network stand among those of the full one: the first filters of a
/// layer, and of each the first channels.
#[derive(Debug)]
pub(super) struct Narrow {
    layout: Arc<Layout>,
    /// Of each weight of the narrow network, its place in the full vector.
    places: Vec<i32>,
}

impl Narrow {
    /// Of a network whose full weights lie as `weights` says.
    pub fn new(network: &Network, weights: &Layout) -> Self {
        let learned = network.tensors().into_iter().filter(|tensor| tensor.role.is_learned());
        let layout = Layout::new(learned.map(|tensor| (tensor.name, tensor.shape)));
        let mut places = Vec::with_capacity(layout.len());
        for (name, shape, _) in layout.iter() {
            let (whole, start) = weights.find(name).expect("a narrow network has the tensors of the full one");
            let place = |place| i32::try_from(start + place).expect("a network has fewer than 2³¹ weights");
            places.extend(beginning(shape, whole).into_iter().map(place));
        }
        Self { layout: Arc::new(layout), places }
    }

    /// The weights that it reads.
    pub fn views(&self, weights: &Views) -> Views {
        weights.part(&self.layout, |vector, range, start| {
            let places: Vec<i32> = self.places[range].iter().map(|place| place - start as i32).collect();
            let count = [places.len()];
            let places: Tensor<1, Int> = Tensor::from_data(TensorData::new(places, count), &vector.device());
            vector.select(0, places)
        })
    }
}
