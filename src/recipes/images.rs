//! Images that are not there yet, as far as a network must know them.

use crate::config::Fields;

/// The images of a data set, as a network sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageShape {
    /// Channels, height, width.
    pub shape: [usize; 3],
    pub classes: usize,
    /// Whether they are picture files.
    pub in_files: bool,
}

impl ImageShape {
    /// `images: {channels: 3, size: 32, classes: 10}`, of images that are not there yet.
    pub fn read(fields: &mut Fields<'_>, side: usize, classes: usize) -> Self {
        fields.map("images", |keys| {
            let mut count =
                |key, default, least| keys.integer(key, default, least.., &format!("a whole number from {least}"));
            let (channels, side, classes) =
                (count("channels", 3, 1), count("size", side, 4), count("classes", classes, 2));
            Self { shape: [channels, side, side], classes, in_files: false }
        })
    }
}
