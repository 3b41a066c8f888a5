//! `prepare: {image_folder: …}`: lists a folder of pictures, decodes each once, publishes the list.
//!
//! The pictures stay where they are. Their listing enters the key; so does the path as the pipeline
//! has it, other than anywhere else, since the published list says where the pictures lie.

use crate::{
    config::Fields,
    data::{
        Broken, DataError, Dataset, ImageFolder, ImageKind, ImageShape, LIST_VERSION, Listing, LocatedFolder,
        Normalise, Parts, SplitRule,
    },
    machine,
    recipes::COUNT,
    run::{Context, Progress, Resource, Stage, StageError, sentence},
    stages::PlanContext,
};
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;

struct PrepareFolder {
    folder: ImageFolder,
    located: LocatedFolder,
    /// Folders beside the parts that may have been meant.
    not_read: Vec<String>,
    normalise: Normalise,
    split: SplitRule,
}

/// A stage says this many broken pictures or untested classes by name; the log and the record have
/// them all.
const NAMED: usize = 10;

/// `image_folder: {path: imagenet, train: train, val: val, size: 224, resize: 256, normalise: imagenet}`,
/// or `{path: flowers, held_out_fraction: 0.2, held_out_seed: 0}` where class folders lie directly
/// below. Parts that are not named are looked for by the names that people give them.
pub(super) fn read(fields: &mut Fields<'_>, context: &PlanContext<'_>) -> Option<Box<dyn Stage>> {
    let place = fields.origin_of("image_folder").clone();
    let located = fields.map_called("image_folder", "data set `image_folder`", |keys| folder(keys, context));
    // The form that results know a folder by.
    let Json::Object(mut folder) = fields.hashed("image_folder") else { return None };
    fields.exclude_from_hash("image_folder");
    let mut taken = |key: &str| folder.remove(key);
    fields.hash("normalise", taken("normalise"));
    fields.hash("split", taken("split"));
    let [fraction, seed, train, val] = ["held_out_fraction", "held_out_seed", "train", "val"].map(taken);
    let parts = match fraction {
        Some(fraction) if !fraction.is_null() => json!({"held_out": {"fraction": fraction, "seed": seed}}),
        _ => json!({"folders": {"train": train, "val": val}}),
    };
    folder.insert("parts".to_owned(), parts);
    fields.hash("source", json!({"dataset": "image_folder", "folder": folder, "list": LIST_VERSION}));
    match located? {
        Ok(stage) => Some(Box::new(stage)),
        // Said above, at the key.
        Err(DataError::Setting { .. }) => None,
        Err(error) => {
            fields.problems().add_hinted(&place, sentence(&error), error.hint());
            None
        }
    }
}

/// `None` after a complaint.
fn folder(keys: &mut Fields<'_>, context: &PlanContext<'_>) -> Option<Result<PrepareFolder, DataError>> {
    let path = machine::expanded(keys.required_text("path")).display().to_string();
    keys.note("path", path.as_str());
    let held_out = held_out(keys);
    let (train, val) = (keys.text("train"), keys.text("val"));
    // The sizes of every paper on ImageNet in this field.
    let size = keys.integer("size", 224, 1..=4096, "a whole number from 1 to 4096");
    // 256 for 224, and in proportion for other sizes.
    let resize = keys.integer("resize", size * 8 / 7, 1..=8192, "a whole number from 1 to 8192");
    if resize < size {
        let given = if keys.has("resize") { "resize" } else { "size" };
        let place = keys.origin_of(given).clone();
        let message = format!("`resize` {resize} is below `size` {size}: the view would be larger than the picture");
        keys.problems().add(&place, message);
    }
    // Their order in the file says nothing: labels go by name.
    let classes: Option<Vec<String>> =
        keys.texts("classes").map(|classes| BTreeSet::from_iter(classes).into_iter().collect());
    keys.note("classes", classes.clone());
    let images_per_class = keys.optional_integer("images_per_class", 1.., COUNT);
    let normalise = super::normalise(keys, Normalise::Imagenet);
    if normalise == Normalise::Measured {
        let place = keys.origin_of("normalise").clone();
        let hint = "`imagenet`, or `{mean: [r, g, b], std: [r, g, b]}`";
        keys.problems().add_with_hint(
            &place,
            "`normalise` of an image folder must be constants, found `measured`",
            hint,
        );
    }
    let split = super::split(keys, SplitRule::Shuffled { fraction: 0.5, seed: 0 });
    if matches!(split, SplitRule::Halves | SplitRule::Fraction(_)) {
        let place = keys.origin_of("split").clone();
        let message = "`split` of an image folder must be shuffled or all: its images lie class by class";
        keys.problems().add_with_hint(&place, message, "write `split: {shuffled: {fraction: 0.5, seed: 0}}`");
    }
    if path.is_empty() {
        return None;
    }
    // How many classes there are is known when the folder is listed; of a network they decide the
    // last layer alone.
    let known = classes.as_ref().map_or(1000, Vec::len);
    context.tells.images.get_or_init(|| ImageShape {
        shape: [3, size, size],
        classes: known,
        kind: ImageKind::InFiles,
    });
    let roots = context.data_roots();
    let parts = match held_out {
        Some(held_out) => Ok((held_out, Vec::new())),
        None => Parts::find(&roots, &path, train, val),
    };
    if let Ok((Parts::Folders { train, val }, _)) = &parts {
        keys.note("train", train.as_str());
        keys.note("val", val.as_str());
    }
    Some(parts.and_then(|(parts, not_read)| {
        let folder = ImageFolder { path, parts, size, resize, classes, images_per_class };
        folder.locate(&roots).map(|located| PrepareFolder { folder, located, not_read, normalise, split })
    }))
}

/// A share of each class, where the pipeline asks for one.
fn held_out(keys: &mut Fields<'_>) -> Option<Parts> {
    let wanted = keys.node("held_out_fraction").is_some();
    let fraction = keys.optional_number("held_out_fraction", f64::MIN_POSITIVE..1.0, super::FRACTION);
    if !wanted {
        return None;
    }
    for key in ["train", "val"] {
        if keys.is_written(key) {
            let place = keys.origin_of(key).clone();
            let message = format!("`{key}` and `held_out_fraction` are two ways to have test images: leave one out");
            keys.problems().add(&place, message);
        }
    }
    Some(Parts::HeldOut {
        fraction: fraction.unwrap_or_default(),
        seed: keys.integer("held_out_seed", 0, 0.., super::SEED),
    })
}

impl Stage for PrepareFolder {
    fn resources(&self) -> Vec<(String, Resource)> {
        let named = ["train", "val"].into_iter().zip(self.located.folders());
        named.map(|(part, path)| (format!("{part} pictures"), Resource::Listing(path.clone()))).collect()
    }

    fn run(&self, context: &mut Context<'_>) -> Result<(), StageError> {
        self.located.folders().iter().for_each(|folder| context.reads(folder));
        let mut listing = self.located.list()?;
        self.say_beside(&listing, context);
        let pictures = listing.len();
        let verified = listing.verify(|done| {
            context.progress(Progress { epochs: 1, step: done, steps: pictures, ..Progress::default() });
            !context.stop_requested()
        })?;
        let Some(broken) = verified else { return Err(StageError::Interrupted) };
        say_broken(&broken, pictures, context);
        let dataset = listing.finish(&self.normalise, &self.split)?;
        say_untested(&dataset, context);
        context.metric("skipped_images", broken.len() as f64);
        let path = &self.folder.path;
        let what = match &self.folder.parts {
            Parts::Folders { train, val } => format!("{} {path} ({train}, {val})", dataset.name),
            Parts::HeldOut { .. } => format!("{} {path}", dataset.name),
        };
        super::publish(&dataset, &what, context)
    }
}

impl PrepareFolder {
    /// Says what lies there and is not read.
    fn say_beside(&self, listing: &Listing, context: &mut Context<'_>) {
        let left_out = listing.left_out();
        if !left_out.is_empty() {
            context.warn(format!("left out of the list: {left_out}"));
            context.note("left_out", json!(left_out));
        }
        for [one, other] in listing.alike() {
            context.warn(format!("`{one}` and `{other}` are two classes, as their capitals differ"));
        }
        for folder in &self.not_read {
            context.warn(format!("nothing is read of `{folder}`; to test on it write `val: {folder}`"));
        }
    }
}

/// Says which classes no picture is there to test of: an accuracy knows nothing of them.
fn say_untested(dataset: &Dataset, context: &mut Context<'_>) {
    let untested = dataset.untested();
    if untested.is_empty() {
        return;
    }
    let names: Vec<String> = untested.iter().take(NAMED).map(|class| format!("`{class}`")).collect();
    let more = untested.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let (few, all) = (untested.len(), dataset.classes.len());
    context.warn(format!("{few} of {all} classes have no picture to test on: {}{more}", names.join(", ")));
    context.note("untested_classes", json!(untested));
}

/// Says which pictures are left out; a pipeline's figures and its report then have their number.
fn say_broken(broken: &[Broken], pictures: usize, context: &mut Context<'_>) {
    if broken.is_empty() {
        return;
    }
    for Broken { path, why } in broken.iter().take(NAMED) {
        context.warn(format!("`{}` is left out: {why}", path.display()));
    }
    let more = broken.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(", {more} of them not named here") } else { String::new() };
    context.warn(format!("{} of {pictures} pictures cannot be decoded and are left out{more}", broken.len()));
    let names: Vec<Json> =
        broken.iter().map(|Broken { path, why }| json!({"path": path.display().to_string(), "why": why})).collect();
    context.note("skipped_images", Json::from(names));
}
