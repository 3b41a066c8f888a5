//! Random numbers as a pure function of where they are used, as the room `data` has them: no
//! generator's state is in a saved game.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What a number is for. Other than the purposes of `data`, so that equal seeds share no stream.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose {
    Level = 101,
    Column = 102,
}

/// A whole number below `bound`, off uniform by less than `bound` / 2³².
pub(crate) fn below(bound: u32, purpose: Purpose, place: [u64; 3]) -> u32 {
    let mut key = [0; 32];
    let [first, second, third] = place;
    for (part, value) in key.chunks_exact_mut(8).zip([purpose as u64, first, second, third]) {
        part.copy_from_slice(&value.to_le_bytes());
    }
    let word = ChaCha8Rng::from_seed(key).next_u32();
    ((u64::from(word) * u64::from(bound)) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bits_are_pinned_and_every_coordinate_counts() {
        let all = [
            below(1 << 31, Purpose::Level, [0, 0, 0]),
            below(1 << 31, Purpose::Column, [0, 0, 0]),
            below(1 << 31, Purpose::Level, [1, 0, 0]),
            below(1 << 31, Purpose::Level, [0, 1, 0]),
            below(1 << 31, Purpose::Level, [0, 0, 1]),
        ];
        assert_eq!(all, PINNED, "a change of these bits changes every game: bump the version of states");
    }

    const PINNED: [u32; 5] = [1_873_754_204, 47_012_726, 748_585_310, 62_260_081, 2_026_734_576];

    #[test]
    fn numbers_fill_their_range_evenly() {
        let mut counts = [0; 5];
        for at in 0..5000 {
            counts[below(5, Purpose::Column, [at, 0, 0]) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (900..1100).contains(count)), "{counts:?}");
    }
}
