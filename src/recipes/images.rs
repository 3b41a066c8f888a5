//! Images that are not there yet, as far as a network must know them.

use crate::{
    config::Fields,
    data::{ImageKind, ImageShape},
};

/// `images: {channels: 3, size: 32, classes: 10}`, of images that are not there yet.
pub fn images(fields: &mut Fields<'_>, side: usize, classes: usize) -> ImageShape {
    fields.map("images", |keys| {
        let mut count =
            |key, default, least| keys.integer(key, default, least.., &format!("a whole number from {least}"));
        let (channels, side, classes) = (count("channels", 3, 1), count("size", side, 4), count("classes", classes, 2));
        ImageShape { shape: [channels, side, side], classes, kind: ImageKind::InMemory }
    })
}
