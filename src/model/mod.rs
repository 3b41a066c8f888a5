//! Networks on burn: a lowered [`Network`](crate::space::network::Network) is interpreted, layer by
//! layer.
//!
//! Nothing here owns a file or a data set. Tensors live outside the network, in [`TensorGroup`]s:
//! all weights in one vector, all running statistics in one, all alphas in one. What a paper writes
//! as *w* and *α* is one tensor each, so that an optimiser, a checkpoint or a finite difference is
//! a line of arithmetic.

mod computed;
#[cfg(all(test, feature = "cuda-sources"))]
mod cuda_sources;
mod device;
mod draw;
mod drop_path;
mod edge_weights;
mod forward;
mod fused;
mod gumbel;
mod initialise;
mod layers;
mod lower;
mod memory;
mod mixed_edge;
mod mixing;
mod narrow;
mod noise;
mod outputs;
mod portion;
mod ragged;
mod relaxation;
mod sparsestmax;
mod split;
mod supernet;
mod tensor_group;
#[cfg(test)]
pub(crate) mod tiny;
mod variants;

pub use computed::Computed;
pub use device::{DeviceError, DeviceName};
pub(crate) use draw::generator;
pub use drop_path::DropPath;
pub use edge_weights::edge_weights;
pub use forward::{Forward, Mode};
pub use gumbel::Gumbel;
pub use initialise::{initial_alphas, initial_running, initial_weights};
pub use memory::{step_bytes, too_large};
pub use mixing::{Mixing, Mixings, WIDTHS, between};
pub use outputs::{AUXILIARY, OUTPUT, OutputSpec, Outputs, Passed};
pub use portion::Portion;
pub use relaxation::{Relaxation, Relaxations};
pub use supernet::Model;
pub use tensor_group::{Layout, TensorGroup, Views};
pub(crate) use tensor_group::{host, largest_of_rows};
