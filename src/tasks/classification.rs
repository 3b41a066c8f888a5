//! Telling classes of images apart.

use super::{Score, ranks};
use crate::{
    data::{self, DataError, Loader},
    model::host,
};
use burn::tensor::{Device, Int, Tensor, TensorData, activation};
use std::sync::Arc;

/// Images and their classes on a device.
#[derive(Debug, Clone)]
pub struct Batch {
    /// `[batch, channels, height, width]`, normalised.
    pub images: Tensor<4>,
    /// `[batch]`
    pub labels: Tensor<1, Int>,
}

impl Batch {
    /// Images in the batch.
    pub fn size(&self) -> usize {
        self.images.dims()[0]
    }
}

/// The images to fit, those that alphas are judged on where they are others, and those to watch.
pub struct Classification {
    fit: Arc<Loader>,
    validation: Option<Arc<Loader>>,
    independent: Option<Arc<Loader>>,
    watched: Option<Arc<Loader>>,
    device: Device,
}

/// The images could not be had.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct TaskError(#[from] DataError);

impl Classification {
    /// `fit` gives the batches that are fitted, `watched` those that are only looked at.
    pub fn new(fit: Loader, watched: Option<Loader>, device: Device) -> Self {
        Self { fit: Arc::new(fit), validation: None, independent: None, watched: watched.map(Arc::new), device }
    }

    /// With images that alphas are judged on and that the weights are not fitted on: the upper level of a bilevel search.
    #[must_use]
    pub fn validating(self, validation: Loader) -> Self {
        let validation = Arc::new(validation);
        Self { validation: Some(validation.clone()), independent: Some(validation), ..self }
    }

    /// With images that the weights are not fitted on, changed at random as those that are: to compare the two.
    #[must_use]
    pub fn comparing(self, independent: Loader) -> Self {
        Self { independent: Some(Arc::new(independent)), ..self }
    }

    /// The first `count` batches of `epoch` once more, or as many as it has.
    pub fn fitted_again(&self, epoch: usize, count: usize) -> Result<Vec<Batch>, TaskError> {
        first_batches(&self.fit, epoch, count, &self.device)
    }

    /// As many batches of images that the weights are not fitted on, others in each epoch; `None` where there are no such images.
    pub fn independent(&self, epoch: usize, count: usize) -> Result<Option<Vec<Batch>>, TaskError> {
        self.independent.as_ref().map(|loader| first_batches(loader, epoch, count, &self.device)).transpose()
    }

    /// Batches in an epoch.
    pub fn batches_per_epoch(&self) -> usize {
        self.fit.steps_per_epoch()
    }

    /// The batches of `epoch` from the one numbered `first` on; after an error, nothing more.
    pub fn batches(
        &self,
        epoch: usize,
        first: usize,
    ) -> Result<impl Iterator<Item = Result<Batch, TaskError>> + '_, TaskError> {
        stream(&self.fit, epoch, first, &self.device)
    }

    /// The batches that alphas are judged on, from the one numbered `first` of all on: epoch after epoch, without end. Nothing where
    /// there are no such images.
    pub fn validation(
        &self,
        first: u64,
    ) -> Result<impl Iterator<Item = Result<Batch, TaskError>> + use<'_>, TaskError> {
        let batches = match &self.validation {
            None => None,
            Some(loader) => {
                let epoch = loader.steps_per_epoch() as u64;
                Some(loader.from((first / epoch) as usize, (first % epoch) as usize)?)
            }
        };
        Ok(batches.into_iter().flatten().map(|batch| Ok(upload(batch?, &self.device))))
    }

    /// The images that are watched but not fitted, in order, without augmentation.
    pub fn watched(&self) -> Result<Option<impl Iterator<Item = Result<Batch, TaskError>> + '_>, TaskError> {
        self.watched.as_ref().map(|loader| stream(loader, 0, 0, &self.device)).transpose()
    }
}

fn first_batches(loader: &Loader, epoch: usize, count: usize, device: &Device) -> Result<Vec<Batch>, TaskError> {
    (0..count.min(loader.steps_per_epoch())).map(|step| Ok(upload(loader.batch(epoch, step)?, device))).collect()
}

/// The rest of an epoch from the batch numbered `first` on, prepared ahead of whoever takes it.
pub fn stream<'a>(
    loader: &Arc<Loader>,
    epoch: usize,
    first: usize,
    device: &'a Device,
) -> Result<impl Iterator<Item = Result<Batch, TaskError>> + use<'a>, TaskError> {
    let rest = loader.steps_per_epoch().saturating_sub(first);
    // A loader goes on into the next epoch; asked for nothing it need not start.
    let batches = if rest > 0 { Some(loader.from(epoch, first)?) } else { None };
    Ok(batches.into_iter().flatten().take(rest).map(|batch| Ok(upload(batch?, device))))
}

fn upload(batch: data::Batch, device: &Device) -> Batch {
    let [channels, height, width] = batch.shape;
    let size = batch.labels.len();
    let labels = TensorData::new(batch.labels, [size]);
    Batch {
        images: Tensor::from_data(TensorData::new(batch.images, [size, channels, height, width]), device),
        labels: Tensor::from_data(labels, device),
    }
}

/// Scores untracked logits, `[batch, classes]`, of images of these classes, `[batch]`, with their mean loss. Waits for the
/// device.
pub fn score(logits: Tensor<2>, labels: Tensor<1, Int>, loss: f64) -> Score {
    Score::of(&ranks(&host(logits), &host_labels(labels)), loss)
}

/// Labels as numbers, waiting for the device.
pub fn host_labels(labels: Tensor<1, Int>) -> Vec<i64> {
    labels.into_data().convert::<i64>().try_into_vec().expect("converted to i64")
}

/// Mean over the batch of `−Σ_k t_k log softmax(logits)_k`. The target `t` is 1 at the label; with a label smoothing of `ε` it is
/// `(1 − ε) + ε / classes` there and `ε / classes` elsewhere (Szegedy et al., arXiv 1512.00567).
///
/// # Shapes
/// `[batch, classes]`, `[batch]` → `[1]`
pub fn cross_entropy(logits: Tensor<2>, labels: Tensor<1, Int>, smoothing: f64) -> Tensor<1> {
    let [batch, _] = logits.dims();
    let labels = labels.reshape([batch, 1]);
    // Labels that meet a tracked tensor must live where it lives.
    let labels = if logits.is_autodiff() { labels.autodiff() } else { labels };
    let log = activation::log_softmax(logits, 1);
    let of_label = log.clone().gather(1, labels).mean().neg();
    if smoothing == 0.0 {
        return of_label;
    }
    of_label.mul_scalar(1.0 - smoothing) + log.mean().neg().mul_scalar(smoothing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cross_entropy_of_even_logits_is_log_classes() {
        let device = Device::flex();
        let logits = Tensor::<2>::zeros([3, 10], &device);
        let labels = Tensor::<1, Int>::from_ints([0, 4, 9], &device);
        let loss = cross_entropy(logits, labels, 0.0).into_scalar::<f32>();
        assert!((loss - 10_f32.ln()).abs() < 1e-6);
    }

    /// By hand: log softmax of (0, ln 3) is (−ln 4, ln 3 − ln 4).
    #[test]
    fn a_smoothed_label_shares_with_all_classes() {
        let logits = Tensor::<2>::from_floats([[0.0, 3_f32.ln()]], &Device::flex());
        let label = Tensor::<1, Int>::from_ints([1], &Device::flex());
        let loss = cross_entropy(logits, label, 0.1).into_scalar::<f32>();
        let (first, second) = (4_f32.ln(), 4_f32.ln() - 3_f32.ln());
        assert!((loss - (0.05 * first + 0.95 * second)).abs() < 1e-6, "{loss}");
    }
}
