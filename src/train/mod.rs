//! How a network learns: one loop, the strategies, optimisers, schedules, checkpoints.

mod adam;
mod checkpoint;
mod clip;
mod learner;
mod schedule;
mod search;
mod sgd;
pub mod strategy;

pub use adam::{Adam, AdamConfig};
pub use checkpoint::{Checkpoint, CheckpointError};
pub use clip::{clip_norm, norm};
pub use learner::{Learner, LearnerConfig};
pub use schedule::Schedule;
pub use search::{EpochRecord, Ended, Observer, Search, SearchConfig, TableRecord};
pub use sgd::{Sgd, SgdConfig};
