//! First values of a network's tensors, a pure function of the seed.

use super::{Layout, TensorGroup};
use crate::space::network::{Network, TensorRole, TensorSpec};
use burn::tensor::Device;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};
use std::sync::Arc;

/// Weights as PyTorch's layers begin: convolutions, linear layers and their biases uniform in
/// ±1/√fan_in (Kaiming uniform with a = √5), times their gain, batch norm's scale 1 and shift 0.
pub fn initial_weights(network: &Network, seed: u64, device: &Device) -> TensorGroup {
    let mut random = generator(seed, Stream::Weights);
    group(network, device, TensorRole::is_learned, |spec, size| match spec.role {
        TensorRole::Weight { fan_in } | TensorRole::Bias { fan_in } => {
            let bound = spec.gain / (fan_in as f32).sqrt();
            (0..size).map(|_| random.random_range(-bound..bound)).collect()
        }
        TensorRole::Scale => vec![1.0; size],
        _ => vec![0.0; size],
    })
}

/// Running statistics before anything ran: mean 0, variance 1.
pub fn initial_running(network: &Network, device: &Device) -> TensorGroup {
    let one_or_zero = |role| if role == TensorRole::RunningVar { 1.0 } else { 0.0 };
    group(network, device, |role| !role.is_learned(), |spec, size| vec![one_or_zero(spec.role); size])
}

/// Alphas, and betas where there are some, from a normal distribution around 0 with standard
/// deviation `deviation` (DARTS: 1e-3).
pub fn initial_alphas(network: &Network, deviation: f64, seed: u64, device: &Device) -> TensorGroup {
    let layout = Arc::new(Layout::new(network.alpha_tensors()));
    let mut random = generator(seed, Stream::Alphas);
    let normal = Normal::new(0.0, deviation).expect("a deviation that was checked to be finite and not negative");
    let numbers = (0..layout.len()).map(|_| normal.sample(&mut random) as f32).collect();
    TensorGroup::from_host(layout, numbers, device)
}

/// What a generator is for: each has a stream of its own, so that a larger network draws the same
/// alphas.
#[derive(Clone, Copy)]
enum Stream {
    Weights = 1,
    Alphas = 2,
}

fn generator(seed: u64, stream: Stream) -> ChaCha8Rng {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(stream as u64);
    random
}

fn group(
    network: &Network,
    device: &Device,
    belongs: impl Fn(TensorRole) -> bool,
    mut first: impl FnMut(&TensorSpec, usize) -> Vec<f32>,
) -> TensorGroup {
    let specs: Vec<TensorSpec> = network.tensors().into_iter().filter(|spec| belongs(spec.role)).collect();
    let numbers = specs.iter().flat_map(|spec| first(spec, spec.shape.iter().product())).collect();
    let layout = Layout::new(specs.into_iter().map(|spec| (spec.name, spec.shape)));
    TensorGroup::from_host(Arc::new(layout), numbers, device)
}
