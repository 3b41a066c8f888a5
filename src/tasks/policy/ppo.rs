//! Proximal policy optimisation (Schulman et al. 2017, arXiv 1707.06347) with clipped values, as in
//! OpenAI's baselines.

use crate::{
    model::{Outputs, host},
    tasks::{Better, Measure, Objective, Score, Targets},
};
use burn::tensor::{Int, Tensor, activation};

/// What a network of this task puts out: a number an action, and what the frame is worth.
pub const POLICY: &str = "policy";
pub const VALUE: &str = "value";
/// The targets of a frame: the action that was taken, and of it what [`Known`] has.
pub const ACTION: &str = "action";
pub const KNOWN: &str = "known";
/// Numbers of [`KNOWN`].
pub const KNOWN_NUMBERS: usize = 7;

/// What is known of a frame when it is learned from, in the order of [`KNOWN`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Known {
    /// Logarithm of the action's probability, when it was taken.
    pub log_probability: f32,
    pub advantage: f32,
    /// What the frame was thought to be worth then, and what it was worth after all.
    pub value: f32,
    pub returned: f32,
    pub rollout: Rated,
}

/// How well a rollout went: what is measured of all its frames alike.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Rated {
    /// Means of the latest episodes.
    pub episode_return: f32,
    pub episode_steps: f32,
    /// The share of the returns' variance that the values knew, at most 1; 0 where all returns are
    /// equal.
    pub explained: f32,
}

impl Known {
    pub fn numbers(self) -> [f32; KNOWN_NUMBERS] {
        let Rated { episode_return, episode_steps, explained } = self.rollout;
        [self.log_probability, self.advantage, self.value, self.returned, episode_return, episode_steps, explained]
    }
}

/// The weights of the loss.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ppo {
    /// How far a probability's ratio, and a value, may move before nothing is gained by more.
    pub clip: f64,
    pub value_weight: f64,
    pub entropy_weight: f64,
}

/// Parts of the loss, means over a batch: `[1]` each.
pub struct Losses {
    pub policy: Tensor<1>,
    pub value: Tensor<1>,
    pub entropy: Tensor<1>,
}

const RETURN: Measure =
    Measure { name: "return", words: "return", unit: "", better: Better::Higher, scale: 1.0, told: true };
const OTHER: Measure = Measure { told: false, ..RETURN };

/// In the order of [`score`](Ppo::score).
pub(super) const MEASURES: [Measure; 7] = [
    RETURN,
    Measure { name: "entropy", words: "entropy", ..OTHER },
    Measure { name: "divergence", words: "divergence from the acting policy", better: Better::Lower, ..OTHER },
    Measure { name: "clipped_percent", words: "clipped", unit: "%", better: Better::Lower, scale: 100.0, ..OTHER },
    Measure { name: "value_error", words: "squared error of values", better: Better::Lower, ..OTHER },
    Measure { name: "episode_steps", words: "episode length", unit: "steps", ..OTHER },
    Measure { name: "explained_percent", words: "explained variance", unit: "%", scale: 100.0, ..OTHER },
];

impl Ppo {
    /// # Shapes
    /// `logits` `[batch, actions]`, `values` `[batch, 1]`, `actions` `[batch]`, `known`
    /// `[batch, KNOWN_NUMBERS]`
    pub fn losses(&self, logits: Tensor<2>, values: Tensor<2>, actions: Tensor<1, Int>, known: &Tensor<2>) -> Losses {
        // What meets a tracked tensor must live where it lives.
        let is_tracked = logits.is_autodiff();
        let actions = if is_tracked { actions.autodiff() } else { actions };
        let column = |at: usize| {
            let column = known.clone().slice_dim(1, at..at + 1);
            if is_tracked { column.autodiff() } else { column }
        };
        let [before, advantages, old_values, returns] = [0, 1, 2, 3].map(column);
        let all = activation::log_softmax(logits.clone(), 1);
        let entropy = -(all.clone().exp() * all.clone()).sum_dim(1).mean();
        let ratio = (all.gather(1, actions.unsqueeze_dim(1)) - before).exp();
        let clipped = ratio.clone().clamp(1.0 - self.clip, 1.0 + self.clip);
        let policy = -(advantages.clone() * ratio).min_pair(advantages * clipped).mean();
        let near = old_values.clone() + (values.clone() - old_values).clamp(-self.clip, self.clip);
        let error = |values: Tensor<2>| (values - returns.clone()).powi_scalar(2);
        let value = error(values).max_pair(error(near)).mean().mul_scalar(0.5);
        Losses { policy, value, entropy }
    }

    pub fn total(&self, Losses { policy, value, entropy }: Losses) -> Tensor<1> {
        policy + value.mul_scalar(self.value_weight) - entropy.mul_scalar(self.entropy_weight)
    }

    fn of(&self, outputs: &Outputs, targets: &Targets) -> Losses {
        self.losses(outputs.scores(POLICY), outputs.scores(VALUE), targets.whole(ACTION), &targets.real(KNOWN))
    }
}

impl Objective for Ppo {
    fn measures(&self) -> &[Measure] {
        &MEASURES
    }

    fn loss(&self, outputs: &Outputs, targets: &Targets) -> Tensor<1> {
        self.total(self.of(outputs, targets))
    }

    fn evaluation_loss(&self, outputs: &Outputs, targets: &Targets) -> Tensor<1> {
        self.loss(outputs, targets)
    }

    fn score(&self, outputs: &Outputs, targets: &Targets) -> Score {
        let [seen, actions] = outputs.scores(POLICY).dims();
        let all = host(activation::log_softmax(outputs.scores(POLICY), 1));
        let (values, known) = (host(outputs.scores(VALUE)), host(targets.real(KNOWN)));
        let taken = targets.whole(ACTION).into_data().convert::<i64>().try_into_vec::<i64>().expect("converted to i64");
        let mut sums = [0.0; MEASURES.len()];
        for (at, of) in all.chunks_exact(actions).enumerate() {
            let known = &known[at * KNOWN_NUMBERS..][..KNOWN_NUMBERS];
            let ratio = f64::from(of[taken[at] as usize] - known[0]).exp();
            sums[0] += f64::from(known[4]);
            sums[1] -= of.iter().map(|&of| f64::from(of.exp() * of)).sum::<f64>();
            sums[2] += ratio - 1.0 - ratio.ln();
            sums[3] += if (ratio - 1.0).abs() > self.clip { 1.0 } else { 0.0 };
            sums[4] += f64::from(values[at] - known[3]).powi(2);
            sums[5] += f64::from(known[5]);
            sums[6] += f64::from(known[6]);
        }
        Score::new(sums.to_vec(), seen)
    }
}
