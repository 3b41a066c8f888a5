//! Replays a golden file of reinforcement learning: the arithmetic around a network (advantages, losses,
//! the scale of rewards), networks that act and judge, an iteration of learning.

use super::{
    golden::{GoldenError, GoldenFile},
    judgement::{GRADIENT_TOLERANCE, LOGIT_TOLERANCE, Measure, Part, one},
    roundings::Roundings,
};
use crate::{
    kernels::Kernels,
    model::{Model, TensorGroup, host},
    space::{
        self, Build, EdgeOptions, Space,
        network::{FeatureMap, Network, OutputSpec},
    },
    tasks::{
        Batch, Target, Targets,
        policy::{ACTION, Discount, KNOWN, Known, Losses, POLICY, Ppo, RewardScale, Rewarded, VALUE, normalise},
    },
    train::{
        AdamConfig, AlphaConfig, Clipped, Learner, LearnerConfig, OptimiserConfig,
        strategy::{Rates, single_level},
    },
};
use burn::tensor::{Device, Int, Tensor, TensorData};
use serde_json::Value as Json;
use std::{path::Path, sync::Arc};

/// What such a file is of, by its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PolicyFile {
    Advantages,
    Losses,
    Rewards,
    Network,
    Supernet,
    Iteration,
}

const LOSS_TOLERANCE: f64 = 1e-5;
/// The discounts and weights of the reference where a file says none.
const PPO: Ppo = Ppo { clip: 0.2, value_weight: 0.5, entropy_weight: 0.01 };
const RATE: f64 = 5e-4;
const LONGEST: f64 = 0.5;

impl PolicyFile {
    pub fn of(kind: &str) -> Option<Self> {
        Some(match kind {
            "generalised advantage estimation" => Self::Advantages,
            "PPO losses" => Self::Losses,
            "reward normaliser" => Self::Rewards,
            "IMPALA encoder, policy and value head" => Self::Network,
            "RL-DARTS supernet" => Self::Supernet,
            "one PPO iteration" => Self::Iteration,
            _ => return None,
        })
    }

    /// Computes everything that the file holds, with every number that comes in moved by a rounding if
    /// asked.
    ///
    /// # Errors
    /// Where it lacks something, or no space builds its network.
    pub fn replay(
        self,
        golden: &GoldenFile,
        beside: &Path,
        kernels: Kernels,
        device: &Device,
        roundings: Option<Roundings>,
    ) -> Result<Vec<Part>, GoldenError> {
        let file = File { golden, device };
        match self {
            Self::Advantages => file.advantages(),
            Self::Losses => file.losses(),
            Self::Rewards => file.rewards(),
            Self::Network => file.network(beside, kernels, &[""], roundings),
            Self::Supernet => file.network(beside, kernels, &["none."], roundings),
            Self::Iteration => file.iteration(beside, kernels, roundings),
        }
    }
}

struct File<'a> {
    golden: &'a GoldenFile,
    device: &'a Device,
}

/// Numbers that were computed on the host.
fn found(group: &'static str, stated: f64, name: &str, numbers: Vec<f32>) -> Part {
    Part { group, measure: Measure::Relative, stated, tensors: vec![(name.to_owned(), numbers)] }
}

impl File<'_> {
    fn float(&self, name: &str) -> Result<&[f32], GoldenError> {
        Ok(self.golden.float(name)?.1)
    }

    /// `[steps, actors]`
    fn sides(&self, name: &str) -> Result<[usize; 2], GoldenError> {
        match *self.golden.float(name)?.0 {
            [steps, actors] if actors > 0 => Ok([steps, actors]),
            ref shape => Err(self.golden.content(format!("`{name}` has shape {shape:?}, not steps and actors"))),
        }
    }

    /// A tensor as long as another.
    fn as_long(&self, name: &str, length: usize) -> Result<&[f32], GoldenError> {
        let numbers = self.float(name)?;
        if numbers.len() != length {
            let message = format!("`{name}` has {} numbers where {length} belong", numbers.len());
            return Err(self.golden.content(message));
        }
        Ok(numbers)
    }

    fn ends(&self, prefix: &str, length: usize) -> Result<Vec<bool>, GoldenError> {
        Ok(self.as_long(&format!("{prefix}ends"), length)?.iter().map(|&end| end != 0.0).collect())
    }

    fn discount(&self) -> Result<Discount, GoldenError> {
        Ok(Discount { gamma: self.golden.number("gamma")?, lambda: self.golden.number("lambda")? })
    }

    fn ppo(&self) -> Ppo {
        let number = |key: &str, otherwise| self.golden.number(key).unwrap_or(otherwise);
        Ppo {
            clip: number("clip", PPO.clip),
            value_weight: number("value_weight", PPO.value_weight),
            entropy_weight: number("entropy_weight", PPO.entropy_weight),
        }
    }

    /// The advantages and returns of a rollout, and how many actors it has.
    fn advantages_of(&self, prefix: &str, discount: Discount) -> Result<[Vec<f32>; 2], GoldenError> {
        let [steps, actors] = self.sides(&format!("{prefix}rewards"))?;
        Ok(discount.advantages(Rewarded {
            rewards: self.float(&format!("{prefix}rewards"))?,
            values: self.as_long(&format!("{prefix}values"), steps * actors)?,
            ends: &self.ends(prefix, steps * actors)?,
            last_values: self.as_long(&format!("{prefix}last_value"), actors)?,
        }))
    }

    fn advantages(&self) -> Result<Vec<Part>, GoldenError> {
        let [advantages, returns] = self.advantages_of("", self.discount()?)?;
        let mut normalised = advantages.clone();
        normalise(&mut normalised);
        let mut parts = vec![
            found("advantages", LOGIT_TOLERANCE, "advantages", advantages),
            found("advantages", LOGIT_TOLERANCE, "returns", returns),
            found("normalised", LOGIT_TOLERANCE, "normalised", normalised),
        ];
        // Its discount at both ends of lambda is OpenAI's other one.
        for (name, lambda) in [("zero.advantages", 0.0), ("one.advantages", 1.0)] {
            if self.golden.find(name).is_some() {
                let [advantages, _] = self.advantages_of("", Discount { gamma: 0.99, lambda })?;
                parts.push(found("advantages", LOGIT_TOLERANCE, name, advantages));
            }
        }
        Ok(parts)
    }

    fn rewards(&self) -> Result<Vec<Part>, GoldenError> {
        let [steps, actors] = self.sides("rewards")?;
        let (rewards, ends) = (self.float("rewards")?, self.ends("", steps * actors)?);
        let mut scale = RewardScale::new(actors);
        let scaled: Vec<f32> = rewards
            .chunks(actors)
            .zip(ends.chunks(actors))
            .flat_map(|(rewards, ends)| scale.scaled(rewards, ends))
            .collect();
        Ok(vec![found("normalised", LOGIT_TOLERANCE, "normalised", scaled)])
    }

    fn tensor<const D: usize>(&self, numbers: &[f32], shape: [usize; D]) -> Tensor<D> {
        Tensor::from_data(TensorData::new(numbers.to_vec(), shape), self.device)
    }

    /// Actions of which there are `known`.
    fn actions(&self, prefix: &str, known: usize) -> Result<&[i64], GoldenError> {
        let actions = self.golden.integer(&format!("{prefix}actions"))?;
        match actions.iter().find(|&&action| usize::try_from(action).map_or(true, |action| action >= known)) {
            Some(action) => {
                Err(self.golden.content(format!("`{prefix}actions` has {action}, and there are {known} actions")))
            }
            None => Ok(actions),
        }
    }

    /// What is known of examples: their actions, and all else.
    fn known(&self, prefix: &str, known: usize) -> Result<(Tensor<1, Int>, Tensor<2>), GoldenError> {
        let actions = self.actions(prefix, known)?.to_vec();
        let columns = ["old_log_prob", "advantages", "old_values", "returns"]
            .map(|name| self.as_long(&format!("{prefix}{name}"), actions.len()).map(<[f32]>::to_vec));
        let [log, advantage, value, returned] = columns;
        let (log, advantage, value, returned) = (log?, advantage?, value?, returned?);
        let known: Vec<f32> = (0..actions.len())
            .flat_map(|at| {
                let known = Known {
                    log_probability: log[at],
                    advantage: advantage[at],
                    value: value[at],
                    returned: returned[at],
                    episode_return: 0.0,
                };
                known.numbers()
            })
            .collect();
        let (count, columns) = (actions.len(), known.len() / actions.len().max(1));
        let actions = Tensor::from_data(TensorData::new(actions, [count]), self.device);
        Ok((actions, self.tensor(&known, [count, columns])))
    }

    fn losses(&self) -> Result<Vec<Part>, GoldenError> {
        let &[count, columns] = self.golden.float("logits")?.0 else {
            return Err(self.golden.content("`logits` has not two sides"));
        };
        let (actions, known) = self.known("", columns)?;
        if actions.dims()[0] != count {
            return Err(self.golden.content("`logits` has not as many rows as there are actions"));
        }
        let logits = self.float("logits")?;
        let logits = self.tensor(logits, [count, columns]).autodiff().require_grad();
        let values = self.tensor(self.as_long("values", count)?, [count, 1]).autodiff().require_grad();
        let ppo = self.ppo();
        let Losses { policy, value, entropy } = ppo.losses(logits.clone(), values.clone(), actions, &known);
        let parts = [("loss.policy", &policy), ("loss.value", &value), ("entropy", &entropy)];
        let mut parts: Vec<Part> =
            parts.map(|(name, found)| one("loss", LOGIT_TOLERANCE, name, found.clone().inner())).into();
        let loss = ppo.total(Losses { policy, value, entropy });
        let gradients = loss.backward();
        parts.push(one("loss", LOGIT_TOLERANCE, "loss", loss.inner()));
        let of = |name, gradient: Option<Tensor<2>>| {
            let gradient = gradient.map(host).unwrap_or_default();
            found("grad", GRADIENT_TOLERANCE, name, gradient)
        };
        parts.push(of("grad.logits", logits.grad(&gradients)));
        parts.push(of("grad.values", values.grad(&gradients)));
        Ok(parts)
    }

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

    /// The network of the first space that acts and judges and has the file's tensors.
    fn space_of(&self, beside: &Path, frames: &Tensor<4>) -> Result<Network, GoldenError> {
        let list = |key: &str| self.golden.metadata.get(key).map(Json::to_string);
        let count = |key: &str| self.golden.count(key);
        let (widths, hidden, actions) = (list("widths"), count("hidden")?, count("actions")?);
        let widths = widths.ok_or_else(|| self.golden.content("its metadata lack the list `widths`"))?;
        let segments = widths.matches(',').count() + 1;
        let nodes = count("nodes").map_or(String::new(), |nodes| format!("cell: {{nodes: {nodes}}}\n"));
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
                    "name: golden\nextends: {}\n{nodes}skeletons:\n  {skeleton}:\n    body: {{segments: {segments}, \
                     widths: {widths}}}\n    trunk: [relu, {{linear: {{out: {hidden}, label: linear}}}}, relu]\n",
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
        network.tensors().iter().all(|tensor| {
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

    fn network(
        &self,
        beside: &Path,
        kernels: Kernels,
        prefixes: &[&str],
        mut roundings: Option<Roundings>,
    ) -> Result<Vec<Part>, GoldenError> {
        let mut frames = self.frames("batch0.x")?;
        let learner = self.learner(self.space_of(beside, &frames)?, kernels, roundings.as_mut())?;
        if let Some(roundings) = &mut roundings {
            frames = roundings.moved(frames);
        }
        let (actions, known) = self.known("batch0.", self.golden.count("actions")?)?;
        if actions.dims()[0] != frames.dims()[0] {
            return Err(self.golden.content("`batch0` has not as many actions as frames"));
        }
        let outputs = learner.evaluate(frames.clone());
        let losses = self.ppo().losses(outputs.scores(POLICY), outputs.scores(VALUE), actions.clone(), &known);
        let batch = batch(frames, actions, known);
        let pass = learner.pass(&batch);
        let mut parts = Vec::new();
        for prefix in prefixes {
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
    fn iteration(
        &self,
        beside: &Path,
        kernels: Kernels,
        mut roundings: Option<Roundings>,
    ) -> Result<Vec<Part>, GoldenError> {
        let frames = self.frames("rollout.x")?;
        let mut learner = self.learner(self.space_of(beside, &frames)?, kernels, roundings.as_mut())?;
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
                    Known { log_probability, advantage, value, returned, episode_return: 0.0 }.numbers()
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
