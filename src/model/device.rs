//! The device of a run, from the word a person writes.

use crate::kernels::{Kernels, Precision};
use burn::tensor::Device;
use std::{fmt, str::FromStr};

/// `cpu`, `cuda`, `cuda:1`, `wgpu`, or `wgpu:1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceName {
    Cpu,
    Cuda {
        index: usize,
    },
    /// A GPU of any maker through WebGPU, numbered as its driver lists them.
    Wgpu {
        index: usize,
    },
}

/// A device cannot be named or opened.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    #[error("`{0}` is no device; devices are `cpu`, `cuda`, `cuda:INDEX`, `wgpu` and `wgpu:INDEX`")]
    Unknown(String),
    #[error("this build has no CUDA: build with `cargo build --release --features cuda`, or use the device `cpu`")]
    NotBuilt,
    #[error("this build has no WebGPU: build with `cargo build --release --features wgpu`, or use the device `cpu`")]
    WgpuNotBuilt,
    #[error(
        "no GPU that Vulkan, Metal or Direct3D 12 can reach: is a driver installed? Without a GPU, Mesa's software Vulkan \
         (Debian: `mesa-vulkan-drivers` and `libvulkan1`) will do to try things out, or use the device `cpu`"
    )]
    NoAdapter,
    #[error("no NVIDIA GPU or no driver (`libcuda`) on this machine: does `nvidia-smi` list one?")]
    NoGpu,
    #[error("there is no GPU `{index}`, {found} found")]
    NoSuchGpu { index: usize, found: usize },
    #[error(
        "the CUDA headers were not found: `CUDA_PATH` is not set, and neither `/usr/local/cuda` nor `/opt/cuda` exists"
    )]
    NoHeaders,
}

impl FromStr for DeviceName {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            None if text == "cpu" => Ok(Self::Cpu),
            None if text == "cuda" => Ok(Self::Cuda { index: 0 }),
            None if text == "wgpu" => Ok(Self::Wgpu { index: 0 }),
            Some((kind @ ("cuda" | "wgpu"), index)) => {
                let index = index.parse().map_err(|_| DeviceError::Unknown(text.to_owned()))?;
                Ok(if kind == "cuda" { Self::Cuda { index } } else { Self::Wgpu { index } })
            }
            _ => Err(DeviceError::Unknown(text.to_owned())),
        }
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda { index } => write!(f, "cuda:{index}"),
            Self::Wgpu { index } => write!(f, "wgpu:{index}"),
        }
    }
}

impl DeviceName {
    /// The word that enters keys: the kind of device without its index.
    pub fn backend(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda { .. } => "cuda",
            Self::Wgpu { .. } => "wgpu",
        }
    }

    /// Whether networks can be computed with feature maps of this precision. WebGPU's language has
    /// no `bf16`, and burn's operators compute in `f32`.
    pub fn has(self, precision: Precision, kernels: Kernels) -> bool {
        precision == Precision::F32 || (!matches!(self, Self::Wgpu { .. }) && kernels == Kernels::Native)
    }

    /// The burn device, without autodiff.
    ///
    /// # Errors
    /// A device that this build does not know, or that this machine does not have.
    pub fn open(self) -> Result<Device, DeviceError> {
        match self {
            Self::Cpu => Ok(Device::flex()),
            Self::Cuda { index } => open_cuda(index),
            Self::Wgpu { index } => open_wgpu(index),
        }
    }
}

/// Asks before opening: on a machine without a driver burn panics when it opens a device, and
/// without headers at the first kernel.
#[cfg(feature = "cuda")]
fn open_cuda(index: usize) -> Result<Device, DeviceError> {
    let found = Device::enumerate(burn::tensor::DeviceType::Cuda).into_vec().len();
    if found == 0 {
        return Err(DeviceError::NoGpu);
    }
    if index >= found {
        return Err(DeviceError::NoSuchGpu { index, found });
    }
    if crate::kernels::cuda_path().is_none() {
        return Err(DeviceError::NoHeaders);
    }
    Ok(Device::cuda(index))
}

#[cfg(not(feature = "cuda"))]
fn open_cuda(_index: usize) -> Result<Device, DeviceError> {
    Err(DeviceError::NotBuilt)
}

/// Asks before opening, as burn panics where there is no adapter.
#[cfg(feature = "wgpu")]
fn open_wgpu(index: usize) -> Result<Device, DeviceError> {
    let found = Device::enumerate(burn::tensor::DeviceType::Wgpu).into_vec();
    match found.get(index) {
        Some(device) => Ok(device.clone()),
        None if found.is_empty() => Err(DeviceError::NoAdapter),
        None => Err(DeviceError::NoSuchGpu { index, found: found.len() }),
    }
}

#[cfg(not(feature = "wgpu"))]
fn open_wgpu(_index: usize) -> Result<Device, DeviceError> {
    Err(DeviceError::WgpuNotBuilt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_and_others_are_refused() {
        for name in ["cpu", "cuda:0", "cuda:3", "wgpu:0", "wgpu:2"] {
            assert_eq!(name.parse::<DeviceName>().unwrap().to_string(), name);
        }
        for name in ["gpu", "cuda:", "cuda:x", "wgpu:-1", "cpu:0", ""] {
            assert!(name.parse::<DeviceName>().is_err(), "{name}");
        }
    }
}
