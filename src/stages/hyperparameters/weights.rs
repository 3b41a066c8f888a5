//! The keys under `weights`: how they descend.

use super::{
    MOMENT, NOT_NEGATIVE, POSITIVE,
    rate::{RateDefaults, rate},
};
use crate::{
    config::Fields,
    train::{OptimiserConfig, Rate, SgdConfig},
};

/// How the weights descend, as a pipeline says it.
pub(super) struct Weights {
    pub rate: Rate,
    pub optimiser: OptimiserConfig,
    pub clip_norm: f64,
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

/// `weights: {learning_rate, warmup_epochs, schedule, …, momentum, nesterov, weight_decay, clip_norm}`
pub(super) fn weights(fields: &mut Fields<'_>, defaults: &WeightDefaults) -> Weights {
    fields.map("weights", |keys| Weights {
        rate: rate(keys, &defaults.rate),
        optimiser: OptimiserConfig::Sgd(SgdConfig {
            momentum: keys.number("momentum", 0.9, 0.0..1.0, MOMENT),
            nesterov: keys.boolean("nesterov", false),
            weight_decay: keys.number("weight_decay", defaults.weight_decay, 0.0.., NOT_NEGATIVE),
        }),
        clip_norm: keys.number("clip_norm", 5.0, f64::MIN_POSITIVE.., POSITIVE),
    })
}
