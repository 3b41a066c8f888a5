//! Networks that act and judge, with a file's weights: what they put out, an iteration of learning.

use super::{File, found};
use crate::{
    interop::{
        golden::GoldenError,
        judgement::{GRADIENT_TOLERANCE, LOGIT_TOLERANCE, Measure, Part, one},
        roundings::Roundings,
    },
    kernels::Kernels,
    model::{Model, TensorGroup, host},
    space::{
        self, Build, EdgeOptions, Space,
        network::{FeatureMap, Network, OutputSpec},
    },
    tasks::{
        Batch, Target, Targets,
        policy::{ACTION, KNOWN, Known, POLICY, Rated, VALUE, normalise},
    },
    train::{
        AdamConfig, AlphaConfig, Clipped, Learner, LearnerConfig, OptimiserConfig,
        strategy::{Rates, single_level},
    },
};
use burn::tensor::{Int, Tensor, TensorData};
use serde_json::Value as Json;
use std::{path::Path, sync::Arc};

const LOSS_TOLERANCE: f64 = 1e-5;
const RATE: f64 = 5e-4;
const LONGEST: f64 = 0.5;

/// Of a transition: PyTorch's padding, and TensorFlow's.
const POOL: &str = "{kernel: 3, stride: 2}";
const SAME_POOL: &str = "{kernel: 3, stride: 2, padding: same}";

/// A network that a file is of, as no space says it alone.
#[derive(Clone, Copy)]
struct Variant {
    /// That ends a transition.
    pool: &'static str,
    /// The epsilon of nodes' batch norms, which look at the batch always; the space's own steps
    /// where absent.
    norms: Option<f64>,
}

impl File<'_> {
    /// Frames, `[examples, height, width, 3]` bytes, channels first and white 1.
    fn frames(&self, name: &str) -> Result<Tensor<4>, GoldenError> {
        let bytes = self.golden.integer(name)?;
        let shape = self.golden.find(name).map(|found| found.shape.as_slice()).unwrap_or_default();
        // Of a rollout the steps come before the actors.
        let &[.., height, width, channels] = shape else {
            return Err(self.golden.content(format!("`{name}` has shape {shape:?}, which are no frames")));
        };
        let pixels = (height * width * channels).max(1);
        let numbers: Vec<f32> = bytes.iter().map(|&byte| byte as f32 / 255.0).collect();
        let frames = self.tensor(&numbers, [numbers.len() / pixels, height, width, channels]);
        Ok(frames.permute([0, 3, 1, 2]))
    }

    /// The network of the first space that acts and judges and has the file's tensors, in that
    /// variant.
    fn space_of(
        &self,
        beside: &Path,
        frames: &Tensor<4>,
        Variant { pool, norms }: Variant,
    ) -> Result<Network, GoldenError> {
        let list = |key: &str| self.golden.metadata.get(key).map(Json::to_string);
        let count = |key: &str| self.golden.count(key);
        let (widths, hidden, actions) = (list("widths"), count("hidden")?, count("actions")?);
        let widths = widths.ok_or_else(|| self.golden.content("its metadata lack the list `widths`"))?;
        let segments = widths.matches(',').count() + 1;
        let cell = count("nodes").map_or(String::new(), |nodes| match norms {
            None => format!("cell: {{nodes: {nodes}}}\n"),
            Some(epsilon) => format!(
                "cell: {{nodes: {nodes}, node: [{{batch_norm: {{affine: false}}}}]}}\n\
                 norms: {{epsilon: {epsilon}, statistics: batch}}\n"
            ),
        });
        let [_, channels, height, width] = frames.dims();
        let row = |name: &str, channels| OutputSpec {
            name: name.to_owned(),
            size: FeatureMap { channels, height: 1, width: 1 },
        };
        let has_alphas = self.golden.tensors.iter().any(|(name, _)| name.starts_with("alpha."));
        for path in &space::all(beside) {
            let Ok(known) = Space::read(path) else { continue };
            for skeleton in known.skeleton_names() {
                let text = format!(
                    "name: golden\nextends: {}\n{cell}\
                     blocks: {{down: [{{conv: {{kernel: 3, bias: true, label: conv}}}}, {{max_pool: {pool}}}]}}\n\
                     skeletons:\n  {skeleton}:\n    body: {{segments: {segments}, widths: {widths}}}\n\
                     \x20   trunk: [relu, {{linear: {{out: {hidden}, label: linear}}}}, relu]\n",
                    known.name
                );
                let Ok(space) = Space::parse(&path.with_file_name("golden.yaml"), text) else { continue };
                let build = Build {
                    skeleton: skeleton.to_owned(),
                    channels: None,
                    size: None,
                    outputs: vec![row(POLICY, actions), row(VALUE, 1)],
                    input: FeatureMap { channels, height, width },
                    auxiliary: false,
                    edges: EdgeOptions::default(),
                };
                // A network without alphas is one of a space where nothing is to be chosen.
                let network = match has_alphas {
                    true => space.supernet(&build),
                    false => space.discrete(&space.random(0, 0, None), &build),
                };
                if let Ok(network) = network
                    && self.fits(&network)
                {
                    return Ok(network);
                }
            }
        }
        Err(self.golden.content("no space that acts and judges has its tensors"))
    }

    fn fits(&self, network: &Network) -> bool {
        network.tensors().iter().filter(|tensor| tensor.role.is_learned()).all(|tensor| {
            self.golden.float(&format!("state.{}", tensor.name)).is_ok_and(|(shape, _)| shape == tensor.shape)
        })
    }

    /// A learner with the file's weights and alphas.
    fn learner(
        &self,
        network: Network,
        kernels: Kernels,
        mut roundings: Option<&mut Roundings>,
    ) -> Result<Learner, GoldenError> {
        let adam = AdamConfig { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-5, weight_decay: 0.0 };
        let config = LearnerConfig {
            optimiser: OptimiserConfig::Adam(adam),
            clip_norm: LONGEST,
            clipped: Clipped::All,
            average: None,
            alphas: (!network.alphas.is_empty()).then(AlphaConfig::default),
        };
        let model = Model::new(network, kernels);
        let mut learner = Learner::new(model, Arc::new(self.ppo()), &config, 0, self.device);
        let mut weights = self.filled(&learner.state.weights, "state.", &|name| Ok(self.float(name)?.to_vec()))?;
        let mut alphas = self.filled(&learner.state.alphas, "alpha.", &|name| self.rows(name))?;
        if let Some(roundings) = &mut roundings {
            for group in [&mut weights, &mut alphas] {
                group.set(roundings.moved(group.values()));
            }
        }
        (learner.state.weights, learner.state.alphas) = (weights, alphas);
        Ok(learner)
    }

    /// The rows of a table that the file has node by node.
    fn rows(&self, name: &str) -> Result<Vec<f32>, GoldenError> {
        let nodes = (0..).map(|node| format!("{name}.{node}")).take_while(|name| self.golden.find(name).is_some());
        Ok(nodes.map(|name| self.float(&name)).collect::<Result<Vec<_>, _>>()?.concat())
    }

    fn filled(
        &self,
        group: &TensorGroup,
        prefix: &str,
        numbers_of: &dyn Fn(&str) -> Result<Vec<f32>, GoldenError>,
    ) -> Result<TensorGroup, GoldenError> {
        let mut numbers = group.to_host();
        for (name, _, range) in group.layout().iter() {
            let name = format!("{prefix}{name}");
            let found = numbers_of(&name)?;
            if found.len() != range.len() {
                let message = format!("`{name}` has {} numbers, the network {}", found.len(), range.len());
                return Err(self.golden.content(message));
            }
            numbers[range].copy_from_slice(&found);
        }
        Ok(TensorGroup::from_host(group.layout().clone(), numbers, self.device))
    }

    pub(super) fn network(
        &self,
        (beside, kernels): (&Path, Kernels),
        prefix: &str,
        norms: Option<f64>,
        mut roundings: Option<&mut Roundings>,
    ) -> Result<Vec<Part>, GoldenError> {
        let mut frames = self.frames("batch0.x")?;
        let plain = Variant { pool: POOL, norms };
        let learner = self.learner(self.space_of(beside, &frames, plain)?, kernels, roundings.as_deref_mut())?;
        if let Some(roundings) = roundings.as_deref_mut() {
            frames = roundings.moved(frames);
        }
        let (actions, known) = self.known("batch0.", self.golden.count("actions")?)?;
        if actions.dims()[0] != frames.dims()[0] {
            return Err(self.golden.content("`batch0` has not as many actions as frames"));
        }
        let outputs = learner.evaluate(frames.clone());
        let losses = self.ppo().losses(outputs.scores(POLICY), outputs.scores(VALUE), actions.clone(), &known);
        let batch = batch(frames.clone(), actions, known);
        let pass = learner.pass(&batch);
        let mut parts = Vec::new();
        let forward = |name: &str, tensor| one("eval", LOGIT_TOLERANCE, &format!("{prefix}eval.{name}"), tensor);
        parts.push(forward("logits", outputs.scores(POLICY)));
        parts.push(forward("value", outputs.scores(VALUE)));
        let loss = |name: &str, tensor| one("loss", LOGIT_TOLERANCE, &format!("{prefix}eval.{name}"), tensor);
        parts.push(loss("loss", pass.loss.clone()));
        for (name, tensor) in
            [("loss.policy", &losses.policy), ("loss.value", &losses.value), ("entropy", &losses.entropy)]
        {
            if self.golden.find(&format!("{prefix}eval.{name}")).is_some() {
                parts.push(loss(name, tensor.clone()));
            }
        }
        let gradients = learner.state.weights.with(pass.weight_gradient.clone());
        parts.push(self.group("grad", &format!("{prefix}grad."), &gradients)?);
        let of_alphas = learner.alpha_gradient(&pass.mixing_gradient);
        let of_alphas = learner.state.alphas.with(of_alphas).to_host();
        let mut rest = of_alphas.as_slice();
        let names = (0..).map(|node| format!("{prefix}grad.alpha.normal.{node}"));
        let mut tensors = Vec::new();
        for name in names.take_while(|name| self.golden.find(name).is_some()) {
            let (own, others) = rest.split_at(self.float(&name)?.len().min(rest.len()));
            tensors.push((name, own.to_vec()));
            rest = others;
        }
        if !tensors.is_empty() {
            let (group, measure) = ("grad.alpha", Measure::Relative);
            parts.push(Part { group, measure, stated: GRADIENT_TOLERANCE, tensors });
        }
        // With other pools, and as a supernet begins.
        let of = |learner: &Learner, group: &'static str| {
            let outputs = learner.evaluate(frames.clone());
            [("logits", POLICY), ("value", VALUE)].map(|(name, output)| {
                one(group, LOGIT_TOLERANCE, &format!("{prefix}{group}.{name}"), outputs.scores(output))
            })
        };
        if self.golden.find(&format!("{prefix}same.logits")).is_some() {
            let network = self.space_of(beside, &frames, Variant { pool: SAME_POOL, norms })?;
            parts.extend(of(&self.learner(network, kernels, roundings.as_deref_mut())?, "same"));
        }
        if self.golden.find(&format!("{prefix}zeros.logits")).is_some() {
            let network = self.space_of(beside, &frames, plain)?;
            let mut learner = self.learner(network, kernels, roundings)?;
            learner.state.alphas.set(learner.state.alphas.values().zeros_like());
            parts.extend(of(&learner, "zeros"));
        }
        Ok(parts)
    }

    /// All tensors of a group, below a prefix.
    fn group(&self, group: &'static str, prefix: &str, found: &TensorGroup) -> Result<Part, GoldenError> {
        let numbers = found.to_host();
        let tensors =
            found.layout().iter().map(|(name, _, range)| (format!("{prefix}{name}"), numbers[range].to_vec()));
        Ok(Part { group, measure: Measure::Relative, stated: GRADIENT_TOLERANCE, tensors: tensors.collect() })
    }

    /// One pass over the minibatches of a rollout.
    pub(super) fn iteration(
        &self,
        beside: &Path,
        kernels: Kernels,
        mut roundings: Option<Roundings>,
    ) -> Result<Vec<Part>, GoldenError> {
        let frames = self.frames("rollout.x")?;
        let mut learner = self.learner(
            self.space_of(beside, &frames, Variant { pool: POOL, norms: None })?,
            kernels,
            roundings.as_mut(),
        )?;
        let [advantages, returns] = self.advantages_of("rollout.", self.discount()?)?;
        let mut parts = vec![
            found("advantages", LOGIT_TOLERANCE, "rollout.advantages", advantages.clone()),
            found("advantages", LOGIT_TOLERANCE, "rollout.returns", returns.clone()),
        ];
        let count = advantages.len();
        let actions = self.actions("rollout.", self.golden.count("actions")?)?;
        let [log, values] = ["log_prob", "values"].map(|name| self.as_long(&format!("rollout.{name}"), count));
        let (log, values) = (log?, values?);
        let shape = self.golden.find("minibatches").map(|found| found.shape.as_slice()).unwrap_or_default();
        let &[_, size] = shape else { return Err(self.golden.content("`minibatches` has not two sides")) };
        let order = self.golden.integer("minibatches")?;
        if frames.dims()[0] != count || actions.len() != count || size == 0 {
            return Err(self.golden.content("its rollout has not as many frames as actions"));
        }
        for (step, minibatch) in order.chunks(size).enumerate() {
            let places = minibatch.iter().map(|&at| usize::try_from(at).ok().filter(|&at| at < count));
            let places: Option<Vec<usize>> = places.collect();
            let places = places.ok_or_else(|| self.golden.content("`minibatches` names a step that is not there"))?;
            let mut normalised: Vec<f32> = places.iter().map(|&at| advantages[at]).collect();
            normalise(&mut normalised);
            let known: Vec<f32> = places
                .iter()
                .zip(&normalised)
                .flat_map(|(&at, &advantage)| {
                    let (log_probability, value, returned) = (log[at], values[at], returns[at]);
                    Known { log_probability, advantage, value, returned, rollout: Rated::default() }.numbers()
                })
                .collect();
            let columns = known.len() / size;
            let known = self.tensor(&known, [size, columns]);
            let taken: Vec<i64> = places.iter().map(|&at| actions[at]).collect();
            let taken = Tensor::from_data(TensorData::new(taken, [size]), self.device);
            let places = Tensor::<1, Int>::from_data(TensorData::new(minibatch.to_vec(), [size]), self.device);
            let batch = batch(frames.clone().select(0, places), taken, known);
            let outcome = single_level::step(&mut learner, &batch, Rates { weights: RATE, alphas: None });
            parts.push(absolute("step.loss", format!("step{step}.loss"), outcome.loss));
            parts.push(one("step", GRADIENT_TOLERANCE, &format!("step{step}.grad_norm"), outcome.gradient_norm));
        }
        parts.push(self.group("after8", "after8.", &learner.state.weights)?);
        Ok(parts)
    }
}

/// A loss, which is a difference of larger parts and compared as it is.
fn absolute(group: &'static str, name: String, loss: Tensor<1>) -> Part {
    Part { group, measure: Measure::Absolute, stated: LOSS_TOLERANCE, tensors: vec![(name, host(loss))] }
}

fn batch(inputs: Tensor<4>, actions: Tensor<1, Int>, known: Tensor<2>) -> Batch {
    Batch { inputs, targets: Targets::new([(ACTION, Target::Whole(actions)), (KNOWN, Target::Real(known))]) }
}
