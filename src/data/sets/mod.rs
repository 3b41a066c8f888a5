//! A data set in memory and packed on disk: images, statistics, split.

pub(super) mod dataset;
pub(super) mod files;
pub(super) mod normalise;
pub(super) mod packed;
pub(super) mod pairs;
pub(super) mod shape;
pub(super) mod split;
