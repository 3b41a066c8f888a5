//! How a kernel steps over a feature map.

use crate::space::network::Conv;

/// Stride, padding and dilation, each for rows and columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pub stride: [usize; 2],
    /// Zeros on both sides of each axis.
    pub padding: [usize; 2],
    /// Distance between taps; 1 for neighbours.
    pub dilation: [usize; 2],
}

impl Default for Window {
    /// Steps of one, no padding, neighbouring taps.
    fn default() -> Self {
        Self { stride: [1; 2], padding: [0; 2], dilation: [1; 2] }
    }
}

impl From<&Conv> for Window {
    fn from(conv: &Conv) -> Self {
        Self { stride: conv.stride, padding: conv.padding, dilation: conv.dilation }
    }
}
