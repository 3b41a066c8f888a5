//! The keys of training and their defaults: the one place where these stand.
//!
//! The defaults are those of DARTS' search on CIFAR-10 (arXiv 1806.09055; `cnn/train_search.py`, `architect.py` and
//! `model_search.py` of its code base). That single-level search starts from the same ones is our choice: its paper
//! (arXiv 2108.08128) is about the level, not about rates. The baselines of NAS-Bench-201 (arXiv 2001.00326) differ in
//! `nesterov: true`, `weight_decay: 5e-4` and `schedule_by: step`; a pipeline for that space says so.

use super::augmentation;
use crate::{
    config::{Fields, Node, Value},
    data::{Augment, Cutout, Jitter, ResizedCrop},
    model::Mixing,
    space::EdgeOptions,
    train::{AdamConfig, By, LearnerConfig, Rate, Schedule, SgdConfig, Strategy, TrainingConfig},
};
use serde_json::{Value as Json, json};

const COUNT: &str = "a whole number from 1";
pub(super) const NOT_NEGATIVE: &str = "a number from 0";
const POSITIVE: &str = "a number above 0";
const SHARE: &str = "a number above 0 and at most 1";
const MOMENT: &str = "a number from 0 to below 1";

/// A count that may be left out.
pub(super) fn optional_count(fields: &mut Fields<'_>, key: &'static str) -> Option<usize> {
    fields.node(key)?;
    Some(fields.integer(key, 1, 1.., COUNT))
}

/// `batch: 64`; DARTS', and NAS-Bench-201's.
pub(super) fn batch(fields: &mut Fields<'_>) -> usize {
    fields.integer("batch", 64, 1.., COUNT)
}

/// `seed: 0`; the number is ours (DARTS' code has 2), and gives other draws than PyTorch's in any case.
pub(super) fn seed(fields: &mut Fields<'_>) -> u64 {
    fields.integer("seed", 0, 0.., "a whole number from 0")
}

/// NaN for what is none.
pub(super) fn number(node: &Node) -> f64 {
    match node.value {
        Value::Float(value) => value,
        Value::Integer(value) => value as f64,
        _ => f64::NAN,
    }
}

/// `partial_channels: 4` and `edge_normalisation: true` are PC-DARTS' on CIFAR-10 (arXiv 1907.05737); left out, edges are DARTS'.
pub(super) fn edges(fields: &mut Fields<'_>) -> EdgeOptions {
    let usual = EdgeOptions::default();
    EdgeOptions {
        partial_channels: fields.integer("partial_channels", usual.partial_channels, 1.., COUNT),
        edge_normalisation: fields.boolean("edge_normalisation", usual.edge_normalisation),
        ..usual
    }
}

/// `epochs`, `mixing`, `weights: {…}` and `alphas: {…}`: how a supernet learns, and for how long.
pub(super) fn search(fields: &mut Fields<'_>) -> (LearnerConfig, TrainingConfig) {
    let epochs = fields.integer("epochs", 50, 1.., COUNT);
    let relaxations = [("softmax", Mixing::Softmax), ("sigmoid", Mixing::Sigmoid)];
    let mixing = fields.choice("mixing", Mixing::Softmax, &relaxations);
    let weights = weights(fields, &WeightDefaults::SEARCH);
    let nothing = Node::empty_map();
    let node = fields.node("alphas").unwrap_or(&nothing);
    let mut keys = Fields::open(node, "`alphas`", fields.problems());
    let alpha_rate = keys.number("learning_rate", 3e-4, f64::MIN_POSITIVE.., POSITIVE);
    let (beta_1, beta_2) = betas(&mut keys);
    let adam = AdamConfig {
        beta_1,
        beta_2,
        // PyTorch's default, which DARTS leaves as it is.
        epsilon: keys.number("epsilon", 1e-8, f64::MIN_POSITIVE.., POSITIVE),
        weight_decay: keys.number("weight_decay", 1e-3, 0.0.., NOT_NEGATIVE),
    };
    let alpha_deviation = keys.number("deviation", 1e-3, 0.0.., NOT_NEGATIVE);
    keys.close();

    let Weights { rate, sgd, clip_norm } = weights;
    let learner = LearnerConfig {
        mixing,
        sgd,
        adam,
        clip_norm,
        auxiliary_weight: 0.0,
        label_smoothing: 0.0,
        average: None,
        alpha_deviation,
    };
    let training = TrainingConfig {
        epochs,
        strategy: Strategy::SingleLevel { alpha_rate },
        rate,
        accumulate: 1,
        drop_path: 0.0,
        seed: 0,
        watch_every: 1,
    };
    (learner, training)
}

/// What a paper trains a discrete network with, where the pipeline says nothing else.
pub(super) struct Recipe {
    epochs: usize,
    batch: usize,
    weights: WeightDefaults,
    drop_path: f64,
    label_smoothing: f64,
    pub augment: Augment,
    /// Where the skeleton has an auxiliary head.
    auxiliary_weight: f64,
}

impl Recipe {
    /// DARTS on CIFAR-10 (`cnn/train.py`; PC-DARTS differs in `drop_path: 0.3`).
    pub const CIFAR: Self = Self {
        epochs: 600,
        batch: 96,
        weights: WeightDefaults { rate: 0.025, schedule: "cosine", minimum: 0.0, factor: 0.97, weight_decay: 3e-4 },
        drop_path: 0.2,
        label_smoothing: 0.0,
        augment: Augment { cutout: Some(Cutout { length: 16, probability: 1.0 }), ..augmentation::SEARCH },
        auxiliary_weight: 0.4,
    };

    /// DARTS on ImageNet (`cnn/train_imagenet.py`). P-DARTS and PC-DARTS have a batch of 1024, `schedule: linear`, a rate of 0.5 and
    /// `warmup_epochs: 5`.
    pub const IMAGENET: Self = Self {
        epochs: 250,
        batch: 128,
        weights: WeightDefaults { rate: 0.1, schedule: "exponential", minimum: 0.0, factor: 0.97, weight_decay: 3e-5 },
        drop_path: 0.0,
        label_smoothing: 0.1,
        augment: Augment {
            crop_padding: 0,
            flip: true,
            cutout: None,
            resized_crop: Some(ResizedCrop::IMAGENET),
            jitter: Some(Jitter::IMAGENET),
        },
        auxiliary_weight: 0.4,
    };
}

/// How a discrete network learns, as a pipeline says it.
pub(super) struct Retraining {
    pub batch: usize,
    pub learner: LearnerConfig,
    pub training: TrainingConfig,
}

/// `epochs`, `batch`, `accumulate`, `weights: {…}`, `drop_path`, `label_smoothing`, `auxiliary_weight`, `average`, `watch_every`.
pub(super) fn retraining(fields: &mut Fields<'_>, recipe: &Recipe, seed: u64, auxiliary: bool) -> Retraining {
    let epochs = fields.integer("epochs", recipe.epochs, 1.., COUNT);
    let batch: usize = fields.integer("batch", recipe.batch, 1.., COUNT);
    let accumulate: usize = fields.integer("accumulate", 1, 1.., COUNT);
    if !batch.is_multiple_of(accumulate) {
        let place = fields.origin_of("accumulate").clone();
        let message = format!("`accumulate` {accumulate} does not divide `batch` {batch} into equal parts");
        fields.problems().add(&place, message);
    }
    let Weights { rate, sgd, clip_norm } = weights(fields, &recipe.weights);
    let drop_path = fields.number("drop_path", recipe.drop_path, 0.0..1.0, MOMENT);
    let label_smoothing = fields.number("label_smoothing", recipe.label_smoothing, 0.0..1.0, MOMENT);
    let usual = if auxiliary { recipe.auxiliary_weight } else { 0.0 };
    let auxiliary_weight = fields.number("auxiliary_weight", usual, 0.0.., NOT_NEGATIVE);
    if auxiliary_weight > 0.0 && !auxiliary {
        let place = fields.origin_of("auxiliary_weight").clone();
        fields.problems().add(&place, "the skeleton has no auxiliary head to weigh");
    }
    let average = fields.node("average").map(|_| fields.number("average", 0.999, 0.0..1.0, MOMENT));
    let watch_every = fields.integer("watch_every", 1, 1.., COUNT);
    let learner = LearnerConfig {
        // A discrete network has no alphas: these say nothing.
        mixing: Mixing::Softmax,
        adam: AdamConfig { beta_1: 0.0, beta_2: 0.0, epsilon: 1.0, weight_decay: 0.0 },
        alpha_deviation: 0.0,
        sgd,
        clip_norm,
        auxiliary_weight,
        label_smoothing,
        average,
    };
    let strategy = Strategy::WeightsOnly;
    let training = TrainingConfig { epochs, strategy, rate, accumulate, drop_path, seed, watch_every };
    Retraining { batch: batch / accumulate, learner, training }
}

/// How the weights descend, as a pipeline says it.
struct Weights {
    rate: Rate,
    sgd: SgdConfig,
    clip_norm: f64,
}

struct WeightDefaults {
    rate: f64,
    schedule: &'static str,
    minimum: f64,
    factor: f64,
    weight_decay: f64,
}

impl WeightDefaults {
    const SEARCH: Self = Self { rate: 0.025, schedule: "cosine", minimum: 0.001, factor: 0.97, weight_decay: 3e-4 };
}

/// `weights: {learning_rate, warmup_epochs, schedule, …, momentum, nesterov, weight_decay, clip_norm}`
fn weights(fields: &mut Fields<'_>, defaults: &WeightDefaults) -> Weights {
    let nothing = Node::empty_map();
    let node = fields.node("weights").unwrap_or(&nothing);
    let mut keys = Fields::open(node, "`weights`", fields.problems());
    let first = keys.number("learning_rate", defaults.rate, f64::MIN_POSITIVE.., POSITIVE);
    let warmup_epochs = keys.integer("warmup_epochs", 0, 0.., "a whole number from 0");
    let rate = Rate { first, schedule: schedule(&mut keys, first, defaults), warmup_epochs };
    let sgd = SgdConfig {
        momentum: keys.number("momentum", 0.9, 0.0..1.0, MOMENT),
        nesterov: keys.boolean("nesterov", false),
        weight_decay: keys.number("weight_decay", defaults.weight_decay, 0.0.., NOT_NEGATIVE),
    };
    let clip_norm = keys.number("clip_norm", 5.0, f64::MIN_POSITIVE.., POSITIVE);
    keys.close();
    Weights { rate, sgd, clip_norm }
}

/// `schedule: cosine`, with `minimum_learning_rate` and `schedule_by`; `exponential` with `factor`; `linear` with `tail_epochs`;
/// `constant`. A key of another schedule is unknown here.
fn schedule(keys: &mut Fields<'_>, first: f64, defaults: &WeightDefaults) -> Schedule {
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

/// The keys under `weights` with their values, as a stage's parameters show them.
pub(super) fn weights_json(rate: &Rate, sgd: &SgdConfig, clip_norm: f64) -> Json {
    let mut keys = json!({
        "learning_rate": rate.first,
        "warmup_epochs": rate.warmup_epochs,
        "momentum": sgd.momentum,
        "nesterov": sgd.nesterov,
        "weight_decay": sgd.weight_decay,
        "clip_norm": clip_norm,
    });
    let of_schedule = match &rate.schedule {
        Schedule::Constant => json!({"schedule": "constant"}),
        Schedule::Cosine { minimum, by } => {
            json!({"schedule": "cosine", "minimum_learning_rate": minimum, "schedule_by": by})
        }
        Schedule::Exponential { factor } => json!({"schedule": "exponential", "factor": factor}),
        Schedule::Linear { tail } => json!({"schedule": "linear", "tail_epochs": tail}),
    };
    if let (Some(keys), Json::Object(of_schedule)) = (keys.as_object_mut(), of_schedule) {
        keys.extend(of_schedule);
    }
    keys
}

/// `betas: [0.5, 0.999]`
fn betas(keys: &mut Fields<'_>) -> (f64, f64) {
    const DEFAULT: (f64, f64) = (0.5, 0.999);
    let Some(node) = keys.node("betas") else { return DEFAULT };
    if let Value::List(items) = &node.value
        && let [first, second] = items.as_slice()
        && [first, second].iter().all(|item| (0.0..1.0).contains(&number(item)))
    {
        return (number(first), number(second));
    }
    keys.wrong("betas", node, "two numbers from 0 to below 1");
    DEFAULT
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Problems;

    fn read(text: &str) -> Result<(LearnerConfig, TrainingConfig), Vec<String>> {
        let node = Node::parse("test", text).unwrap();
        let mut problems = Problems::new();
        let mut fields = Fields::open(&node, "a search", &mut problems);
        let configs = search(&mut fields);
        fields.close();
        problems.into_result(configs).map_err(|problems| problems.iter().map(|p| p.message.clone()).collect())
    }

    /// The numbers of `train_search.py`, `architect.py` and `model_search.py`: a silent change would change every search.
    #[test]
    fn what_is_left_out_is_darts() {
        let (learner, search) = read("{}").unwrap();
        let sgd = SgdConfig { momentum: 0.9, nesterov: false, weight_decay: 3e-4 };
        let adam = AdamConfig { beta_1: 0.5, beta_2: 0.999, epsilon: 1e-8, weight_decay: 1e-3 };
        let expected = LearnerConfig {
            mixing: Mixing::Softmax,
            sgd,
            adam,
            clip_norm: 5.0,
            auxiliary_weight: 0.0,
            label_smoothing: 0.0,
            average: None,
            alpha_deviation: 1e-3,
        };
        assert_eq!(learner, expected);
        let schedule = Schedule::Cosine { minimum: 0.001, by: By::Epoch };
        assert_eq!(search.rate, Rate { first: 0.025, schedule, warmup_epochs: 0 });
        assert_eq!((search.epochs, search.strategy), (50, Strategy::SingleLevel { alpha_rate: 3e-4 }));
    }

    #[test]
    fn what_is_given_is_taken_and_what_cannot_be_is_named() {
        let (learner, search) =
            read("{mixing: sigmoid, weights: {schedule: constant, learning_rate: 1e-4}, alphas: {betas: [0, 0.9]}}")
                .unwrap();
        assert_eq!((learner.mixing, search.rate.schedule), (Mixing::Sigmoid, Schedule::Constant));
        assert_eq!((learner.adam.beta_1, learner.adam.beta_2), (0.0, 0.9));
        let said = read("{weights: {learning_rate: 1e-4, decay: 1}, alphas: {betas: [0.5, 1], learning_rate: .nan}}");
        let said = said.unwrap_err().join("\n");
        for words in [
            "a cosine cannot fall from `learning_rate` 0.0001 to `minimum_learning_rate` 0.001",
            "unknown key `decay`",
            "`betas` must be two numbers from 0 to below 1",
            "`learning_rate` must be a number above 0",
        ] {
            assert!(said.contains(words), "`{words}` is said:\n{said}");
        }
    }
}
