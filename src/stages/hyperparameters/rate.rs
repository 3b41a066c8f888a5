//! The keys of a learning rate.

use super::{NOT_NEGATIVE, POSITIVE, SHARE};
use crate::{
    config::Fields,
    train::{By, Rate, Schedule},
};

/// What a rate is where the pipeline says nothing else.
pub(super) struct RateDefaults {
    pub rate: f64,
    pub schedule: &'static str,
    pub minimum: f64,
    pub factor: f64,
}

/// `learning_rate`, `warmup_epochs`, `schedule` and the schedule's keys.
pub(super) fn rate(keys: &mut Fields<'_>, defaults: &RateDefaults) -> Rate {
    let first = keys.number("learning_rate", defaults.rate, f64::MIN_POSITIVE.., POSITIVE);
    let warmup = keys.integer("warmup_epochs", 0, 0.., "a whole number from 0");
    Rate { first, schedule: schedule(keys, first, defaults), warmup, warmup_by: By::Epoch }
}

/// `schedule: cosine`, with `minimum_learning_rate` and `schedule_by`; `exponential` with `factor`; `linear` with `tail_epochs`;
/// `constant`. A key of another schedule is unknown here.
fn schedule(keys: &mut Fields<'_>, first: f64, defaults: &RateDefaults) -> Schedule {
    let names = ["cosine", "exponential", "linear", "constant"];
    match keys.choice("schedule", defaults.schedule, &names.map(|name| (name, name))) {
        "exponential" => {
            Schedule::Exponential { factor: keys.number("factor", defaults.factor, f64::MIN_POSITIVE..=1.0, SHARE) }
        }
        "linear" => Schedule::Linear { tail: keys.integer("tail_epochs", 5, 0.., "a whole number from 0") },
        "constant" => Schedule::Constant,
        _ => {
            let minimum = keys.number("minimum_learning_rate", defaults.minimum, 0.0.., NOT_NEGATIVE);
            let by = keys.choice("schedule_by", By::Epoch, &[("epoch", By::Epoch), ("step", By::Step)]);
            if minimum > first {
                let wrong = if keys.has("minimum_learning_rate") { "minimum_learning_rate" } else { "learning_rate" };
                let place = keys.origin_of(wrong).clone();
                let message =
                    format!("a cosine cannot fall from `learning_rate` {first} to `minimum_learning_rate` {minimum}");
                keys.problems().add(&place, message);
            }
            Schedule::Cosine { minimum, by }
        }
    }
}
