//! Whether a stage's network can be built for its images and has room in memory: found while the
//! pipeline is read, where the images and the genotype are known by then.

use super::{PlanContext, plan_context::Compute};
use crate::{
    config::Fields,
    data::{Augment, DataError, ImageShape},
    recipes::Settings,
    run::sentence,
    space::{Build, Genotype, Space, SpaceError},
    train::Strategy,
};

/// The way out of too little memory.
pub(super) const SMALLER: &str =
    "make `batch`, `channels` or `size` smaller; `runtime: {allow_memory: true}` tries it all the same";

/// Complains where the supernet of `space`, or its network of `genotype`, cannot be built or needs
/// more memory than there is.
pub(super) fn check(
    fields: &mut Fields<'_>,
    context: &PlanContext<'_>,
    compute: &Compute,
    settings: &Settings,
    (space, genotype): (&Space, Option<&Genotype>),
    images: ImageShape,
) {
    let build = match genotype {
        None => settings.supernet(images),
        Some(_) => settings.discrete(images),
    };
    let batch = settings.feed.batch;
    let question = format!("{} {build:?} {genotype:?} {compute:?} {batch}", space.digest());
    let known = context.answers.0.borrow().get(&question).cloned();
    let answer = known.unwrap_or_else(|| {
        let network = genotype.map_or_else(|| space.supernet(&build), |genotype| space.discrete(genotype, &build));
        match network {
            Ok(network) => {
                let message = compute.too_large(&network, batch);
                message.map(|message| (message, Some(SMALLER.to_owned()), &["batch", "channels", "size"][..]))
            }
            Err(error @ (SpaceError::UnknownSkeleton { .. } | SpaceError::Genotype { .. })) => {
                Some((sentence(&error), error.hint(), &["skeleton"][..]))
            }
            Err(error) => Some((unbuilt(space, &build, &error), error.hint(), &["channels", "size", "skeleton"][..])),
        }
    });
    context.answers.0.borrow_mut().insert(question, answer.clone());
    if let Some((message, hint, blamed)) = answer {
        let written = blamed.iter().find(|key| fields.is_written(key));
        let place = fields.origin_of(written.copied().unwrap_or_default()).clone();
        fields.problems().add_hinted(&place, message, hint);
    }
}

/// Complains where the skeleton cannot be built whatever the genotype, which a search has yet to find.
pub(super) fn check_skeleton(fields: &mut Fields<'_>, settings: &Settings, space: &Space, images: ImageShape) {
    let build = settings.discrete(images);
    if let Err(error) = space.check_skeleton(&build) {
        let written = ["skeleton", "channels", "size"].into_iter().find(|key| fields.is_written(key));
        let place = fields.origin_of(written.unwrap_or_default()).clone();
        fields.problems().add_hinted(&place, unbuilt(space, &build, &error), error.hint());
    }
}

/// Where in a space's file a network's fault is, as far as that is known.
fn unbuilt(space: &Space, build: &Build, error: &SpaceError) -> String {
    format!("skeleton `{}` of space `{}`: {error}", build.skeleton, space.name)
}

/// Complains where the task cannot be learned from such images; whether it can.
pub(super) fn check_task(
    fields: &mut Fields<'_>,
    settings: &Settings,
    images: ImageShape,
    memory: Option<u64>,
) -> bool {
    let of_task = settings.task.check(images).map_err(|why| ("task", why));
    let is_bilevel = matches!(settings.training.strategy, Strategy::Bilevel(_));
    let checked = of_task.and_then(|()| settings.task.check_batch(settings.feed.batch, is_bilevel));
    let checked = checked.and_then(|()| settings.rollout_fits(images, memory).map_err(|why| ("policy", why)));
    if let Err((key, why)) = &checked {
        let place = fields.origin_of(key).clone();
        fields.problems().add(&place, why);
    }
    checked.is_ok()
}

/// Complains where the changes of `augment` do not fit the images: at the key, or as of a default where nobody
/// wrote it.
pub(super) fn check_augment(fields: &mut Fields<'_>, augment: &Augment, images: ImageShape) {
    let Err(error) = augment.fits(images.shape, images.kind) else { return };
    let (mut message, mut hint) = (sentence(&error), error.hint());
    let mut place = fields.origin_of("augment").clone();
    if let DataError::Setting { setting, .. } = error {
        let key = setting.split('.').next().unwrap_or(setting);
        match fields.node("augment").and_then(|augment| augment.get(key)) {
            Some(written) => place = written.origin.clone(),
            None => {
                message.push_str(", the default");
                let off = if matches!(key, "crop_padding" | "cutout") { "0" } else { "false" };
                hint = Some(format!("write `augment: {{{key}: {off}}}`, or what fits"));
            }
        }
    }
    fields.problems().add_hinted(&place, message, hint);
}
