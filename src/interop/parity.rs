//! Replays a golden file and says how far from PyTorch each group of numbers is.

pub use super::judgement::Group;
use super::{
    golden::{GoldenError, GoldenFile},
    judgement::{Judgement, Part},
};
use crate::{
    kernels::Kernels,
    model::{Layout, Mixing, Model, TensorGroup},
    space::{
        self, Build, Genotype, Space,
        network::{FeatureMap, Network},
    },
    tasks::Batch,
    train::{
        AdamConfig, Learner, LearnerConfig, SgdConfig,
        strategy::{Rates, single_level},
    },
};
use burn::tensor::{Device, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use serde_json::Value as Json;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// Relative errors that float32 arithmetic in another order stays well below, where rounding is not amplified.
const LOGIT_TOLERANCE: f64 = 1e-5;
const GRADIENT_TOLERANCE: f64 = 1e-4;

/// The reference's steps (its README): SGD with momentum on the weights, Adam on the alphas.
const RATES: Rates = Rates { weights: 0.025, alphas: 3e-4 };
const STEPS: usize = 3;

/// At most so many replays with moved numbers: a ReLU that a rounding turns in one in ten of them is found all the same.
const MOVED_REPLAYS: u64 = 16;

/// The largest relative change of a number in them: four units in the last place of a float32. Two implementations differ by the
/// roundings of every operator, those of long sums among them, and a moved replay has those of its input only.
const ROUNDING: f64 = 4.0 / (1 << 23) as f64;

/// What a golden file's replay came to.
#[derive(Debug, Serialize)]
pub struct Parity {
    pub file: PathBuf,
    /// `supernet of 4 blocks, 4 channels, 10 classes, input 3x16x16`
    pub what: String,
    /// In the order in which they were compared.
    pub groups: Vec<Group>,
}

impl Parity {
    /// Whether every group is within its tolerance.
    pub fn is_within(&self) -> bool {
        self.groups.iter().all(Group::is_within)
    }
}

/// A golden file cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ParityError {
    #[error(transparent)]
    Golden(#[from] GoldenError),
    #[error("`{path}` needs the space `{space}`: {reason}")]
    Space { path: PathBuf, space: String, reason: String },
}

/// Computes everything that the file holds, with the space it names looked up from `beside`.
///
/// # Errors
/// Where the file is none, or describes a network that no space here builds from its tensors.
pub fn replay(path: &Path, beside: &Path, kernels: Kernels, device: &Device) -> Result<Parity, ParityError> {
    let golden = GoldenFile::open(path)?;
    let network = network(&golden, beside)?;
    let what = describe(&golden, &network)?;
    let replay = Replay { golden: &golden, network, kernels, device };
    let mut judgement = Judgement::new(&golden, replay.run(None)?)?;
    let mut groups = judgement.groups();
    // What is within tolerance as it stands is told apart from what is not without any of them.
    for seed in 0..MOVED_REPLAYS {
        if groups.iter().all(Group::is_within) {
            break;
        }
        judgement.moved(replay.run(Some(Roundings::new(seed)))?);
        groups = judgement.groups();
    }
    Ok(Parity { file: path.to_owned(), what, groups })
}

/// All that a golden file holds, computed anew.
struct Replay<'a> {
    golden: &'a GoldenFile,
    network: Network,
    kernels: Kernels,
    device: &'a Device,
}

impl Replay<'_> {
    /// Evaluation, one pass in training, then the steps; with every number that comes in moved by a rounding, if asked.
    fn run(&self, mut roundings: Option<Roundings>) -> Result<Vec<Part>, GoldenError> {
        let Self { golden, network, kernels, device } = self;
        let mut learner = learner(golden, network.clone(), *kernels, device)?;
        let mut batches = vec![batch(golden, 0, device)?];
        for at in 1..STEPS {
            // A file with one batch takes all its steps on it.
            let has_its_own = golden.find(&format!("batch{at}.x")).is_some();
            batches.push(if has_its_own { batch(golden, at, device)? } else { batches[0].clone() });
        }
        if let Some(roundings) = &mut roundings {
            for group in [&mut learner.weights, &mut learner.running, &mut learner.alphas] {
                group.set(roundings.moved(group.values()));
            }
            batches.iter_mut().for_each(|batch| batch.images = roundings.moved(batch.images.clone()));
        }

        let mut parts = Vec::new();
        let logits = learner.evaluate(batches[0].images.clone());
        parts.push(one("eval.logits", LOGIT_TOLERANCE, "eval.logits", logits));
        let pass = learner.pass(&batches[0]);
        parts.push(one("train.logits", LOGIT_TOLERANCE, "train.logits", pass.logits));
        if let Some(auxiliary) = pass.auxiliary {
            parts.push(one("train.logits_aux", LOGIT_TOLERANCE, "train.logits_aux", auxiliary));
        }
        parts.push(one("loss", LOGIT_TOLERANCE, "train.loss", pass.loss));
        let (weights, alphas) = (learner.weights.with(pass.weight_gradient), learner.alphas.with(pass.alpha_gradient));
        parts.extend(self.those_held("grad", "grad.", &weights)?);
        parts.extend(self.those_held("grad.alpha", "grad.alpha.", &alphas)?);

        // The steps begin where the file begins: the pass above left nothing behind.
        for (at, batch) in batches.iter().enumerate() {
            let outcome = single_level::step(&mut learner, batch, RATES);
            parts.push(one("step", GRADIENT_TOLERANCE, &format!("step{at}.loss"), outcome.loss));
            parts.push(one("step", GRADIENT_TOLERANCE, &format!("step{at}.grad_norm"), outcome.gradient_norm));
        }
        parts.extend(self.those_held("after3", "after3.", &learner.weights)?);
        parts.extend(self.those_held("after3", "after3.", &learner.running)?);
        parts.extend(self.those_held("after3", "after3.alpha.", &learner.alphas)?);
        Ok(parts)
    }

    /// The tensors of `found` that the file holds: a network's file leaves out the larger of its head. Nothing where there
    /// are none, as the alphas of a discrete network.
    fn those_held(&self, group: &'static str, prefix: &str, found: &TensorGroup) -> Result<Option<Part>, GoldenError> {
        if found.layout().is_empty() {
            return Ok(None);
        }
        let numbers = found.to_host();
        let tensors =
            found.layout().iter().map(|(name, _, range)| (format!("{prefix}{name}"), numbers[range].to_vec()));
        let tensors: Vec<_> = tensors.filter(|(name, _)| self.golden.find(name).is_some()).collect();
        if tensors.is_empty() {
            return Err(self.golden.content(format!("it holds no tensor `{prefix}…`")));
        }
        Ok(Some(Part { group, stated: GRADIENT_TOLERANCE, tensors }))
    }
}

fn one<const D: usize>(group: &'static str, stated: f64, name: &str, found: Tensor<D>) -> Part {
    Part { group, stated, tensors: vec![(name.to_owned(), crate::model::host(found))] }
}

/// Moves numbers by what a float32 rounds off.
struct Roundings(ChaCha8Rng);

impl Roundings {
    fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// Each number times `1 + u`, `u` uniform within a rounding.
    fn moved<const D: usize>(&mut self, tensor: Tensor<D>) -> Tensor<D> {
        let (shape, device) = (tensor.dims(), tensor.device());
        let mut numbers = crate::model::host(tensor);
        for number in &mut numbers {
            let u = self.0.random_range(-ROUNDING..=ROUNDING);
            *number = (f64::from(*number) * (1.0 + u)) as f32;
        }
        Tensor::from_data(TensorData::new(numbers, shape), &device)
    }
}

/// Lowers the network that the metadata describe.
fn network(golden: &GoldenFile, beside: &Path) -> Result<Network, ParityError> {
    let (shape, _) = golden.float("batch0.x")?;
    let [_, channels, height, width] = *shape else {
        return Err(golden.content(format!("`batch0.x` has shape {shape:?}, not four sides")).into());
    };
    let mut build = Build {
        skeleton: "search".to_owned(),
        channels: Some(golden.count("channels")?),
        size: Some(golden.count("layers")?),
        classes: golden.count("classes")?,
        input: FeatureMap { channels, height, width },
        auxiliary: false,
    };
    match golden.text("kind")? {
        "supernet" => {
            // `NAS-Bench-201` in a file is `nas_bench_201.yaml` in the folder of spaces.
            let name = golden.text("space")?.to_lowercase().replace('-', "_");
            let failed = |reason: String| ParityError::Space { path: golden.path.clone(), space: name.clone(), reason };
            let file = space::find(&name, beside).map_err(|error| failed(error.to_string()))?;
            let space = Space::read(&file).map_err(|error| failed(error.to_string()))?;
            space.supernet(&build).map_err(|error| failed(error.to_string()))
        }
        "network" => {
            build.skeleton = golden.text("skeleton")?.to_owned();
            build.auxiliary = golden.metadata.get("auxiliary").and_then(Json::as_bool).unwrap_or(false);
            discrete(golden, &build, beside)
        }
        other => Err(golden.content(format!("its kind `{other}` is not one that this version replays")).into()),
    }
}

/// A discrete network's file names a skeleton and a genotype: it is of the first space that has both.
fn discrete(golden: &GoldenFile, build: &Build, beside: &Path) -> Result<Network, ParityError> {
    // The DARTS fields as a JSON object, or any text form.
    let genotype = match golden.metadata.get("genotype") {
        Some(Json::String(text)) => text.clone(),
        Some(object) => object.to_string(),
        None => return Err(golden.content("its metadata lack `genotype`").into()),
    };
    let skeleton = &build.skeleton;
    let mut reasons = Vec::new();
    for file in space::all(beside) {
        let Ok(space) = Space::read(&file) else { continue };
        if space.skeleton_defaults(skeleton).is_none() {
            continue;
        }
        match Genotype::parse(&genotype, &space).map(|genotype| space.discrete(&genotype, build)) {
            Ok(Ok(network)) => return Ok(network),
            Ok(Err(error)) => reasons.push(format!("{}: {error}", space.name)),
            Err(error) => reasons.push(format!("{}: {error}", space.name)),
        }
    }
    let reason = if reasons.is_empty() { "no space has that skeleton".to_owned() } else { reasons.join("; ") };
    let space = format!("with skeleton {skeleton}");
    Err(ParityError::Space { path: golden.path.clone(), space, reason })
}

fn describe(golden: &GoldenFile, network: &Network) -> Result<String, GoldenError> {
    let FeatureMap { channels, height, width } = network.input;
    Ok(format!(
        "{} of {} blocks, {} channels, {} classes, input {channels}x{height}x{width}",
        golden.text("kind")?,
        network.blocks.len(),
        golden.count("channels")?,
        network.classes,
    ))
}

/// The network with the file's tensors in it, at the reference's settings.
fn learner(golden: &GoldenFile, network: Network, kernels: Kernels, device: &Device) -> Result<Learner, GoldenError> {
    let auxiliary_weight = golden.metadata.get("auxiliary_weight").and_then(Json::as_f64);
    let config = LearnerConfig {
        mixing: Mixing::Softmax,
        sgd: SgdConfig { momentum: 0.9, nesterov: false, weight_decay: 3e-4 },
        adam: AdamConfig { beta_1: 0.5, beta_2: 0.999, epsilon: 1e-8, weight_decay: 1e-3 },
        clip_norm: 5.0,
        auxiliary_weight: auxiliary_weight.unwrap_or(0.0),
        label_smoothing: 0.0,
        average: None,
        alpha_deviation: 0.0,
    };
    let mut learner = Learner::new(Model { network, kernels }, &config, 0, device);
    learner.weights = filled(golden, "state.", learner.weights.layout(), device)?;
    learner.running = filled(golden, "state.", learner.running.layout(), device)?;
    learner.alphas = filled(golden, "alpha.", learner.alphas.layout(), device)?;
    // Nothing in the file may be left over: a tensor that the network does not know is a wrong network.
    let known: Vec<&str> = [&learner.weights, &learner.running]
        .into_iter()
        .flat_map(|group| group.layout().iter().map(|(name, ..)| name))
        .collect();
    let ignored = |name: &&str| name.ends_with("num_batches_tracked") || known.contains(name);
    if let Some(name) = golden.names_below("state.").find(|name| !ignored(name)) {
        return Err(golden.content(format!("its tensor `state.{name}` has no place in the network")));
    }
    Ok(learner)
}

/// A group with the numbers of the file's tensors `{prefix}{name}`.
fn filled(
    golden: &GoldenFile,
    prefix: &str,
    layout: &Arc<Layout>,
    device: &Device,
) -> Result<TensorGroup, GoldenError> {
    let mut numbers = Vec::with_capacity(layout.len());
    for (name, shape, _) in layout.iter() {
        let name = format!("{prefix}{name}");
        let (found, values) = golden.float(&name)?;
        if found != shape {
            return Err(golden.content(format!("`{name}` has shape {found:?}, the network expects {shape:?}")));
        }
        numbers.extend_from_slice(values);
    }
    Ok(TensorGroup::from_host(layout.clone(), numbers, device))
}

fn batch(golden: &GoldenFile, at: usize, device: &Device) -> Result<Batch, GoldenError> {
    let (shape, images) = golden.float(&format!("batch{at}.x"))?;
    let labels = golden.integer(&format!("batch{at}.y"))?;
    let images = TensorData::new(images.to_vec(), shape.to_vec());
    let count = labels.len();
    Ok(Batch {
        images: Tensor::from_data(images, device),
        labels: Tensor::from_data(TensorData::new(labels.to_vec(), [count]), device),
    })
}
