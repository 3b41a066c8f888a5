//! The keys that say which network is made and how it is trained, and their defaults: the one place
//! where these stand. Stages read them in a pipeline, benchmarks in a work's file.
//!
//! The defaults are those of DARTS' search on CIFAR-10 (arXiv 1806.09055; `cnn/train_search.py`,
//! `architect.py` and `model_search.py` of its code base). That single-level search starts from the
//! same ones is our choice: its paper (arXiv 2108.08128) is about the level, not about rates. The
//! baselines of NAS-Bench-201 (arXiv 2001.00326) differ in `nesterov: true`, `weight_decay: 5e-4`
//! and `schedule_by: step`; a pipeline for that space says so.

mod augmentation;
mod diagnosis;
mod images;
mod mixing;
mod perturb;
mod published;
mod rate;
mod regularise;
mod retraining;
mod search;
mod settings;
mod size;
mod space_file;
mod weights;

use crate::config::Fields;
pub use diagnosis::{HOLD_OUT, NO_EIGENVALUE};
pub use images::images;
pub use published::PublishedCell;
pub use retraining::Recipe;
pub use settings::{Feed, FittedImages, Settings};

pub use space_file::{SpaceFile, found_file};

pub const COUNT: &str = "a whole number from 1";
const NOT_NEGATIVE: &str = "a number from 0";
const POSITIVE: &str = "a number above 0";
const SHARE: &str = "a number above 0 and at most 1";
const MOMENT: &str = "a number from 0 to below 1";

/// `batch: 64`; DARTS', and NAS-Bench-201's.
fn batch(fields: &mut Fields<'_>) -> usize {
    fields.integer("batch", 64, 1.., COUNT)
}

/// Complains of `key`, which names an epoch that the training does not come to, so that it would
/// mean nothing. Milestones go with their schedule, other keys can be left out.
fn never_reached(keys: &mut Fields<'_>, key: &str, epoch: usize, epochs: usize) {
    let place = keys.origin_of(key).clone();
    let message = format!("a training of `epochs: {epochs}` does not come to what `{key}` names, {epoch}");
    let otherwise = match key {
        "milestones" => "take `schedule: constant`".to_owned(),
        key => format!("leave `{key}` out"),
    };
    keys.problems().add_with_hint(&place, message, format!("lower `{key}`, raise `epochs`, or {otherwise}"));
}

/// `seed: 0`; the number is ours (DARTS' code has 2), and gives other draws than PyTorch's in any
/// case.
fn seed(fields: &mut Fields<'_>) -> u64 {
    fields.integer("seed", 0, 0.., "a whole number from 0")
}
