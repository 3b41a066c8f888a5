//! When a training saves a checkpoint: soon after its beginning, then as often as costs next to
//! nothing.

use crate::config::Runtime;
use std::time::{Duration, Instant};

/// The first comes so long after the beginning, and none sooner after another: what a kill may cost
/// without a word.
const SOON: Duration = Duration::from_secs(3);
/// What a kill may cost however dear a checkpoint is.
const AT_MOST: Duration = Duration::from_secs(60);
/// All checkpoints together take no more than this share of the time, while they are less than
/// [`AT_MOST`] apart.
const SHARE: f64 = 0.01;

/// How long ago checkpoints were saved and what they cost.
#[derive(Debug)]
pub(super) struct Cadence {
    /// What the pipeline asks for, by itself where it asks for a time.
    every_steps: Option<u64>,
    every: Option<Duration>,
    begun: Instant,
    saved: Instant,
    steps: u64,
    last: Duration,
    all: Duration,
}

impl Cadence {
    pub fn new(runtime: &Runtime, now: Instant) -> Self {
        Self {
            every_steps: runtime.checkpoint.every_steps,
            every: (runtime.checkpoint.every_seconds)
                .map(|time| Duration::try_from_secs_f64(time).unwrap_or(Duration::MAX)),
            begun: now,
            saved: now,
            steps: 0,
            last: Duration::ZERO,
            all: Duration::ZERO,
        }
    }

    /// A step was taken.
    pub fn step(&mut self) {
        self.steps += 1;
    }

    pub fn is_due(&self, now: Instant) -> bool {
        let since = now.duration_since(self.saved);
        let by_time = match self.every {
            Some(every) => since >= every,
            None => since >= AT_MOST || since >= SOON && self.can_be_afforded(now),
        };
        by_time || self.every_steps.is_some_and(|steps| self.steps >= steps)
    }

    /// Whether one more, as dear as the last, is within the share. What the first costs is not
    /// known.
    fn can_be_afforded(&self, now: Instant) -> bool {
        (self.all + self.last).as_secs_f64() <= SHARE * now.duration_since(self.begun).as_secs_f64()
    }

    /// One was saved `now`, which took so long.
    pub fn saved(&mut self, now: Instant, took: Duration) {
        (self.saved, self.steps, self.last) = (now, 0, took);
        self.all += took;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Checkpoint;

    /// The seconds at which checkpoints are saved that take so many milliseconds each, of a
    /// training of ten minutes whose steps take a tenth of a second.
    fn moments(runtime: &Runtime, milliseconds: u64) -> Vec<f64> {
        let (begun, took) = (Instant::now(), Duration::from_millis(milliseconds));
        let mut cadence = Cadence::new(runtime, begun);
        let mut moments = Vec::new();
        let mut now = begun;
        while now < begun + Duration::from_secs(600) {
            now += Duration::from_millis(100);
            cadence.step();
            if cadence.is_due(now) {
                moments.push(now.duration_since(begun).as_secs_f64());
                now += took;
                cadence.saved(now, took);
            }
        }
        moments
    }

    #[test]
    fn the_first_comes_after_seconds_and_the_others_cost_a_hundredth_of_the_time() {
        for milliseconds in [1, 20, 100, 500] {
            let moments = moments(&Runtime::default(), milliseconds);
            assert_eq!(moments[0], 3.0);
            for (at, moment) in moments.iter().enumerate().skip(1) {
                let cost = (at + 1) as f64 * milliseconds as f64 / 1e3;
                assert!(cost <= 0.01 * moment || moment - moments[at - 1] >= 60.0, "{milliseconds}: {moment}");
            }
            let apart = moments.windows(2).map(|two| two[1] - two[0]);
            assert!(apart.clone().all(|apart| (3.0..60.7).contains(&apart)), "{milliseconds}: {moments:?}");
        }
        assert_eq!(moments(&Runtime::default(), 1).len(), 199, "no more often than every three seconds");
        // However dear: once a minute.
        assert_eq!(moments(&Runtime::default(), 5000).len(), 10);
    }

    #[test]
    fn what_the_pipeline_asks_for_is_done() {
        let every = |every_steps, every_seconds| Runtime {
            checkpoint: Checkpoint { every_steps, every_seconds },
            ..Runtime::default()
        };
        let seconds = every(None, Some(200.0));
        assert_eq!(moments(&seconds, 0), [200.0, 400.0, 600.0]);
        let steps = every(Some(2500), Some(200.0));
        assert_eq!(moments(&steps, 0), [200.0, 400.0, 600.0]);
        let steps = every(Some(1500), Some(200.0));
        assert_eq!(moments(&steps, 0), [150.0, 300.0, 450.0, 600.0]);
        let never = every(None, Some(1e300));
        assert!(moments(&never, 0).is_empty());
    }
}
