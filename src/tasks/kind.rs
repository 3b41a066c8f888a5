//! Tasks as pipelines name them.

use super::{Measure, Supervision, policy::PolicySettings};
use crate::{
    config::Fields,
    data::{Augment, ImageKind, ImageShape},
    model::OutputSpec,
};
use std::{fmt, sync::Arc};

/// A kind of task.
#[derive(Debug, Clone, Copy)]
pub struct TaskKind {
    /// In a pipeline: `task: classification`.
    pub name: &'static str,
    /// Reads the task's keys of a stage that trains, where those of a network's training have the
    /// defaults of its recipe. Without a recipe it is a search, and has nothing that only helps training.
    pub read: fn(&mut Fields<'_>, Option<&LossDefaults>) -> Arc<dyn TaskSettings>,
    /// The task as an evaluation has it.
    pub plain: fn() -> Arc<dyn TaskSettings>,
}

/// What the loss of a training has where the pipeline says nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LossDefaults {
    pub label_smoothing: f64,
    /// Of the auxiliary head; absent where the skeleton has none.
    pub auxiliary_weight: Option<f64>,
}

/// A task before its data set is known.
pub trait TaskSettings: fmt::Debug + Send + Sync {
    /// Of its [`TaskKind`].
    fn kind(&self) -> &'static str;

    /// What a network puts out for an example of a data set of such images.
    fn outputs(&self, images: ImageShape) -> Vec<OutputSpec>;

    /// Whether it can be learned from such images.
    ///
    /// # Errors
    /// Why not.
    fn check(&self, images: ImageShape) -> Result<(), String> {
        match images.kind {
            ImageKind::Pairs { .. } => Err(format!("pairs of pictures have no classes for a task `{}`", self.kind())),
            ImageKind::Frames => Err(format!("frames of a game have no classes for a task `{}`", self.kind())),
            _ => Ok(()),
        }
    }

    /// Whether so many examples can be learned from in a step, on two levels or on one.
    ///
    /// # Errors
    /// The key that is to blame, and why.
    fn check_batch(&self, _batch: usize, _is_bilevel: bool) -> Result<(), (&'static str, String)> {
        Ok(())
    }

    /// How examples to fit are changed at random unless the pipeline says otherwise, where `usual`
    /// is what the stage's recipe does to images of classes.
    fn augmentation(&self, usual: Augment) -> Augment {
        usual
    }

    /// What is measured where there are so many classes.
    fn measures(&self, classes: usize) -> Vec<Measure>;

    /// The output that is a picture of three channels from 0 to 1, where a network has one.
    fn picture(&self) -> Option<&'static str> {
        None
    }

    /// The images at which the cost of networks is customarily counted, and what that size is called,
    /// where that is not the data set's own.
    fn counted_at(&self, _images: ImageShape) -> Option<(String, ImageShape)> {
        None
    }

    /// What a figure of a training is of, where it is of what was learned from.
    fn fitted(&self) -> &'static str {
        "on the images it fits"
    }

    /// Whether the auxiliary head is trained, where the network has one.
    fn trains_auxiliary(&self) -> bool;

    /// How it is learned; from the examples of a data set with these classes, if from one.
    fn learned(&self, classes: &[String]) -> Learned;
}

/// How a task is learned.
#[derive(Debug)]
pub enum Learned {
    FromExamples(Arc<dyn Supervision>),
    ByPlaying(PolicySettings),
}
