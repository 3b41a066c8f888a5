//! All that decides the result of a training besides its space, its genotype and its images.

use super::{
    COUNT, Recipe, augmentation, batch, diagnosis, regularise,
    retraining::{Retraining, retraining},
    search, seed,
};
use crate::{
    config::Fields,
    data::{Augment, ImageShape},
    records::Size,
    space::{Build, EdgeOptions, Space},
    tasks::{self, TaskKind, TaskSettings},
    train::{DiagnosisConfig, LearnerConfig, TrainingConfig},
};
use std::sync::Arc;

/// What decides the result of a stage that trains.
#[derive(Debug)]
pub struct Settings {
    pub size: Size,
    /// Of a supernet.
    pub edges: EdgeOptions,
    pub feed: Feed,
    pub task: Arc<dyn TaskSettings>,
    pub learner: LearnerConfig,
    pub training: TrainingConfig,
}

impl Settings {
    /// The supernet of a search, for such images.
    pub fn supernet(&self, images: ImageShape) -> Build {
        Build { edges: self.edges, ..self.size.build(self.task.outputs(images), images.shape, false) }
    }

    /// The network of a genotype, likewise.
    pub fn discrete(&self, images: ImageShape) -> Build {
        self.size.build(self.task.outputs(images), images.shape, self.task.trains_auxiliary())
    }

    /// Those of the supernet of `space`, and how closely its search is looked at; `None` after a
    /// complaint, which is made of a space that is absent already.
    pub fn of_search(
        fields: &mut Fields<'_>,
        space: Option<&Space>,
        tasks: &[TaskKind],
    ) -> Option<(Self, DiagnosisConfig)> {
        let skeleton = fields.text_or("skeleton", "search");
        let task = (task(fields, tasks).read)(fields, None);
        let feed = Feed {
            batch: batch(fields),
            images: fields.choice("images", FittedImages::Fit, &FittedImages::NAMED),
            seed: seed(fields),
            augment: augmentation::augment(fields, task.augmentation(augmentation::SEARCH)),
            watch_images: Some(fields.integer("watch_images", WATCH_IMAGES, 1.., COUNT)),
        };
        let edges = search::edges(fields);
        let (learner, training) = search::search(fields, feed.seed);
        if let Some((space, alphas)) = space.zip(learner.alphas.as_ref()) {
            regularise::check_order(fields, alphas.regulariser.order, space);
        }
        let diagnosis = diagnosis::diagnosis(fields, space, feed.images == FittedImages::Fit, training.epochs);
        let size = Size::read(fields, Some(skeleton), space)?;
        Some((Self { size, edges, feed, task, learner, training }, diagnosis))
    }

    /// Those of a discrete network of `space`, likewise.
    pub fn of_training(
        fields: &mut Fields<'_>,
        space: Option<&Space>,
        recipe: &Recipe,
        tasks: &[TaskKind],
    ) -> Option<Self> {
        let skeleton = Some(fields.required_text("skeleton")).filter(|skeleton| !skeleton.is_empty());
        let size = Size::read(fields, skeleton, space);
        let seed = seed(fields);
        // Where the skeleton is wrong that is said already, and its head with it.
        let auxiliary = match (&size, space) {
            (Some(size), Some(space)) => space.has_auxiliary(&size.skeleton),
            _ => true,
        };
        let Retraining { batch, learner, training } = retraining(fields, recipe, seed);
        let task = (task(fields, tasks).read)(fields, Some(&recipe.loss(auxiliary)));
        let feed = Feed {
            batch,
            images: fields.choice("images", FittedImages::All, &FittedImages::NAMED),
            augment: augmentation::augment(fields, task.augmentation(recipe.augment)),
            seed,
            watch_images: None,
        };
        Some(Self { size: size?, edges: EdgeOptions::default(), feed, task, learner, training })
    }
}

/// `task: classification`, what a network is for.
fn task(fields: &mut Fields<'_>, tasks: &[TaskKind]) -> TaskKind {
    let names: Vec<_> = tasks.iter().map(|kind| (kind.name, kind.name)).collect();
    let name = fields.later_choice("task", tasks::UNNAMED, &names);
    tasks::kind(tasks, name).unwrap_or(tasks::classification::KIND)
}

/// Which images are fitted: `fit` (the split's) or `all` training images.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FittedImages {
    Fit,
    All,
}

impl FittedImages {
    pub const NAMED: [(&'static str, Self); 2] = [("fit", Self::Fit), ("all", Self::All)];
}

/// How images are fed to a training.
#[derive(Debug, Clone, PartialEq)]
pub struct Feed {
    pub images: FittedImages,
    /// Images a pass.
    pub batch: usize,
    pub augment: Augment,
    pub seed: u64,
    /// How many of the images that are not fitted are watched at most; all of them where absent.
    pub watch_images: Option<usize>,
}

/// A search looks at so many held-out images after an epoch, with the supernet and with its derived
/// cells alone: 8 % of the time of CIFAR-10's epochs of 25,000 (our choice; all of its 25,000 take
/// 28 %).
const WATCH_IMAGES: usize = 5_000;
