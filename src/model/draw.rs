//! Random numbers that are a pure function of where they are used.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// A generator for one place. What it gives depends on what it is for, on the seed, on the number
/// of the pass and on the place alone, so that nothing of it is in a checkpoint and a resumed
/// training draws what an uninterrupted one would have drawn. `purpose` sets its numbers apart from
/// any others under the same seed.
pub(crate) fn generator(purpose: &[u8; 8], seed: u64, pass: u64, place: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    for (part, value) in key.chunks_exact_mut(8).zip([u64::from_le_bytes(*purpose), seed, pass, place]) {
        part.copy_from_slice(&value.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}
