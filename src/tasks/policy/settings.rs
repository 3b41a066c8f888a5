//! What a pipeline says of learning to act.

use super::{
    Discount, PolicySettings, Ppo,
    ppo::{MEASURES, POLICY, VALUE},
};
use crate::{
    config::Fields,
    data::{Augment, ImageKind, ImageShape},
    model::OutputSpec,
    tasks::{Learned, Measure, TaskKind, TaskSettings},
};
use std::sync::Arc;

pub const KIND: TaskKind = TaskKind {
    name: "policy",
    read: |fields, _| Arc::new(PolicySettings::read(fields)),
    plain: || Arc::new(PolicySettings::default()),
};

const SHARE: &str = "a number from 0 to 1";
const WEIGHT: &str = "a number from 0";

impl PolicySettings {
    /// `policy: {actors, steps, passes, discount, lambda, clip, value_weight, entropy_weight, …}`
    fn read(fields: &mut Fields<'_>) -> Self {
        let usual = Self::default();
        fields.map("policy", |keys| Self {
            actors: keys.integer("actors", usual.actors, 1..=4096, "a whole number from 1 to 4096"),
            steps: keys.integer("steps", usual.steps, 1..=65_536, "a whole number from 1 to 65536"),
            passes: keys.integer("passes", usual.passes, 1..=1000, "a whole number from 1 to 1000"),
            discount: Discount {
                gamma: keys.number("discount", usual.discount.gamma, 0.0..=1.0, SHARE),
                lambda: keys.number("lambda", usual.discount.lambda, 0.0..=1.0, SHARE),
            },
            ppo: Ppo {
                clip: keys.number("clip", usual.ppo.clip, 1e-6..=1e6, "a number from 0.000001 to 1000000"),
                value_weight: keys.number("value_weight", usual.ppo.value_weight, 0.0.., WEIGHT),
                entropy_weight: keys.number("entropy_weight", usual.ppo.entropy_weight, 0.0.., WEIGHT),
            },
            scale_rewards: keys.boolean("scale_rewards", usual.scale_rewards),
            normalise_advantages: keys.boolean("normalise_advantages", usual.normalise_advantages),
        })
    }
}

impl TaskSettings for PolicySettings {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn outputs(&self, ImageShape { classes: actions, .. }: ImageShape) -> Vec<OutputSpec> {
        let row = |name: &str, numbers| {
            let scores = OutputSpec::scores(numbers).into_iter();
            scores.map(|output| OutputSpec { name: name.to_owned(), ..output }).collect::<Vec<_>>()
        };
        [row(POLICY, actions), row(VALUE, 1)].concat()
    }

    fn check(&self, images: ImageShape) -> Result<(), String> {
        match images.kind {
            ImageKind::Frames => Ok(()),
            _ => Err("`policy` is learned by playing: `prepare: {catch: {}}` or `prepare: {procgen: …}`".to_owned()),
        }
    }

    fn check_batch(&self, batch: usize, is_bilevel: bool) -> Result<(), (&'static str, String)> {
        if is_bilevel && self.actors < 2 {
            let why = "half of the actors play for the alphas of a bilevel search, and there is one";
            return Err(("policy", why.to_owned()));
        }
        let fitted = if is_bilevel { self.actors / 2 } else { self.actors } * self.steps;
        if batch > fitted.max(1) {
            return Err(("batch", format!("a `batch` of {batch} is more than the {fitted} frames of an epoch")));
        }
        Ok(())
    }

    /// Frames are learned from as they were seen.
    fn augmentation(&self, _: Augment) -> Augment {
        Augment::default()
    }

    fn measures(&self, _: usize) -> Vec<Measure> {
        MEASURES.to_vec()
    }

    fn fitted(&self) -> &'static str {
        "in the episodes that it played last"
    }

    fn trains_auxiliary(&self) -> bool {
        false
    }

    fn learned(&self, _: &[String]) -> Learned {
        Learned::ByPlaying(*self)
    }
}
