//! Executes a [`Program`] on a GPU, forward and in reverse, with kernels of our own.
//!
//! - [`kernel`]: what runs on the GPU.
//! - [`launch`]: what a launch is, and what all launches of a pass are given.
//! - [`plan`]: where everything lies and which kernels run, for a program and a number of images;
//!   made once (`Plans`).
//! - [`window`]: how windows are walked, worked out before a kernel is compiled.
//! - [`split`]: how long sums are cut.
//! - `pass`: what a pass is given and leaves; `operator`: how burn sees it.
//! - [`buffer`]: memory, and what enters and leaves it.
//! - `sources`, `nowhere`: the CUDA C++ of what a pass launches, on a GPU that is not there.
//!
//! A pass has two buffers: the **arena** (maps, their gradients and scratch, in the maps' number
//! format) and the **numbers** (`f32`). Both are allocated at the start of a pass and handed from
//! the forward to the reverse pass; nothing is allocated per operator. The launches of a pass are a
//! fixed list over fixed places, as a graph capture would want them.

mod buffer;
mod kernel;
mod launch;
#[cfg(feature = "cuda-sources")]
mod nowhere;
#[cfg(any(feature = "cuda", feature = "wgpu"))]
mod operator;
#[cfg(any(feature = "cuda", feature = "wgpu"))]
mod pass;
mod plan;
#[cfg(any(feature = "cuda", feature = "wgpu"))]
mod plans;
#[cfg(feature = "cuda-sources")]
pub(super) mod sources;
mod split;
mod window;

#[cfg(all(test, any(feature = "cuda", feature = "wgpu")))]
pub(super) use self::pass::dtype;
#[cfg(any(feature = "cuda", feature = "wgpu"))]
pub use self::plans::Plans;
