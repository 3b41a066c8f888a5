//! One picture of any size.

/// 8-bit RGB, upright.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Picture {
    pub width: usize,
    pub height: usize,
    /// `[height, width, 3]`
    pub pixels: Vec<u8>,
    /// Its file has one channel, no colours: then the three here are equal.
    pub grey: bool,
}

impl Picture {
    /// The kinds that are read, for people.
    pub const KINDS: &str = "JPEG, PNG, WebP, GIF, BMP, TIFF and PNM";
}
