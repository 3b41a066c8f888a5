//! Between a training and its run: progress to show, checkpoints when they are due, requests to
//! stop.

use super::{
    cadence::Cadence,
    figures::{fitted, measured},
};
use crate::{
    run::{Context, Progress},
    tasks::{Objective, Score},
    train::{EpochRecord, Observer},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Listens to a training for a stage.
pub(super) struct Watch<'a, 'c> {
    context: &'a Context<'c>,
    epochs: usize,
    objective: Arc<dyn Objective>,
    /// What the watched images are called: `held_out`, `test`.
    watched: &'static str,
    /// Further figures of an epoch.
    told: &'a dyn Fn(&EpochRecord) -> Vec<(String, f64)>,
    /// Steps of an epoch that made its examples: of a game those that were played.
    made: usize,
    pace: Pace,
    cadence: Cadence,
}

impl<'a, 'c> Watch<'a, 'c> {
    pub fn new(
        context: &'a Context<'c>,
        epochs: usize,
        objective: Arc<dyn Objective>,
        watched: &'static str,
        told: &'a dyn Fn(&EpochRecord) -> Vec<(String, f64)>,
    ) -> Self {
        let cadence = Cadence::new(context.runtime(), Instant::now());
        Self { context, epochs, objective, watched, told, made: 0, pace: Pace::default(), cadence }
    }
}

impl Observer for Watch<'_, '_> {
    fn step(&mut self, epoch: usize, step: usize, steps: usize, score: &Score) {
        self.cadence.step();
        self.pace.step(Instant::now(), epoch);
        let batch = score.seen as f64 / step as f64;
        self.context.progress(Progress {
            epoch,
            epochs: self.epochs,
            step: self.made + step,
            steps: self.made + steps,
            images_per_second: self.pace.step_seconds().map(|seconds| batch / seconds),
            loss: score.loss(),
            measures: measured(self.objective.as_ref(), score),
            remaining: self.pace.remaining(self.epochs - epoch - 1, steps, steps - step),
        });
    }

    fn made(&mut self, epoch: usize, (done, of): (usize, usize), steps: usize) {
        self.made = of;
        let remaining = self.pace.remaining(self.epochs - epoch - 1, steps, steps);
        let steps = of + steps;
        self.context.progress(Progress {
            epoch,
            epochs: self.epochs,
            step: done,
            steps,
            remaining,
            ..Progress::default()
        });
    }

    fn epoch(&mut self, record: &EpochRecord) {
        let mut metrics = fitted(record);
        let watched = record.watched.as_ref().and_then(|watched| watched.measures.first());
        metrics.extend(watched.map(|(name, &value)| (format!("{}_{name}", self.watched), value)));
        metrics.extend((self.told)(record));
        self.context.epoch_finished(record.epoch, self.epochs, metrics);
    }

    fn checkpoint_due(&self) -> bool {
        self.cadence.is_due(Instant::now())
    }

    fn checkpoint_saved(&mut self, step: u64, took: Duration) {
        self.cadence.saved(Instant::now(), took);
        self.context.checkpoint_saved(step);
    }

    fn spent(&self) -> Duration {
        self.context.spent()
    }

    fn stop_requested(&self) -> bool {
        self.context.stop_requested()
    }
}

/// How long steps take, and what lies between two epochs (evaluation), each by itself.
#[derive(Debug, Default)]
struct Pace {
    last: Option<(Instant, usize)>,
    stepping: Mean,
    between: Mean,
}

#[derive(Debug, Default)]
struct Mean {
    seconds: f64,
    count: u32,
}

impl Mean {
    fn add(&mut self, time: Duration) {
        self.seconds += time.as_secs_f64();
        self.count += 1;
    }

    fn value(&self) -> Option<f64> {
        (self.count > 0).then(|| self.seconds / f64::from(self.count))
    }
}

impl Pace {
    /// A step of `epoch` ended `now`. The first of a process warms up buffers and measures nothing.
    fn step(&mut self, now: Instant, epoch: usize) {
        if let Some((before, last_epoch)) = self.last.replace((now, epoch)) {
            let time = now.duration_since(before);
            if last_epoch == epoch { self.stepping.add(time) } else { self.between.add(time) }
        }
    }

    fn step_seconds(&self) -> Option<f64> {
        self.stepping.value()
    }

    /// Time to the end: `left` steps of this epoch, then `epochs` of `steps`, and what follows each
    /// epoch.
    fn remaining(&self, epochs: usize, steps: usize, left: usize) -> Option<Duration> {
        let step = self.step_seconds()?;
        // What lies between holds one step too; before an evaluation was seen it is taken to be
        // that alone.
        let between = self.between.value().unwrap_or(step);
        let stepping = step * (left + epochs * steps.saturating_sub(1)) as f64;
        Duration::try_from_secs_f64(stepping + between * (epochs + 1) as f64).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evaluation_is_no_part_of_a_steps_time_but_of_what_remains() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut pace = Pace::default();
        // Two epochs of three steps of a second, an evaluation of ten seconds after the first.
        for (at, epoch) in [(1, 0), (2, 0), (3, 0), (14, 1)] {
            pace.step(start + second * at, epoch);
        }
        assert_eq!(pace.step_seconds(), Some(1.0));
        // Two steps and an evaluation are left; what lies between is counted with the step that
        // ends it.
        assert_eq!(pace.remaining(0, 3, 2), Some(second * 13));
    }
}
