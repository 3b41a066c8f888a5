//! The names of notes: what a stage says in its record besides figures.

/// How a cell was drawn: a [`RandomDraw`](super::RandomDraw).
pub(crate) const DRAWN: &str = "drawn";

/// How many cells the lattice has behind its first that a path leads through.
pub(crate) const LATTICE_SIZE: &str = "lattice_size";

/// What the supernet of a search reads and puts out, where that is no row of scores: a
/// [`SupernetShapes`](super::SupernetShapes).
pub(crate) const SHAPES: &str = "shapes";

/// What the task of a stage measures: a list of [`Measure`](crate::tasks::Measure)s.
pub(crate) const MEASURES: &str = "measures";

/// Why a search ended before its last epoch: [`Stopped`](crate::train::diagnosis::Stopped).
pub(crate) const STOPPED_EARLY: &str = "stopped_early";
