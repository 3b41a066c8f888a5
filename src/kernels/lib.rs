//! What networks are computed by.
//!
//! A network runs as a [`program`](mod@program): a list of three fused operators, convolutions,
//! pools and nodes, over the feature maps of a whole batch. Engines run programs and their reverse;
//! each is held to the reference in value and in every gradient. [`run`] gives a [`Pass`] of a
//! program to the engine of the device that its tensors are on.
//!
//! | folder | runs programs |
//! | --- | --- |
//! | `cpu/` | on the processor, block by block, in vectors |
//! | `gpu/` | on CUDA and, through WGSL, on other GPUs (features `cuda`, `wgpu`) |
//! | `reference.rs` | by burn's operators, for tests |
//!
//! Sums are taken in an order that depends on shapes alone: the same bits on any number of threads.

mod cpu;
#[cfg(test)]
mod determinism;
#[cfg(any(test, feature = "cuda-sources"))]
pub mod draft;
#[cfg(any(feature = "cuda", feature = "wgpu", feature = "cuda-sources"))]
mod gpu;
mod operator;
#[cfg(test)]
mod parity;
mod pass;
mod peak;
mod precision;
mod profile;
pub mod program;
#[cfg(test)]
mod reference;
pub mod vector;

use std::fmt;

use burn::backend::DispatchDevice;
use burn::tensor::Device;

/// Where the headers and the compiler for kernels are found; `None` where CUDA is not installed.
#[cfg(feature = "cuda")]
pub use cubecl_cuda::install::cuda_path;

#[cfg(feature = "cuda-sources")]
pub use self::gpu::sources::{CudaSource, CudaSourceError, cuda_sources};

pub use self::{
    operator::run,
    pass::{Pass, PassOutput, Plans},
    peak::Peak,
    precision::Precision,
    profile::{Clock, OperatorTime},
};

/// What computes a network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Kernels {
    /// Burn's operators, layer by layer, on every device.
    Reference,
    /// A program where the device has an engine, else as the reference.
    #[default]
    Native,
}

impl Kernels {
    /// Whether whole networks run as programs on this device.
    pub fn has_programs(self, device: &Device) -> bool {
        let known = match device.clone().without_autodiff().as_dispatch() {
            DispatchDevice::Flex(_) => true,
            #[cfg(any(feature = "cuda", feature = "wgpu"))]
            DispatchDevice::Cube(_) => true,
            _ => false,
        };
        self == Self::Native && known
    }
}

impl fmt::Display for Kernels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reference => "reference",
            Self::Native => "native",
        })
    }
}
