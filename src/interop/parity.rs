//! Replays a golden file and says how far from PyTorch each group of numbers is.

pub use super::judgement::Group;
use super::{
    description::{Description, DescriptionError},
    golden::{BILEVEL, GoldenError, GoldenFile},
    judgement::{GRADIENT_TOLERANCE, Judgement, LOGIT_TOLERANCE, Measure, Part, one},
    picture_parity::{self, PictureFile},
    pixel_parity::{self, PixelFile},
    policy_parity::PolicyFile,
    roundings::Roundings,
    sparsestmax_parity::{self, SparsestmaxFile},
    state::{ALPHAS, State, StateError, Unmatched},
};
use crate::{
    kernels::Kernels,
    model::{AUXILIARY, Model, OUTPUT, TensorGroup},
    space::network::{FeatureMap, Network},
    tasks::{
        Batch,
        classification::{self, Classes, Classification},
    },
    train::{
        AlphaConfig, Clipped, Learner, LearnerConfig, OptimiserConfig, OptimiserState, SgdConfig,
        strategy::{Bilevel, First, Order, Rates, single_level},
    },
};
use burn::tensor::{Device, Tensor, TensorData};
use serde::Serialize;
use serde_json::Value as Json;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// The reference's steps (its README): SGD with momentum on the weights, Adam on the alphas.
const RATES: Rates = Rates { weights: 0.025, alphas: Some(3e-4) };
const STEPS: usize = 3;

/// At most so many replays with moved numbers: a ReLU that a rounding turns in one in ten of them
/// is found all the same.
const MOVED_REPLAYS: u64 = 16;

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
    #[error(transparent)]
    State(#[from] StateError),
    #[error("`{path}` describes a network that cannot be built")]
    Description {
        path: PathBuf,
        #[source]
        source: Box<DescriptionError>,
    },
}

/// Computes everything that the file holds, with a space that it needs looked up from `beside`.
///
/// # Errors
/// Where the file is none, or describes a network that no space here builds from its tensors.
pub fn replay(path: &Path, beside: &Path, kernels: Kernels, device: &Device) -> Result<Parity, ParityError> {
    let golden = GoldenFile::open(path)?;
    let kind = golden.text("kind").unwrap_or_default();
    if kind == sparsestmax_parity::KIND {
        let file = SparsestmaxFile::open(&golden)?;
        return judged(path, &golden, file.describe(), |roundings| Ok(file.replay(device, roundings)?));
    }
    if let Some(file) = PolicyFile::of(kind) {
        let of = |roundings| Ok(file.replay(&golden, beside, kernels, device, roundings)?);
        return judged(path, &golden, kind.to_owned(), of);
    }
    if kind.starts_with(pixel_parity::KIND) {
        let file = PixelFile::open(&golden)?;
        return judged(path, &golden, file.describe(), |roundings| Ok(file.replay(kernels, device, roundings)?));
    }
    if golden.text("loss").is_ok_and(|loss| loss == picture_parity::LOSS) {
        let file = PictureFile::open(&golden)?;
        let network = file.network(beside)?;
        let what = format!("{}, input {}", golden.text("kind")?, network.input);
        return judged(path, &golden, what, |roundings| Ok(file.replay(&network, kernels, device, roundings)?));
    }
    let network = network(&golden, beside)?;
    let what = describe(&golden, &network)?;
    let replay = Replay { golden: &golden, network, kernels, device };
    judged(path, &golden, what, |roundings| replay.run(roundings))
}

/// What a replay comes to, done again with moved numbers where that must be known.
fn judged(
    path: &Path,
    golden: &GoldenFile,
    what: String,
    run: impl Fn(Option<Roundings>) -> Result<Vec<Part>, ParityError>,
) -> Result<Parity, ParityError> {
    let mut judgement = Judgement::new(golden, run(None)?)?;
    let mut groups = judgement.groups();
    // What is within tolerance as it stands is told apart from what is not without any of them.
    for seed in 0..MOVED_REPLAYS {
        if groups.iter().all(Group::is_within) {
            break;
        }
        judgement.moved(run(Some(Roundings::new(seed)))?);
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
    /// Evaluation, one pass in training, then the steps; with every number that comes in moved by a
    /// rounding, if asked.
    fn run(&self, mut roundings: Option<Roundings>) -> Result<Vec<Part>, ParityError> {
        let Self { golden, network, kernels, device } = self;
        let mut learner = learner(golden, network.clone(), *kernels, device)?;
        let is_bilevel = golden.text("kind")? == BILEVEL;
        let mut batches = Vec::new();
        if is_bilevel {
            batches.extend([batch(golden, "train", device)?, batch(golden, "valid", device)?]);
        } else {
            batches.push(batch(golden, "batch0", device)?);
            for at in 1..STEPS {
                // A file with one batch takes all its steps on it.
                let name = format!("batch{at}");
                let has_its_own = golden.find(&format!("{name}.x")).is_some();
                batches.push(if has_its_own { batch(golden, &name, device)? } else { batches[0].clone() });
            }
        }
        if let Some(roundings) = &mut roundings {
            for group in [&mut learner.state.weights, &mut learner.state.running, &mut learner.state.alphas] {
                group.set(roundings.moved(group.values()));
            }
            batches.iter_mut().for_each(|batch| batch.inputs = roundings.moved(batch.inputs.clone()));
        }
        if is_bilevel { self.alpha_gradients(&learner, &batches) } else { self.steps(learner, &batches) }
    }

    /// The gradient of the alphas that a bilevel search takes, first and second order.
    fn alpha_gradients(&self, learner: &Learner, batches: &[Batch]) -> Result<Vec<Part>, ParityError> {
        let rate = self.golden.number("eta")?;
        let mut parts = Vec::new();
        for (order, group, prefix) in
            [(Order::First, "first_order", "first_order.grad."), (Order::Second, "second_order", "second_order.grad.")]
        {
            let bilevel = Bilevel { order, first: First::Alphas };
            let (gradient, _) = bilevel.alpha_gradient(learner, &batches[0], &batches[1], rate);
            parts.extend(self.those_held(group, prefix, &learner.state.alphas.with(gradient))?);
        }
        Ok(parts)
    }

    fn steps(&self, mut learner: Learner, batches: &[Batch]) -> Result<Vec<Part>, ParityError> {
        let mut parts = Vec::new();
        let evaluated = learner.evaluate(batches[0].inputs.clone());
        parts.push(one("eval.logits", LOGIT_TOLERANCE, "eval.logits", evaluated.scores(OUTPUT)));
        let pass = learner.pass(&batches[0]);
        parts.push(one("train.logits", LOGIT_TOLERANCE, "train.logits", pass.outputs.scores(OUTPUT)));
        if pass.outputs.get(AUXILIARY).is_some() {
            let scores = pass.outputs.scores(AUXILIARY);
            parts.push(one("train.logits_aux", LOGIT_TOLERANCE, "train.logits_aux", scores));
        }
        parts.push(one("loss", LOGIT_TOLERANCE, "train.loss", pass.loss));
        let alphas = learner.state.alphas.with(learner.alpha_gradient(&pass.mixing_gradient));
        let weights = learner.state.weights.with(pass.weight_gradient);
        parts.extend(self.those_held("grad", "grad.", &weights)?);
        parts.extend(self.those_held("grad.alpha", "grad.alpha.", &alphas)?);

        // The steps begin where the file begins: the pass above left nothing behind.
        for (at, batch) in batches.iter().enumerate() {
            let outcome = single_level::step(&mut learner, batch, RATES);
            parts.push(one("step", GRADIENT_TOLERANCE, &format!("step{at}.loss"), outcome.loss));
            parts.push(one("step", GRADIENT_TOLERANCE, &format!("step{at}.grad_norm"), outcome.gradient_norm));
        }
        parts.extend(self.those_held("after3", "after3.", &learner.state.weights)?);
        parts.extend(self.those_held("after3", "after3.", &learner.state.running)?);
        parts.extend(self.those_held("after3", "after3.alpha.", &learner.state.alphas)?);
        Ok(parts)
    }

    /// The tensors of `found` that the file holds: a network's file leaves out the larger of its
    /// head. Nothing where there are none, as the alphas of a discrete network.
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
        Ok(Some(Part { group, measure: Measure::Relative, stated: GRADIENT_TOLERANCE, tensors }))
    }
}

/// Lowers the network that the metadata describe: of the first space that has its skeleton and
/// reads its genotype.
fn network(golden: &GoldenFile, beside: &Path) -> Result<Network, ParityError> {
    let kind = golden.text("kind")?;
    if !["supernet", "network", BILEVEL].contains(&kind) {
        return Err(golden.content(format!("its kind `{kind}` is not one that this version replays")).into());
    }
    let images = if kind == BILEVEL { "train.x" } else { "batch0.x" };
    let (shape, _) = golden.float(images)?;
    let [_, channels, height, width] = *shape else {
        return Err(golden.content(format!("`{images}` has shape {shape:?}, not four sides")).into());
    };
    // A file that leaves one of these open is no golden file: a default would compare with another
    // network.
    for key in ["channels", "layers", "classes"] {
        golden.count(key)?;
    }
    let auxiliary = golden.metadata.get("auxiliary").and_then(Json::as_bool).unwrap_or(false);
    let input = FeatureMap { channels, height, width };
    let description = Description::of_metadata(&golden.tensors.metadata);
    let failed = |source| ParityError::Description { path: golden.path.clone(), source: Box::new(source) };
    let mut refused = None;
    for candidate in description.candidates(beside).map_err(failed)? {
        match description.lower(&candidate, golden.count("classes")?, input, auxiliary) {
            Ok(network) => return Ok(network),
            Err(error) => _ = refused.get_or_insert(error),
        }
    }
    let refused = refused.map_or(DescriptionError::NoSpace, DescriptionError::from);
    Err(failed(refused))
}

fn describe(golden: &GoldenFile, network: &Network) -> Result<String, GoldenError> {
    let FeatureMap { channels, height, width } = network.input;
    // Alphas are a supernet's.
    let kind = Some(golden.text("kind")?).filter(|&kind| kind != BILEVEL).unwrap_or("supernet");
    Ok(format!(
        "{kind} of {} blocks, {} channels, {} classes, input {channels}x{height}x{width}",
        network.blocks.len(),
        golden.count("channels")?,
        network.scores(),
    ))
}

/// The network with the file's tensors in it, at the reference's settings.
fn learner(golden: &GoldenFile, network: Network, kernels: Kernels, device: &Device) -> Result<Learner, ParityError> {
    let auxiliary_weight = golden.metadata.get("auxiliary_weight").and_then(Json::as_f64);
    let config = LearnerConfig {
        optimiser: OptimiserConfig::Sgd(SgdConfig {
            momentum: golden.number("momentum").unwrap_or(0.9),
            nesterov: false,
            weight_decay: golden.number("weight_decay").unwrap_or(3e-4),
        }),
        clip_norm: 5.0,
        clipped: Clipped::Weights,
        average: None,
        alphas: Some(AlphaConfig::default()),
    };
    let loss = Classification { auxiliary_weight: auxiliary_weight.unwrap_or(0.0), ..Classification::default() };
    let objective = Arc::new(Classes::new(loss, vec![String::new(); network.scores()]));
    let mut learner = Learner::new(Model::new(network, kernels), objective, &config, 0, device);
    let (state, alphas) = (State::below(&golden.tensors, "state."), State::below(&golden.tensors, ALPHAS));
    learner.state.weights = state.fill(learner.state.weights.layout(), device)?;
    learner.state.running = state.fill(learner.state.running.layout(), device)?;
    learner.state.alphas = alphas.fill(learner.state.alphas.layout(), device)?;
    if golden.text("kind")? == BILEVEL {
        let momentum = State::below(&golden.tensors, "momentum.");
        let velocity = momentum.fill(learner.state.weights.layout(), device)?.values();
        learner.state.optimiser.restore(OptimiserState { tensors: vec![velocity], steps: 0 });
    }
    // Nothing in the file may be left over: a tensor that the network does not know is a wrong
    // network.
    state.check_strangers(&[learner.model.network()], Unmatched::Any)?;
    Ok(learner)
}

fn batch(golden: &GoldenFile, name: &str, device: &Device) -> Result<Batch, GoldenError> {
    let (shape, images) = golden.float(&format!("{name}.x"))?;
    let labels = golden.integer(&format!("{name}.y"))?;
    let images = TensorData::new(images.to_vec(), shape.to_vec());
    let count = labels.len();
    Ok(classification::labelled(
        Tensor::from_data(images, device),
        Tensor::from_data(TensorData::new(labels.to_vec(), [count]), device),
    ))
}

#[cfg(all(test, any(feature = "cuda", feature = "wgpu")))]
mod tests {
    use super::*;
    use crate::model::DeviceName;

    /// The reference's networks, searched and discrete, with drop path's absence and an auxiliary
    /// head among them.
    #[test]
    #[ignore = "needs a GPU, or a software Vulkan in its place"]
    fn golden_networks_are_the_references_on_a_gpu() {
        let index = 0;
        let name = if cfg!(feature = "cuda") { DeviceName::Cuda { index } } else { DeviceName::Wgpu { index } };
        let device = name.open().unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        for name in ["darts_supernet", "nb201_supernet", "pcdarts_supernet", "nb201_network", "cifar_amoebanet_a"] {
            let file = root.join("tests/golden").join(format!("{name}.safetensors"));
            let parity = replay(&file, root, Kernels::Native, &device).unwrap();
            assert!(parity.groups.len() >= 6 && parity.is_within(), "{name}: {:#?}", parity.groups);
        }
    }
}
