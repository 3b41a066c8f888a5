//! `prepare`: reads a data set, checks it, packs it with its split.

mod game;
mod image_folder;
mod image_pairs;

use super::{PlanContext, counted};
use crate::{
    config::{Fields, Origin, Value},
    data::{
        Archive, Cifar100Labels, DataError, Dataset, DownloadNews, ImageKind, ImageShape, Located, Normalise, Source,
        SplitRule, Synthetic, Watcher,
    },
    machine,
    recipes::COUNT,
    run::{Context, Fetch, Resource, Stage, StageError, Transfer, sentence},
};
use serde_json::{Value as Json, json};
use std::{path::PathBuf, sync::OnceLock};

struct Prepare {
    source: Source,
    /// Empty while nothing is there: then it is to be fetched.
    located: OnceLock<Located>,
    missing: Option<Missing>,
    normalise: Normalise,
    split: SplitRule,
    /// Only the first so many images of each part.
    limits: Limits,
}

#[derive(Debug, Clone, Copy)]
struct Limits {
    train_images: Option<usize>,
    test_images: Option<usize>,
}

/// Where files are looked for, and what to get where there are none.
struct Missing {
    archive: Archive,
    place: PathBuf,
}

pub(super) const SEED: &str = "a whole number from 0";
pub(super) const FRACTION: &str = "a number above 0 and below 1";

/// `prepare: {cifar10: {…}}`: the one key is the data set.
pub(super) fn read(fields: &mut Fields<'_>, context: &PlanContext<'_>) -> Option<Box<dyn Stage>> {
    let names = ["catch", "cifar10", "cifar100", "digits", "image_folder", "image_pairs", "procgen", "synthetic"];
    let chosen: Vec<&str> = names.into_iter().filter(|name| fields.has(name)).collect();
    let [name] = chosen[..] else {
        let place = fields.origin().clone();
        let hint = "write `prepare: {digits: {}}`; data sets are `cifar10`, `cifar100`, `digits`, `image_folder`, `image_pairs` and `synthetic`, games `catch` and `procgen`";
        fields.problems().add_with_hint(&place, "a `prepare` stage names one data set or game", hint);
        return None;
    };
    match name {
        "image_folder" => return image_folder::read(fields, context),
        "image_pairs" => return image_pairs::read(fields, context),
        "catch" | "procgen" => return game::read(fields, name, context),
        _ => {}
    }
    let place = fields.origin_of(name).clone();
    let prepare = fields.map_called(name, format!("data set `{name}`"), |keys| data_set(keys, name, &place, context));
    // The form that results know a data set by.
    let Json::Object(mut source) = fields.hashed(name) else { return None };
    fields.exclude_from_hash(name);
    let mut taken = |key: &str| source.remove(key).unwrap_or_default();
    fields.hash("normalise", taken("normalise"));
    fields.hash("split", taken("split"));
    fields.hash("limits", json!({"train_images": taken("train_images"), "test_images": taken("test_images")}));
    source.insert("dataset".to_owned(), json!(name));
    fields.hash("source", source);
    Some(Box::new(prepare?))
}

/// A data set other than a folder of pictures; `place` is that of its name. `None` after a
/// complaint.
fn data_set(keys: &mut Fields<'_>, name: &str, place: &Origin, context: &PlanContext<'_>) -> Option<Prepare> {
    let source = match name {
        "cifar10" => Source::Cifar10,
        "cifar100" => {
            let choices = [("fine", Cifar100Labels::Fine), ("coarse", Cifar100Labels::Coarse)];
            Source::Cifar100 { labels: keys.choice("labels", Cifar100Labels::Fine, &choices) }
        }
        "digits" => Source::Digits {
            test_fraction: keys.number("test_fraction", Source::DIGITS_TEST_FRACTION, 0.01..=0.9, FRACTION),
            test_seed: keys.integer("test_seed", 0, 0.., SEED),
        },
        _ => Source::Synthetic(synthetic(keys)),
    };
    let path = if matches!(source, Source::Synthetic(_)) { None } else { keys.text("path").map(machine::expanded) };
    let said_at = if path.is_some() { keys.origin_of("path").clone() } else { place.clone() };
    let download = source.archive().and_then(|archive| download(keys, archive));
    // Where the files lie and come from is nothing; what they hold is in the key.
    keys.exclude_from_hash("path");
    keys.exclude_from_hash("download");
    let normalise = normalise(keys, source.default_normalise());
    let split = split(keys, SplitRule::Halves);
    let limits = Limits {
        train_images: keys.optional_integer("train_images", 1.., COUNT),
        test_images: keys.optional_integer("test_images", 1.., COUNT),
    };
    // A path may also be beside the pipeline, as the digits that ship are.
    let beside = path.as_ref().and_then(|path| std::path::absolute(context.folder.join(path)).ok());
    let beside = beside.filter(|path| path.exists());
    let place = beside
        .unwrap_or_else(|| path.map_or_else(|| context.data_root.to_owned(), |path| context.data_root.join(path)));
    let (shape, classes) = source.images();
    context.tells.images.get_or_init(|| ImageShape { shape, classes, kind: ImageKind::InMemory });
    let (located, missing) = match (source.locate(&place), download) {
        (Ok(located), _) => (located.into(), None),
        (Err(DataError::NotFound { .. }), Some(archive)) => (OnceLock::new(), Some(Missing { archive, place })),
        (Err(error), _) => {
            keys.problems().add_hinted(&said_at, sentence(&error), error.hint());
            return None;
        }
    };
    Some(Prepare { source, located, missing, normalise, split, limits })
}

fn synthetic(keys: &mut Fields<'_>) -> Synthetic {
    let default = Synthetic::default();
    let count = "a whole number from 1 to 1000000";
    Synthetic {
        train: keys.integer("train", default.train, 1..=1_000_000, count),
        test: keys.integer("test", default.test, 1..=1_000_000, count),
        classes: keys.integer("classes", default.classes, 2..=1000, "a whole number from 2 to 1000"),
        channels: keys.integer("channels", default.channels, 1..=4, "a whole number from 1 to 4"),
        size: keys.integer("size", default.size, 4..=256, "a whole number from 4 to 256"),
        noise: keys.number("noise", default.noise, 0.0..=1.0, "a number from 0 to 1"),
        seed: keys.integer("seed", default.seed, 0.., SEED),
    }
}

/// `download: true | false | {url: …, sha256: …}`: the published archive, the same one from a
/// mirror, or another with the same files.
fn download(keys: &mut Fields<'_>, mut archive: Archive) -> Option<Archive> {
    const SHA256: &str = "the SHA-256 of the archive, 64 hexadecimal digits";
    match keys.node("download").map(|node| &node.value) {
        Some(Value::Map(_)) => {}
        Some(_) => return keys.boolean("download", false).then_some(archive),
        None => {
            keys.note("download", false);
            return None;
        }
    }
    keys.map("download", |mirror| {
        if let (Some(url), Some(node)) = (mirror.text("url"), mirror.node("url")) {
            if !url.starts_with("https://") && !url.starts_with("http://") {
                mirror.wrong("url", node, "an address that begins with `https://` or `http://`");
            }
            archive = archive.at(url);
        }
        if let (Some(sha256), Some(node)) = (mirror.text("sha256"), mirror.node("sha256")) {
            if sha256.len() != 64 || !sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                mirror.wrong("sha256", node, SHA256);
            }
            archive = archive.with_sha256(&sha256);
        }
        Some(archive)
    })
}

/// `split: halves | all | {fraction: 0.5} | {shuffled: {fraction: 0.5, seed: 0}}`; DARTS halves.
pub(super) fn split(keys: &mut Fields<'_>, default: SplitRule) -> SplitRule {
    let split = match keys.node("split").map(|node| &node.value) {
        None => default,
        Some(Value::Text(_)) => {
            keys.choice("split", default, &[("halves", SplitRule::Halves), ("all", SplitRule::All)])
        }
        Some(_) => keys.map("split", |rule| {
            let shuffled = rule.optional_map("shuffled", |keys| SplitRule::Shuffled {
                fraction: keys.number("fraction", 0.5, f64::MIN_POSITIVE..1.0, FRACTION),
                seed: keys.integer("seed", 0, 0.., SEED),
            });
            shuffled
                .unwrap_or_else(|| SplitRule::Fraction(rule.number("fraction", 0.5, f64::MIN_POSITIVE..1.0, FRACTION)))
        }),
    };
    keys.note("split", json!(split));
    split
}

/// `normalise: measured | cifar10_darts | … | {mean: […], std: […]}`; the default is the data set's
/// published one.
pub(super) fn normalise(keys: &mut Fields<'_>, default: Normalise) -> Normalise {
    let normalise = match keys.node("normalise").map(|node| &node.value) {
        None => default,
        Some(Value::Map(_)) => {
            keys.map("normalise", |given| Normalise::Given { mean: numbers(given, "mean"), std: numbers(given, "std") })
        }
        Some(_) => keys.choice("normalise", default, &Normalise::NAMED),
    };
    keys.note("normalise", json!(normalise));
    normalise
}

fn numbers(keys: &mut Fields<'_>, key: &'static str) -> Vec<f32> {
    let Some(node) = keys.required_node(key) else { return Vec::new() };
    let items = match &node.value {
        Value::List(items) => items.as_slice(),
        _ => std::slice::from_ref(node),
    };
    let mut numbers = Vec::with_capacity(items.len());
    for item in items {
        match item.value {
            Value::Float(value) if value.is_finite() => numbers.push(value as f32),
            Value::Integer(value) => numbers.push(value as f32),
            _ => keys.wrong(key, item, "a list of numbers, one a channel"),
        }
    }
    numbers
}

impl Prepare {
    fn located(&self) -> &Located {
        self.located.get().expect("a stage is fetched before it is asked for its files")
    }
}

/// What a download tells, as the run's own events.
fn tell(fetch: &Fetch<'_>, news: DownloadNews<'_>) {
    match news {
        DownloadNews::Waiting => fetch.waiting(),
        DownloadNews::Started { url, into, kept } => fetch.started(url, &into.display().to_string(), kept),
        DownloadNews::Progress { bytes, in_all, per_second, remaining } => {
            fetch.progress(Transfer { bytes, bytes_in_all: in_all, bytes_per_second: per_second, remaining });
        }
        DownloadNews::Again { why } => fetch.warn(why),
        DownloadNews::Finished { bytes, wall } => fetch.finished(bytes, wall),
    }
}

impl Stage for Prepare {
    fn fetch(&self, fetch: &Fetch<'_>) -> Result<(), StageError> {
        let (Some(Missing { archive, place }), None) = (&self.missing, self.located.get()) else { return Ok(()) };
        let hear = |news: DownloadNews<'_>| tell(fetch, news);
        let watcher = Watcher { hear: &hear, stop: &|| fetch.stop_requested() };
        let located = self.source.fetch(place, archive, &watcher)?;
        // Already set where two threads were here; both found the same.
        let _ = self.located.set(located);
        Ok(())
    }

    fn lacks(&self) -> Option<String> {
        let missing = self.missing.as_ref().filter(|_| self.located.get().is_none())?;
        Some(format!("its files are to be downloaded into `{}`", missing.place.display()))
    }

    fn resources(&self) -> Vec<(String, Resource)> {
        let name = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.located().files().iter().map(|path| (name(path), Resource::Path(path.clone()))).collect()
    }

    fn run(&self, context: &mut Context<'_>) -> Result<(), StageError> {
        if let Some(place) = self.located().place() {
            context.reads(place);
        }
        let mut raw = self.located().read()?;
        for (images, limit) in [(&mut raw.train, self.limits.train_images), (&mut raw.test, self.limits.test_images)] {
            images.truncate(limit.unwrap_or(images.len()));
        }
        let dataset = raw.finish(&self.normalise, &self.split)?;
        publish(&dataset, &dataset.name, context)
    }
}

/// The data set as the stage's output, its figures, and its summary, which says `what` it is.
pub(super) fn publish(dataset: &Dataset, what: &str, context: &mut Context<'_>) -> Result<(), StageError> {
    context.publish("dataset", |writer| dataset.write(writer))?;
    let [channels, height, width] = dataset.shape;
    publish_counts(dataset, context);
    context.summary(format!(
        "{what}: {} ({} to fit, {} held out), {} test, {}, {channels}x{height}x{width}",
        counted(dataset.train.len(), "training image"),
        dataset.split.fit.len(),
        dataset.split.held_out.len(),
        dataset.test.len(),
        counted(dataset.classes.len(), "class"),
    ));
    Ok(())
}

/// The figures of a data set; its classes, where it has any.
fn publish_counts(dataset: &Dataset, context: &mut Context<'_>) {
    let classes = dataset.classes.len();
    let counts = [
        ("train_images", Some(dataset.train.len())),
        ("test_images", Some(dataset.test.len())),
        ("classes", (classes > 0).then_some(classes)),
        ("fit_images", Some(dataset.split.fit.len())),
        ("held_out_images", Some(dataset.split.held_out.len())),
    ];
    for (name, count) in counts {
        if let Some(count) = count {
            context.metric(name, count as f64);
        }
    }
}
