//! Noise in the place of an operation.

use super::draw::generator;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where the noise of a network comes from: every pass draws anew, and what it draws is a pure
/// function of the seed, of the stream that whoever trains has begun, of the passes since then,
/// and of the layer, the image and the place in it. So it does not depend on threads, and a
/// resumed training draws what an uninterrupted one would have drawn.
#[derive(Debug, Default)]
pub(super) struct Noise {
    seed: u64,
    stream: u64,
    /// Passes since the stream began.
    passes: AtomicU64,
}

/// What one pass draws.
#[derive(Debug, Clone, Copy)]
pub(super) struct Draws {
    seed: u64,
    stream: u64,
    pass: u64,
}

impl Noise {
    pub fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// Begins a stream: its passes are counted from 0.
    pub fn begin(&mut self, stream: u64) {
        *self = Self { stream, ..Self::new(self.seed) };
    }

    /// The draws of the next pass.
    pub fn next_pass(&self) -> Draws {
        Draws { seed: self.seed, stream: self.stream, pass: self.passes.fetch_add(1, Ordering::Relaxed) }
    }
}

impl Clone for Noise {
    fn clone(&self) -> Self {
        Self { seed: self.seed, stream: self.stream, passes: AtomicU64::new(self.passes.load(Ordering::Relaxed)) }
    }
}

impl Draws {
    /// Standard normal numbers for the layer with that number, `[images, elements]`.
    pub fn numbers(self, layer: usize, images: usize, elements: usize) -> Vec<f32> {
        let generator = generator(b"noise op", self.seed, self.stream, (self.pass << 32) | layer as u64);
        let mut numbers = vec![0.0; images * elements];
        // A number may need several draws: each image has a stream of its own.
        numbers.par_chunks_mut(elements.max(1)).enumerate().for_each(|(image, numbers)| {
            let mut random = generator.clone();
            random.set_stream(image as u64);
            numbers.iter_mut().for_each(|number| *number = StandardNormal.sample(&mut random));
        });
        numbers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_standard_normal_and_a_function_of_their_place() {
        let mut noise = Noise::new(3);
        let numbers = noise.next_pass().numbers(0, 10, 2_000);
        let mean = numbers.iter().sum::<f32>() / 20_000.0;
        let variance = numbers.iter().map(|number| (number - mean).powi(2)).sum::<f32>() / 20_000.0;
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "mean {mean}, variance {variance}");
        // Another seed, stream, pass, layer and image.
        let second = noise.next_pass().numbers(0, 1, 8);
        noise.begin(1);
        let others = [Noise::new(4).next_pass().numbers(0, 1, 8), second, noise.next_pass().numbers(0, 1, 8)];
        for other in others
            .iter()
            .map(Vec::as_slice)
            .chain([&Noise::new(3).next_pass().numbers(1, 1, 8)[..], &numbers[2_000..2_008]])
        {
            assert_ne!(other, &numbers[..8]);
        }
        noise.begin(0);
        assert_eq!(
            noise.next_pass().numbers(0, 3, 2_000),
            numbers[..6_000],
            "how many images there are does not matter"
        );
    }

    #[test]
    fn threads_do_not_matter() {
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| Noise::new(1).next_pass().numbers(2, 7, 33))
        };
        assert_eq!(on(1), on(3));
    }
}
