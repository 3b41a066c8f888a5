//! The keys of training and their defaults: the one place where these stand.
//!
//! The defaults are those of DARTS' search on CIFAR-10 (arXiv 1806.09055; `cnn/train_search.py`, `architect.py` and
//! `model_search.py` of its code base). That single-level search starts from the same ones is our choice: its paper
//! (arXiv 2108.08128) is about the level, not about rates. The baselines of NAS-Bench-201 (arXiv 2001.00326) differ in
//! `nesterov: true`, `weight_decay: 5e-4` and `schedule_by: step`; a pipeline for that space says so.

use crate::{
    config::{Fields, Node, Value},
    data::{Augment, Cutout, Jitter, ResizedCrop},
    model::Mixing,
    train::{AdamConfig, By, LearnerConfig, Schedule, SearchConfig, SgdConfig},
};

const COUNT: &str = "a whole number from 1";
const NOT_NEGATIVE: &str = "a number from 0";
const POSITIVE: &str = "a number above 0";
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

/// `augment: {crop_padding: 4, flip: true, cutout: 16}`; DARTS and NAS-Bench-201 search with crop and flip, no cutout.
/// For picture files `augment: {resized_crop: {}, flip: true, jitter: {}}`.
pub(super) fn augment(fields: &mut Fields<'_>) -> Augment {
    let nothing = Node::empty_map();
    let node = fields.node("augment").unwrap_or(&nothing);
    let mut keys = Fields::open(node, "`augment`", fields.problems());
    let resized_crop = resized_crop(&mut keys);
    // An image is cropped in one way or the other.
    let padding = if resized_crop.is_some() { 0 } else { 4 };
    let crop_padding = keys.integer("crop_padding", padding, 0..=64, "a whole number from 0 to 64");
    if resized_crop.is_some() && crop_padding > 0 {
        let place = keys.origin_of("crop_padding").clone();
        keys.problems().add(&place, "`crop_padding` and `resized_crop` are two ways to crop: leave one out");
    }
    let augment = Augment {
        crop_padding,
        flip: keys.boolean("flip", true),
        cutout: optional_count(&mut keys, "cutout").map(|length| Cutout { length, probability: 1.0 }),
        resized_crop,
        jitter: jitter(&mut keys),
    };
    keys.close();
    augment
}

/// `resized_crop: {scale: [0.08, 1], ratio: [0.75, 1.3333]}`; off where the key is absent. What is left out is torchvision's,
/// which DARTS trains ImageNet with.
fn resized_crop(fields: &mut Fields<'_>) -> Option<ResizedCrop> {
    let node = switch(fields, "resized_crop")?;
    let mut keys = Fields::open(node, "`resized_crop`", fields.problems());
    let default = ResizedCrop::default();
    let scale = |share: f64| share > 0.0 && share <= 1.0;
    let crop = ResizedCrop {
        scale: range(&mut keys, "scale", default.scale, scale, "two shares above 0 and at most 1, the smaller first"),
        ratio: range(&mut keys, "ratio", default.ratio, |ratio| ratio > 0.0, "two numbers above 0, the smaller first"),
    };
    keys.close();
    Some(crop)
}

/// `jitter: {brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.2}`; off where the key is absent. What is left out is what
/// DARTS trains ImageNet with (`cnn/train_imagenet.py`); 0 switches a change off.
fn jitter(fields: &mut Fields<'_>) -> Option<Jitter> {
    let node = switch(fields, "jitter")?;
    let mut keys = Fields::open(node, "`jitter`", fields.problems());
    let default = Jitter::default();
    let jitter = Jitter {
        brightness: keys.number("brightness", default.brightness, 0.0.., NOT_NEGATIVE),
        contrast: keys.number("contrast", default.contrast, 0.0.., NOT_NEGATIVE),
        saturation: keys.number("saturation", default.saturation, 0.0.., NOT_NEGATIVE),
        hue: keys.number("hue", default.hue, 0.0..=0.5, "a number from 0 to 0.5"),
    };
    keys.close();
    Some(jitter)
}

static DEFAULTS: std::sync::LazyLock<Node> = std::sync::LazyLock::new(Node::empty_map);

/// The map of a change that is off unless it is asked for; `KEY: true` asks for it as it is by default.
fn switch<'a>(fields: &mut Fields<'a>, key: &'static str) -> Option<&'a Node> {
    let node = fields.node(key)?;
    match node.value {
        Value::Bool(true) => Some(&DEFAULTS),
        Value::Bool(false) => None,
        _ => Some(node),
    }
}

/// Two numbers, the smaller first.
fn range(
    keys: &mut Fields<'_>,
    key: &'static str,
    default: [f64; 2],
    fits: impl Fn(f64) -> bool,
    expected: &str,
) -> [f64; 2] {
    let Some(node) = keys.node(key) else { return default };
    if let Value::List(items) = &node.value
        && let [low, high] = items.as_slice()
        && let (low, high) = (number(low), number(high))
        && fits(low)
        && fits(high)
        && low <= high
    {
        return [low, high];
    }
    keys.wrong(key, node, expected);
    default
}

/// NaN for what is none.
fn number(node: &Node) -> f64 {
    match node.value {
        Value::Float(value) => value,
        Value::Integer(value) => value as f64,
        _ => f64::NAN,
    }
}

/// `epochs`, `mixing`, `weights: {…}` and `alphas: {…}`: how a supernet learns, and for how long.
pub(super) fn search(fields: &mut Fields<'_>) -> (LearnerConfig, SearchConfig) {
    let epochs = fields.integer("epochs", 50, 1.., COUNT);
    let relaxations = [("softmax", Mixing::Softmax), ("sigmoid", Mixing::Sigmoid)];
    let mixing = fields.choice("mixing", Mixing::Softmax, &relaxations);
    let nothing = Node::empty_map();

    let node = fields.node("weights").unwrap_or(&nothing);
    let mut keys = Fields::open(node, "`weights`", fields.problems());
    let weight_rate = keys.number("learning_rate", 0.025, f64::MIN_POSITIVE.., POSITIVE);
    let weight_schedule = schedule(&mut keys, weight_rate);
    let sgd = SgdConfig {
        momentum: keys.number("momentum", 0.9, 0.0..1.0, MOMENT),
        nesterov: keys.boolean("nesterov", false),
        weight_decay: keys.number("weight_decay", 3e-4, 0.0.., NOT_NEGATIVE),
    };
    let clip_norm = keys.number("clip_norm", 5.0, f64::MIN_POSITIVE.., POSITIVE);
    keys.close();

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

    let learner = LearnerConfig { mixing, sgd, adam, clip_norm, auxiliary_weight: 0.0, alpha_deviation };
    (learner, SearchConfig { epochs, weight_rate, weight_schedule, alpha_rate })
}

/// `schedule: cosine, minimum_learning_rate: 0.001, schedule_by: epoch`
fn schedule(keys: &mut Fields<'_>, first: f64) -> Schedule {
    let minimum = keys.number("minimum_learning_rate", 0.001, 0.0.., NOT_NEGATIVE);
    let by = keys.choice("schedule_by", By::Epoch, &[("epoch", By::Epoch), ("step", By::Step)]);
    let cosine = Schedule::Cosine { minimum, by };
    let schedule = keys.choice("schedule", cosine.clone(), &[("cosine", cosine), ("constant", Schedule::Constant)]);
    if minimum > first && schedule != Schedule::Constant {
        let given = if keys.has("minimum_learning_rate") { "minimum_learning_rate" } else { "learning_rate" };
        let place = keys.origin_of(given).clone();
        let message = format!("a cosine cannot fall from `learning_rate` {first} to `minimum_learning_rate` {minimum}");
        keys.problems().add(&place, message);
    }
    schedule
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

    fn read(text: &str) -> Result<(LearnerConfig, SearchConfig), Vec<String>> {
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
            alpha_deviation: 1e-3,
        };
        assert_eq!(learner, expected);
        let weight_schedule = Schedule::Cosine { minimum: 0.001, by: By::Epoch };
        assert_eq!(search, SearchConfig { epochs: 50, weight_rate: 0.025, weight_schedule, alpha_rate: 3e-4 });
    }

    #[test]
    fn what_is_given_is_taken_and_what_cannot_be_is_named() {
        let (learner, search) =
            read("{mixing: sigmoid, weights: {schedule: constant, learning_rate: 1e-4}, alphas: {betas: [0, 0.9]}}")
                .unwrap();
        assert_eq!((learner.mixing, search.weight_schedule), (Mixing::Sigmoid, Schedule::Constant));
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

    #[test]
    fn pictures_are_cropped_and_coloured_as_torchvision_does_it() {
        let read = |text: &str| {
            let node = Node::parse("test", text).unwrap();
            let mut problems = Problems::new();
            let augment = augment(&mut Fields::open(&node, "a search", &mut problems));
            problems
                .into_result(augment)
                .map_err(|problems| problems.iter().map(|p| p.message.clone()).collect::<Vec<_>>())
        };
        let plain = read("{}").unwrap();
        assert_eq!(plain, Augment { crop_padding: 4, flip: true, ..Augment::default() });
        // What a key hashes is what it was before there were pictures.
        assert_eq!(serde_json::to_string(&plain).unwrap(), r#"{"crop_padding":4,"flip":true,"cutout":null}"#);

        let darts = read("{augment: {resized_crop: {}, jitter: true}}").unwrap();
        let expected = ResizedCrop { scale: [0.08, 1.0], ratio: [0.75, 4.0 / 3.0] };
        assert_eq!((darts.crop_padding, darts.resized_crop), (0, Some(expected)));
        let expected = Jitter { brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.2 };
        assert_eq!(darts.jitter, Some(expected));
        let own =
            read("{augment: {resized_crop: {scale: [0.5, 1], ratio: [1, 1]}, jitter: {hue: 0}, flip: false}}").unwrap();
        assert_eq!(own.resized_crop, Some(ResizedCrop { scale: [0.5, 1.0], ratio: [1.0, 1.0] }));
        assert_eq!(own.jitter, Some(Jitter { hue: 0.0, ..expected }));
        assert_eq!(read("{augment: {resized_crop: false, crop_padding: 2}}").unwrap().crop_padding, 2);

        for (wrong, said) in [
            ("{resized_crop: {}, crop_padding: 4}", "`crop_padding` and `resized_crop` are two ways to crop"),
            ("{resized_crop: {scale: [1, 0.5]}}", "`scale` must be two shares above 0 and at most 1"),
            ("{resized_crop: {scale: 1}}", "`scale` must be two shares"),
            ("{resized_crop: {ratio: [0, 1]}}", "`ratio` must be two numbers above 0"),
            ("{jitter: {hue: 0.6}}", "`hue` must be a number from 0 to 0.5"),
            ("{jitter: 0.4}", "`jitter` must be a map"),
        ] {
            let problems = read(&format!("{{augment: {wrong}}}")).unwrap_err();
            assert!(problems[0].contains(said), "{wrong}: {problems:?}");
        }
    }
}
