//! The learning rate as a function of progress.

/// How a learning rate falls from its first to its last value.
#[derive(Debug, Clone, PartialEq)]
pub enum Schedule {
    /// The first value throughout.
    Constant,
    /// `min + (max − min) · (1 + cos(π t)) / 2` (SGDR, arXiv 1608.03983, without restarts).
    /// `t` grows each epoch (DARTS), or each step (NAS-Bench-201's baselines).
    Cosine { minimum: f64, by: By },
}

/// When a schedule moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    Epoch,
    Step,
}

impl Schedule {
    /// The rate for `step` of `steps` in `epoch` of `epochs` (all from 0).
    pub fn rate(&self, first: f64, epoch: usize, epochs: usize, step: usize, steps: usize) -> f64 {
        match self {
            Self::Constant => first,
            Self::Cosine { minimum, by } => {
                let within = match by {
                    By::Epoch => 0.0,
                    By::Step => step as f64 / steps.max(1) as f64,
                };
                let progress = (epoch as f64 + within) / epochs.max(1) as f64;
                minimum + 0.5 * (first - minimum) * (1.0 + (std::f64::consts::PI * progress).cos())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cosine_starts_at_the_first_rate_and_is_half_way_in_the_middle() {
        let schedule = Schedule::Cosine { minimum: 0.001, by: By::Epoch };
        assert_eq!(schedule.rate(0.025, 0, 50, 9, 10), 0.025);
        assert!((schedule.rate(0.025, 25, 50, 0, 10) - 0.013).abs() < 1e-12);
        let by_step = Schedule::Cosine { minimum: 0.0, by: By::Step };
        assert!((by_step.rate(1.0, 0, 1, 5, 10) - 0.5).abs() < 1e-12);
    }
}
