//! The search-space language: what is searched, as data.
//!
//! A [`Space`] is read from a YAML file: operations as sequences of primitives, cells, skeletons, a rule of derivation.
//! With a skeleton it is lowered to a [`network::Network`], in which nothing is left open: the supernet of all
//! candidates, or the discrete network of a [`Genotype`]. Nothing here names a space, an operation or a kind of cell;
//! `search_spaces/darts.yaml` teaches the language.

mod canonical;
mod cell;
mod chain;
mod consistency;
mod cost;
mod declaration;
mod derive;
mod edge_options;
mod edges;
mod error;
mod extends;
mod find;
mod genotype;
mod genotype_check;
mod genotype_text;
mod hint;
mod labels;
mod lower;
pub mod network;
mod notation;
mod operation;
mod refinement;
mod rule;
mod selection;
#[cfg(test)]
pub(crate) mod shipped;
mod skeleton;
mod step;
mod tensors;
mod threshold;
mod width;
mod written;

pub use cell::CellKind;
pub use chain::MOST_CHANNELS;
pub use cost::Cost;
pub use declaration::{Space, SpaceFileError};
pub use derive::DeriveError;
pub use edge_options::EdgeOptions;
pub use error::SpaceError;
pub use find::{NotFound, all, find, find_published};
pub use genotype::{CellGenotype, Choice, Genotype, GenotypeError};
pub use genotype_text::GenotypeText;
pub use lower::Build;
pub use refinement::{Limit, Struck};
pub use rule::{Derivation, KeptEdges};
pub use skeleton::{LARGEST_SIZE, SkeletonDefaults};
pub use written::{WrittenError, WrittenGenotype};
