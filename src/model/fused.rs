//! A pass of a network that runs as programs.

use super::{
    AUXILIARY, Computed, DropPath, Forward, Mode, Outputs, Passed, TensorGroup, Views,
    forward::statistics_after,
    lower::{Brought, Lowered, Purpose, StandsAlone, lower, stands_alone},
    noise::Draws,
    split::Part,
};
use crate::{
    kernels::{
        self, Clock, OperatorTime, Pass, Plans, Precision,
        program::{Map, Program},
    },
    space::network::{FeatureMap, Network},
};
use burn::tensor::{Device, Tensor, TensorData};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

/// So many programs of some candidates are kept at one time.
const MOST_PARTIAL: usize = 16;

/// The programs of a network, made when they are first wanted.
#[derive(Debug, Clone)]
pub(super) struct Programs {
    train: OnceLock<Arc<Compiled>>,
    evaluate: OnceLock<Arc<Compiled>>,
    /// Of some candidates alone.
    partial: Arc<Mutex<OfSome>>,
    stands_alone: StandsAlone,
    precision: Precision,
    timed: bool,
}

impl Default for Programs {
    fn default() -> Self {
        let (train, evaluate, partial) = Default::default();
        Self { train, evaluate, partial, stands_alone, precision: Precision::default(), timed: false }
    }
}

type OfSome = HashMap<(Purpose, Computed), Arc<Compiled>>;

#[derive(Debug)]
struct Compiled {
    lowered: Lowered,
    /// Of each part.
    plans: Vec<Plans>,
    /// Of each part, where programs are timed.
    clocks: Vec<Option<Clock>>,
}

impl Programs {
    /// Programs that say how long their steps take.
    pub(super) fn timed() -> Self {
        Self { timed: true, ..Self::default() }
    }

    /// The same with maps of that precision, where the device has it.
    pub(super) fn in_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// The same with more layers between programs than those that must be.
    #[cfg(test)]
    pub(super) fn with_layers_alone(self, stands_alone: StandsAlone) -> Self {
        Self { stands_alone, ..self }
    }

    /// Those of the same network for other images.
    pub(super) fn anew(&self) -> Self {
        let (train, evaluate, partial) = Default::default();
        Self { train, evaluate, partial, ..*self }
    }

    pub(super) fn precision(&self) -> Precision {
        self.precision
    }

    pub(super) fn stands_alone(&self) -> StandsAlone {
        self.stands_alone
    }

    /// Forgets the times so far.
    pub(super) fn reset_times(&self) {
        let whole = [&self.train, &self.evaluate].into_iter().filter_map(OnceLock::get);
        whole.for_each(|compiled| compiled.clocks.iter().flatten().for_each(Clock::reset));
        self.partial.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The times of one of `passes` training passes on `images` images; `None` where none was
    /// timed. Of layers between programs nothing is known.
    pub(super) fn times(&self, images: usize, passes: usize) -> Option<Vec<OperatorTime>> {
        let partial = self.partial.lock().unwrap_or_else(PoisonError::into_inner);
        let partial =
            partial.iter().filter(|((purpose, _), _)| *purpose == Purpose::Train).map(|(_, compiled)| compiled);
        let trained: Vec<&Arc<Compiled>> = self.train.get().into_iter().chain(partial).collect();
        let of_part = |(part, clock): (&'_ Part, &'_ Option<Clock>)| match part {
            Part::Program { program, .. } => Some((clock.clone()?, program.clone())),
            Part::Layer { .. } => None,
        };
        let parts = trained.iter().flat_map(|compiled| compiled.lowered.parts.iter().zip(&compiled.clocks));
        let programs: Vec<(Clock, Arc<Program>)> = parts.filter_map(of_part).collect();
        let programs = programs.iter().map(|(clock, program)| (clock, &**program));
        (self.timed && !trained.is_empty()).then(|| Clock::by_operator(programs, self.precision, images, passes))
    }

    fn of(
        &self,
        network: &Network,
        mode: Mode,
        computed: Option<&Computed>,
        weights: &Views,
        running: &TensorGroup,
    ) -> Arc<Compiled> {
        let (compiled, purpose) = match mode {
            Mode::Train { .. } => (&self.train, Purpose::Train),
            Mode::Evaluate => (&self.evaluate, Purpose::Evaluate),
        };
        let compile = || {
            let lowered = lower(network, purpose, self.stands_alone, computed, [weights.layout(), running.layout()]);
            let plans = lowered.parts.iter().map(|_| Plans::default()).collect();
            let clocks = lowered.parts.iter().map(|_| self.timed.then(Clock::default)).collect();
            Arc::new(Compiled { lowered, plans, clocks })
        };
        let Some(computed) = computed else { return compiled.get_or_init(compile).clone() };
        let mut partial = self.partial.lock().unwrap_or_else(PoisonError::into_inner);
        // Draws seldom repeat; what is looked at after an epoch, and what is certain by then, does.
        if partial.len() >= MOST_PARTIAL && !self.timed {
            partial.clear();
        }
        partial.entry((purpose, computed.clone())).or_insert_with(compile).clone()
    }

    /// One pass; shapes are those of [`Model::forward`](super::Model::forward).
    pub(super) fn forward(
        &self,
        network: &Network,
        (mode, draws, computed): (Mode, Draws, Option<&Computed>),
        weights: &Views,
        running: &TensorGroup,
        mixing: &[Tensor<2>],
        x: Tensor<4>,
    ) -> Passed {
        let compiled = self.of(network, mode, computed, weights, running);
        let Compiled { lowered, plans, clocks } = &*compiled;
        let images = x.dims()[0];
        let device = x.device();
        let others = computed.map(|computed| computed.others(mixing)).unwrap_or_default();
        let tables = mixing.iter().map(|table| table.clone().reshape([table.dims().iter().product::<usize>()]));
        let constants = (!lowered.constants.is_empty())
            .then(|| Tensor::from_data(TensorData::from(lowered.constants.as_slice()), &device));
        let mixing: Vec<Tensor<1>> = tables.chain(others).chain(constants).collect();
        let mixing = if mixing.is_empty() { Tensor::zeros([1], &device) } else { Tensor::cat(mixing, 0) };
        let training = matches!(mode, Mode::Train { .. });
        let factors = Arc::new(factors(lowered, mode, images));
        let statistics = running.views();
        let between = Forward::new((mode, network.norms), weights, &statistics, draws);
        let mut observed = running.values();
        let mut values = Values(std::iter::once(Some(x)).chain(brought(lowered, draws, images, &device)).collect());
        for (part, (plans, clock)) in lowered.parts.iter().zip(plans.iter().zip(clocks)) {
            let (program, reads, writes) = match part {
                Part::Program { program, reads, writes } => (program, reads, writes),
                Part::Layer { layer, reads, writes } => {
                    let found = between.layer(layer, values.get(*reads));
                    values.set(*writes, found);
                    continue;
                }
            };
            let pass = Pass {
                program: program.clone(),
                training: training || network.norms.of_batch,
                epsilon: network.norms.epsilon,
                precision: self.precision,
                factors: factors.clone(),
                plans: plans.clone(),
                clock: clock.clone(),
            };
            let inputs = reads.iter().map(|&value| flat(values.get(value))).collect();
            // A norm runs in one program, and the others leave its statistics as they are.
            let from = if training { observed } else { running.values() };
            let result = kernels::run(pass, Tensor::cat(inputs, 0), weights.vector(), mixing.clone(), from);
            observed = result.observed.inner();
            // Outputs lie end to end, each with all images.
            let mut begin = 0;
            for (&value, &map) in writes.iter().zip(&program.outputs) {
                let Map { channels, height, width, .. } = program.maps[map];
                let length = images * channels * height * width;
                let output = result.outputs.clone().narrow(0, begin, length);
                begin += length;
                values.set(value, output.reshape([images, channels, height, width]));
            }
        }
        let names = network.heads.iter().map(|head| head.output.name.as_str()).chain([AUXILIARY]);
        let outputs = names.zip(&lowered.outputs).map(|(name, &value)| (name.to_owned(), values.get(value)));
        let outputs = Outputs::new(outputs);
        let running = match training {
            true => statistics_after(running.values(), between.observed_over(observed)),
            false => running.values(),
        };
        Passed { outputs, running }
    }
}

/// What parts pass to each other, by number.
struct Values(Vec<Option<Tensor<4>>>);

impl Values {
    fn get(&self, at: usize) -> Tensor<4> {
        self.0[at].clone().expect("a value is written before it is read")
    }

    fn set(&mut self, at: usize, value: Tensor<4>) {
        self.0.resize(self.0.len().max(at + 1), None);
        self.0[at] = Some(value);
    }
}

fn flat(x: Tensor<4>) -> Tensor<1> {
    let length = x.dims().iter().product::<usize>();
    x.reshape([length])
}

/// What drop path does in each of its places to each image, place by place.
fn factors(lowered: &Lowered, mode: Mode, images: usize) -> Vec<f32> {
    let Mode::Train { drop_path: Some(drop_path) } = mode else { return vec![1.0; lowered.drops.len() * images] };
    let of_place = |&(block, edge): &(usize, usize)| DropPath::factors(&drop_path, block, edge, images);
    lowered.drops.iter().flat_map(of_place).collect()
}

/// What a pass makes itself, in order.
fn brought(lowered: &Lowered, draws: Draws, images: usize, device: &Device) -> impl Iterator<Item = Option<Tensor<4>>> {
    let shape = move |size: FeatureMap| [images, size.channels, size.height, size.width];
    lowered.brought.iter().map(move |brought| {
        Some(match *brought {
            Brought::Ones(size) => Tensor::ones(shape(size), device),
            Brought::Noise(number, size) => {
                let numbers = draws.numbers(number, images, size.elements());
                Tensor::from_data(TensorData::new(numbers, shape(size)), device)
            }
        })
    })
}

#[cfg(all(test, any(feature = "cuda", feature = "wgpu")))]
mod tests {
    use super::*;
    use crate::{
        model::{initial_running, initial_weights},
        space::shipped,
    };

    /// The supernet of DARTS has 8 cells, 14 edges each, 7 candidates an edge: operator by operator
    /// some thousand launches a pass.
    #[test]
    fn a_gpu_runs_the_darts_supernet_in_few_launches() {
        let space = shipped::space("darts");
        let network = space.supernet(&shipped::build("search", 32, 10)).unwrap();
        let device = Device::flex();
        let (weights, running) = (initial_weights(&network, 0, &device), initial_running(&network, &device));
        let lowered = lower(&network, Purpose::Train, stands_alone, None, [weights.layout(), running.layout()]);
        let [Part::Program { program, .. }] = lowered.parts.as_slice() else { panic!("one program") };
        let [forward, reverse] = Plans::default().launches(program, 64).unwrap();
        assert!(forward < 800 && reverse < 1900, "{forward} and {reverse} launches");
    }
}
