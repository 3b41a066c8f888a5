//! From YAML text to a resolved pipeline: places, layers, matrix, references.

mod fields;
mod node;
mod origin;
mod pipeline;
mod problem;
mod slot;

pub use fields::Fields;
pub use node::{Entry, Node, Value};
pub use origin::{Origin, SourceFile};
pub use pipeline::{Member, Pipeline, Runtime};
pub use problem::{Problem, Problems, nearest};
pub use slot::{KindSlots, Slot};
