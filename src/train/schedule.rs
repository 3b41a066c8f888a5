//! The learning rate as a function of progress.

use std::f64::consts::PI;

/// How a learning rate falls from its first to its last value.
#[derive(Debug, Clone, PartialEq)]
pub enum Schedule {
    /// The first value throughout.
    Constant,
    /// `min + (max − min) · (1 + cos(π t)) / 2` (SGDR, arXiv 1608.03983, without restarts).
    /// `t` grows each epoch (DARTS), or each step (NAS-Bench-201's baselines).
    Cosine { minimum: f64, by: By },
    /// Times `factor` each epoch: DARTS on ImageNet, with 0.97.
    Exponential { factor: f64 },
    /// Falls along a line that would reach 0 `tail` epochs before the end, until so many are left;
    /// then along a flatter one to the end: `max · (E − T − e) / (E − T)`, then
    /// `max · (E − e) / (T (E − T))`. P-DARTS and PC-DARTS on ImageNet, with T = 5. A tail of 0 is
    /// one line to 0.
    Linear { tail: usize },
    /// Times `factor` at each of these epochs or steps.
    Milestones { at: Vec<usize>, factor: f64, by: By },
}

/// When a schedule moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    Epoch,
    Step,
}

/// A rate's first value, its way down, and its way up to begin with.
#[derive(Debug, Clone, PartialEq)]
pub struct Rate {
    pub first: f64,
    pub schedule: Schedule,
    /// In epoch or step `e` below this number the rate is `first · (e + 1) / warmup`, whatever the
    /// schedule says (by epoch P-DARTS and PC-DARTS, by step Transformers).
    pub warmup: usize,
    pub warmup_by: By,
}

impl Rate {
    /// The same at every step.
    pub const fn constant(first: f64) -> Self {
        Self { first, schedule: Schedule::Constant, warmup: 0, warmup_by: By::Epoch }
    }

    /// The rate for `step` of `steps` in `epoch` of `epochs` (all from 0).
    pub fn at(&self, epoch: usize, epochs: usize, step: usize, steps: usize) -> f64 {
        let first = self.first;
        let now = |by: By| match by {
            By::Epoch => epoch,
            By::Step => epoch * steps + step,
        };
        if now(self.warmup_by) < self.warmup {
            return first * (now(self.warmup_by) + 1) as f64 / self.warmup as f64;
        }
        let (done, all) = (epoch as f64, epochs.max(1) as f64);
        match &self.schedule {
            Schedule::Constant => first,
            Schedule::Cosine { minimum, by } => {
                let within = match by {
                    By::Epoch => 0.0,
                    By::Step => step as f64 / steps.max(1) as f64,
                };
                minimum + 0.5 * (first - minimum) * (1.0 + (PI * (done + within) / all).cos())
            }
            Schedule::Exponential { factor } => first * factor.powf(done),
            Schedule::Linear { tail } if epochs > *tail => {
                let line = all - *tail as f64;
                if epochs - epoch > *tail {
                    first * (line - done) / line
                } else {
                    first * (all - done) / (*tail as f64 * line)
                }
            }
            Schedule::Milestones { at, factor, by } => {
                let passed = at.iter().filter(|milestone| now(*by) >= **milestone).count();
                first * factor.powi(i32::try_from(passed).unwrap_or(i32::MAX))
            }
            // Too short for a tail: one line.
            Schedule::Linear { .. } => first * (all - done) / all,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(first: f64, schedule: Schedule) -> Rate {
        Rate { first, schedule, warmup: 0, warmup_by: By::Epoch }
    }

    #[test]
    fn the_cosine_starts_at_the_first_rate_and_is_half_way_in_the_middle() {
        let by_epoch = rate(0.025, Schedule::Cosine { minimum: 0.001, by: By::Epoch });
        assert_eq!(by_epoch.at(0, 50, 9, 10), 0.025);
        assert!((by_epoch.at(25, 50, 0, 10) - 0.013).abs() < 1e-12);
        let by_step = rate(1.0, Schedule::Cosine { minimum: 0.0, by: By::Step });
        assert!((by_step.at(0, 1, 5, 10) - 0.5).abs() < 1e-12);
    }

    /// `train_imagenet.py` of DARTS: 0.1, times 0.97 each epoch.
    #[test]
    fn the_exponential_falls_by_its_factor_each_epoch() {
        let rate = rate(0.1, Schedule::Exponential { factor: 0.97 });
        assert_eq!(rate.at(0, 250, 3, 10), 0.1);
        assert!((rate.at(2, 250, 0, 10) - 0.1 * 0.97 * 0.97).abs() < 1e-15);
    }

    /// `train_imagenet.py` of PC-DARTS with 250 epochs and 0.5: warm-up 0.1, 0.2, …, 0.5, then 0.5
    /// · 240 / 245, …; at 245 epochs the last line, 0.5 · 5 / (5 · 245), begins where the first
    /// left off.
    #[test]
    fn the_line_has_a_warm_up_and_a_tail() {
        let warm = Rate { warmup: 5, ..rate(0.5, Schedule::Linear { tail: 5 }) };
        let at = |epoch| warm.at(epoch, 250, 0, 1);
        for (epoch, expected) in [
            (0, 0.1),
            (4, 0.5),
            (5, 0.5 * 240.0 / 245.0),
            (244, 0.5 / 245.0),
            (245, 0.5 * 5.0 / (5.0 * 245.0)),
            (249, 0.5 / (5.0 * 245.0)),
        ] {
            assert!((at(epoch) - expected).abs() < 1e-12, "epoch {epoch}: {} is not {expected}", at(epoch));
        }
        let short = rate(1.0, Schedule::Linear { tail: 5 });
        assert_eq!((0..4).map(|epoch| short.at(epoch, 4, 0, 1)).collect::<Vec<_>>(), [1.0, 0.75, 0.5, 0.25]);
        let plain = rate(1.0, Schedule::Linear { tail: 0 });
        assert_eq!((0..4).map(|epoch| plain.at(epoch, 4, 0, 1)).collect::<Vec<_>>(), [1.0, 0.75, 0.5, 0.25]);
    }

    #[test]
    fn milestones_are_passed_and_a_warm_up_may_count_steps() {
        let schedule = Schedule::Milestones { at: vec![2, 3], factor: 0.5, by: By::Epoch };
        let warm = Rate { warmup: 4, warmup_by: By::Step, ..rate(1.0, schedule) };
        let at = |epoch, step| warm.at(epoch, 5, step, 3);
        let found = [at(0, 0), at(0, 2), at(1, 0), at(1, 1), at(2, 0), at(3, 0), at(4, 2)];
        assert_eq!(found, [0.25, 0.75, 1.0, 1.0, 0.5, 0.25, 0.25]);
        let by_step = rate(1.0, Schedule::Milestones { at: vec![4], factor: 0.1, by: By::Step });
        assert_eq!([by_step.at(1, 5, 0, 3), by_step.at(1, 5, 1, 3)], [1.0, 0.1]);
    }
}
