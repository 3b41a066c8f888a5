//! What a training takes.

use super::{Batch, Objective};
use crate::{data::DataError, games::GameError, model::Outputs};
use burn::tensor::Tensor;
use serde_json::Value as Json;
use std::sync::Arc;

/// Streams of batches, and what is made of them.
pub trait Task {
    fn objective(&self) -> &Arc<dyn Objective>;

    /// Batches in an epoch.
    fn batches_per_epoch(&self) -> usize;

    /// The batches of `epoch` that are fitted, from the one numbered `first` on; after an error,
    /// nothing more.
    ///
    /// # Errors
    /// Where they cannot be had.
    fn batches(&self, epoch: usize, first: usize) -> Result<Batches<'_>, TaskError>;

    /// The batches that alphas are judged on, from the one numbered `first` of all on: epoch after
    /// epoch, without end. Nothing where there are no such examples.
    ///
    /// # Errors
    /// Where they cannot be had.
    fn validation(&self, first: u64) -> Result<Batches<'_>, TaskError>;

    /// The first `count` fitted batches of `epoch` once more, or as many as it has.
    ///
    /// # Errors
    /// Where they cannot be had.
    fn fitted_again(&self, epoch: usize, count: usize) -> Result<Vec<Batch>, TaskError>;

    /// As many batches of examples that the weights are not fitted on, others in each epoch; `None`
    /// where there are none.
    ///
    /// # Errors
    /// Where they cannot be had.
    fn independent(&self, epoch: usize, count: usize) -> Result<Option<Vec<Batch>>, TaskError>;

    /// The examples that are watched but not fitted, in order and as they are; `None` where there
    /// are none.
    ///
    /// # Errors
    /// Where they cannot be had.
    fn watched(&self) -> Result<Option<Batches<'_>>, TaskError>;

    /// Called before the first step of each epoch, not when one is gone on with. `network` computes
    /// outputs in evaluation mode: who makes their own examples makes them with it, and asks now
    /// and then whether to go on, saying how many of how many are made. Says whether the epoch has
    /// begun; where not, it is to begin again from a checkpoint.
    ///
    /// # Errors
    /// Where the epoch's examples cannot be made.
    fn begin_epoch(
        &self,
        _epoch: usize,
        _network: &dyn Fn(Tensor<4>) -> Outputs,
        _go_on: &mut dyn FnMut(usize, usize) -> bool,
    ) -> Result<bool, TaskError> {
        Ok(true)
    }

    /// What [`restore`](Self::restore) needs to go on: all that is no function of an epoch's
    /// number.
    ///
    /// # Errors
    /// Where it cannot be had any more.
    fn state(&self) -> Result<Json, TaskError> {
        Ok(Json::Null)
    }

    /// Puts back what [`state`](Self::state) gave.
    ///
    /// # Errors
    /// Where it is of another version: why.
    fn restore(&self, _state: &Json) -> Result<(), String> {
        Ok(())
    }

    /// Whether a checkpoint may be made after `step` steps of an epoch; 0 is before it begins. What an
    /// epoch gathered at its beginning may be too much to keep.
    fn may_checkpoint(&self, _step: usize) -> bool {
        true
    }
}

/// Batches, prepared ahead of whoever takes them.
pub type Batches<'a> = Box<dyn Iterator<Item = Result<Batch, TaskError>> + 'a>;

/// The examples could not be had.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    #[error(transparent)]
    Data(#[from] DataError),
    #[error(transparent)]
    Game(#[from] GameError),
}
