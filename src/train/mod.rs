//! How a network learns: one loop, the strategies, optimisers, schedules, checkpoints.

mod adam;
mod checkpoint;
mod clip;
mod learner;
mod schedule;
mod search;
mod sgd;
pub mod strategy;
#[cfg(test)]
mod tiny;

pub use adam::{Adam, AdamConfig, AdamState};
pub use checkpoint::{Checkpoint, CheckpointError};
pub use clip::{clip_norm, norm};
pub use learner::{Learner, LearnerConfig, Pass};
pub use schedule::{By, Schedule};
pub use search::{Ended, EpochRecord, Observer, Search, SearchConfig, SearchError, TableRecord};
pub use sgd::{Sgd, SgdConfig};
