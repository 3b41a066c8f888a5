//! Channels and sides of what layers read and give.

/// A feature map's channels and sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeatureMap {
    pub channels: usize,
    pub height: usize,
    pub width: usize,
}

impl FeatureMap {
    /// Values of one image's map.
    pub fn elements(self) -> usize {
        self.channels.saturating_mul(self.height).saturating_mul(self.width)
    }

    /// Every `stride`th pixel of both axes.
    pub(super) fn strided(self, stride: usize) -> Self {
        Self { height: self.height.div_ceil(stride), width: self.width.div_ceil(stride), ..self }
    }
}

/// `16x32x32`: channels, height, width.
impl std::fmt::Display for FeatureMap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}x{}", self.channels, self.height, self.width)
    }
}
