//! How long a step of a search or a training takes: the whole of it, from the images to weights and
//! alphas that have moved.

use super::{BenchError, Spread, Work, memory};
use crate::{
    data::{self, Dataset, Loader, LoaderOptions, Order, Part, Source, SplitRule, Synthetic},
    kernels::{Kernels, OperatorTime, Peak, Precision},
    machine,
    model::{self, DeviceName, DropPath, Model},
    tasks::{self, Batch, TaskError},
    train::{Learner, strategy::Rates},
};
use burn::tensor::Device;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};
use std::{
    iter,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

/// What to measure.
#[derive(Debug, Clone)]
pub struct StepBench {
    /// What the work is called in the row.
    pub name: String,
    pub work: Work,
    /// Images a step.
    pub batch: usize,
    pub device: DeviceName,
    pub kernels: Kernels,
    pub precision: Precision,
    /// Steps that are timed, after `warm` that are not.
    pub steps: usize,
    pub warm: usize,
    pub images: ImageSource,
    /// Whether operators are timed too, and the machine's peak measured.
    pub profile: bool,
}

/// Where the images of a step come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageSource {
    /// One batch of noise, on the device from the beginning.
    Fixed,
    /// That, and in turn a loader: CIFAR-10 from this folder, or pictures that the program draws;
    /// changed at random as in a training.
    FixedAndLoaded { cifar10: Option<PathBuf> },
}

/// What was measured. Times are of one step, in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepRow {
    pub version: String,
    pub work: String,
    pub batch: usize,
    pub device: String,
    /// The kernels' name: what in PyTorch is `eager` or `compile`.
    pub mode: String,
    /// Median.
    pub ms: f64,
    pub images_s: f64,
    /// Least and greatest.
    pub spread: [f64; 2],
    /// Median of the time of all processors together; other work on them hardly changes it.
    pub cpu_ms: f64,
    /// The most memory that the process had, on a GPU what its allocator holds of the device at the
    /// end (it gives nothing back meanwhile); `null` where the system does not say.
    pub peak_mib: Option<f64>,
    /// Weights, those of an auxiliary head too; alphas are not counted.
    pub params: usize,
    pub threads: usize,
    pub kernels: String,
    pub precision: String,
    pub steps: usize,
    /// Where images are loaded too.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub loaded: Option<Loaded>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
}

/// Where the time of a step on fixed images goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    pub peak: Peak,
    /// Mean over the timed steps, the longest first.
    pub operators: Vec<OperatorTime>,
    /// What no operator accounts for: loss, clipping, optimisers, vectors that are copied.
    pub rest_ms: f64,
}

/// What a step takes whose images a loader prepares meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Loaded {
    pub with_data_ms: f64,
    pub with_data_spread: [f64; 2],
    /// How much longer than a step on a fixed batch, in percent of that.
    pub data_loss_percent: f64,
}

/// Steps on one kind of images before those on the other: a busy minute of the machine meets both
/// alike.
const TURN: usize = 5;

impl StepBench {
    /// # Errors
    /// Where the device cannot be opened, the images cannot be had or do not fit the work, or the
    /// loss is no number any more.
    pub fn run(&self) -> Result<StepRow, BenchError> {
        if self.profile && (self.device != DeviceName::Cpu || self.images != ImageSource::Fixed) {
            return Err(BenchError::Unprofiled);
        }
        if !self.device.has(self.precision, self.kernels) {
            return Err(BenchError::Precision(self.precision));
        }
        // The estimate is of the processor's memory.
        let there = machine::memory().filter(|_| self.device == DeviceName::Cpu);
        let by = (self.kernels, self.precision);
        let large = there.and_then(|there| model::too_large(&self.work.network, by, self.batch, there));
        if let Some(large) = large {
            return Err(BenchError::TooLarge(large));
        }
        let device = self.device.open()?;
        let mut running = Running::new(self, &device);
        let mut fixed = iter::repeat_with({
            let batch = self.noise(&device);
            move || Ok(batch.clone())
        });
        for _ in 0..self.warm {
            running.step(&mut fixed)?;
        }
        running.learner.model.reset_times();
        let (mut on_fixed, mut on_loaded) = (Vec::new(), Vec::new());
        match &self.images {
            ImageSource::Fixed => {
                for _ in 0..self.steps {
                    on_fixed.push(running.step(&mut fixed)?);
                }
            }
            ImageSource::FixedAndLoaded { cifar10 } => {
                let loader = Arc::new(self.loader(cifar10.as_deref())?);
                let supervision = self.work.supervision.clone();
                for (turn, first) in (0..self.steps).step_by(TURN).enumerate() {
                    let steps = TURN.min(self.steps - first);
                    on_fixed.extend(running.steps(&mut fixed, steps)?);
                    // A loader of its own for each turn: none is at work while steps are on fixed
                    // images.
                    on_loaded.extend(
                        running.steps(&mut tasks::stream(supervision.as_ref(), &loader, turn, 0, &device)?, steps)?,
                    );
                }
            }
        }
        let mut row = self.row(&running, &on_fixed, &on_loaded, &device);
        // Afterwards: the yardstick's memory is no step's.
        row.profile = if self.profile { Some(self.profile(&running, &on_fixed)?) } else { None };
        Ok(row)
    }

    fn profile(&self, running: &Running<'_>, on_fixed: &[Took]) -> Result<Profile, BenchError> {
        let operators = running.learner.model.times(self.batch, self.steps).ok_or(BenchError::Unprofiled)?;
        let in_operators: f64 = operators.iter().map(|operator| operator.forward_ms + operator.reverse_ms).sum();
        let step = on_fixed.iter().map(|took| took.ms).sum::<f64>() / on_fixed.len() as f64;
        Ok(Profile { peak: Peak::measure(), operators, rest_ms: step - in_operators })
    }

    fn row(&self, running: &Running<'_>, on_fixed: &[Took], on_loaded: &[Took], device: &Device) -> StepRow {
        let spread = |steps: &[Took], of: fn(&Took) -> f64| Spread::of(steps.iter().map(of).collect());
        let none = Spread { least: 0.0, median: 0.0, greatest: 0.0 };
        let fixed = spread(on_fixed, |took| took.ms).unwrap_or(none);
        let cpu = spread(on_fixed, |took| took.cpu_ms).unwrap_or(none);
        let loaded = spread(on_loaded, |took| took.ms).map(|loaded| Loaded {
            with_data_ms: rounded(loaded.median),
            with_data_spread: [loaded.least, loaded.greatest].map(rounded),
            data_loss_percent: rounded(100.0 * (loaded.median / fixed.median - 1.0)),
        });
        StepRow {
            version: concat!("darts-run ", env!("CARGO_PKG_VERSION")).to_owned(),
            work: self.name.clone(),
            batch: self.batch,
            device: self.device.backend().to_owned(),
            mode: self.kernels.to_string(),
            ms: rounded(fixed.median),
            images_s: rounded(1e3 * self.batch as f64 / fixed.median),
            spread: [fixed.least, fixed.greatest].map(rounded),
            cpu_ms: rounded(cpu.median),
            peak_mib: memory::device_mib(device).or_else(memory::peak_mib),
            params: running.learner.state.weights.layout().len(),
            threads: rayon::current_num_threads(),
            kernels: self.kernels.to_string(),
            precision: self.precision.to_string(),
            steps: self.steps,
            loaded,
            profile: None,
        }
    }

    /// Images from a normal distribution, each with a class of no meaning.
    fn noise(&self, device: &Device) -> Batch {
        let [channels, height, width] = self.work.shape;
        let shape = [self.batch, channels, height, width];
        let mut random = ChaCha8Rng::seed_from_u64(self.work.seed);
        let images: Vec<f32> = (0..shape.iter().product()).map(|_| StandardNormal.sample(&mut random)).collect();
        let labels: Vec<i64> = (0..self.batch).map(|_| random.random_range(0..self.work.classes as i64)).collect();
        let indices = (0..).take(self.batch).collect();
        let loaded = data::Batch { images, labels, n: self.batch, shape: self.work.shape, indices, partners: None };
        self.work.supervision.batch(loaded, device)
    }

    /// Full batches, enough of them in an epoch for a turn.
    fn loader(&self, cifar10: Option<&Path>) -> Result<Loader, BenchError> {
        let least = (1 + TURN) * self.batch;
        let [channels, size, _] = self.work.shape;
        let synthetic =
            Synthetic { train: least, test: 1, classes: self.work.classes, size, channels, ..Synthetic::default() };
        let (source, folder) = match cifar10 {
            Some(folder) => (Source::Cifar10, folder),
            None => (Source::Synthetic(synthetic), Path::new("")),
        };
        let raw = source.locate(folder)?.read()?;
        let dataset: Arc<Dataset> = Arc::new(raw.finish(&source.default_normalise(), &SplitRule::All)?);
        if dataset.shape != self.work.shape || dataset.classes.len() > self.work.classes {
            let expected = format!("{:?} images of at most {} classes", self.work.shape, self.work.classes);
            return Err(BenchError::Images { expected, found: dataset.shape, classes: dataset.classes.len() });
        }
        if dataset.train.len() < least {
            return Err(BenchError::TooFew { pictures: dataset.train.len() / (1 + TURN), batch: self.batch });
        }
        let options = LoaderOptions {
            batch: self.batch,
            order: Order::Shuffled,
            seed: self.work.seed,
            augment: Some(self.work.augment),
            drop_last: true,
        };
        Ok(Loader::new(Arc::clone(&dataset), Part::Train, dataset.all(Part::Train), options)?)
    }
}

/// What a step took, in milliseconds.
#[derive(Debug, Clone, Copy)]
struct Took {
    ms: f64,
    cpu_ms: f64,
}

/// A training of which nothing is kept.
struct Running<'a> {
    work: &'a Work,
    learner: Learner,
    /// What a bilevel search judges its alphas on: noise, whatever the weights are fitted on.
    validation: Batch,
    device: Device,
}

impl<'a> Running<'a> {
    fn new(bench: &'a StepBench, device: &Device) -> Self {
        let work = &bench.work;
        let make = if bench.profile { Model::timed } else { Model::new };
        let model = make(work.network.clone(), bench.kernels).in_precision(bench.precision);
        let mut learner = Learner::new(model, work.supervision.clone(), &work.learner, work.seed, device);
        let probability = work.training.drop_path;
        learner.drop_path = (probability > 0.0).then_some(DropPath { probability, seed: work.seed, pass: 0 });
        Self { work, learner, validation: bench.noise(device), device: device.clone() }
    }

    /// What each of `steps` steps takes, after one that is not counted: batches that were prepared
    /// while nobody stepped are taken.
    fn steps(
        &mut self,
        batches: &mut impl Iterator<Item = Result<Batch, TaskError>>,
        steps: usize,
    ) -> Result<Vec<Took>, BenchError> {
        self.step(batches)?;
        (0..steps).map(|_| self.step(batches)).collect()
    }

    /// What one step takes, until its loss is known and nothing is left to compute.
    fn step(&mut self, batches: &mut impl Iterator<Item = Result<Batch, TaskError>>) -> Result<Took, BenchError> {
        let training = &self.work.training;
        let (start, cpu_start) = (Instant::now(), machine::cpu_time());
        let rates = Rates { weights: training.rate.first, alphas: Some(training.alpha_rate.first) };
        let validation = &self.validation;
        let mut validation = iter::repeat_with(|| Ok(validation.clone()));
        let outcome = training.strategy.step(&mut self.learner, batches, &mut validation, 1, rates)?;
        let loss = outcome.map_or(f32::NAN, |outcome| outcome.loss.into_scalar::<f32>());
        self.device.sync().map_err(|error| BenchError::Device(error.to_string()))?;
        let [ms, cpu_ms] = [start.elapsed(), machine::cpu_time() - cpu_start].map(|time| time.as_secs_f64() * 1e3);
        if loss.is_finite() { Ok(Took { ms, cpu_ms }) } else { Err(BenchError::Diverged { loss }) }
    }
}

/// To hundredths.
fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
