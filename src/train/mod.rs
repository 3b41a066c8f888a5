//! How a network learns: one loop, the strategies, optimisers, schedules, checkpoints.
//!
//! [`Training`] is the loop: epochs of steps, a look after each, a checkpoint now and then. A step
//! is a [`Strategy`], one file each in `strategy`; start with `strategy/single_level.rs`. What it
//! moves is a [`Learner`]: weights, alphas, running statistics and their optimisers. [`diagnosis`]
//! looks at a search after an epoch and moves nothing.

mod adam;
mod average;
mod checkpoint;
mod clip;
pub mod diagnosis;
mod entropy;
mod expected_cost;
mod learner;
mod optimiser;
mod perturb;
mod position;
mod record;
mod regulariser;
#[cfg(test)]
mod robust;
mod schedule;
mod sgd;
pub mod strategy;
mod table;
#[cfg(test)]
mod tiny;
mod training;
mod width_passes;

pub use adam::AdamConfig;
pub use average::Average;
pub use checkpoint::{Checkpoint, CheckpointError};
pub use clip::{Clipped, clip_norm, clip_together, norm};
pub use diagnosis::{Diagnosis, DiagnosisConfig};
pub use entropy::entropy;
pub use learner::{AlphaConfig, Learner, LearnerConfig, LearnerState, Pass};
pub use optimiser::{Optimiser, OptimiserConfig, OptimiserState};
pub use perturb::{MeanShift, Perturb, PerturbKind};
pub use position::Position;
pub use record::{DiagnosisRecord, EpochRecord};
pub use regulariser::Regulariser;
pub use schedule::{By, Rate, Schedule};
pub use sgd::SgdConfig;
pub use strategy::Strategy;
pub use table::{BetaRecord, TableRecord};
pub use training::{Ended, Observer, Training, TrainingConfig, TrainingError};
pub use width_passes::WidthPasses;
