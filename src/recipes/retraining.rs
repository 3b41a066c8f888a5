//! The keys of training a discrete network.

use super::{
    COUNT, MOMENT, augmentation,
    rate::RateDefaults,
    weights::{Moving, WeightDefaults, Weights, weights},
};
use crate::{
    config::Fields,
    data::{Augment, Cutout, Jitter, ResizedCrop},
    tasks::LossDefaults,
    train::{LearnerConfig, Rate, Strategy, TrainingConfig},
};

/// What a paper trains a discrete network with, where the pipeline says nothing else.
pub struct Recipe {
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
        weights: WeightDefaults {
            rate: RateDefaults { rate: 0.025, schedule: "cosine", minimum: 0.0, factor: 0.97 },
            weight_decay: 3e-4,
        },
        drop_path: 0.2,
        label_smoothing: 0.0,
        augment: Augment { cutout: Some(Cutout { length: 16, probability: 1.0 }), ..augmentation::SEARCH },
        auxiliary_weight: 0.4,
    };

    /// DARTS on ImageNet (`cnn/train_imagenet.py`). P-DARTS and PC-DARTS have a batch of 1024,
    /// `schedule: linear`, a rate of 0.5 and `warmup_epochs: 5`.
    pub const IMAGENET: Self = Self {
        epochs: 250,
        batch: 128,
        weights: WeightDefaults {
            rate: RateDefaults { rate: 0.1, schedule: "exponential", minimum: 0.0, factor: 0.97 },
            weight_decay: 3e-5,
        },
        drop_path: 0.0,
        label_smoothing: 0.1,
        augment: Augment {
            crop_padding: 0,
            flip: true,
            cutout: None,
            resized_crop: Some(ResizedCrop::IMAGENET),
            jitter: Some(Jitter::IMAGENET),
            turn: false,
        },
        auxiliary_weight: 0.4,
    };

    /// Of a skeleton with an auxiliary head, or without.
    pub fn loss(&self, has_auxiliary: bool) -> LossDefaults {
        let auxiliary_weight = has_auxiliary.then_some(self.auxiliary_weight);
        LossDefaults { label_smoothing: self.label_smoothing, auxiliary_weight }
    }
}

/// How a discrete network learns, as a pipeline says it.
pub struct Retraining {
    pub batch: usize,
    pub learner: LearnerConfig,
    pub training: TrainingConfig,
}

/// `epochs`, `batch`, `accumulate`, `weights: {…}`, `drop_path`, `average`, `watch_every`.
pub fn retraining(fields: &mut Fields<'_>, recipe: &Recipe, seed: u64) -> Retraining {
    let epochs = fields.integer("epochs", recipe.epochs, 1.., COUNT);
    let batch: usize = fields.integer("batch", recipe.batch, 1.., COUNT);
    let accumulate: usize = fields.integer("accumulate", 1, 1.., COUNT);
    if !batch.is_multiple_of(accumulate) {
        let place = fields.origin_of("accumulate").clone();
        let message = format!("`accumulate` {accumulate} does not divide `batch` {batch} into equal parts");
        fields.problems().add(&place, message);
    }
    let Weights { rate, optimiser, clip_norm, clipped } = weights(fields, &recipe.weights, epochs, Moving::Weights);
    let drop_path = fields.number("drop_path", recipe.drop_path, 0.0..1.0, MOMENT);
    let average = fields.optional_number("average", 0.0..1.0, MOMENT);
    let watch_every = fields.integer("watch_every", 1, 1.., COUNT);
    let learner = LearnerConfig { optimiser, clip_norm, clipped, average, alphas: None };
    let strategy = Strategy::WeightsOnly;
    // No alphas, no rate of theirs.
    let (alpha_rate, warmup_epochs) = (Rate::constant(0.0), 0);
    let training =
        TrainingConfig { epochs, strategy, rate, alpha_rate, warmup_epochs, accumulate, drop_path, seed, watch_every };
    Retraining { batch: batch / accumulate, learner, training }
}
