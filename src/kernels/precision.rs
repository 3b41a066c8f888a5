//! The number format of feature maps.

use std::fmt;

/// How feature maps and their gradients are kept in memory. At any precision
/// weights, statistics, mixing weights, the gradients of all these, sums and the states of
/// optimisers are `f32`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    #[default]
    F32,
    /// Half the memory and half the traffic, with 8 significant bits. Its range is that of `f32`,
    /// so nothing has to be scaled.
    Bf16,
    /// What a software Vulkan may have instead, so that another format than `f32` is tested there.
    /// Not offered: the gradients of a deep network fall below its range.
    #[cfg(test)]
    F16,
}

impl Precision {
    /// By the names that keys and options have for them.
    pub const ALL: [(&str, Self); 2] = [("f32", Self::F32), ("bf16", Self::Bf16)];

    /// Of a map's value.
    pub fn bytes(self) -> u64 {
        if self == Self::F32 { 4 } else { 2 }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            #[cfg(test)]
            Self::F16 => "f16",
        })
    }
}
