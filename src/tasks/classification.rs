//! Telling classes of images apart.

use crate::data::{self, DataError, Loader};
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

/// The images to fit, the images to watch, and the loss.
pub struct Classification {
    fit: Arc<Loader>,
    held_out: Option<Arc<Loader>>,
    device: Device,
}

/// The images could not be had.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct TaskError(#[from] DataError);

/// How well logits match their labels.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Score {
    /// Over images, the sum of the mean loss of their batch.
    pub loss_sum: f64,
    /// Images whose largest logit is their class's.
    pub correct: usize,
    pub seen: usize,
}

impl Score {
    /// Adds the score of further images.
    pub fn add(&mut self, other: Score) {
        self.loss_sum += other.loss_sum;
        self.correct += other.correct;
        self.seen += other.seen;
    }

    /// Mean loss an image; `None` before the first image.
    pub fn loss(&self) -> Option<f64> {
        (self.seen > 0).then(|| self.loss_sum / self.seen as f64)
    }

    /// Share of correct images; `None` before the first image.
    pub fn accuracy_percent(&self) -> Option<f64> {
        (self.seen > 0).then(|| 100.0 * self.correct as f64 / self.seen as f64)
    }
}

impl Classification {
    /// `fit` gives the batches of steps, `held_out` those that are only watched.
    pub fn new(fit: Loader, held_out: Option<Loader>, device: Device) -> Self {
        Self { fit: Arc::new(fit), held_out: held_out.map(Arc::new), device }
    }

    /// Steps in an epoch.
    pub fn steps(&self) -> usize {
        self.fit.steps_per_epoch()
    }

    /// The batches of `epoch` from `step` on; after an error, nothing more.
    pub fn batches(
        &self,
        epoch: usize,
        step: usize,
    ) -> Result<impl Iterator<Item = Result<Batch, TaskError>> + '_, TaskError> {
        self.stream(&self.fit, epoch, step)
    }

    /// The images that are watched but not fitted, in order, without augmentation.
    pub fn held_out(&self) -> Result<Option<impl Iterator<Item = Result<Batch, TaskError>> + '_>, TaskError> {
        self.held_out.as_ref().map(|loader| self.stream(loader, 0, 0)).transpose()
    }

    /// Scores a batch's untracked logits, `[batch, classes]`, and mean loss. Waits for the device.
    pub fn score(&self, logits: Tensor<2>, loss: f64, batch: &Batch) -> Score {
        let size = batch.size();
        let best = logits.argmax(1).reshape([size]);
        let correct = best.equal(batch.labels.clone()).int().sum().into_scalar::<i64>();
        Score {
            loss_sum: loss * size as f64,
            correct: usize::try_from(correct).expect("a sum of zeros and ones"),
            seen: size,
        }
    }

    /// The rest of an epoch, prepared ahead of whoever takes it.
    fn stream(
        &self,
        loader: &Arc<Loader>,
        epoch: usize,
        step: usize,
    ) -> Result<impl Iterator<Item = Result<Batch, TaskError>> + '_, TaskError> {
        let rest = loader.steps_per_epoch().saturating_sub(step);
        // A loader goes on into the next epoch; asked for nothing it need not start.
        let batches = if rest > 0 { Some(loader.from(epoch, step)?) } else { None };
        Ok(batches.into_iter().flatten().take(rest).map(|batch| Ok(self.upload(batch?))))
    }

    fn upload(&self, batch: data::Batch) -> Batch {
        let [channels, height, width] = batch.shape;
        let size = batch.labels.len();
        let labels = TensorData::new(batch.labels, [size]);
        Batch {
            images: Tensor::from_data(TensorData::new(batch.images, [size, channels, height, width]), &self.device),
            labels: Tensor::from_data(labels, &self.device),
        }
    }
}

/// Mean over the batch of `−log softmax(logits)[label]`.
///
/// # Shapes
/// `[batch, classes]`, `[batch]` → `[1]`
pub fn cross_entropy(logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    let [batch, _] = logits.dims();
    let labels = labels.reshape([batch, 1]);
    // Labels that meet a tracked tensor must live where it lives.
    let labels = if logits.is_autodiff() { labels.autodiff() } else { labels };
    activation::log_softmax(logits, 1).gather(1, labels).mean().neg()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cross_entropy_of_even_logits_is_log_classes() {
        let device = Device::flex();
        let logits = Tensor::<2>::zeros([3, 10], &device);
        let labels = Tensor::<1, Int>::from_ints([0, 4, 9], &device);
        let loss = cross_entropy(logits, labels).into_scalar::<f32>();
        assert!((loss - 10_f32.ln()).abs() < 1e-6);
    }
}
