//! Paths of a cell left out at random while it trains.

use super::draw::generator;
use burn::tensor::{Device, Tensor, TensorData};
use rand::Rng;

/// Drop path (Larsson et al., arXiv 1605.07648) as DARTS retrains with it: for each image by
/// itself, the output of an edge's operation is dropped with a probability, and what is kept is
/// divided by the probability to be kept. An identity is never dropped: an image keeps a way
/// through the cell.
///
/// What is dropped is a pure function of the seed, of the number of the pass and of the place in
/// the network: a resumed training drops what an uninterrupted one would have dropped.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DropPath {
    /// From 0 to below 1.
    pub probability: f64,
    pub seed: u64,
    /// Counts the passes of a training.
    pub pass: u64,
}

impl DropPath {
    /// What to multiply the images of a batch with: 0, or one over the probability to be kept.
    ///
    /// # Shapes
    /// `[batch, 1, 1, 1]`
    pub(super) fn mask(&self, block: usize, edge: usize, batch: usize, device: &Device) -> Tensor<4> {
        Tensor::from_data(TensorData::new(self.factors(block, edge, batch), [batch, 1, 1, 1]), device)
    }

    /// One factor an image.
    pub(super) fn factors(&self, block: usize, edge: usize, batch: usize) -> Vec<f32> {
        let place = ((block as u64) << 32) | edge as u64;
        let mut random = generator(b"droppath", self.seed, self.pass, place);
        let keep = 1.0 - self.probability;
        let kept = (1.0 / keep) as f32;
        (0..batch).map(|_| if f64::from(random.next_u32()) < keep * 2_f64.powi(32) { kept } else { 0.0 }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_is_dropped_and_the_mean_stays_one() {
        let drop = DropPath { probability: 0.2, seed: 3, pass: 7 };
        let factors = drop.factors(1, 2, 20_000);
        let dropped = factors.iter().filter(|&&factor| factor == 0.0).count();
        assert!((dropped as f64 / 20_000.0 - 0.2).abs() < 0.01, "{dropped}");
        assert!(factors.iter().all(|&factor| factor == 0.0 || factor == 1.25));
        for other in [
            DropPath { seed: 4, ..drop }.factors(1, 2, 64),
            DropPath { pass: 8, ..drop }.factors(1, 2, 64),
            drop.factors(2, 2, 64),
            drop.factors(1, 3, 64),
        ] {
            assert_ne!(other, drop.factors(1, 2, 64));
        }
        assert_eq!(factors[..64], drop.factors(1, 2, 64));
    }
}
