//! What is left after a run, as documents: pure functions from data to text, no terminal and no
//! training.
//!
//! A [`Document`] is tables, figures, sentences and checked expectations; `markdown`, `json`,
//! `terminal` and `html` each write it in their form. Figures are SVG: `cell_drawing` draws a cell,
//! `lattice_drawing` a path of them, `stage_drawing` a pipeline, `curves` lines over epochs and
//! points in a plane.

pub mod cell_drawing;
mod cell_layout;
pub mod curves;
mod decimal;
mod document;
mod expectation;
pub mod html;
pub mod json;
pub mod lattice_drawing;
pub mod markdown;
pub mod stage_drawing;
mod statistics;
mod svg;
pub mod terminal;

pub use cell_drawing::DrawnCell;
pub use curves::{Chart, Marks, Series};
pub use document::{Align, Block, Cell, Column, Document, Figure, Section, Table};
pub use expectation::{Aggregate, Bound, Expectation, Verdict};
pub use lattice_drawing::DrawnLattice;
pub use stage_drawing::DrawnStages;
pub use statistics::{Proportion, Summary};

/// Why a document could not be made.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// A node of a drawn cell reads a state that is not before it.
    #[error("state {state} of cell `{title}` reads state {source_state}, which is not before it")]
    NotBefore { title: String, state: usize, source_state: usize },
    /// The output of a drawn cell reads a state that the cell has not.
    #[error("the output of cell `{title}` reads state {state}, but the cell has {states} states")]
    NoSuchState { title: String, state: usize, states: usize },
}
