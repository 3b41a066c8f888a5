//! Between a search and its run: progress to show, checkpoints when they are due, requests to stop.

use crate::{
    run::{Context, Progress},
    tasks::Score,
    train::{EpochRecord, Observer},
};
use std::time::{Duration, Instant};

/// Listens to a search for a stage.
pub(super) struct Watch<'a, 'c> {
    context: &'a Context<'c>,
    epochs: usize,
    /// When the first step of this process ended, and the steps done by then: it warms up buffers and measures nothing.
    begun: Option<(Instant, f64)>,
    saved: Instant,
    since_saved: u64,
}

impl<'a, 'c> Watch<'a, 'c> {
    pub fn new(context: &'a Context<'c>, epochs: usize) -> Self {
        let now = Instant::now();
        Self { context, epochs, begun: None, saved: now, since_saved: 0 }
    }
}

impl Observer for Watch<'_, '_> {
    fn step(&mut self, epoch: usize, step: usize, steps: usize, score: &Score) {
        self.since_saved += 1;
        let done = epoch as f64 * steps as f64 + step as f64;
        let (since, before) = *self.begun.get_or_insert_with(|| (Instant::now(), done));
        let per_step = (done > before).then(|| since.elapsed().as_secs_f64() / (done - before));
        let batch = score.seen as f64 / step as f64;
        let remaining = per_step.map(|seconds| seconds * (self.epochs as f64 * steps as f64 - done));
        self.context.progress(Progress {
            epoch,
            epochs: self.epochs,
            step,
            steps,
            images_per_second: per_step.map(|seconds| batch / seconds),
            loss: score.loss(),
            accuracy_percent: score.accuracy_percent(),
            remaining: remaining.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
        });
    }

    fn epoch(&mut self, record: &EpochRecord) {
        let mut metrics = vec![
            ("train_loss".to_owned(), record.train_loss),
            ("train_accuracy_percent".to_owned(), record.train_accuracy_percent),
        ];
        metrics.extend(record.held_out_accuracy_percent.map(|value| ("held_out_accuracy_percent".to_owned(), value)));
        self.context.epoch_finished(record.epoch, self.epochs, metrics);
    }

    fn checkpoint_due(&self) -> bool {
        let runtime = self.context.runtime();
        let by_steps = runtime.checkpoint_steps.is_some_and(|steps| self.since_saved >= steps);
        by_steps || self.saved.elapsed().as_secs_f64() >= runtime.checkpoint_seconds
    }

    fn checkpoint_saved(&mut self, step: u64) {
        (self.saved, self.since_saved) = (Instant::now(), 0);
        self.context.checkpoint_saved(step);
    }

    fn stop_requested(&self) -> bool {
        self.context.stop_requested()
    }
}
