//! Pictures of any size: decoded, looked at, changed at random.

pub(super) mod animation;
pub(super) mod augment;
pub(super) mod bicubic;
pub(super) mod decode;
pub(super) mod encode;
pub(super) mod hue;
pub(super) mod jitter;
pub(super) mod patch;
pub(super) mod picture;
pub(super) mod resized_crop;
pub(super) mod view;
pub(super) mod workbench;
