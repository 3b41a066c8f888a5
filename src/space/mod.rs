//! The search-space language: what is searched, as data.
//!
//! A [`Space`] is read from a YAML file: operations as sequences of primitives, cells, skeletons, a
//! rule of derivation. With a skeleton it is lowered to a [`network::Network`], in which nothing is
//! left open: the supernet of all candidates, or the discrete network of a [`Genotype`]. Nothing
//! here names a space, an operation or a kind of cell; `search_spaces/darts.yaml` teaches the
//! language.
//!
//! | folder or file | what it is |
//! | --- | --- |
//! | `language` | what a space's file may say, and how it is read |
//! | `primitives` | what operations are made of, one file each: keys, shape, layer, tensors |
//! | `lowering` | from a space to a network, label by label |
//! | `network` | the lowered network; `tensors` lists what it holds, `cost` sums what it takes, `resized` is for other images, `narrowed` for nodes of other widths; `reach` is how far a pixel looks; `inherit` finds the tensors that two share |
//! | `lattice` | the maps of a lattice, their order and names |
//! | `genotype` | cells, whether a space can build them, and their text forms |
//! | `derivation` | from mixing weights to a genotype, which of several goes on, and one by chance |
//!
//! The folders are private: what is `pub` in them is for this room, and for others only where it is
//! named here.

mod cost;
mod derivation;
mod feature_map;
mod genotype;
mod inherit;
mod language;
mod lattice;
mod lowering;
mod narrowed;
pub mod network;
mod primitives;
mod reach;
mod resized;
mod tensor_spec;
mod tensors;
#[cfg(test)]
mod tests;

pub use cost::Cost;
pub use derivation::choice::{Affordable, Budget, CostKind, Direction, Drawn, Likeness, mean_weights};
pub use derivation::derive::DeriveError;
pub use derivation::refinement::{Limit, Struck};
pub use derivation::rule::{Derivation, KeptEdges};
pub use genotype::text::GenotypeText;
pub use genotype::written::{WrittenError, WrittenGenotype};
pub use genotype::{CellGenotype, Choice, Genotype, GenotypeError, PathStep};
pub use language::cell::CellKind;
pub use language::declaration::{Space, SpaceFileError};
pub use language::find::{NotFound, all, find, find_published};
pub use language::skeleton::{LARGEST_SIZE, SkeletonDefaults};
pub use lowering::edge_options::EdgeOptions;
pub use lowering::error::SpaceError;
pub use lowering::lower::Build;
pub use narrowed::beginning;
pub use primitives::{names as primitive_names, place::MOST_CHANNELS};
#[cfg(test)]
pub(crate) use tests::shipped;
