//! Random numbers as a pure function of where they are used.
//!
//! ChaCha8 is a block function of a key: with (purpose, seed, two coordinates) as the key, every
//! image of every epoch has a stream of its own that costs nothing to reach, needs no state in a
//! checkpoint, and is the same whichever thread or batch asks. A sequential generator would tie the
//! bits to the order of the draws; a hash of the four numbers into a short seed could collide.
//! Integers and shuffles are spelled out here, so that no update of a dependency can change a split
//! or an epoch.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What a stream is for: equal seeds in different places stay independent. The numbers are part of
/// every key.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose {
    Order = 1,
    Augment = 2,
    Split = 3,
    TestPart = 4,
    Synthetic = 5,
    ResizedCrop = 6,
    Jitter = 7,
    Patch = 8,
}

pub(super) struct Stream(ChaCha8Rng);

impl Stream {
    pub(super) fn new(purpose: Purpose, seed: u64, first: u64, second: u64) -> Self {
        let mut key = [0; 32];
        for (part, value) in key.chunks_exact_mut(8).zip([purpose as u64, seed, first, second]) {
            part.copy_from_slice(&value.to_le_bytes());
        }
        Self(ChaCha8Rng::from_seed(key))
    }

    /// A whole number below `bound` from one 32-bit word; off uniform by less than `bound` / 2³².
    pub(super) fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.0.next_u32()) * bound as u128) >> 32) as usize
    }

    /// A number from 0 to below 1, a multiple of 2⁻³², from one 32-bit word.
    pub(super) fn unit(&mut self) -> f64 {
        f64::from(self.0.next_u32()) / 4_294_967_296.0
    }

    /// A number from `low` to below `high`.
    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Fisher–Yates.
    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            items.swap(end, self.below(end + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_coordinate_gives_another_stream_and_the_bits_are_pinned() {
        let first = |purpose, seed, a, b| Stream::new(purpose, seed, a, b).below(1 << 31);
        let all = [
            first(Purpose::Order, 0, 0, 0),
            first(Purpose::Augment, 0, 0, 0),
            first(Purpose::Order, 1, 0, 0),
            first(Purpose::Order, 0, 1, 0),
            first(Purpose::Order, 0, 0, 1),
        ];
        let distinct: std::collections::BTreeSet<usize> = all.into_iter().collect();
        assert_eq!(distinct.len(), all.len());
        let mut items: Vec<u32> = (0..8).collect();
        Stream::new(Purpose::Order, 7, 3, 0).shuffle(&mut items);
        assert_eq!(items, PINNED, "a change of these bits changes every run: bump the stages' versions");
    }

    const PINNED: [u32; 8] = [0, 1, 5, 3, 4, 7, 6, 2];

    #[test]
    fn numbers_fill_their_range_evenly() {
        let mut stream = Stream::new(Purpose::Split, 1, 2, 3);
        let mut counts = [0; 5];
        for _ in 0..5000 {
            counts[stream.below(5)] += 1;
            assert!((0.0..1.0).contains(&stream.unit()));
        }
        assert!(counts.iter().all(|count| (900..1100).contains(count)), "{counts:?}");
        assert_eq!(stream.below(1), 0);
    }
}
