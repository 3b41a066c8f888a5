//! The search loop: epochs of steps, an evaluation after each, a checkpoint now and then.

use super::{
    Checkpoint, CheckpointError, Learner, Schedule,
    strategy::{Rates, StepOutcome, single_level},
};
use crate::tasks::{Classification, Score, TaskError};
use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Length and rates of a search.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchConfig {
    pub epochs: usize,
    /// Learning rate of the weights at the first step.
    pub weight_rate: f64,
    pub weight_schedule: Schedule,
    /// Learning rate of the alphas, the same at every step.
    pub alpha_rate: f64,
}

/// What an epoch came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// From 1.
    pub epoch: usize,
    /// Of the weights, at the epoch's first step.
    pub learning_rate: f64,
    /// Mean over the epoch's images, each as the supernet was when it met them.
    pub train_loss: f64,
    pub train_accuracy_percent: f64,
    /// Of the supernet on the images that were not fitted; absent where all were.
    pub held_out_loss: Option<f64>,
    pub held_out_accuracy_percent: Option<f64>,
    pub tables: Vec<TableRecord>,
}

/// An alpha table after an epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableRecord {
    pub label: String,
    /// `[edges, candidates]`
    pub alphas: Vec<Vec<f32>>,
    /// The mixing weights: the alphas after the relaxation, `[edges, candidates]`.
    pub weights: Vec<Vec<f32>>,
}

/// Whoever runs a search: hears of it, stops it, says when to save.
pub trait Observer {
    /// After each step of `epoch` (from 0): steps done in it, and the epoch's score so far.
    fn step(&mut self, epoch: usize, step: usize, steps: usize, score: &Score);
    /// After each epoch and its evaluation.
    fn epoch(&mut self, record: &EpochRecord);
    /// Asked after each step: whether to save a checkpoint now.
    fn checkpoint_due(&self) -> bool;
    /// A checkpoint was saved after `step` steps in all.
    fn checkpoint_saved(&mut self, step: u64);
    /// Asked after each step and before each batch of an evaluation: whether to save a checkpoint and stop.
    fn stop_requested(&self) -> bool;
}

/// How a search came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Completed,
    /// Asked to stop; the checkpoint is saved.
    Stopped,
}

/// A search cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    #[error("the loss became {loss} in epoch {epoch}, step {step}: lower the learning rate or the clipping norm")]
    Diverged { loss: f64, epoch: usize, step: usize },
    #[error(
        "the loss on the held-out images became {loss} after epoch {epoch}: lower the learning rate or the clipping norm"
    )]
    HeldOutDiverged { loss: f64, epoch: usize },
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error(transparent)]
    Task(#[from] TaskError),
}

/// A search under way.
pub struct Search<'a> {
    /// What learns; after [`run`](Self::run), what was learned.
    pub learner: Learner,
    task: &'a Classification,
    config: &'a SearchConfig,
    progress: Progress,
}

/// What the loop rests on when it speaks of an epoch's mean.
const SEEN: &str = "an epoch has a step and a step has an image";

/// Where a search is: what a checkpoint holds besides tensors.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Progress {
    /// The next step to take.
    epoch: usize,
    step: usize,
    /// Steps taken in all.
    taken: u64,
    score: Score,
    records: Vec<EpochRecord>,
}

impl<'a> Search<'a> {
    pub fn new(learner: Learner, task: &'a Classification, config: &'a SearchConfig) -> Self {
        Self { learner, task, config, progress: Progress::default() }
    }

    /// Goes on from the checkpoint at `path`, if there is one; says where: `epoch 3, step 17`.
    ///
    /// # Errors
    /// Where the checkpoint cannot be used. The search then begins at its beginning.
    pub fn resume(&mut self, path: &Path, device: &Device) -> Result<Option<String>, CheckpointError> {
        let Some(progress) = Checkpoint::load(path, &mut self.learner, device)? else { return Ok(None) };
        self.progress = progress;
        let (epoch, step) = (self.progress.epoch + 1, self.progress.step + 1);
        // The last step may be taken and the evaluation behind it not.
        Ok(Some(if step > self.task.steps() {
            format!("the end of epoch {epoch}")
        } else {
            format!("epoch {epoch}, step {step}")
        }))
    }

    /// The finished epochs, in order.
    pub fn records(&self) -> &[EpochRecord] {
        &self.progress.records
    }

    /// Searches to the end, or to a request to stop. Checkpoints go to `checkpoint`.
    pub fn run(&mut self, checkpoint: &Path, observer: &mut dyn Observer) -> Result<Ended, SearchError> {
        while self.progress.epoch < self.config.epochs {
            if self.fit(checkpoint, observer)? == Ended::Stopped {
                return Ok(Ended::Stopped);
            }
            let Some(record) = self.evaluate(observer)? else {
                self.save(checkpoint, observer)?;
                return Ok(Ended::Stopped);
            };
            observer.epoch(&record);
            self.progress.records.push(record);
            self.progress = Progress {
                epoch: self.progress.epoch + 1,
                taken: self.progress.taken,
                records: std::mem::take(&mut self.progress.records),
                ..Progress::default()
            };
        }
        Ok(Ended::Completed)
    }

    /// The rest of the present epoch's steps.
    fn fit(&mut self, checkpoint: &Path, observer: &mut dyn Observer) -> Result<Ended, SearchError> {
        let (epoch, steps, task) = (self.progress.epoch, self.task.steps(), self.task);
        for batch in task.batches(epoch, self.progress.step)? {
            let step = self.progress.step;
            let rates = Rates { weights: self.rate(step), alphas: self.config.alpha_rate };
            let StepOutcome { loss, logits, .. } = single_level::step(&mut self.learner, &batch, rates);

            let loss = f64::from(loss.into_scalar::<f32>());
            if !loss.is_finite() {
                return Err(SearchError::Diverged { loss, epoch: epoch + 1, step: step + 1 });
            }
            self.progress.score.add(task.score(logits, loss, &batch));
            self.progress.step += 1;
            self.progress.taken += 1;
            observer.step(epoch, self.progress.step, steps, &self.progress.score);

            let stop = observer.stop_requested();
            if stop || observer.checkpoint_due() {
                self.save(checkpoint, observer)?;
            }
            if stop {
                return Ok(Ended::Stopped);
            }
        }
        Ok(Ended::Completed)
    }

    /// The record of the epoch just fitted; `None` where a request to stop came first.
    fn evaluate(&self, observer: &dyn Observer) -> Result<Option<EpochRecord>, SearchError> {
        let held_out = match self.task.held_out()? {
            None => None,
            Some(batches) => {
                let mut score = Score::default();
                for batch in batches {
                    if observer.stop_requested() {
                        return Ok(None);
                    }
                    let logits = self.learner.evaluate(batch.images.clone());
                    let loss = crate::tasks::cross_entropy(logits.clone(), batch.labels.clone());
                    score.add(self.task.score(logits, f64::from(loss.into_scalar::<f32>()), &batch));
                }
                Some(score)
            }
        };
        if let Some(loss) = held_out.and_then(|score| score.loss()).filter(|loss| !loss.is_finite()) {
            return Err(SearchError::HeldOutDiverged { loss, epoch: self.progress.epoch + 1 });
        }
        let tables = self.learner.alpha_tables().into_iter().zip(self.learner.mixing_weights());
        let score = &self.progress.score;
        Ok(Some(EpochRecord {
            epoch: self.progress.epoch + 1,
            learning_rate: self.rate(0),
            train_loss: score.loss().expect(SEEN),
            train_accuracy_percent: score.accuracy_percent().expect(SEEN),
            held_out_loss: held_out.and_then(|score| score.loss()),
            held_out_accuracy_percent: held_out.and_then(|score| score.accuracy_percent()),
            tables: tables.map(|((label, alphas), (_, weights))| TableRecord { label, alphas, weights }).collect(),
        }))
    }

    fn rate(&self, step: usize) -> f64 {
        let SearchConfig { epochs, weight_rate, weight_schedule, .. } = self.config;
        weight_schedule.rate(*weight_rate, self.progress.epoch, *epochs, step, self.task.steps())
    }

    fn save(&self, path: &Path, observer: &mut dyn Observer) -> Result<(), CheckpointError> {
        Checkpoint::save(path, &self.learner, &self.progress)?;
        observer.checkpoint_saved(self.progress.taken);
        Ok(())
    }
}
