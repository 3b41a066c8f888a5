//! What this machine can do at most: the yardstick of a profile.

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
/// Independent sums of a thread: enough to hide a multiply-add's latency, few enough for the registers.
const SUMS: usize = 12;
const LANES: usize = 16;
const ROUNDS: usize = 2_000_000;
/// Values of a thread's memory: 64 MiB.
const VALUES: usize = 16 << 20;

impl Peak {
    pub fn measure() -> Self {
        let threads = rayon::current_num_threads();
        let best = |seconds: &dyn Fn() -> f64| (0..ATTEMPTS).map(|_| seconds()).fold(f64::INFINITY, f64::min);
        let flop = (2 * SUMS * LANES * ROUNDS * threads) as f64;
        let multiply = best(&|| {
            let began = Instant::now();
            (0..threads).into_par_iter().with_max_len(1).for_each(|_| _ = black_box(multiply_adds()));
            began.elapsed().as_secs_f64()
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
        Self { gflop_s: flop / multiply / 1e9, gbyte_s: bytes / copy / 1e9 }
    }
}

fn multiply_adds() -> f32 {
    pulp::Arch::new().dispatch(|| {
        let mut sums = [[0.0_f32; LANES]; SUMS];
        let (factor, term) = (black_box([0.999_f32; LANES]), black_box([0.001_f32; LANES]));
        for _ in 0..ROUNDS {
            for sum in &mut sums {
                for lane in 0..LANES {
                    sum[lane] = sum[lane].mul_add(factor[lane], term[lane]);
                }
            }
        }
        sums.iter().flatten().sum()
    })
}
