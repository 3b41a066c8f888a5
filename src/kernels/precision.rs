//! The number format of what a network computes.

#[cfg(any(feature = "cuda", feature = "wgpu"))]
use burn::tensor::DType;
use std::fmt;

/// In what format a GPU keeps feature maps and their gradients. Sums, weights, statistics, alphas and the states of optimisers
/// are `f32` whatever it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    #[default]
    F32,
    /// Half the memory and half the traffic, with 8 significant bits.
    Bf16,
}

impl Precision {
    #[cfg(any(feature = "cuda", feature = "wgpu"))]
    pub(super) fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::Bf16 => DType::BF16,
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        })
    }
}
