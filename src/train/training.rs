//! The one loop: epochs of steps, a look at the watched images after them, a checkpoint now and then.

use super::{
    Checkpoint, CheckpointError, Diagnosis, EpochRecord, Learner, Rate, TableRecord,
    diagnosis::Stopped,
    strategy::{Rates, StepOutcome, Strategy},
};
use crate::{
    model::DropPath,
    space::DeriveError,
    tasks::{self, Batch, Classification, Score, TaskError, cross_entropy},
};
use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use std::path::Path;

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
    /// Paths dropped near the end: the probability grows with the epoch, from 0 in the first (DARTS' `drop_path_prob · epoch / epochs`).
    pub drop_path: f64,
    /// Decides what is dropped.
    pub seed: u64,
    /// The watched images are looked at after every so many epochs, and after the last.
    pub watch_every: usize,
}

/// Whoever runs a training: hears of it, stops it, says when to save.
pub trait Observer {
    /// After each step of `epoch` (from 0): steps done in it, and the epoch's score so far.
    fn step(&mut self, epoch: usize, step: usize, steps: usize, score: &Score);
    /// After each epoch and its look at the watched images.
    fn epoch(&mut self, record: &EpochRecord);
    /// Asked after each step: whether to save a checkpoint now.
    fn checkpoint_due(&self) -> bool;
    /// A checkpoint was saved after `step` steps in all.
    fn checkpoint_saved(&mut self, step: u64);
    /// Asked after each step and before each batch of watched images: whether to save a checkpoint and stop.
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
    task: &'a Classification,
    config: &'a TrainingConfig,
    diagnosis: Option<Diagnosis<'a>>,
    progress: Progress,
}

/// What the loop rests on when it speaks of an epoch's mean.
const SEEN: &str = "an epoch has a step and a step has an image";

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
    score: Score,
    records: Vec<EpochRecord>,
}

impl<'a> Training<'a> {
    pub fn new(learner: Learner, task: &'a Classification, config: &'a TrainingConfig) -> Self {
        Self { learner, task, config, diagnosis: None, progress: Progress::default() }
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
        let Some(progress) = Checkpoint::load(path, &mut self.learner, device)? else { return Ok(None) };
        self.progress = progress;
        let (epoch, step) = (self.progress.epoch + 1, self.progress.step + 1);
        // The last step may be taken and the look at the watched images not.
        Ok(Some(if step > self.steps() {
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

    /// Trains to the end, or to a request to stop. Checkpoints go to `checkpoint`.
    pub fn run(&mut self, checkpoint: &Path, observer: &mut dyn Observer) -> Result<Ended, TrainingError> {
        let task = self.task;
        // One stream from the first step to the last, whatever the length of an epoch.
        let mut validation = task.validation(self.progress.validated)?;
        while self.progress.epoch < self.config.epochs && self.stopped_early().is_none() {
            if self.fit(&mut validation, checkpoint, observer)? == Ended::Stopped {
                return Ok(Ended::Stopped);
            }
            let Some(record) = self.look(observer)? else {
                self.save(checkpoint, observer)?;
                return Ok(Ended::Stopped);
            };
            observer.epoch(&record);
            self.progress.records.push(record);
            self.progress = Progress {
                epoch: self.progress.epoch + 1,
                taken: self.progress.taken,
                validated: self.progress.validated,
                records: std::mem::take(&mut self.progress.records),
                ..Progress::default()
            };
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
            self.progress.score.add(tasks::score(outcome.logits, outcome.labels, loss));
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

    /// One step on the next batches; `None` after the epoch's last.
    fn step(
        &mut self,
        batches: &mut impl Iterator<Item = Result<Batch, TaskError>>,
        validation: &mut impl Iterator<Item = Result<Batch, TaskError>>,
    ) -> Result<Option<StepOutcome>, TaskError> {
        let TrainingConfig { strategy, accumulate, .. } = *self.config;
        let rates = self.rates();
        self.learner.drop_path = self.drop_path();
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

    /// What the first pass of the next step drops.
    fn drop_path(&self) -> Option<DropPath> {
        let TrainingConfig { epochs, drop_path, seed, accumulate, .. } = *self.config;
        let probability = drop_path * self.progress.epoch as f64 / epochs as f64;
        let pass = self.progress.taken * accumulate as u64;
        (probability > 0.0).then_some(DropPath { probability, seed, pass })
    }

    /// The record of the epoch just fitted; `None` where a request to stop came first.
    fn look(&mut self, observer: &dyn Observer) -> Result<Option<EpochRecord>, TrainingError> {
        let epoch = self.progress.epoch + 1;
        let due = epoch.is_multiple_of(self.config.watch_every) || epoch == self.config.epochs;
        let tables = TableRecord::of(&self.learner);
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
                let logits = self.learner.evaluate(batch.images);
                let loss = cross_entropy(logits.clone(), batch.labels.clone(), 0.0).into_scalar::<f32>();
                score.add(tasks::score(logits, batch.labels, f64::from(loss)));
            }
            watched = Some(score);
        }
        if let Some(loss) = watched.and_then(|score| score.loss()).filter(|loss| !loss.is_finite()) {
            return Err(TrainingError::WatchedDiverged { loss, epoch });
        }
        let mut diagnosis = None;
        if let (Some(by), Some(examined)) = (&self.diagnosis, examined) {
            if observer.stop_requested() {
                return Ok(None);
            }
            diagnosis = Some(by.conclude(examined, &mut self.learner, self.task, epoch - 1)?);
        }
        let score = &self.progress.score;
        Ok(Some(EpochRecord {
            epoch,
            learning_rate: self.rate(0),
            train_loss: score.loss().expect(SEEN),
            train_accuracy_percent: score.accuracy_percent().expect(SEEN),
            watched_loss: watched.and_then(|score| score.loss()),
            watched_accuracy_percent: watched.and_then(|score| score.accuracy_percent()),
            watched_top5_percent: watched.and_then(|score| score.top5_percent()),
            tables,
            diagnosis,
        }))
    }

    fn rate(&self, step: usize) -> f64 {
        self.config.rate.at(self.progress.epoch, self.config.epochs, step, self.steps())
    }

    fn save(&self, path: &Path, observer: &mut dyn Observer) -> Result<(), CheckpointError> {
        Checkpoint::save(path, &self.learner, &self.progress)?;
        observer.checkpoint_saved(self.progress.taken);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{Mixing, host},
        train::{
            By, Schedule,
            strategy::{Bilevel, First, Order, single_level},
            tiny,
        },
    };
    use std::{cell::Cell, fs};

    fn config(by: By) -> TrainingConfig {
        let schedule = Schedule::Cosine { minimum: 0.01, by };
        TrainingConfig {
            epochs: 2,
            strategy: Strategy::SingleLevel,
            rate: Rate { first: 0.2, schedule, warmup_epochs: 0 },
            alpha_rate: Rate::constant(0.05),
            warmup_epochs: 0,
            accumulate: 1,
            drop_path: 0.0,
            seed: 0,
            watch_every: 1,
        }
    }

    /// Asks to stop at the question of that number, from 1.
    struct StopAt(Cell<usize>);

    impl Observer for StopAt {
        fn step(&mut self, _epoch: usize, _step: usize, _steps: usize, _score: &Score) {}
        fn epoch(&mut self, _record: &EpochRecord) {}
        fn checkpoint_due(&self) -> bool {
            false
        }
        fn checkpoint_saved(&mut self, _step: u64) {}
        fn stop_requested(&self) -> bool {
            self.0.set(self.0.get().saturating_sub(1));
            self.0.get() == 0
        }
    }

    const NEVER: usize = usize::MAX;

    fn searched(mixing: Mixing, config: &TrainingConfig) -> (Vec<Vec<u32>>, Vec<EpochRecord>) {
        let task = tiny::task();
        let mut search = Training::new(tiny::learner(tiny::SPACE, &tiny::config(mixing)), &task, config);
        let ended = search.run(Path::new("/no/checkpoint"), &mut StopAt(Cell::new(NEVER))).unwrap();
        assert_eq!(ended, Ended::Completed);
        (bits(&search.learner), search.records().to_vec())
    }

    /// All that a learner holds, to the bit.
    fn bits(learner: &Learner) -> Vec<Vec<u32>> {
        let mut tensors = vec![learner.weights.values(), learner.alphas.values(), learner.running.values()];
        tensors.extend(learner.sgd.velocity().cloned());
        tensors.extend(learner.adam.state().map(|state| state.first.clone()));
        tensors.extend(learner.adam.state().map(|state| state.second.clone()));
        tensors.into_iter().map(|tensor| host(tensor).into_iter().map(f32::to_bits).collect()).collect()
    }

    #[test]
    fn stopped_at_any_moment_and_resumed_a_search_comes_to_the_same_bits() {
        let bilevel = |order, first| Strategy::Bilevel(Bilevel { order, first });
        let strategies = [
            (Strategy::SingleLevel, 0),
            (bilevel(Order::First, First::Weights), 0),
            (bilevel(Order::Second, First::Alphas), 0),
            // The stream of validation images begins in the second epoch.
            (bilevel(Order::First, First::Alphas), 1),
        ];
        let mut results = Vec::new();
        for (strategy, warmup_epochs) in strategies {
            results.push(stopped_and_resumed(&TrainingConfig { strategy, warmup_epochs, ..config(By::Step) }));
        }
        for (at, result) in results.iter().enumerate() {
            assert!(results[..at].iter().all(|other| other != result), "strategies differ: {at}");
        }
    }

    /// The bits of a whole search, held against those of searches that were stopped at every moment.
    fn stopped_and_resumed(config: &TrainingConfig) -> Vec<Vec<u32>> {
        let (device, task) = (Device::flex(), tiny::task());
        let whole = searched(Mixing::Softmax, config);
        let folder = tempfile::tempdir().unwrap();
        // An epoch asks after each of its three steps and before each of three batches that it is judged on.
        let mut places = Vec::new();
        for question in 1..=12 {
            let path = folder.path().join(question.to_string());
            let fresh = || Training::new(tiny::learner(tiny::SPACE, &tiny::config(Mixing::Softmax)), &task, config);
            assert_eq!(fresh().run(&path, &mut StopAt(Cell::new(question))).unwrap(), Ended::Stopped);
            let mut search = fresh();
            places.push(search.resume(&path, &device).unwrap().unwrap());
            assert_eq!(search.run(&path, &mut StopAt(Cell::new(NEVER))).unwrap(), Ended::Completed);
            assert_eq!((bits(&search.learner), search.records().to_vec()), whole, "stopped at question {question}");
        }
        let end = "the end of epoch 1";
        assert_eq!(places[..7], ["epoch 1, step 2", "epoch 1, step 3", end, end, end, end, "epoch 2, step 2"]);
        assert_eq!(places[8], "the end of epoch 2");
        whole.0
    }

    #[test]
    fn a_checkpoint_of_something_else_is_refused_and_the_search_begins_at_its_beginning() {
        let (config, device, task) = (config(By::Epoch), Device::flex(), tiny::task());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint");
        let search = |text: &str| Training::new(tiny::learner(text, &tiny::config(Mixing::Softmax)), &task, &config);
        assert_eq!(search(tiny::SPACE).resume(&path, &device).unwrap(), None);
        search(tiny::SPACE).run(&path, &mut StopAt(Cell::new(2))).unwrap();
        let saved = fs::read(&path).unwrap();

        let refused = |text: &str, bytes: &[u8], reason: &str| {
            fs::write(&path, bytes).unwrap();
            let mut search = search(text);
            let before = bits(&search.learner);
            let error = search.resume(&path, &device).unwrap_err().to_string();
            assert!(error.contains("does not fit this training") && error.contains(reason), "{error}");
            assert_eq!((bits(&search.learner), &search.progress), (before, &Progress::default()));
        };
        // As many numbers, other names: another version of the program may order them otherwise.
        let renamed = tiny::SPACE.replace("label: op", "label: po");
        refused(&renamed, &saved, "its tensors are laid out for another network");
        refused(tiny::SPACE, &saved[..saved.len() / 2], "");
        refused(tiny::SPACE, b"", "");
        let text = String::from_utf8_lossy(&saved[..]);
        let at = text.find("taken").unwrap();
        let mut unreadable = saved.clone();
        unreadable[at] = b'x';
        refused(tiny::SPACE, &unreadable, "it is damaged");
    }

    #[test]
    fn the_rate_follows_the_schedule_step_by_step_or_epoch_by_epoch() {
        let by_step = searched(Mixing::Softmax, &config(By::Step)).0;
        let by_epoch = searched(Mixing::Softmax, &config(By::Epoch)).0;
        assert_ne!(by_step, by_epoch);
        for (within, expected) in [(1.0 / 3.0, by_step), (0.0, by_epoch)] {
            let mut learner = tiny::learner(tiny::SPACE, &tiny::config(Mixing::Softmax));
            for epoch in 0..2 {
                for (step, batch) in tiny::task().batches(epoch, 0).unwrap().enumerate() {
                    let progress = (epoch as f64 + step as f64 * within) / 2.0;
                    let weights = 0.01 + 0.5 * 0.19 * (1.0 + (std::f64::consts::PI * progress).cos());
                    single_level::step(&mut learner, &batch.unwrap(), Rates { weights, alphas: Some(0.05) });
                }
            }
            let near = |a: &u32, b: &u32| (f32::from_bits(*a) - f32::from_bits(*b)).abs() < 1e-6;
            let found = bits(&learner);
            assert!(found.iter().flatten().zip(expected.iter().flatten()).all(|(a, b)| near(a, b)));
        }
    }

    #[test]
    fn sigmoid_and_softmax_mix_a_ragged_space_through_the_whole_search_and_a_cell_is_derived() {
        let space = tiny::space(tiny::SPACE);
        let edges = &space.cell_kinds()[0].candidates;
        for mixing in [Mixing::Softmax, Mixing::Sigmoid] {
            let (_, records) = searched(mixing, &config(By::Epoch));
            assert_ne!(records[0].tables, records[1].tables, "alphas move");
            let table = &records[1].tables[0];
            for ((alphas, weights), candidates) in table.alphas.iter().zip(&table.weights).zip(edges) {
                let used = &alphas[..candidates.len()];
                let total: f32 = used.iter().map(|alpha| alpha.exp()).sum();
                for (alpha, weight) in used.iter().zip(weights) {
                    let expected = match mixing {
                        Mixing::Softmax => alpha.exp() / total,
                        Mixing::Sigmoid => 1.0 / (1.0 + (-alpha).exp()),
                    };
                    assert!((weight - expected).abs() < 1e-6, "{mixing:?}: {weight} is not {expected}");
                }
                assert!(weights[candidates.len()..].iter().all(|&weight| weight == 0.0), "{weights:?}");
            }
            let wide = table.weights.iter().map(|row| row.iter().copied().map(f64::from).collect()).collect();
            let genotype = space.derive(&[(table.label.clone(), wide)].into()).unwrap();
            for (choice, candidates) in genotype.cells["cell"].nodes.iter().flatten().zip(edges) {
                assert!(candidates.contains(&choice.operation), "{choice:?} is of {candidates:?}");
            }
        }
    }

    #[test]
    fn a_loss_on_held_out_images_that_is_no_number_ends_the_search() {
        let (config, task) = (config(By::Epoch), tiny::task());
        let mut learner = tiny::learner(tiny::SPACE, &tiny::config(Mixing::Softmax));
        // Training does not look at the running variance; its root is no number in evaluation.
        learner.running.set(learner.running.values().sub_scalar(1e6));
        let mut search = Training::new(learner, &task, &config);
        let error = search.run(Path::new("/no/checkpoint"), &mut StopAt(Cell::new(NEVER))).unwrap_err();
        assert!(matches!(error, TrainingError::WatchedDiverged { epoch: 1, .. }), "{error}");
    }
}
