//! What stages publish for each other, for reports and for the command line: a type a kind of
//! output, which its writer fills and its readers are given.
//!
//! An output is an object of the store. Its digest is of its bytes, so it is never written anew, and
//! it says no version: that of its stage's kind (`KINDS` in `stages/mod.rs`) holds for it, which is
//! in the key of the result. So a stage meets outputs of one version alone. Within a version an
//! entry may be new: where an older output lacks it, it reads as absent. An entry that this version
//! does not know is refused with a sentence, since what it means would be left out unseen.

mod alphas;
mod benchmark;
mod derivation;
mod epoch;
mod evaluation;
mod network;
mod notes;
mod published;
mod random_draw;

pub(crate) use alphas::{AlphaHistory, EpochAlphas};
pub(crate) use benchmark::{BenchmarkCell, CellAccuracy};
pub(crate) use derivation::{Derivation, DerivedEpoch, DerivedSearch};
pub(crate) use epoch::{Benefits, CELL_ACCURACY, Epoch, EpochDiagnosis, Watched};
pub(crate) use evaluation::{CostAtSize, Evaluation, Tested};
pub(crate) use network::{NetworkCard, Size, SupernetCard, SupernetShapes};
pub(crate) use notes::{DRAWN, LATTICE_SIZE, MEASURES, SHAPES, STOPPED_EARLY};
pub(crate) use published::{Unreadable, bytes, genotype, json, note, parse, sorted_bytes, space, value};
pub(crate) use random_draw::{DrawnLike, RandomDraw};

// What these are made of.
pub(crate) use crate::train::diagnosis::{Benefit, CellCounts, Stopped};
