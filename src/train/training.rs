//! The one loop: epochs of steps, a look at the watched images after them, a checkpoint now and
//! then.

use super::{
    Checkpoint, CheckpointError, Diagnosis, EpochRecord, Learner, LearnerState, Position, Rate,
    diagnosis::Stopped,
    strategy::{Rates, StepOutcome, Strategy},
};
use crate::{
    model::DropPath,
    space::DeriveError,
    tasks::{Batch, Score, Task, TaskError},
};
use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::{
    path::Path,
    time::{Duration, Instant},
};

/// Length, rates and rules of a training.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingConfig {
    pub epochs: usize,
    pub strategy: Strategy,
    /// Learning rate of the weights.
    pub rate: Rate,
    /// Learning rate of the alphas; no matter where there are none.
    pub alpha_rate: Rate,
    /// The alphas stay as they are in so many epochs at the beginning.
    pub warmup_epochs: usize,
    /// Batches that make one step.
    pub accumulate: usize,
    /// Paths dropped near the end: the probability grows with the epoch, from 0 in the first
    /// (DARTS' `drop_path_prob · epoch / epochs`).
    pub drop_path: f64,
    /// Decides what is drawn on the way: paths that are dropped, candidates, perturbations.
    pub seed: u64,
    /// The watched images are looked at after every so many epochs, and after the last.
    pub watch_every: usize,
}

/// Whoever runs a training: hears of it, stops it, says when to save.
pub trait Observer {
    /// After each step of `epoch` (from 0): steps done in it, and the epoch's score so far.
    fn step(&mut self, epoch: usize, step: usize, steps: usize, score: &Score);
    /// While a task makes the examples of `epoch`: how many of how many, and the steps that will
    /// learn from them.
    fn made(&mut self, _epoch: usize, _examples: (usize, usize), _steps: usize) {}
    /// After each epoch and its look at the watched images.
    fn epoch(&mut self, record: &EpochRecord);
    /// Asked after each step: whether to save a checkpoint now.
    fn checkpoint_due(&self) -> bool;
    /// A checkpoint was saved after `step` steps in all, which took so long.
    fn checkpoint_saved(&mut self, step: u64, took: Duration);
    /// Asked before a checkpoint is saved: how long the work took so far, in this process and in
    /// those that it goes on from.
    fn spent(&self) -> Duration;
    /// Asked after each step and before each batch of watched images: whether to save a checkpoint
    /// and stop.
    fn stop_requested(&self) -> bool;
}

/// How a training came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Completed,
    /// Asked to stop; the checkpoint is saved.
    Stopped,
}

/// A training cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum TrainingError {
    #[error("the loss became {loss} in epoch {epoch}, step {step}: lower the learning rate or the clipping norm")]
    Diverged { loss: f64, epoch: usize, step: usize },
    #[error(
        "the loss on the watched images became {loss} after epoch {epoch}: lower the learning rate or the clipping norm"
    )]
    WatchedDiverged { loss: f64, epoch: usize },
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error(transparent)]
    Task(#[from] TaskError),
    #[error("failed to derive the cell of epoch {epoch}")]
    Derive {
        epoch: usize,
        #[source]
        source: DeriveError,
    },
}

/// A training under way: a search of a supernet, or the training of a discrete network.
pub struct Training<'a> {
    /// What learns; after [`run`](Self::run), what was learned.
    pub learner: Learner,
    task: &'a dyn Task,
    config: &'a TrainingConfig,
    diagnosis: Option<Diagnosis<'a>>,
    progress: Progress,
    /// Where the epoch under way began, of a task that has checkpoints there alone: what is saved
    /// where one is to stop in it.
    begun: Option<Box<(LearnerState, Progress)>>,
}

/// What the loop rests on when it speaks of an epoch's mean.
const SEEN: &str = "an epoch has a step and a step has an example";

/// Where a training is: what a checkpoint holds besides tensors.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Progress {
    /// The next step to take.
    epoch: usize,
    step: usize,
    /// Steps taken in all.
    taken: u64,
    /// Batches of validation images taken in all: their stream goes on from epoch to epoch.
    validated: u64,
    /// That the work took, up to the checkpoint.
    #[serde(default)]
    seconds: f64,
    score: Score,
    records: Vec<EpochRecord>,
    /// Of the task.
    task: Json,
}

impl<'a> Training<'a> {
    pub fn new(learner: Learner, task: &'a dyn Task, config: &'a TrainingConfig) -> Self {
        Self { learner, task, config, diagnosis: None, progress: Progress::default(), begun: None }
    }

    /// With a look after each epoch at what a search comes to, which may end it early.
    #[must_use]
    pub fn diagnosing(self, diagnosis: Diagnosis<'a>) -> Self {
        Self { diagnosis: Some(diagnosis), ..self }
    }

    /// Goes on from the checkpoint at `path`, if there is one; says where: `epoch 3, step 17`.
    ///
    /// # Errors
    /// Where the checkpoint cannot be used. The training then begins at its beginning.
    pub fn resume(&mut self, path: &Path, device: &Device) -> Result<Option<String>, CheckpointError> {
        let unfit = |progress: &Progress| self.task.restore(&progress.task);
        let Some(progress) = Checkpoint::load(path, &mut self.learner.state, device, unfit)? else { return Ok(None) };
        self.progress = progress;
        let (epoch, step) = (self.progress.epoch + 1, self.progress.step + 1);
        // The last step may be taken and the look at the watched images not.
        Ok(Some(if epoch > self.config.epochs || self.stopped_early().is_some() {
            "its end".to_owned()
        } else if step > self.steps() {
            format!("the end of epoch {epoch}")
        } else {
            format!("epoch {epoch}, step {step}")
        }))
    }

    /// The finished epochs, in order.
    pub fn records(&self) -> &[EpochRecord] {
        &self.progress.records
    }

    /// Whether and why the finished epochs are the last, before there are as many as configured.
    pub fn stopped_early(&self) -> Option<Stopped> {
        self.diagnosis.as_ref()?.stopped(&self.progress.records)
    }

    /// Steps taken in all.
    pub fn steps_taken(&self) -> u64 {
        self.progress.taken
    }

    /// How long the work took up to the checkpoint that it goes on from, in all its processes.
    pub fn spent(&self) -> Duration {
        Duration::try_from_secs_f64(self.progress.seconds).unwrap_or_default()
    }

    /// Trains to the end, or to a request to stop. Checkpoints go to `checkpoint`.
    ///
    /// # Errors
    /// Where batches cannot be had, the loss is no number any more, or a checkpoint cannot be saved.
    pub fn run(&mut self, checkpoint: &Path, observer: &mut dyn Observer) -> Result<Ended, TrainingError> {
        let task = self.task;
        // One stream from the first step to the last, whatever the length of an epoch.
        let mut validation = task.validation(self.progress.validated)?;
        while self.progress.epoch < self.config.epochs && self.stopped_early().is_none() {
            if self.progress.step == 0 {
                self.begun = self.beginning()?.map(Box::new);
                self.learner.position = self.position();
                let network = |inputs| self.learner.evaluate(inputs);
                let mut go_on = |done, of| {
                    observer.made(self.progress.epoch, (done, of), task.batches_per_epoch());
                    !observer.stop_requested()
                };
                if !task.begin_epoch(self.progress.epoch, &network, &mut go_on)? {
                    return self.stopped(checkpoint, observer);
                }
            }
            if self.fit(&mut validation, checkpoint, observer)? == Ended::Stopped {
                return self.stopped(checkpoint, observer);
            }
            self.learner.position = self.position();
            let Some(record) = self.look(observer)? else { return self.stopped(checkpoint, observer) };
            observer.epoch(&record);
            self.progress.records.push(record);
            self.progress = Progress {
                epoch: self.progress.epoch + 1,
                taken: self.progress.taken,
                validated: self.progress.validated,
                seconds: self.progress.seconds,
                records: std::mem::take(&mut self.progress.records),
                ..Progress::default()
            };
            if task.may_checkpoint(0) && observer.checkpoint_due() {
                self.save(checkpoint, observer)?;
            }
        }
        Ok(Ended::Completed)
    }

    /// Steps in an epoch; the last may be of fewer batches.
    fn steps(&self) -> usize {
        self.task.batches_per_epoch().div_ceil(self.config.accumulate)
    }

    /// The rest of the present epoch's steps.
    fn fit(
        &mut self,
        validation: &mut impl Iterator<Item = Result<Batch, TaskError>>,
        checkpoint: &Path,
        observer: &mut dyn Observer,
    ) -> Result<Ended, TrainingError> {
        let (epoch, steps, task) = (self.progress.epoch, self.steps(), self.task);
        let mut batches = task.batches(epoch, self.progress.step * self.config.accumulate)?;
        while let Some(outcome) = self.step(&mut batches, validation)? {
            let step = self.progress.step;
            let loss = f64::from(outcome.loss.into_scalar::<f32>());
            if !loss.is_finite() {
                return Err(TrainingError::Diverged { loss, epoch: epoch + 1, step: step + 1 });
            }
            let mut score = Score::default();
            for (outputs, targets) in &outcome.outputs {
                score.add(self.learner.objective.score(outputs, targets));
            }
            self.progress.score.add(score.with_loss(loss));
            self.progress.step += 1;
            self.progress.taken += 1;
            observer.step(epoch, self.progress.step, steps, &self.progress.score);

            if observer.stop_requested() {
                return Ok(Ended::Stopped);
            }
            if task.may_checkpoint(self.progress.step) && observer.checkpoint_due() {
                self.save(checkpoint, observer)?;
            }
        }
        Ok(Ended::Completed)
    }

    /// One step on the next batches; `None` after the epoch's last.
    fn step(
        &mut self,
        batches: &mut impl Iterator<Item = Result<Batch, TaskError>>,
        validation: &mut impl Iterator<Item = Result<Batch, TaskError>>,
    ) -> Result<Option<StepOutcome>, TaskError> {
        let TrainingConfig { strategy, accumulate, .. } = *self.config;
        let rates = self.rates();
        self.learner.drop_path = self.drop_path();
        self.learner.position = self.position();
        self.learner.model.begin_noise_stream(2 * self.progress.taken);
        let outcome = strategy.step(&mut self.learner, batches, validation, accumulate, rates)?;
        self.progress.validated += u64::from(outcome.is_some() && strategy.validates(rates));
        Ok(outcome)
    }

    /// Of the next step.
    fn rates(&self) -> Rates {
        let (Progress { epoch, step, .. }, config) = (&self.progress, self.config);
        let alphas = || config.alpha_rate.at(*epoch, config.epochs, *step, self.steps());
        Rates { weights: self.rate(*step), alphas: (*epoch >= config.warmup_epochs).then(alphas) }
    }

    /// Of the next step, or of the look after an epoch's last.
    fn position(&self) -> Position {
        let (Progress { epoch, step, taken, .. }, config) = (&self.progress, self.config);
        Position {
            epoch: *epoch,
            epochs: config.epochs,
            step: *step,
            steps: self.steps(),
            seed: config.seed,
            pass: taken * Position::DRAWS,
        }
    }

    /// What the first pass of the next step drops.
    fn drop_path(&self) -> Option<DropPath> {
        let TrainingConfig { epochs, drop_path, seed, accumulate, .. } = *self.config;
        let probability = drop_path * self.progress.epoch as f64 / epochs as f64;
        let pass = self.progress.taken * accumulate as u64;
        (probability > 0.0).then_some(DropPath { probability, seed, pass })
    }

    /// The record of the epoch just fitted; `None` where a request to stop came first.
    fn look(&mut self, observer: &dyn Observer) -> Result<Option<EpochRecord>, TrainingError> {
        // Between two steps: an even number is a step's.
        self.learner.model.begin_noise_stream(2 * self.progress.taken + 1);
        let epoch = self.progress.epoch + 1;
        let due = epoch.is_multiple_of(self.config.watch_every) || epoch == self.config.epochs;
        let tables = self.learner.tables();
        let examined = self.diagnosis.as_ref().map(|diagnosis| diagnosis.examine(&self.learner, &tables)).transpose();
        let mut examined = examined.map_err(|source| TrainingError::Derive { epoch, source })?;
        let mut watched = None;
        if due && let Some(batches) = self.task.watched()? {
            let mut score = Score::default();
            for batch in batches {
                let batch = batch?;
                if observer.stop_requested() {
                    return Ok(None);
                }
                if let Some(examined) = &mut examined {
                    examined.watch(&self.learner, &batch);
                }
                let (outputs, objective) = (self.learner.evaluate(batch.inputs), &self.learner.objective);
                let loss = objective.evaluation_loss(&outputs, &batch.targets).into_scalar::<f32>();
                score.add(objective.score(&outputs, &batch.targets).with_loss(f64::from(loss)));
            }
            watched = Some(score);
        }
        let measures = self.learner.objective.clone();
        let figures = |score: &Score| score.figures(measures.measures());
        let watched = watched.as_ref().and_then(figures);
        if let Some(loss) = watched.as_ref().map(|watched| watched.loss).filter(|loss| !loss.is_finite()) {
            return Err(TrainingError::WatchedDiverged { loss, epoch });
        }
        let mut diagnosis = None;
        if let (Some(by), Some(examined)) = (&self.diagnosis, examined) {
            if observer.stop_requested() {
                return Ok(None);
            }
            diagnosis = Some(by.conclude(examined, &mut self.learner, self.task, epoch - 1)?);
        }
        Ok(Some(EpochRecord {
            epoch,
            learning_rate: self.rate(0),
            train: figures(&self.progress.score).expect(SEEN),
            watched,
            tables,
            diagnosis,
        }))
    }

    fn rate(&self, step: usize) -> f64 {
        self.config.rate.at(self.progress.epoch, self.config.epochs, step, self.steps())
    }

    /// Where an epoch begins that has no checkpoint within it.
    fn beginning(&self) -> Result<Option<(LearnerState, Progress)>, TaskError> {
        if self.task.may_checkpoint(1) {
            return Ok(None);
        }
        let progress = Progress { task: self.task.state()?, ..self.progress.clone() };
        Ok(Some((self.learner.state.clone(), progress)))
    }

    /// Saves a checkpoint where it was asked to stop, or where that may not be, of the epoch's
    /// beginning.
    fn stopped(&mut self, path: &Path, observer: &mut dyn Observer) -> Result<Ended, TrainingError> {
        match self.begun.take() {
            Some(begun) if !self.task.may_checkpoint(self.progress.step) => {
                let (state, mut progress) = *begun;
                progress.seconds = observer.spent().as_secs_f64();
                let now = Instant::now();
                Checkpoint::save(path, &state, &progress)?;
                observer.checkpoint_saved(progress.taken, now.elapsed());
            }
            _ => self.save(path, observer)?,
        }
        Ok(Ended::Stopped)
    }

    /// Saves a checkpoint of where it is, its end included.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn save(&mut self, path: &Path, observer: &mut dyn Observer) -> Result<(), TrainingError> {
        let begun = Instant::now();
        self.progress.seconds = observer.spent().as_secs_f64();
        // What the task cannot say must not take the place of a checkpoint that says it.
        self.progress.task = self.task.state()?;
        Checkpoint::save(path, &self.learner.state, &self.progress)?;
        observer.checkpoint_saved(self.progress.taken, begun.elapsed());
        Ok(())
    }
}

#[cfg(test)]
mod tests;
