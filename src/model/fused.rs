//! A pass of a network that runs as a program.

use super::{
    AUXILIARY, DropPath, EPSILON, Mode, OUTPUT, Outputs, Passed, TensorGroup, Views,
    forward::statistics_after,
    lower::{Lowered, Purpose, lower},
    noise::Draws,
};
use crate::{
    kernels::{self, Clock, OperatorTime, Pass, Plans, Precision, program::Map},
    space::network::Network,
};
use burn::tensor::{Tensor, TensorData};
use std::sync::{Arc, OnceLock};

/// The programs of a network, made when they are first wanted.
#[derive(Debug, Clone, Default)]
pub(super) struct Programs {
    train: OnceLock<Arc<Compiled>>,
    evaluate: OnceLock<Arc<Compiled>>,
    precision: Precision,
    /// Of training passes and evaluations alike.
    clock: Option<Clock>,
}

#[derive(Debug)]
struct Compiled {
    lowered: Lowered,
    plans: Plans,
}

impl Programs {
    /// Programs that say how long their steps take.
    pub(super) fn timed() -> Self {
        Self { clock: Some(Clock::default()), ..Self::default() }
    }

    /// The same with maps of that precision, where the device has it.
    pub(super) fn in_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    pub(super) fn precision(&self) -> Precision {
        self.precision
    }

    pub(super) fn clock(&self) -> Option<&Clock> {
        self.clock.as_ref()
    }

    /// The times of one of `passes` training passes on `images` images; `None` where none was
    /// timed.
    pub(super) fn times(&self, images: usize, passes: usize) -> Option<Vec<OperatorTime>> {
        Some(self.clock.as_ref()?.by_operator(&self.train.get()?.lowered.program, images, passes))
    }

    fn of(&self, network: &Network, mode: Mode, weights: &Views, running: &TensorGroup) -> &Compiled {
        let (compiled, purpose) = match mode {
            Mode::Train { .. } => (&self.train, Purpose::Train),
            Mode::Evaluate => (&self.evaluate, Purpose::Evaluate),
        };
        compiled.get_or_init(|| {
            let lowered = lower(network, purpose, weights.layout(), running.layout());
            Arc::new(Compiled { lowered, plans: Plans::default() })
        })
    }

    /// One pass; shapes are those of [`Model::forward`](super::Model::forward).
    pub(super) fn forward(
        &self,
        network: &Network,
        (mode, draws): (Mode, Draws),
        weights: &Views,
        running: &TensorGroup,
        mixing: &[Tensor<2>],
        x: Tensor<4>,
    ) -> Passed {
        let Compiled { lowered, plans } = self.of(network, mode, weights, running);
        let images = x.dims()[0];
        let device = x.device();
        let mixing: Vec<Tensor<1>> =
            mixing.iter().map(|table| table.clone().reshape([table.dims().iter().product::<usize>()])).collect();
        let mixing = if mixing.is_empty() { Tensor::zeros([1], &device) } else { Tensor::cat(mixing, 0) };
        let training = matches!(mode, Mode::Train { .. });
        let pass = Pass {
            program: lowered.program.clone(),
            training,
            epsilon: EPSILON,
            precision: self.precision,
            factors: Arc::new(factors(lowered, mode, images)),
            plans: plans.clone(),
            clock: self.clock.clone(),
        };
        let inputs = inputs(lowered, draws, x);
        let result = kernels::run(pass, inputs, weights.vector(), mixing, running.values());
        // The program's outputs lie end to end, each with all images.
        let mut begin = 0;
        let outputs = [OUTPUT, AUXILIARY].into_iter().zip(&lowered.program.outputs).map(|(name, &map)| {
            let Map { channels, height, width, .. } = lowered.program.maps[map];
            let length = images * channels * height * width;
            let output = result.outputs.clone().narrow(0, begin, length);
            begin += length;
            (name, output.reshape([images, channels, height, width]))
        });
        let outputs = Outputs::new(outputs);
        let running = match training {
            true => statistics_after(running.values(), result.observed.clone().inner()),
            false => running.values(),
        };
        Passed { outputs, running }
    }
}

/// What drop path does in each of its places to each image, place by place.
fn factors(lowered: &Lowered, mode: Mode, images: usize) -> Vec<f32> {
    let Mode::Train { drop_path: Some(drop_path) } = mode else { return vec![1.0; lowered.drops.len() * images] };
    let of_place = |&(block, edge): &(usize, usize)| DropPath::factors(&drop_path, block, edge, images);
    lowered.drops.iter().flat_map(of_place).collect()
}

/// The network's input, and the noise of each layer that has some, end to end.
fn inputs(lowered: &Lowered, draws: Draws, x: Tensor<4>) -> Tensor<1> {
    let (images, device) = (x.dims()[0], x.device());
    let noises = lowered.noises.iter().map(|&(number, elements)| {
        let numbers = draws.numbers(number, images, elements);
        Tensor::from_data(TensorData::new(numbers, [images * elements]), &device)
    });
    let input = x.clone().reshape([x.dims().iter().product::<usize>()]);
    let all: Vec<Tensor<1>> = std::iter::once(input).chain(noises).collect();
    Tensor::cat(all, 0)
}

#[cfg(all(test, any(feature = "cuda", feature = "wgpu")))]
mod tests {
    use super::*;
    use crate::{
        model::{initial_running, initial_weights},
        space::shipped,
    };
    use burn::tensor::Device;

    /// The supernet of DARTS has 8 cells, 14 edges each, 7 candidates an edge: operator by operator
    /// some thousand launches a pass.
    #[test]
    fn a_gpu_runs_the_darts_supernet_in_few_launches() {
        let space = shipped::space("darts");
        let network = space.supernet(&shipped::build("search", 32, 10)).unwrap();
        let device = Device::flex();
        let (weights, running) = (initial_weights(&network, 0, &device), initial_running(&network, &device));
        let lowered = lower(&network, Purpose::Train, weights.layout(), running.layout());
        let [forward, reverse] = Plans::default().launches(&lowered.program, 64).unwrap();
        assert!(forward < 800 && reverse < 1900, "{forward} and {reverse} launches");
    }
}
