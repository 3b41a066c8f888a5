//! Random values and shapes for the tests.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::Rows;

/// `len` values in -1 to 1.
pub(super) fn values(seed: u64, len: usize) -> Vec<f32> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    (0..len).map(|_| random.random_range(-1.0..1.0)).collect()
}

/// # Panics
/// When a value is not within one part in 10⁵ of what is expected, or of `least` where that is
/// more: the size of a sum of random signs, which the sum itself may fall far short of.
#[track_caller]
pub(super) fn assert_close(found: &[f32], expected: &[f32], least: f64) {
    assert_eq!(found.len(), expected.len());
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        let bound = 1e-5 * f64::from(expected.abs()).max(least);
        assert!(f64::from((found - expected).abs()) <= bound, "value {at}: {found}, not {expected}");
    }
}

/// Rows with and without gaps, of whole and of partial tiles.
pub(super) const ROWS: [Rows; 8] = [
    rows(1, 16, 0, 0),
    rows(1, 1024, 5, 7),
    rows(2, 16, 20, 16),
    rows(3, 48, 53, 64),
    rows(5, 32, 40, 32),
    rows(8, 32, 33, 48),
    rows(17, 16, 19, 16),
    rows(9, 112, 118, 112),
];

const fn rows(count: usize, width: usize, input_pitch: usize, output_pitch: usize) -> Rows {
    Rows { count, width, input_pitch, output_pitch }
}

/// Values that `rows` span, `pitch` apart, with the slack that buffers have.
pub(super) fn span(rows: Rows, pitch: usize) -> usize {
    (rows.count - 1) * pitch + rows.width
}
