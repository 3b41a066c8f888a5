//! The data sets that are known, and where their files lie.

pub(super) mod cifar;
pub(super) mod digits;
pub(super) mod folder;
pub(super) mod locate;
pub(super) mod pairs;
pub(super) mod pickle;
pub(super) mod source;
pub(super) mod synthetic;
