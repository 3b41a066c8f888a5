//! `prepare: {image_pairs: …}`: pictures of high resolution with partners of low resolution, packed
//! together.
//!
//! What the folders hold enters the key, and where they lie does not.

use super::{publish_counts, split};
use crate::{
    config::{Fields, Node},
    data::{ImageKind, ImagePairs, ImageShape, LocatedPairs, Low, PictureSet, ReadPairs, SplitRule},
    machine,
    run::{Context, Progress, Resource, Stage, StageError, sentence},
    stages::{PlanContext, counted},
};
use serde_json::{Value as Json, json};

struct PreparePairs {
    pairs: ImagePairs,
    located: LocatedPairs,
    split: SplitRule,
    /// Bytes of memory that they may take; no limit where absent.
    memory: Option<u64>,
}

/// Bumped where the same folders come to other pairs: results of the older ones are then made anew.
const PAIRS_VERSION: u32 = 1;

/// A stage says this many pictures by name; the record has them all.
const NAMED: usize = 10;

/// `image_pairs: {scale: 4, train: DIV2K/DIV2K_train_HR, test: {set5: benchmark/Set5}, patch: 32}`;
/// a set is a folder or `{high: FOLDER, low: FOLDER}`, `low: bicubic` makes all partners, and
/// `teacher: FOLDER` has what is to be learned in the place of the pictures to train on.
pub(super) fn read(fields: &mut Fields<'_>, context: &PlanContext<'_>) -> Option<Box<dyn Stage>> {
    let place = fields.origin_of("image_pairs").clone();
    let read = fields.map_called("image_pairs", "data set `image_pairs`", pairs);
    fields.exclude_from_hash("image_pairs");
    let (pairs, rule) = read?;
    let ImagePairs { scale, patch, patches, train, test } = &pairs;
    let sets: Vec<&str> = test.iter().map(|set| set.name.as_str()).collect();
    let trains = train.is_some();
    fields.hash(
        "source",
        json!({"dataset": "image_pairs", "version": PAIRS_VERSION, "scale": scale, "patch": patch, "patches": patches,
               "trains": trains, "test": sets}),
    );
    fields.hash("split", json!(rule));
    let shape = [3, *patch, *patch];
    context.tells.images.get_or_init(|| ImageShape { shape, classes: 0, kind: ImageKind::Pairs { scale: *scale } });
    match pairs.locate(&context.data_roots()) {
        Ok(located) => Some(Box::new(PreparePairs { pairs, located, split: rule, memory: context.memory })),
        Err(error) => {
            fields.problems().add_hinted(&place, sentence(&error), error.hint());
            None
        }
    }
}

/// `None` after a complaint.
fn pairs(keys: &mut Fields<'_>) -> Option<(ImagePairs, SplitRule)> {
    let scale = keys.integer("scale", 4, 2..=4, "2, 3 or 4");
    // Of low resolution; EDSR has 48. A border and a window of SSIM have room in eight.
    let patch = keys.integer("patch", 32, 8..=1024, "a whole number from 8 to 1024");
    let patches = keys.integer("patches_per_picture", 1, 1..=100_000, "a whole number from 1 to 100000");
    let low = keys.choice("low", Low::Found, &[("found", Low::Found), ("bicubic", Low::Bicubic)]);
    let teacher = keys.text("teacher").map(expanded);
    let train = keys.node("train").map(|node| set("train", node, &low, teacher.clone(), keys));
    let mut test = Vec::new();
    for key in ["train", "test"] {
        let written = keys.node(key).map(Node::to_json);
        keys.note(key, written);
    }
    if let Some(node) = keys.node("test") {
        match node.as_map() {
            Some(sets) => {
                for (name, entry) in sets {
                    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
                    if !name.chars().all(is_word) || name.is_empty() {
                        let message = format!("`{name}` names figures and files: letters, digits, `_` and `-` make it");
                        keys.problems().add(&entry.key, message);
                    }
                    test.push(set(name, &entry.node, &low, None, keys));
                }
            }
            None => keys.wrong("test", node, "a map of sets, `{set5: FOLDER}`"),
        }
    }
    if let (None, Some(_)) = (&train, &teacher) {
        let place = keys.origin_of("teacher").clone();
        keys.problems().add(&place, "`teacher` is for pictures to train on, and there is no `train`");
    }
    if train.is_none() && test.is_empty() {
        let place = keys.origin().clone();
        let hint = "write `train: FOLDER`, `test: {set5: FOLDER}` or both";
        keys.problems().add_with_hint(&place, "`image_pairs` names no pictures", hint);
        return None;
    }
    // Their order in the file says nothing.
    test.sort_by(|a, b| a.as_ref().map(|set| &set.name).cmp(&b.as_ref().map(|set| &set.name)));
    let split = split(keys, SplitRule::Shuffled { fraction: 0.5, seed: 0 });
    let train = match train {
        Some(set) => Some(set?),
        None => None,
    };
    Some((ImagePairs { scale, patch, patches, train, test: test.into_iter().collect::<Option<_>>()? }, split))
}

/// A folder, or `{high: FOLDER, low: FOLDER}`. `None` after a complaint.
fn set(name: &str, node: &Node, low: &Low, teacher: Option<String>, keys: &mut Fields<'_>) -> Option<PictureSet> {
    let name = name.to_owned();
    if let Some(folder) = node.as_text() {
        return Some(PictureSet { name, high: expanded(folder.to_owned()), low: low.clone(), teacher });
    }
    let mut fields = Fields::open(node, format!("`{name}`"), keys.problems());
    let high = expanded(fields.required_text("high"));
    let low = fields.text("low").map_or_else(|| low.clone(), |folder| Low::Folder(expanded(folder)));
    fields.close();
    Some(PictureSet { name, high, low, teacher }).filter(|set| !set.high.is_empty())
}

fn expanded(path: String) -> String {
    machine::expanded(path).display().to_string()
}

impl Stage for PreparePairs {
    fn resources(&self) -> Vec<(String, Resource)> {
        let folders = self.located.folders().into_iter();
        folders.map(|(what, path)| (format!("{what} pictures"), Resource::Path(path))).collect()
    }

    fn run(&self, context: &mut Context<'_>) -> Result<(), StageError> {
        self.located.folders().iter().for_each(|(_, folder)| context.reads(folder));
        if let Some(there) = self.memory {
            room(self.located.bytes(), there)?;
        }
        let steps = self.located.pictures();
        let read = self.located.read(|step| {
            context.progress(Progress { epochs: 1, step, steps, ..Progress::default() });
            !context.stop_requested()
        })?;
        let Some(read) = read else { return Err(StageError::Interrupted) };
        say(&read, self.pairs.patch, context);
        let made = read.made;
        let dataset = read.finish(&self.split)?;
        context.publish("dataset", |writer| dataset.write(writer))?;
        publish_counts(&dataset, context);
        let sets = self.pairs.test.iter().enumerate().map(|(label, set)| {
            let pictures = dataset.test.labels.iter().filter(|&&of| usize::from(of) == label).count();
            format!("{} ({pictures})", set.name)
        });
        let sets: Vec<String> = sets.collect();
        let made = if made > 0 { format!("; {} made", counted(made, "partner")) } else { String::new() };
        context.summary(format!(
            "pairs x{}: {} ({} to fit, {} held out), to test on {}{made}",
            self.pairs.scale,
            counted(dataset.train.len(), "training picture"),
            dataset.split.fit.len(),
            dataset.split.held_out.len(),
            if sets.is_empty() { "none".to_owned() } else { sets.join(", ") },
        ));
        Ok(())
    }
}

/// # Errors
/// Where pictures need more memory than there is: they are kept in it, since every epoch reads all.
fn room(needed: u64, there: u64) -> Result<(), StageError> {
    if needed <= there {
        return Ok(());
    }
    let [needed, there] = [needed, there].map(|bytes| bytes as f64 / 1e9);
    Err(StageError::Input {
        message: format!("the pictures need {needed:.1} GB of memory, and there are {there:.1}"),
        hint: Some("name fewer pictures; `runtime: {allow_memory: true}` tries it all the same".to_owned()),
    })
}

/// Says what was left out and what was cut off.
fn say(read: &ReadPairs, patch: usize, context: &mut Context<'_>) {
    let small = read.small.len();
    if small > 0 {
        for path in read.small.iter().take(NAMED) {
            context.warn(format!("`{}` is left out: it is smaller than a patch of {patch} pixels", path.display()));
        }
        let names: Vec<Json> = read.small.iter().map(|path| json!(path.display().to_string())).collect();
        context.note("skipped_images", Json::from(names));
        context.warn(format!("{} smaller than a patch and left out", counted(small, "picture")));
    }
    context.metric("skipped_images", small as f64);
    if read.cropped > 0 {
        context.warn(format!("{} cropped so that the scale divides the sides", counted(read.cropped, "picture")));
    }
    context.metric("cropped_images", read.cropped as f64);
    context.metric("made_partners", read.made as f64);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_that_have_no_room_in_memory_are_refused_before_they_are_read() {
        assert!(room(7_000_000_000, 8_000_000_000).is_ok());
        let Err(StageError::Input { message, hint }) = room(7_040_000_000, 4_000_000_000) else { panic!("no room") };
        assert_eq!(message, "the pictures need 7.0 GB of memory, and there are 4.0");
        assert!(hint.is_some_and(|hint| hint.contains("allow_memory")));
    }
}
