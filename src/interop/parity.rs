//! Replays a golden file and says how far from PyTorch each group of numbers is.

use super::{
    description::{Description, DescriptionError},
    golden::{GoldenError, GoldenFile},
    state::{ALPHAS, State, StateError, Strangers},
};
use crate::{
    kernels::Kernels,
    model::{Mixing, Model, TensorGroup},
    space::network::{FeatureMap, Network},
    tasks::Batch,
    train::{
        AdamConfig, Learner, LearnerConfig, SgdConfig,
        strategy::{Rates, single_level},
    },
};
use burn::tensor::{Device, Tensor, TensorData};
use serde::Serialize;
use serde_json::Value as Json;
use std::path::{Path, PathBuf};

/// Relative errors that float32 arithmetic in another order stays well below.
const LOGIT_TOLERANCE: f64 = 1e-5;
const GRADIENT_TOLERANCE: f64 = 1e-4;

/// A tensor's difference is measured against its own norm, but at least against this part of its group's norm:
/// a gradient that is zero but for rounding (a bias before a batch norm) has no relative error of its own.
const NORM_FLOOR: f64 = 1e-2;

/// The reference's steps (its README): SGD with momentum on the weights, Adam on the alphas.
const RATES: Rates = Rates { weights: 0.025, alphas: 3e-4 };
const STEPS: usize = 3;

/// What a golden file's replay came to.
#[derive(Debug, Serialize)]
pub struct Parity {
    pub file: PathBuf,
    /// `supernet of 4 blocks, 4 channels, 10 classes, input 3x16x16`
    pub what: String,
    /// In the order in which they were compared.
    pub groups: Vec<Group>,
}

/// Numbers that are judged together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Group {
    /// `eval.logits`, `grad`, `after3`, …
    pub name: &'static str,
    /// The largest relative error among the group's tensors.
    pub error: f64,
    /// The tensor that has it.
    pub worst: String,
    pub tensors: usize,
    pub tolerance: f64,
}

impl Group {
    pub fn is_within(&self) -> bool {
        self.error <= self.tolerance
    }
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
        source: DescriptionError,
    },
}

/// Computes everything that the file holds, with the space it names looked up from `beside`.
///
/// # Errors
/// Where the file is none, or describes a network that no space here builds from its tensors.
pub fn replay(path: &Path, beside: &Path, kernels: Kernels, device: &Device) -> Result<Parity, ParityError> {
    let golden = GoldenFile::open(path)?;
    let network = network(&golden, beside)?;
    let what = describe(&golden, &network)?;
    let mut learner = learner(&golden, network, kernels, device)?;
    let mut judge = Judge { golden: &golden, groups: Vec::new() };

    let first = batch(&golden, 0, device)?;
    judge.tensor("eval.logits", LOGIT_TOLERANCE, "eval.logits", learner.evaluate(first.images.clone()))?;
    let pass = learner.pass(&first);
    judge.tensor("train.logits", LOGIT_TOLERANCE, "train.logits", pass.logits)?;
    if let Some(auxiliary) = pass.auxiliary {
        judge.tensor("train.logits_aux", LOGIT_TOLERANCE, "train.logits_aux", auxiliary)?;
    }
    judge.tensor("loss", LOGIT_TOLERANCE, "train.loss", pass.loss)?;
    judge.group("grad", GRADIENT_TOLERANCE, "grad.", &learner.weights.with(pass.weight_gradient))?;
    judge.group("grad.alpha", GRADIENT_TOLERANCE, "grad.alpha.", &learner.alphas.with(pass.alpha_gradient))?;

    // The steps begin where the file begins: the pass above left nothing behind.
    for step in 0..STEPS {
        let here = if golden.find(&format!("batch{step}.x")).is_some() {
            batch(&golden, step, device)?
        } else {
            first.clone()
        };
        let outcome = single_level::step(&mut learner, &here, RATES);
        judge.tensor("step", GRADIENT_TOLERANCE, &format!("step{step}.loss"), outcome.loss)?;
        judge.tensor("step", GRADIENT_TOLERANCE, &format!("step{step}.grad_norm"), outcome.gradient_norm)?;
    }
    let Learner { weights, running, alphas, .. } = &learner;
    for (prefix, group) in [("after3.", weights), ("after3.", running), ("after3.alpha.", alphas)] {
        judge.group("after3", GRADIENT_TOLERANCE, prefix, group)?;
    }
    let groups = judge.groups;
    Ok(Parity { file: path.to_owned(), what, groups })
}

/// Lowers the network that the metadata describe: of the first space that has its skeleton and reads its genotype.
fn network(golden: &GoldenFile, beside: &Path) -> Result<Network, ParityError> {
    let (shape, _) = golden.float("batch0.x")?;
    let [_, channels, height, width] = *shape else {
        return Err(golden.content(format!("`batch0.x` has shape {shape:?}, not four sides")).into());
    };
    let kind = golden.text("kind")?;
    if !["supernet", "network"].contains(&kind) {
        return Err(golden.content(format!("its kind `{kind}` is not one that this version replays")).into());
    }
    // A file that leaves one of these open is no golden file: a default would compare with another network.
    for key in ["channels", "layers", "classes"] {
        golden.count(key)?;
    }
    let auxiliary = golden.metadata.get("auxiliary").and_then(Json::as_bool).unwrap_or(false);
    let input = FeatureMap { channels, height, width };
    let description = Description::of_metadata(&golden.tensors.metadata);
    let failed = |source: DescriptionError| ParityError::Description { path: golden.path.clone(), source };
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
    Ok(format!(
        "{} of {} blocks, {} channels, {} classes, input {channels}x{height}x{width}",
        golden.text("kind")?,
        network.blocks.len(),
        golden.count("channels")?,
        network.classes,
    ))
}

/// The network with the file's tensors in it, at the reference's settings.
fn learner(golden: &GoldenFile, network: Network, kernels: Kernels, device: &Device) -> Result<Learner, StateError> {
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
    let (state, alphas) = (State::below(&golden.tensors, "state."), State::below(&golden.tensors, ALPHAS));
    learner.weights = state.fill(learner.weights.layout(), device)?;
    learner.running = state.fill(learner.running.layout(), device)?;
    learner.alphas = alphas.fill(learner.alphas.layout(), device)?;
    // Nothing in the file may be left over: a tensor that the network does not know is a wrong network.
    state.check_strangers(&[&learner.model.network], Strangers::Any)?;
    Ok(learner)
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

/// Compares what was computed with what the file holds.
struct Judge<'a> {
    golden: &'a GoldenFile,
    groups: Vec<Group>,
}

impl Judge<'_> {
    fn tensor<const D: usize>(
        &mut self,
        group: &'static str,
        tolerance: f64,
        name: &str,
        found: Tensor<D>,
    ) -> Result<(), GoldenError> {
        let (_, expected) = self.golden.float(name)?;
        self.add(group, tolerance, vec![(name.to_owned(), crate::model::host(found), expected.to_vec())]);
        Ok(())
    }

    /// Compares the tensors of `found` that the file holds: a network's file leaves out the larger of its head.
    /// Nothing is compared where there are none, as the alphas of a discrete network.
    fn group(
        &mut self,
        group: &'static str,
        tolerance: f64,
        prefix: &str,
        found: &TensorGroup,
    ) -> Result<(), GoldenError> {
        if found.layout().is_empty() {
            return Ok(());
        }
        let numbers = found.to_host();
        let mut pairs = Vec::new();
        for (name, _, range) in found.layout().iter() {
            let name = format!("{prefix}{name}");
            if self.golden.find(&name).is_some() {
                let (_, expected) = self.golden.float(&name)?;
                pairs.push((name, numbers[range].to_vec(), expected.to_vec()));
            }
        }
        if pairs.is_empty() {
            return Err(self.golden.content(format!("it holds no tensor `{prefix}…`")));
        }
        self.add(group, tolerance, pairs);
        Ok(())
    }

    /// Adds to the group of that name: the worse error counts.
    fn add(&mut self, group: &'static str, tolerance: f64, pairs: Vec<(String, Vec<f32>, Vec<f32>)>) {
        let judged = judged(group, tolerance, pairs);
        match self.groups.iter_mut().find(|known| known.name == group) {
            None => self.groups.push(judged),
            Some(known) => {
                let tensors = known.tensors + judged.tensors;
                if judged.error > known.error {
                    *known = judged;
                }
                known.tensors = tensors;
            }
        }
    }
}

/// The worst of `(name, found, expected)`. A number that is not finite is infinitely wrong.
fn judged(group: &'static str, tolerance: f64, pairs: Vec<(String, Vec<f32>, Vec<f32>)>) -> Group {
    let square = |numbers: &[f32]| numbers.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>();
    let whole = pairs.iter().map(|(_, _, expected)| square(expected)).sum::<f64>().sqrt();
    let mut result = Group { name: group, error: 0.0, worst: String::new(), tensors: pairs.len(), tolerance };
    for (name, found, expected) in pairs {
        let difference = found.iter().zip(&expected).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum::<f64>();
        let norm = square(&expected).sqrt().max(NORM_FLOOR * whole).max(f64::MIN_POSITIVE);
        let error = difference.sqrt() / norm;
        let error = if error.is_finite() && found.len() == expected.len() { error } else { f64::INFINITY };
        if error >= result.error {
            (result.error, result.worst) = (error, name);
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_tensor_is_named_and_rounding_of_a_zero_gradient_is_not_an_error() {
        let pairs = vec![
            ("large".to_owned(), vec![1.0, 2.0], vec![1.0, 2.001]),
            ("zero but for rounding".to_owned(), vec![1e-8], vec![-1e-8]),
        ];
        let group = judged("grad", 1e-4, pairs);
        assert_eq!(group.worst, "large");
        assert!((group.error - 0.001 / 5_f64.sqrt()).abs() < 1e-5, "{}", group.error);
        assert!(!group.is_within());
    }

    #[test]
    fn what_is_not_finite_is_never_within_tolerance() {
        let group = judged("loss", 1.0, vec![("loss".to_owned(), vec![f32::NAN], vec![1.0])]);
        assert!(!group.is_within());
    }
}
