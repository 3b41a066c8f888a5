//! Times of the operators on the CPU, ours beside burn's: `cargo bench --bench operators [-- FILTER]`.
//!
//! Batch 64. Each time is the median of interleaved runs of both, so that a busy minute of the machine meets both alike.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::env;
use std::time::Instant;

use burn::tensor::{Device, Distribution, Tensor};
use darts_run::kernels::Kernels;
use darts_run::space::network::{Conv, Pool};

const BATCH: usize = 64;
const RUNS: usize = 9;

type Operator = Box<dyn Fn(Kernels, &[Tensor<4>]) -> Tensor<4>>;

struct Case {
    name: String,
    shapes: Vec<[usize; 4]>,
    operator: Operator,
}

fn conv(channels: usize, side: usize, kernel: usize, stride: usize, dilation: usize, groups: usize) -> Case {
    let padding = dilation * (kernel - 1) / 2;
    let [kernel, stride, padding, dilation] = [kernel, stride, padding, dilation].map(|value| [value; 2]);
    let conv = Conv { kernel, stride, padding, dilation, groups, bias: false };
    let kind = match (groups, kernel[0]) {
        (1, 1) => "pointwise",
        (1, _) => "conv",
        _ => "depthwise",
    };
    Case {
        name: format!("{kind} {}x{} s{} d{}, {channels} ch @{side}", kernel[0], kernel[1], stride[0], dilation[0]),
        shapes: vec![[BATCH, channels, side, side], [channels, channels / groups, kernel[0], kernel[1]]],
        operator: Box::new(move |kernels, inputs| kernels.conv(inputs[0].clone(), inputs[1].clone(), None, &conv)),
    }
}

fn on_map(name: &str, channels: usize, side: usize, operator: Operator) -> Case {
    Case { name: format!("{name}, {channels} ch @{side}"), shapes: vec![[BATCH, channels, side, side]], operator }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (channels, side) in [(16, 32), (32, 16), (64, 8)] {
        cases.push(conv(channels, side, 3, 1, 1, 1));
        cases.push(conv(channels, side, 3, 2, 1, 1));
        cases.push(conv(channels, side, 1, 1, 1, 1));
        cases.push(conv(channels, side, 1, 2, 1, 1));
        for (kernel, dilation) in [(3, 1), (5, 1), (3, 2), (5, 2)] {
            cases.push(conv(channels, side, kernel, 1, dilation, channels));
        }
        cases.push(conv(channels, side, 3, 2, 1, channels));
        let pool = Pool { kernel: 3, stride: 1, padding: 1 };
        let max: Operator = Box::new(move |kernels, inputs| kernels.max_pool(inputs[0].clone(), &pool));
        let avg: Operator = Box::new(move |kernels, inputs| kernels.avg_pool(inputs[0].clone(), &pool));
        let norm: Operator =
            Box::new(|kernels, inputs| kernels.batch_norm_train(inputs[0].clone(), None, None, 1e-5).output);
        cases.push(on_map("max pool 3x3", channels, side, max));
        cases.push(on_map("average pool 3x3", channels, side, avg));
        cases.push(on_map("batch norm", channels, side, norm));
    }
    cases
}

fn milliseconds(run: impl FnOnce()) -> f64 {
    let start = Instant::now();
    run();
    start.elapsed().as_secs_f64() * 1e3
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Median times of forward alone, and of forward and backward, for burn's operator and ours.
fn measure(case: &Case) -> [[f64; 2]; 2] {
    let device = Device::flex();
    let random = |shape: &[usize; 4]| Tensor::<4>::random(*shape, Distribution::Normal(0.0, 1.0), &device);
    let plain: Vec<Tensor<4>> = case.shapes.iter().map(random).collect();
    let tracked: Vec<Tensor<4>> = plain.iter().map(|tensor| tensor.clone().autodiff().require_grad()).collect();
    let factor = (case.operator)(Kernels::Reference, &plain).random_like(Distribution::Normal(0.0, 1.0)).autodiff();
    let mut times = [Kernels::Reference, Kernels::Native].map(|kernels| (kernels, [Vec::new(), Vec::new()]));
    for run in 0..=RUNS {
        for (kernels, times) in &mut times {
            let forward = milliseconds(|| drop((case.operator)(*kernels, &plain)));
            let both = milliseconds(|| {
                let output = (case.operator)(*kernels, &tracked);
                drop((output * factor.clone()).sum().backward());
            });
            // The first run warms up.
            if run > 0 {
                times[0].push(forward);
                times[1].push(both);
            }
        }
    }
    times.map(|(_, times)| times.map(median))
}

fn main() {
    // Cargo itself passes `--bench`.
    let filter = env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    println!("batch {BATCH}, {} threads, median of {RUNS} runs, milliseconds", rayon::current_num_threads());
    println!("{:34} | {:^26} | {:^26}", "", "forward", "forward + backward");
    println!("{:34} | {:>8} {:>8} {:>8} | {:>8} {:>8} {:>8}", "", "burn", "ours", "ratio", "burn", "ours", "ratio");
    for case in cases().iter().filter(|case| case.name.contains(&filter)) {
        let [burn, ours] = measure(case);
        print!("{:34}", case.name);
        for (burn, ours) in burn.into_iter().zip(ours) {
            print!(" | {burn:8.2} {ours:8.2} {:7.1}x", burn / ours);
        }
        println!();
    }
}
