//! The search-space language: what is searched, as data.
//!
//! A [`Space`] is read from a YAML file: operations as sequences of primitives, cells, skeletons, a rule of derivation.
//! With a skeleton it is lowered to a [`network::Network`], in which nothing is left open: the supernet of all
//! candidates, or the discrete network of a [`Genotype`]. Nothing here names a space, an operation or a kind of cell;
//! `search_spaces/darts.yaml` teaches the language.

mod cell;
mod chain;
mod cost;
mod declaration;
mod derive;
mod find;
mod genotype;
mod genotype_text;
mod hint;
mod labels;
mod lower;
pub mod network;
mod operation;
mod skeleton;
mod step;
mod tensors;
mod width;

pub use cell::CellKind;
pub use cost::Cost;
pub use declaration::{GenotypeText, Space, SpaceFileError};
pub use derive::{Derivation, DeriveError, KeptEdges};
pub use find::{SpaceNotFound, find};
pub use genotype::{CellGenotype, Choice, Genotype, GenotypeError};
pub use lower::{Build, SpaceError};

/// A space or genotype that ships with the project.
#[cfg(test)]
pub(crate) mod shipped {
    use super::*;
    use std::path::{Path, PathBuf};

    pub(crate) fn path(file: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("search_spaces").join(file)
    }

    pub(crate) fn space(name: &str) -> Space {
        let path = path(&format!("{name}.yaml"));
        Space::read(&path).unwrap_or_else(|error| panic!("{error:?}"))
    }

    pub(crate) fn genotype(name: &str, space: &Space) -> Genotype {
        Genotype::read(&path(&format!("genotypes/{name}.txt")), space).unwrap()
    }

    /// An RGB image of so many pixels a side, no auxiliary head.
    pub(crate) fn build(skeleton: &str, side: usize, classes: usize) -> Build {
        let input = network::FeatureMap { channels: 3, height: side, width: side };
        Build { skeleton: skeleton.to_owned(), channels: None, size: None, classes, input, auxiliary: false }
    }
}
