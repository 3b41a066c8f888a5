//! What runs on the GPU: kernels in CubeCL's subset of Rust, the same source for CUDA and for WGSL.
//!
//! All kernels see the same buffers.
//!
//! | buffer | holds |
//! | --- | --- |
//! | `arena` | feature maps, their gradients, scratch; of the maps' number format |
//! | `numbers` | `f32`: what norms do to a channel, mixing weights, factors, sums |
//! | `weights` | `f32`: the network's weights as they come in |
//! | `table` | `u32`: **records**, which say where a channel lies and what is done to it |
//!
//! One launch serves every branch of a step, because what differs between branches is in its
//! records ([`record`]), and a dimension of the grid counts records. A file has kernels, the
//! records that they read, and a type for each launch: what the kernel is given beside the buffers,
//! and how large its grid is.
//!
//! There are no atomics: every sum is taken by one cube, or in parts that one unit adds up in a
//! fixed order.

pub(super) mod combine;
pub(super) mod copy;
pub(super) mod dense;
pub(super) mod dense_input;
pub(super) mod dense_weight;
pub(super) mod depthwise;
pub(super) mod depthwise_gradient;
pub(super) mod gradient;
mod held;
pub(super) mod parameters;
pub(super) mod pool;
pub(super) mod record;
pub(super) mod source;
pub(super) mod statistics;
mod sums;
mod taps;
mod tile;

/// Units of every cube, in one dimension.
pub(super) const UNITS: u32 = 256;

/// Positions that a unit of an element-wise kernel works on, [`UNITS`] apart: it loads what it
/// knows of a channel once for all, and their loads are under way at one time.
pub(super) const TOGETHER: usize = 4;

/// Regions of the arena begin at multiples of this many numbers, and records count in it.
pub(super) const REGION: usize = 64;
