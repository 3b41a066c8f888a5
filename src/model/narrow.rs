//! The part of the weights that a supernet of chosen widths reads.

use super::{Layout, Views};
use crate::space::network::Network;
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
            push_places(&mut places, shape, whole, start);
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

/// The places of the first `shape` of a tensor of the sides `whole` that begins at `start`.
fn push_places(places: &mut Vec<i32>, shape: &[usize], whole: &[usize], start: usize) {
    let Some((&count, inner)) = shape.split_first() else {
        places.push(i32::try_from(start).expect("a network has fewer than 2³¹ weights"));
        return;
    };
    let stride: usize = whole[1..].iter().product();
    for at in 0..count {
        push_places(places, inner, &whole[1..], start + at * stride);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_tensor_is_the_beginning_of_every_side() {
        let mut places = Vec::new();
        push_places(&mut places, &[2, 2, 1], &[3, 4, 1], 100);
        assert_eq!(places, [100, 101, 104, 105]);
    }
}
