//! The operators that networks spend their time in: convolutions, pooling, batch norm.
//!
//! Every operator exists twice. The **reference** is burn's own operator, on any device. The **native** one is ours, for
//! burn's CPU backend (`Device::flex()`), with a gradient written out by hand; tests hold its value and every gradient to
//! the reference. [`Kernels`] chooses; on any other device the native choice falls back to the reference.
//!
//! | operator | computes |
//! | --- | --- |
//! | [`Kernels::conv`] | any 2-d convolution, `[n, in, h, w]` → `[n, out, oh, ow]` |
//! | [`Kernels::depthwise`] | one filter (or several) a channel |
//! | [`Kernels::pointwise`] | 1x1 convolution |
//! | [`Kernels::max_pool`], [`Kernels::avg_pool`] | square windows; padding is never the maximum and never counted |
//! | [`Kernels::batch_norm_train`], [`Kernels::batch_norm_eval`] | normalisation by the batch's, or given, statistics |
//!
//! Sums are taken in an order that depends on shapes alone: the same bits on any number of threads.

mod batch_norm;
mod buffer;
mod conv;
mod cpu;
#[cfg(any(feature = "cuda", feature = "wgpu"))]
mod gpu;
#[cfg(test)]
mod held;
mod operator;
mod pool;
mod precision;
pub mod program;
#[cfg(test)]
mod reference;
mod stage;
pub mod vector;
mod window;

#[cfg(test)]
mod determinism;
#[cfg(test)]
mod parity;

use std::fmt;

use burn::backend::DispatchDevice;
use burn::tensor::{DType, Device, Tensor};

pub use self::batch_norm::BatchNormOutput;
pub use self::operator::{Pass, PassOutput, Plans};
pub use self::precision::Precision;
pub use self::window::Window;
use crate::space::network::{Conv, Pool};

/// Which implementation of the operators computes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Kernels {
    /// Burn's operators, on every device.
    Reference,
    /// Ours where there is one for the device, else burn's.
    #[default]
    Native,
}

impl Kernels {
    /// Convolves `x` as `conv` says and adds `bias` to every pixel of its channel.
    ///
    /// # Shapes
    /// `x` `[n, in, h, w]`, `weight` `[out, in / groups, kh, kw]`, `bias` `[out]` → `[n, out, oh, ow]`
    pub fn conv(self, x: Tensor<4>, weight: Tensor<4>, bias: Option<Tensor<1>>, conv: &Conv) -> Tensor<4> {
        let output = self.convolve(x, weight, Window::from(conv), conv.groups);
        match bias {
            Some(bias) => {
                let channels = bias.dims()[0];
                output + bias.reshape([1, channels, 1, 1])
            }
            None => output,
        }
    }

    /// Convolves each channel with its own filters.
    ///
    /// # Shapes
    /// `x` `[n, c, h, w]`, `weight` `[c * m, 1, kh, kw]` → `[n, c * m, oh, ow]`; output channel `o` reads channel `o / m`.
    pub fn depthwise(self, x: Tensor<4>, weight: Tensor<4>, window: Window) -> Tensor<4> {
        let channels = x.dims()[1];
        self.convolve(x, weight, window, channels)
    }

    /// Convolves with a 1x1 kernel, reading every `stride`th pixel in both axes.
    ///
    /// # Shapes
    /// `x` `[n, in, h, w]`, `weight` `[out, in, 1, 1]` → `[n, out, ceil(h / stride), ceil(w / stride)]`
    pub fn pointwise(self, x: Tensor<4>, weight: Tensor<4>, stride: usize) -> Tensor<4> {
        let window = Window { stride: [stride; 2], ..Window::default() };
        self.convolve(x, weight, window, 1)
    }

    /// Takes the maximum of each window; the first maximum in reading order takes the gradient.
    ///
    /// # Shapes
    /// `[n, c, h, w]` → `[n, c, oh, ow]`
    pub fn max_pool(self, x: Tensor<4>, pool: &Pool) -> Tensor<4> {
        if self.is_native_for(&x) { pool::max(x, pool) } else { pool::reference::max(x, pool) }
    }

    /// Takes the mean of each window's pixels, those of the padding not counted.
    ///
    /// # Shapes
    /// `[n, c, h, w]` → `[n, c, oh, ow]`
    pub fn avg_pool(self, x: Tensor<4>, pool: &Pool) -> Tensor<4> {
        if self.is_native_for(&x) { pool::avg(x, pool) } else { pool::reference::avg(x, pool) }
    }

    /// Normalises each channel by the mean and variance of this batch, then scales and shifts it where asked.
    /// The gradient reaches `x` through the statistics too.
    ///
    /// # Shapes
    /// `x` `[n, c, h, w]`; `scale`, `shift` `[c]`, absent for ones and zeros
    pub fn batch_norm_train(
        self,
        x: Tensor<4>,
        scale: Option<Tensor<1>>,
        shift: Option<Tensor<1>>,
        epsilon: f64,
    ) -> BatchNormOutput {
        if self.is_native_for(&x) {
            batch_norm::train(x, scale, shift, epsilon)
        } else {
            batch_norm::reference::train(x, scale, shift, epsilon)
        }
    }

    /// Normalises each channel by statistics that are given, then scales and shifts it where asked.
    ///
    /// # Shapes
    /// `x` `[n, c, h, w]`; all others `[c]`
    pub fn batch_norm_eval(
        self,
        x: Tensor<4>,
        scale: Option<Tensor<1>>,
        shift: Option<Tensor<1>>,
        running_mean: Tensor<1>,
        running_var: Tensor<1>,
        epsilon: f64,
    ) -> Tensor<4> {
        batch_norm::reference::eval(x, scale, shift, running_mean, running_var, epsilon)
    }

    fn convolve(self, x: Tensor<4>, weight: Tensor<4>, window: Window, groups: usize) -> Tensor<4> {
        if self.is_native_for(&x) {
            conv::convolve(x, weight, window, groups)
        } else {
            conv::reference::convolve(x, weight, window, groups)
        }
    }

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

    /// Runs a program on a device that [has them](Self::has_programs).
    ///
    /// # Shapes
    /// `x` `[n, c, h, w]`; `weights`, `mixing` and `running` as long as the program says, `mixing` one longer where that is 0.
    ///
    /// # Panics
    /// When the shapes are not those of the program.
    pub fn run(
        self,
        pass: Pass,
        x: Tensor<4>,
        weights: Tensor<1>,
        mixing: Tensor<1>,
        running: Tensor<1>,
    ) -> PassOutput {
        operator::run(pass, x, weights, mixing, running)
    }

    /// Whether our operators are asked for and know the tensor's device and number format.
    fn is_native_for(self, x: &Tensor<4>) -> bool {
        self == Self::Native
            && x.dtype() == DType::F32
            && matches!(x.device().without_autodiff().as_dispatch(), DispatchDevice::Flex(_))
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
