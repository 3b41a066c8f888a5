//! The keys under `weights`: how they descend.

use super::{
    MOMENT, NOT_NEGATIVE, POSITIVE,
    rate::{RateDefaults, rate},
};
use crate::{
    config::Fields,
    train::{AdamConfig, Clipped, OptimiserConfig, Rate, SgdConfig},
};

/// How the weights descend, as a pipeline says it.
pub(super) struct Weights {
    pub rate: Rate,
    pub optimiser: OptimiserConfig,
    pub clip_norm: f64,
    pub clipped: Clipped,
}

pub(super) struct WeightDefaults {
    pub rate: RateDefaults,
    pub weight_decay: f64,
}

impl WeightDefaults {
    /// `train_search.py` of DARTS.
    pub const SEARCH: Self = Self {
        rate: RateDefaults { rate: 0.025, schedule: "cosine", minimum: 0.001, factor: 0.97 },
        weight_decay: 3e-4,
    };
}

/// What moves in a step.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Moving {
    Weights,
    WeightsAndAlphas,
}

/// `weights: {learning_rate, warmup_epochs, schedule, …, optimiser, weight_decay, clip_norm, clip}`:
/// `optimiser: sgd` with `momentum` and `nesterov`, or `adam` with `betas` and `epsilon`;
/// `clip: weights`, or `all` that moves in a step, together.
pub(super) fn weights(fields: &mut Fields<'_>, defaults: &WeightDefaults, epochs: usize, moving: Moving) -> Weights {
    fields.map("weights", |keys| {
        let rate = rate(keys, &defaults.rate, epochs);
        let weight_decay = keys.number("weight_decay", defaults.weight_decay, 0.0.., NOT_NEGATIVE);
        let optimiser = match keys.later_choice("optimiser", "sgd", &["sgd", "adam"].map(|name| (name, name))) {
            "adam" => OptimiserConfig::Adam(adam(keys, [0.9, 0.999], weight_decay)),
            _ => OptimiserConfig::Sgd(sgd(keys, weight_decay)),
        };
        let clip_norm = keys.number("clip_norm", 5.0, f64::MIN_POSITIVE.., POSITIVE);
        let named = [("weights", Clipped::Weights), ("all", Clipped::All)];
        let clipped = keys.later_choice("clip", Clipped::Weights, &named);
        if clipped == Clipped::All && moving == Moving::Weights {
            let place = keys.origin_of("clip").clone();
            let message = "`clip: all` is of weights and alphas together, and a discrete network has no alphas";
            keys.problems().add_with_hint(&place, message, "leave `clip` out: the weights are clipped");
        }
        Weights { rate, optimiser, clip_norm, clipped }
    })
}

/// `momentum` and `nesterov`.
fn sgd(keys: &mut Fields<'_>, weight_decay: f64) -> SgdConfig {
    let momentum = keys.number("momentum", 0.9, 0.0..1.0, MOMENT);
    let nesterov = keys.boolean("nesterov", false);
    if nesterov && momentum == 0.0 {
        let place = keys.origin_of("nesterov").clone();
        let message = "`nesterov` looks ahead along the momentum, and there is none";
        keys.problems().add_with_hint(&place, message, "give `momentum`, or leave `nesterov` out");
    }
    SgdConfig { momentum, nesterov, weight_decay }
}

/// `betas` and `epsilon`. PyTorch's epsilon, which DARTS leaves as it is.
pub(super) fn adam(keys: &mut Fields<'_>, betas: [f64; 2], weight_decay: f64) -> AdamConfig {
    let share = |beta: f64| (0.0..1.0).contains(&beta);
    let [beta_1, beta_2] =
        keys.pair("betas", betas, |betas| betas.into_iter().all(share), "two numbers from 0 to below 1");
    AdamConfig { beta_1, beta_2, epsilon: keys.number("epsilon", 1e-8, f64::MIN_POSITIVE.., POSITIVE), weight_decay }
}
