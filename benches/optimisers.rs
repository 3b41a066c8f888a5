//! Times of what a step does to its vectors, outside of the network:
//! `cargo bench --bench optimisers`.
//!
//! Vectors as long as the weights of DARTS' supernet, of the network that is retrained, and of one
//! twice as large.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use burn::tensor::{Device, Distribution, Tensor};
use darts_run::train::{AdamConfig, Average, Optimiser, OptimiserConfig, SgdConfig, clip_norm};
use std::time::Instant;

const RUNS: usize = 15;

const ADAM: AdamConfig = AdamConfig { beta_1: 0.5, beta_2: 0.999, epsilon: 1e-8, weight_decay: 1e-3 };

fn main() {
    let device = Device::flex();
    let random = |length| Tensor::<1>::random([length], Distribution::Normal(0.0, 1.0), &device);
    println!("{:26} {:>10} {:>8} {:>8} {:>8}", "ms", "numbers", "least", "median", "most");
    for length in [1_930_618, 3_833_118, 8_000_000] {
        row("clip, not reached", length, || random(length), |gradient| clip_norm(gradient, 1e9));
        row("clip, reached", length, || random(length), |gradient| clip_norm(gradient, 5.0));
        let sgd = SgdConfig { momentum: 0.9, nesterov: false, weight_decay: 3e-4 };
        for (name, config) in [("sgd", OptimiserConfig::Sgd(sgd)), ("adam", OptimiserConfig::Adam(ADAM))] {
            let (mut weights, mut optimiser) = (random(length), Optimiser::new(config));
            row(
                name,
                length,
                || random(length),
                |gradient| {
                    let taken = std::mem::replace(&mut weights, Tensor::empty([0], &device));
                    weights = optimiser.step(taken, gradient, 0.025);
                },
            );
        }
        let mut average = Average::new(0.999, random(length), random(1));
        row("average", length, || random(length), |weights| average.add(weights, Tensor::zeros([1], &device)));
    }
    let alphas = random(224);
    let mut adam = Optimiser::new(OptimiserConfig::Adam(ADAM));
    row("adam, alphas", 224, || random(224), |gradient| adam.step(alphas.clone(), gradient, 3e-4));
}

/// Times `work` on what `prepare` makes anew for each run.
fn row<T>(name: &str, length: usize, prepare: impl Fn() -> Tensor<1>, mut work: impl FnMut(Tensor<1>) -> T) {
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            let given = prepare();
            let start = Instant::now();
            std::hint::black_box(work(given));
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("{name:26} {length:>10} {:>8.2} {:>8.2} {:>8.2}", times[0], times[RUNS / 2], times[RUNS - 1]);
}
