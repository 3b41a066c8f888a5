//! What stages that train a network share: the images, the way from a checkpoint to the end.

use super::{PlanContext, material::Material, watch::Watch};
use crate::{
    data::{Dataset, ImageShape, Loader, LoaderOptions, Order, Part},
    model::Model,
    recipes::{Feed, FittedImages, HOLD_OUT, Settings},
    records::Watched,
    run::{Context, StageError, sentence},
    tasks::{Learned, Supervised, Task, policy::Play},
    train::{CheckpointError, Ended, EpochRecord, Strategy, Training, TrainingError},
};
use burn::tensor::Device;
use std::{path::PathBuf, sync::Arc};

impl Settings {
    /// Makes known what the stage's network learns from, and what it will be measured by.
    pub(super) fn tell(&self, context: &PlanContext<'_>) {
        let images = context.images();
        if let Some(images) = images {
            context.tells.fitted.get_or_init(|| images);
        }
        let classes = images.map_or(0, |images| images.classes);
        context.tells.measures.get_or_init(|| self.task.measures(classes));
    }

    /// Whether the frames of an epoch, which are kept until it ends, have room in so many bytes.
    ///
    /// # Errors
    /// How much they need.
    pub(super) fn rollout_fits(&self, images: ImageShape, there: Option<u64>) -> Result<(), String> {
        let frame = images.shape.iter().product::<usize>() as f64;
        let needed = self.frames(1).unwrap_or_default() * frame;
        match there {
            Some(there) if needed > there as f64 => {
                let [needed, there] = [needed, there as f64].map(|bytes| bytes / 1e9);
                Err(format!("the frames of an epoch need {needed:.1} GB of memory, and there are {there:.1}"))
            }
            _ => Ok(()),
        }
    }

    /// Frames that were played in so many epochs, where a game is played.
    pub(super) fn frames(&self, epochs: usize) -> Option<f64> {
        match self.task.learned(&[]) {
            Learned::ByPlaying(settings) => Some((epochs * settings.frames_per_epoch()) as f64),
            Learned::FromExamples(_) => None,
        }
    }

    /// The task on the images that are fitted, with those that are watched; `with` may give it others.
    /// Or the task of who plays a game.
    ///
    /// # Errors
    /// Where images or the game cannot be had.
    pub(super) fn task(
        &self,
        material: &Material,
        watched: Watched,
        (roots, device): (&[PathBuf], Device),
        with: impl FnOnce(Supervised, &Arc<Dataset>) -> Result<Supervised, StageError>,
    ) -> Result<Box<dyn Task>, StageError> {
        match (material, self.task.learned(material.classes())) {
            (Material::Examples(dataset), Learned::FromExamples(supervision)) => {
                let (fit, watched) = self.feed.loaders(dataset, watched)?;
                Ok(Box::new(with(Supervised::new(supervision, fit, watched, device), dataset)?))
            }
            (Material::Game(game), Learned::ByPlaying(settings)) => {
                let Feed { batch, seed, .. } = self.feed;
                let is_parted = matches!(self.training.strategy, Strategy::Bilevel(_));
                let play = Play::new(settings, game, (batch, seed, is_parted), roots, device);
                Ok(Box::new(play.map_err(|error| StageError::input(sentence(&error)))?))
            }
            (material, _) => Err(StageError::input(match self.task.check(material.images()) {
                Err(why) => why,
                Ok(()) => format!("a task `{}` is not learned from such data", self.task.kind()),
            })),
        }
    }
}

/// Complains where the network cannot look at the pictures that are watched, which are of any size.
///
/// # Errors
/// Names the layer that cannot.
pub(super) fn check_sides(model: &Model, material: &Material, watched: Watched) -> Result<(), StageError> {
    let Material::Examples(dataset) = material else { return Ok(()) };
    let part = match watched {
        Watched::HeldOut => Part::Train,
        Watched::Test => Part::Test,
        Watched::Nothing => return Ok(()),
    };
    for [height, width] in dataset.sides(part) {
        model.check_images([height, width], false).map_err(|error| StageError::Input {
            message: format!("pictures of {width}x{height} pixels: {}", sentence(&error)),
            hint: error.hint(),
        })?;
    }
    Ok(())
}

/// Tells the stream of validation images from that of images to fit.
const VALIDATION: u64 = 0x7661_6c69_6461_7465;

impl Feed {
    /// The images to fit, and those to watch where there are any.
    fn loaders(&self, dataset: &Arc<Dataset>, watched: Watched) -> Result<(Loader, Option<Loader>), StageError> {
        let Self { images, batch, augment, seed, watch_images } = *self;
        let fit = match images {
            FittedImages::Fit => dataset.split.fit.clone(),
            FittedImages::All => dataset.all(Part::Train),
        };
        let looked_at = match watched {
            Watched::HeldOut => Some((Part::Train, dataset.split.held_out.clone())),
            Watched::Test => Some((Part::Test, dataset.all(Part::Test))),
            Watched::Nothing => None,
        };
        let loader = |part, indices, options| Loader::new(dataset.clone(), part, indices, options);
        let options = LoaderOptions { batch, order: Order::Shuffled, seed, augment: Some(augment), drop_last: false };
        let watched = match looked_at.filter(|(_, indices)| !indices.is_empty()) {
            Some((part, indices)) => {
                let indices = spread(indices, watch_images.unwrap_or(usize::MAX));
                Some(loader(part, indices, LoaderOptions::evaluation(batch))?)
            }
            None => None,
        };
        Ok((loader(Part::Train, fit, options)?, watched))
    }

    /// The held-out images, shuffled and changed at random as those to fit: what a bilevel search
    /// judges its alphas on.
    ///
    /// # Errors
    /// Where nothing is held out, or held-out images are fitted too.
    pub(super) fn validation(&self, dataset: &Arc<Dataset>) -> Result<Loader, StageError> {
        let held_out = dataset.split.held_out.clone();
        if held_out.is_empty() || self.images == FittedImages::All {
            let message =
                "a bilevel search judges alphas on images that its weights are not fitted on, and there are none";
            return Err(StageError::Input { message: message.to_owned(), hint: Some(HOLD_OUT.to_owned()) });
        }
        let Self { batch, augment, seed, .. } = *self;
        // Batches of one size, drawn in another order than those to fit: of one seed, both would be
        // one permutation.
        let (seed, drop_last) = (seed ^ VALIDATION, held_out.len() >= batch);
        let options = LoaderOptions { batch, order: Order::Shuffled, seed, augment: Some(augment), drop_last };
        Ok(Loader::new(dataset.clone(), Part::Train, held_out, options)?)
    }
}

/// At most `most` of them, spread evenly: images of a class may stand side by side.
fn spread(indices: Vec<u32>, most: usize) -> Vec<u32> {
    let (all, most) = (indices.len(), most.min(indices.len()));
    (0..most).map(|at| indices[at * all / most]).collect()
}

/// Trains to the end: from the stage's checkpoint, if there is one that can be used. `told` are
/// further figures of an epoch, to be shown when it is done.
pub(super) fn train<'a>(
    context: &mut Context<'_>,
    mut training: Training<'a>,
    watched: Watched,
    epochs: usize,
    device: &Device,
    told: &dyn Fn(&EpochRecord) -> Vec<(String, f64)>,
) -> Result<Training<'a>, StageError> {
    let checkpoint = context.work()?.join("checkpoint.safetensors");
    match training.resume(&checkpoint, device) {
        Ok(Some(at)) => context.resumed(at, training.spent()),
        Ok(None) => {}
        // Damaged, or of another version of the program: all is done anew, nothing is lost but
        // time.
        Err(error) => {
            let kind = context.kind().to_owned();
            context.warn(format!("{}; the {kind} starts again", sentence(&error)));
        }
    }
    let mut watch = Watch::new(context, epochs, training.learner.objective.clone(), watched.name(), told);
    let mut ended = training.run(&checkpoint, &mut watch);
    if let Ok(Ended::Completed) = ended {
        // What was learned is published next, and that may fail: then it is not learned again.
        ended = training.save(&checkpoint, &mut watch).map(|()| Ended::Completed);
    }
    let ended = ended.map_err(|error| match error {
        TrainingError::Checkpoint(CheckpointError::Store(error)) => StageError::Store(error),
        other => StageError::failed(sentence(&other)),
    })?;
    match ended {
        Ended::Stopped => Err(StageError::Interrupted),
        Ended::Completed => Ok(training),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_of_the_watched_images_are_spread_over_all() {
        let indices: Vec<u32> = (0..10).collect();
        assert_eq!(spread(indices.clone(), 4), [0, 2, 5, 7]);
        assert_eq!(spread(indices.clone(), 10), indices);
        assert_eq!(spread(indices.clone(), 11), indices);
        assert!(spread(Vec::new(), 3).is_empty());
    }
}
