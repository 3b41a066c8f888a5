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
    /// Falls along a line that would reach 0 `tail` epochs before the end, until so many are left; then along a flatter one to the end:
    /// `max · (E − T − e) / (E − T)`, then `max · (E − e) / (T (E − T))`. P-DARTS and PC-DARTS on ImageNet, with T = 5.
    /// A tail of 0 is one line to 0.
    Linear { tail: usize },
}

/// When a schedule moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    Epoch,
    Step,
}

/// A rate's first value, its way down, and its way up to begin with.
#[derive(Debug, Clone, PartialEq)]
pub struct Rate {
    pub first: f64,
    pub schedule: Schedule,
    /// In epoch `e` below this number the rate is `first · (e + 1) / warmup_epochs`, whatever the schedule says (P-DARTS,
    /// PC-DARTS).
    pub warmup_epochs: usize,
}

impl Rate {
    /// The same at every step.
    pub const fn constant(first: f64) -> Self {
        Self { first, schedule: Schedule::Constant, warmup_epochs: 0 }
    }

    /// The rate for `step` of `steps` in `epoch` of `epochs` (all from 0).
    pub fn at(&self, epoch: usize, epochs: usize, step: usize, steps: usize) -> f64 {
        let first = self.first;
        if epoch < self.warmup_epochs {
            return first * (epoch + 1) as f64 / self.warmup_epochs as f64;
        }
        let (done, all) = (epoch as f64, epochs.max(1) as f64);
        match self.schedule {
            Schedule::Constant => first,
            Schedule::Cosine { minimum, by } => {
                let within = match by {
                    By::Epoch => 0.0,
                    By::Step => step as f64 / steps.max(1) as f64,
                };
                minimum + 0.5 * (first - minimum) * (1.0 + (PI * (done + within) / all).cos())
            }
            Schedule::Exponential { factor } => first * factor.powf(done),
            Schedule::Linear { tail } if epochs > tail => {
                let line = all - tail as f64;
                if epochs - epoch > tail {
                    first * (line - done) / line
                } else {
                    first * (all - done) / (tail as f64 * line)
                }
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
        Rate { first, schedule, warmup_epochs: 0 }
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

    /// `train_imagenet.py` of PC-DARTS with 250 epochs and 0.5: warm-up 0.1, 0.2, …, 0.5, then 0.5 · 240 / 245, …;
    /// at 245 epochs the last line, 0.5 · 5 / (5 · 245), begins where the first left off.
    #[test]
    fn the_line_has_a_warm_up_and_a_tail() {
        let rate = Rate { first: 0.5, schedule: Schedule::Linear { tail: 5 }, warmup_epochs: 5 };
        let at = |epoch| rate.at(epoch, 250, 0, 1);
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
        let short = Rate { first: 1.0, schedule: Schedule::Linear { tail: 5 }, warmup_epochs: 0 };
        assert_eq!((0..4).map(|epoch| short.at(epoch, 4, 0, 1)).collect::<Vec<_>>(), [1.0, 0.75, 0.5, 0.25]);
        let plain = Rate { first: 1.0, schedule: Schedule::Linear { tail: 0 }, warmup_epochs: 0 };
        assert_eq!((0..4).map(|epoch| plain.at(epoch, 4, 0, 1)).collect::<Vec<_>>(), [1.0, 0.75, 0.5, 0.25]);
    }
}
