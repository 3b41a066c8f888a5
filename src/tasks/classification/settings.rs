//! What a pipeline says of a classification.

use super::{Classes, measures};
use crate::{
    config::Fields,
    data::ImageShape,
    model::OutputSpec,
    tasks::{Learned, LossDefaults, Measure, TaskKind, TaskSettings},
};
use std::sync::Arc;

pub const KIND: TaskKind = TaskKind { name: "classification", read, plain: || Arc::new(Classification::default()) };

/// What the training of a classifier has besides cross-entropy.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Classification {
    /// See [`cross_entropy`](super::cross_entropy).
    pub label_smoothing: f64,
    /// What the auxiliary head's loss counts, where the network has one.
    pub auxiliary_weight: f64,
}

/// `label_smoothing` and `auxiliary_weight`.
fn read(fields: &mut Fields<'_>, usual: Option<&LossDefaults>) -> Arc<dyn TaskSettings> {
    let Some(usual) = usual else { return (KIND.plain)() };
    const SHARE: &str = "a number from 0 to below 1";
    let label_smoothing = fields.number("label_smoothing", usual.label_smoothing, 0.0..1.0, SHARE);
    let weight = usual.auxiliary_weight.unwrap_or_default();
    let auxiliary_weight = fields.number("auxiliary_weight", weight, 0.0.., "a number from 0");
    if auxiliary_weight > 0.0 && usual.auxiliary_weight.is_none() {
        let place = fields.origin_of("auxiliary_weight").clone();
        fields.problems().add(&place, "the skeleton has no auxiliary head to weigh");
    }
    Arc::new(Classification { label_smoothing, auxiliary_weight })
}

impl TaskSettings for Classification {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    /// A score a class.
    fn outputs(&self, images: ImageShape) -> Vec<OutputSpec> {
        OutputSpec::scores(images.classes)
    }

    fn measures(&self, classes: usize) -> Vec<Measure> {
        measures(classes).to_vec()
    }

    fn trains_auxiliary(&self) -> bool {
        self.auxiliary_weight > 0.0
    }

    fn learned(&self, classes: &[String]) -> Learned {
        Learned::FromExamples(Arc::new(Classes::new(*self, classes.to_vec())))
    }
}
