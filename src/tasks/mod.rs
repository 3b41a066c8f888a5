//! What a network is for. A task gives the batches, the loss, the measures; strategies and spaces
//! do not know it.
//!
//! 1. A [`Task`] is what a training takes: streams of [`Batch`]es, and an [`Objective`], which says
//!    what a network's outputs are worth: their loss, and [`Measure`]s that a person reads.
//! 2. [`Supervised`] is the task of whoever learns from the examples of a data set. What differs
//!    there is a [`Supervision`]: how a loaded example becomes a batch, and what a test on the
//!    whole of a part tells.
//!    A [policy] is learned by playing instead.
//! 3. A [`TaskKind`] is one of these as a pipeline names it. [`KINDS`] are those that ship: a task
//!    is a file of this room and a line there.

mod batch;
pub mod classification;
mod kind;
mod measure;
mod objective;
pub mod policy;
mod row;
mod score;
pub mod super_resolution;
mod supervised;
mod tally;
mod task;

pub use batch::{Batch, Target, Targets};
pub use kind::{Learned, LossDefaults, TaskKind, TaskSettings};
pub use measure::{Better, LOSS, Measure};
pub use objective::Objective;
pub use score::{Figures, Score};
pub use supervised::{Supervised, Supervision, stream};
pub(crate) use tally::as_map;
pub use tally::{
    Compared, Evaluated, Evaluation, MeasuredEvaluation, MeasuredExample, MeasuredSet, MeasuredValue, Tally,
};
pub use task::{Batches, Task, TaskError};

/// The task of stages and results that name none.
pub const UNNAMED: &str = classification::KIND.name;

/// The tasks that ship.
pub static KINDS: &[TaskKind] = &[classification::KIND, super_resolution::KIND, policy::KIND];

/// That of `kinds` which a pipeline names so.
pub fn kind(kinds: &[TaskKind], name: &str) -> Option<TaskKind> {
    kinds.iter().find(|kind| kind.name == name).copied()
}
