//! Networks that are counted and not trained: the keys that say how they are built, what they cost,
//! and how that is told.

use crate::{
    config::Fields,
    data::ImageShape,
    recipes::{SpaceFile, images},
    records::Size,
    run::{StageError, sentence},
    space::{Build, Cost, Genotype, Space, network::OutputSpec},
};

/// `skeleton: cifar, channels: 36, size: 20, images: {channels: 3, size: 32, classes: 10}`: what is
/// not said is as the skeleton has it. `None` after a complaint.
pub(super) fn read(keys: &mut Fields<'_>, file: Option<&SpaceFile>) -> Option<Build> {
    let skeleton = Some(keys.required_text("skeleton")).filter(|skeleton| !skeleton.is_empty());
    let size = Size::read(keys, skeleton, file.map(|file| &file.space));
    let defaults = size.as_ref().and_then(|size| file?.space.skeleton_defaults(&size.skeleton));
    let (side, classes) = defaults.map_or((32, 10), |defaults| (defaults.input, defaults.classes));
    let ImageShape { shape, classes, .. } = images(keys, side, classes);
    // Results know the images in this form.
    keys.exclude_from_hash("images");
    keys.hash("image", shape.to_vec());
    keys.hash("classes", classes);
    let build = size?.build(OutputSpec::scores(classes), shape, false);
    Some(Build { outputs: file?.space.outputs(&build), ..build })
}

/// What the network of a genotype costs.
pub(super) fn of(genotype: &Genotype, space: &Space, build: &Build) -> Result<Cost, StageError> {
    match space.discrete(genotype, build) {
        Ok(network) => Ok(network.cost()),
        Err(error) => Err(StageError::Input { message: sentence(&error), hint: error.hint() }),
    }
}

pub(super) fn shown(cost: Cost) -> String {
    format!("{} parameters and {} multiply-adds", cost.parameters, cost.multiply_adds)
}
