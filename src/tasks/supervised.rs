//! Learning from the examples of a data set.

use super::{Batch, Batches, Evaluation, Objective, Task, TaskError};
use crate::data::{self, Dataset, Loader};
use burn::tensor::Device;
use std::sync::Arc;

/// What is learned from a data set's examples.
pub trait Supervision: Objective {
    /// Loaded examples on a device.
    fn batch(&self, loaded: data::Batch, device: &Device) -> Batch;

    /// Begins a test on all test examples of a data set, in their order.
    fn evaluation<'a>(&'a self, tested: &'a Dataset) -> Box<dyn Evaluation + 'a>;
}

/// The examples to fit, those that alphas are judged on where they are others, and those to watch.
pub struct Supervised {
    supervision: Arc<dyn Supervision>,
    objective: Arc<dyn Objective>,
    fit: Arc<Loader>,
    validation: Option<Arc<Loader>>,
    independent: Option<Arc<Loader>>,
    watched: Option<Arc<Loader>>,
    device: Device,
}

impl Supervised {
    /// `fit` gives the batches that are fitted, `watched` those that are only looked at.
    pub fn new(supervision: Arc<dyn Supervision>, fit: Loader, watched: Option<Loader>, device: Device) -> Self {
        Self {
            objective: supervision.clone(),
            supervision,
            fit: Arc::new(fit),
            validation: None,
            independent: None,
            watched: watched.map(Arc::new),
            device,
        }
    }

    /// With examples that alphas are judged on and that the weights are not fitted on: the upper
    /// level of a bilevel search.
    #[must_use]
    pub fn validating(self, validation: Loader) -> Self {
        let validation = Arc::new(validation);
        Self { validation: Some(validation.clone()), independent: Some(validation), ..self }
    }

    /// With examples that the weights are not fitted on, changed at random as those that are: to
    /// compare the two.
    #[must_use]
    pub fn comparing(self, independent: Loader) -> Self {
        Self { independent: Some(Arc::new(independent)), ..self }
    }

    fn first_batches(&self, loader: &Loader, epoch: usize, count: usize) -> Result<Vec<Batch>, TaskError> {
        let batch = |step| Ok(self.supervision.batch(loader.batch(epoch, step)?, &self.device));
        (0..count.min(loader.steps_per_epoch())).map(batch).collect()
    }
}

impl Task for Supervised {
    fn objective(&self) -> &Arc<dyn Objective> {
        &self.objective
    }

    fn batches_per_epoch(&self) -> usize {
        self.fit.steps_per_epoch()
    }

    fn batches(&self, epoch: usize, first: usize) -> Result<Batches<'_>, TaskError> {
        stream(self.supervision.as_ref(), &self.fit, epoch, first, &self.device)
    }

    fn validation(&self, first: u64) -> Result<Batches<'_>, TaskError> {
        let Some(loader) = &self.validation else { return Ok(Box::new(std::iter::empty())) };
        let epoch = loader.steps_per_epoch() as u64;
        let batches = loader.from((first / epoch) as usize, (first % epoch) as usize)?;
        Ok(Box::new(batches.map(|batch| Ok(self.supervision.batch(batch?, &self.device)))))
    }

    fn fitted_again(&self, epoch: usize, count: usize) -> Result<Vec<Batch>, TaskError> {
        self.first_batches(&self.fit, epoch, count)
    }

    fn independent(&self, epoch: usize, count: usize) -> Result<Option<Vec<Batch>>, TaskError> {
        self.independent.as_ref().map(|loader| self.first_batches(loader, epoch, count)).transpose()
    }

    fn watched(&self) -> Result<Option<Batches<'_>>, TaskError> {
        let of = |loader| stream(self.supervision.as_ref(), loader, 0, 0, &self.device);
        self.watched.as_ref().map(of).transpose()
    }
}

/// The rest of an epoch from the batch numbered `first` on, prepared ahead of whoever takes it.
///
/// # Errors
/// Where its examples cannot be had.
pub fn stream<'a>(
    supervision: &'a dyn Supervision,
    loader: &Arc<Loader>,
    epoch: usize,
    first: usize,
    device: &'a Device,
) -> Result<Batches<'a>, TaskError> {
    let rest = loader.steps_per_epoch().saturating_sub(first);
    // A loader goes on into the next epoch; asked for nothing it need not start.
    let batches = if rest > 0 { Some(loader.from(epoch, first)?) } else { None };
    let batches = batches.into_iter().flatten().take(rest);
    Ok(Box::new(batches.map(|batch| Ok(supervision.batch(batch?, device)))))
}
