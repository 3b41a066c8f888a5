//! What this machine can do at most: the yardstick of a profile.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;
use std::{hint::black_box, time::Instant};

/// The most that all threads did together, measured just now.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Peak {
    /// Multiply-adds of vectors in registers, each counted as two.
    pub gflop_s: f64,
    /// Copying memory far larger than the caches, what is read and what is written.
    pub gbyte_s: f64,
}

/// Attempts; the best counts.
const ATTEMPTS: usize = 5;
/// Independent sums of a thread: enough to hide a multiply-add's latency, few enough for the
/// registers.
const SUMS: usize = 12;
const ROUNDS: usize = 2_000_000;
/// Values of a thread's memory: 64 MiB.
const VALUES: usize = 16 << 20;

impl Peak {
    pub fn measure() -> Self {
        let threads = rayon::current_num_threads();
        // Of seconds an operation.
        let best = |seconds: &dyn Fn() -> f64| (0..ATTEMPTS).map(|_| seconds()).fold(f64::INFINITY, f64::min);
        let multiply = best(&|| {
            let began = Instant::now();
            let all = (0..threads).into_par_iter().with_max_len(1);
            let done: f64 = all.map(|_| black_box(Arch::new().dispatch(MultiplyAdds)).0).sum();
            began.elapsed().as_secs_f64() / done
        });
        let mut memory: Vec<(Vec<f32>, Vec<f32>)> =
            (0..threads).into_par_iter().map(|_| (vec![1.0; VALUES], vec![0.0; VALUES])).collect();
        let mut copy = f64::INFINITY;
        for _ in 0..ATTEMPTS {
            let began = Instant::now();
            memory.par_iter_mut().with_max_len(1).for_each(|(from, to)| black_box(to).copy_from_slice(from));
            copy = copy.min(began.elapsed().as_secs_f64());
        }
        let bytes = (2 * 4 * VALUES * threads) as f64;
        Self { gflop_s: 1.0 / multiply / 1e9, gbyte_s: bytes / copy / 1e9 }
    }
}

/// Multiply-adds of vectors that never leave their registers.
struct MultiplyAdds;

impl WithSimd for MultiplyAdds {
    /// Operations that were done, and a result that the compiler must believe in.
    type Output = (f64, f32);

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> (f64, f32) {
        let [factor, term] = black_box([0.999_f32, 0.001]).map(|value| simd.splat_f32s(value));
        let mut sums = [term; SUMS];
        for _ in 0..ROUNDS {
            for sum in &mut sums {
                *sum = simd.mul_add_f32s(*sum, factor, term);
            }
        }
        let sum = sums.into_iter().map(|sum| simd.reduce_sum_f32s(sum)).sum();
        ((2 * SUMS * S::F32_LANES * ROUNDS) as f64, sum)
    }
}
