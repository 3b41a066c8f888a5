//! The keys of a learning rate.

use super::{NOT_NEGATIVE, POSITIVE, SHARE, never_reached};
use crate::{
    config::{Fields, Node, Value},
    train::{By, Rate, Schedule},
};

/// What a rate is where the pipeline says nothing else.
pub(super) struct RateDefaults {
    pub rate: f64,
    pub schedule: &'static str,
    pub minimum: f64,
    pub factor: f64,
}

/// `learning_rate`, `warmup_epochs` or `warmup_steps`, `schedule` and the schedule's keys, of a training of `epochs`.
pub(super) fn rate(keys: &mut Fields<'_>, defaults: &RateDefaults, epochs: usize) -> Rate {
    let first = keys.number("learning_rate", defaults.rate, f64::MIN_POSITIVE.., POSITIVE);
    let by_step = keys.has("warmup_steps");
    let (key, warmup_by) = if by_step { ("warmup_steps", By::Step) } else { ("warmup_epochs", By::Epoch) };
    let warmup = keys.integer(key, 0, 0.., "a whole number from 0");
    if warmup > epochs && !by_step {
        never_reached(keys, key, warmup, epochs);
    }
    let schedule = schedule(keys, first, defaults);
    if let Schedule::Milestones { at, by: By::Epoch, .. } = &schedule
        && let Some(&last) = at.last().filter(|last| **last >= epochs)
    {
        never_reached(keys, "milestones", last, epochs);
    }
    Rate { first, schedule, warmup, warmup_by }
}

/// `schedule: cosine`, with `minimum_learning_rate` and `schedule_by`; `exponential` with `factor`;
/// `linear` with `tail_epochs`; `milestones` with a list of that name, `factor` and `schedule_by`;
/// `constant`. A key of another schedule is unknown here.
fn schedule(keys: &mut Fields<'_>, first: f64, defaults: &RateDefaults) -> Schedule {
    let names = ["cosine", "exponential", "linear", "milestones", "constant"];
    const BY: [(&str, By); 2] = [("epoch", By::Epoch), ("step", By::Step)];
    match keys.choice("schedule", defaults.schedule, &names.map(|name| (name, name))) {
        "exponential" => {
            Schedule::Exponential { factor: keys.number("factor", defaults.factor, f64::MIN_POSITIVE..=1.0, SHARE) }
        }
        "linear" => Schedule::Linear { tail: keys.integer("tail_epochs", 5, 0.., "a whole number from 0") },
        "milestones" => Schedule::Milestones {
            at: milestones(keys),
            factor: keys.number("factor", 0.1, f64::MIN_POSITIVE..=1.0, SHARE),
            by: keys.choice("schedule_by", By::Epoch, &BY),
        },
        "constant" => Schedule::Constant,
        _ => {
            let minimum = keys.number("minimum_learning_rate", defaults.minimum, 0.0.., NOT_NEGATIVE);
            let by = keys.choice("schedule_by", By::Epoch, &BY);
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

/// `milestones: [100, 150]`, rising.
fn milestones(keys: &mut Fields<'_>) -> Vec<usize> {
    const RISING: &str = "a list of whole numbers from 1, each above the one before";
    let Some(node) = keys.required_node("milestones") else { return Vec::new() };
    let items = if let Value::List(items) = &node.value { items.as_slice() } else { &[] };
    let whole = |item: &Node| match item.value {
        Value::Integer(number) => usize::try_from(number).ok().filter(|number| *number > 0),
        _ => None,
    };
    let at: Vec<usize> = items.iter().filter_map(whole).collect();
    if items.is_empty() || at.len() < items.len() || at.windows(2).any(|two| two[0] >= two[1]) {
        keys.wrong("milestones", node, RISING);
    }
    keys.note("milestones", at.clone());
    at
}
