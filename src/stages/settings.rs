//! Keys that several kinds of stages share, with their defaults: the one place where these stand.

use super::Site;
use crate::{
    config::{Fields, Node, Value},
    data::{Augment, Cutout, Dataset},
    model::{DeviceName, Mixing},
    run::{Input, StageError},
    space::{self, Genotype, GenotypeText, Space},
    train::{AdamConfig, By, CheckpointError, LearnerConfig, Schedule, SearchConfig, SgdConfig},
};
use serde_json::Value as Json;
use std::path::Path;

const COUNT: &str = "a whole number from 1";
const NOT_NEGATIVE: &str = "a number from 0";
const POSITIVE: &str = "a number above 0";
const MOMENT: &str = "a number from 0 to below 1";

/// The space that the key `space` names, read and checked, with its text.
pub(super) fn space(fields: &mut Fields<'_>, site: &Site<'_>) -> Option<(Space, String)> {
    let name = fields.required_text("space");
    if name.is_empty() {
        return None;
    }
    let place = fields.origin_of("space").clone();
    let path = match space::find(&name, site.folder) {
        Ok(path) => path,
        Err(error) => {
            let message = error.to_string();
            match error.hint {
                Some(hint) => fields.problems().add_with_hint(&place, message, hint),
                None => fields.problems().add(&place, message),
            }
            return None;
        }
    };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => {
            fields.problems().add(&place, format!("failed to read search space `{}`: {error}", path.display()));
            return None;
        }
    };
    match Space::parse(&path, text.clone()) {
        Ok(space) => Some((space, text)),
        Err(problems) => {
            fields.problems().extend(problems);
            None
        }
    }
}

/// The device of the stage, which need not be present on this machine yet.
pub(super) fn device(fields: &mut Fields<'_>, site: &Site<'_>) -> Option<DeviceName> {
    match site.device.parse::<DeviceName>() {
        Ok(device) => Some(device),
        Err(error) => {
            let place = fields.origin().clone();
            fields.problems().add(&place, format!("`runtime.device`: {error}"));
            None
        }
    }
}

pub(super) fn optional_count(fields: &mut Fields<'_>, key: &'static str) -> Option<usize> {
    fields.node(key)?;
    Some(fields.integer(key, 1, 1.., COUNT))
}

/// `augment: {crop_padding: 4, flip: true, cutout: 16}`; the defaults are DARTS' search (`methods` of its code base:
/// crop with padding 4, flip, no cutout).
pub(super) fn augment(fields: &mut Fields<'_>) -> Augment {
    let Some(node) = fields.node("augment") else {
        return Augment { crop_padding: 4, flip: true, cutout: None };
    };
    let mut keys = Fields::open(node, "`augment`", fields.problems());
    let augment = Augment {
        crop_padding: keys.integer("crop_padding", 4, 0..=64, "a whole number from 0 to 64"),
        flip: keys.boolean("flip", true),
        cutout: optional_count(&mut keys, "cutout").map(|length| Cutout { length, probability: 1.0 }),
    };
    keys.close();
    augment
}

/// Optimisers and first alphas: DARTS' search (arXiv 1806.09055 and its code base).
pub(super) fn learner(fields: &mut Fields<'_>) -> LearnerConfig {
    let nothing = Node::empty_map();
    let node = fields.node("weights").unwrap_or(&nothing);
    let mut keys = Fields::open(node, "`weights`", fields.problems());
    let sgd = SgdConfig {
        momentum: keys.number("momentum", 0.9, 0.0..1.0, MOMENT),
        nesterov: keys.boolean("nesterov", false),
        weight_decay: keys.number("weight_decay", 3e-4, 0.0.., NOT_NEGATIVE),
    };
    let clip_norm = keys.number("clip_norm", 5.0, f64::MIN_POSITIVE.., POSITIVE);
    // The rates are read by `search`, the other half of this map.
    for key in ["learning_rate", "minimum_learning_rate", "schedule", "schedule_by"] {
        keys.node(key);
    }
    keys.close();

    let node = fields.node("alphas").unwrap_or(&nothing);
    let mut keys = Fields::open(node, "`alphas`", fields.problems());
    let (beta_1, beta_2) = betas(&mut keys);
    let adam = AdamConfig {
        beta_1,
        beta_2,
        epsilon: keys.number("epsilon", 1e-8, f64::MIN_POSITIVE.., POSITIVE),
        weight_decay: keys.number("weight_decay", 1e-3, 0.0.., NOT_NEGATIVE),
    };
    let alpha_deviation = keys.number("deviation", 1e-3, 0.0.., NOT_NEGATIVE);
    keys.node("learning_rate");
    keys.close();
    LearnerConfig { mixing: Mixing::Softmax, sgd, adam, clip_norm, auxiliary_weight: 0.0, alpha_deviation }
}

/// Length and rates of a search.
pub(super) fn search(fields: &mut Fields<'_>) -> SearchConfig {
    let nothing = Node::empty_map();
    let epochs = fields.integer("epochs", 50, 1.., COUNT);
    let node = fields.node("weights").unwrap_or(&nothing);
    // Unknown keys of both maps were complained of by `learner`.
    let mut keys = Fields::open(node, "`weights`", fields.problems());
    let weight_rate = keys.number("learning_rate", 0.025, f64::MIN_POSITIVE.., POSITIVE);
    let minimum = keys.number("minimum_learning_rate", 0.001, 0.0.., NOT_NEGATIVE);
    let by = keys.choice("schedule_by", By::Epoch, &[("epoch", By::Epoch), ("step", By::Step)]);
    let cosine = Schedule::Cosine { minimum, by };
    let weight_schedule =
        keys.choice("schedule", cosine.clone(), &[("cosine", cosine), ("constant", Schedule::Constant)]);
    let node = fields.node("alphas").unwrap_or(&nothing);
    let mut keys = Fields::open(node, "`alphas`", fields.problems());
    let alpha_rate = keys.number("learning_rate", 3e-4, f64::MIN_POSITIVE.., POSITIVE);
    SearchConfig { epochs, weight_rate, weight_schedule, alpha_rate }
}

/// `betas: [0.5, 0.999]`
fn betas(keys: &mut Fields<'_>) -> (f64, f64) {
    const DEFAULT: (f64, f64) = (0.5, 0.999);
    let Some(node) = keys.node("betas") else { return DEFAULT };
    let number = |node: &Node| match node.value {
        Value::Float(value) => value,
        Value::Integer(value) => value as f64,
        _ => f64::NAN,
    };
    if let Value::List(items) = &node.value
        && let [first, second] = items.as_slice()
        && [first, second].iter().all(|item| (0.0..1.0).contains(&number(item)))
    {
        return (number(first), number(second));
    }
    keys.wrong("betas", node, "two numbers from 0 to below 1");
    DEFAULT
}

/// A packed data set from the store.
pub(super) fn dataset(path: &Path) -> Result<Dataset, StageError> {
    Dataset::read(path).map_err(data_error)
}

/// The space that an earlier stage published.
pub(super) fn space_in(path: &Path) -> Result<Space, StageError> {
    let text = read_text(path)?;
    Space::parse(path, text)
        .map_err(|_| StageError::input(format!("`{}` is no search space of this version", path.display())))
}

/// The genotype that a `derive` stage published.
pub(super) fn genotype_in(derived: &Input) -> Result<Genotype, StageError> {
    let space = space_in(derived.output("space")?)?;
    let path = derived.output("genotype")?;
    Genotype::parse(&read_text(path)?, &space).map_err(|error| StageError::input(with_causes(&error)))
}

/// A JSON output of an earlier stage.
pub(super) fn json_in<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, StageError> {
    serde_json::from_str(&read_text(path)?)
        .map_err(|error| StageError::failed(format!("`{}` is not what its stage writes: {error}", path.display())))
}

/// Plain data as JSON.
pub(super) fn json_of(value: &impl serde::Serialize) -> Json {
    serde_json::to_value(value).expect("plain data serialises")
}

/// A genotype as text.
pub(super) fn text_of(genotype: &Genotype, form: GenotypeText, space: &Space) -> Result<String, StageError> {
    genotype.to_text(form, space).map_err(|error| StageError::failed(error.to_string()))
}

fn read_text(path: &Path) -> Result<String, StageError> {
    std::fs::read_to_string(path)
        .map_err(|error| StageError::failed(format!("failed to read `{}`: {error}", path.display())))
}

pub(super) fn data_error(error: crate::data::DataError) -> StageError {
    let hint = error.hint().map(str::to_owned);
    StageError::Input { message: with_causes(&error), hint }
}

pub(super) fn checkpoint_error(error: CheckpointError) -> StageError {
    match error {
        CheckpointError::Store(error) => StageError::Store(error),
        other => StageError::failed(with_causes(&other)),
    }
}

/// An error and what caused it, in one line.
pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

/// JSON as it is published: indented, a line break at the end.
pub(super) fn json_bytes(value: &Json) -> Vec<u8> {
    let mut text = serde_json::to_string_pretty(value).expect("JSON values serialise");
    text.push('\n');
    text.into_bytes()
}
