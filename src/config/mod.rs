//! From YAML text to a resolved pipeline: places, layers, matrix, references.
//!
//! [`load`] is the way in. A file and what it extends (`chain`) are read with places (`yaml`),
//! merged with what the environment and `--set` say (`setting`, `layer`), and resolved (`resolve`):
//! each stage as written (`declaration`), its `${matrix.…}` (`template`) and its variant
//! (`variant`), its references (`reference`), in an order that works (`order`). What a stage makes
//! of its keys is read and noted in one (`fields`, `notes`, `effective`).

mod chain;
mod declaration;
mod effective;
mod error;
mod fields;
mod layer;
mod load;
mod matrix;
mod mishap;
mod node;
mod notes;
mod order;
mod origin;
mod pipeline;
mod problem;
mod reference;
mod render;
mod resolve;
mod runtime;
mod setting;
mod slot;
mod slurm;
mod template;
mod variant;
mod yaml;

#[cfg(test)]
mod tests;

pub use effective::Effective;
pub use error::ConfigError;
pub use fields::Fields;
pub use load::load;
pub use node::{Entry, Node, Value};
pub use origin::{Origin, SourceFile};
pub use pipeline::{Member, Pipeline};
pub use problem::{Problem, Problems, nearest};
pub use render::render;
pub use runtime::{Checkpoint, Runtime};
pub use slot::{KindSlots, Slot};
pub use slurm::Slurm;
