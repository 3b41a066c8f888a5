//! Numbers moved by what a float32 rounds off.

use burn::tensor::{Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The largest relative change of a number in a moved replay: four units in the last place of a float32. Two
/// implementations differ by the roundings of every operator, those of long sums among them, and a
/// moved replay has those of its input only.
const ROUNDING: f64 = 4.0 / (1 << 23) as f64;

/// Moves numbers by what a float32 rounds off.
pub(super) struct Roundings(ChaCha8Rng);

impl Roundings {
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// Each number times `1 + u`, `u` uniform within a rounding.
    pub fn moved<const D: usize>(&mut self, tensor: Tensor<D>) -> Tensor<D> {
        let (shape, device) = (tensor.dims(), tensor.device());
        let mut numbers = crate::model::host(tensor);
        for number in &mut numbers {
            let u = self.0.random_range(-ROUNDING..=ROUNDING);
            *number = (f64::from(*number) * (1.0 + u)) as f32;
        }
        Tensor::from_data(TensorData::new(numbers, shape), &device)
    }
}
