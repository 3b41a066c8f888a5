//! The keys under `weights`: how they descend.

use super::{
    MOMENT, NOT_NEGATIVE, POSITIVE,
    rate::{RateDefaults, rate, rate_json},
};
use crate::{
    config::{Fields, Node},
    train::{AdamConfig, OptimiserConfig, Rate, SgdConfig},
};
use serde_json::{Value as Json, json};

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
    let nothing = Node::empty_map();
    let node = fields.node("weights").unwrap_or(&nothing);
    let mut keys = Fields::open(node, "`weights`", fields.problems());
    let rate = rate(&mut keys, &defaults.rate);
    let optimiser = OptimiserConfig::Sgd(SgdConfig {
        momentum: keys.number("momentum", 0.9, 0.0..1.0, MOMENT),
        nesterov: keys.boolean("nesterov", false),
        weight_decay: keys.number("weight_decay", defaults.weight_decay, 0.0.., NOT_NEGATIVE),
    });
    let clip_norm = keys.number("clip_norm", 5.0, f64::MIN_POSITIVE.., POSITIVE);
    keys.close();
    Weights { rate, optimiser, clip_norm }
}

/// The keys under `weights` with their values, as a stage's parameters show them.
pub fn weights_json(rate: &Rate, optimiser: &OptimiserConfig, clip_norm: f64) -> Json {
    let mut keys = rate_json(rate);
    let of_optimiser = match optimiser {
        OptimiserConfig::Sgd(SgdConfig { momentum, nesterov, weight_decay }) => {
            json!({"momentum": momentum, "nesterov": nesterov, "weight_decay": weight_decay})
        }
        OptimiserConfig::Adam(AdamConfig { beta_1, beta_2, epsilon, weight_decay }) => json!({
            "optimiser": "adam", "betas": [beta_1, beta_2], "epsilon": epsilon, "weight_decay": weight_decay,
        }),
    };
    keys.extend(of_optimiser.as_object().cloned().into_iter().flatten());
    keys.insert("clip_norm".to_owned(), json!(clip_norm));
    Json::Object(keys)
}
