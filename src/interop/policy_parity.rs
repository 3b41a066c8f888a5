//! Replays a golden file of reinforcement learning: the arithmetic around a network (advantages, losses,
//! the scale of rewards), networks that act and judge, an iteration of learning.

mod network;

use super::{
    golden::{GoldenError, GoldenFile},
    judgement::{GRADIENT_TOLERANCE, LOGIT_TOLERANCE, Measure, Part, one},
    roundings::Roundings,
};
use crate::{
    kernels::Kernels,
    model::host,
    tasks::policy::{Discount, Known, Losses, Ppo, Rated, RewardScale, Rewarded, normalise},
};
use burn::tensor::{Device, Int, Tensor, TensorData};
use std::path::Path;

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

/// The discounts and weights of the reference where a file says none.
const PPO: Ppo = Ppo { clip: 0.2, value_weight: 0.5, entropy_weight: 0.01 };

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
        mut roundings: Option<Roundings>,
    ) -> Result<Vec<Part>, GoldenError> {
        let file = File { golden, device };
        match self {
            Self::Advantages => file.advantages(),
            Self::Losses => file.losses(),
            Self::Rewards => file.rewards(),
            Self::Network => file.network((beside, kernels), "", None, roundings.as_mut()),
            Self::Supernet => {
                let mut parts = file.network((beside, kernels), "none.", None, roundings.as_mut())?;
                if golden.find("batch.eval.logits").is_some() {
                    let epsilon = golden.number("epsilon")?;
                    parts.extend(file.network((beside, kernels), "batch.", Some(epsilon), roundings.as_mut())?);
                }
                Ok(parts)
            }
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
                    rollout: Rated::default(),
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
}
