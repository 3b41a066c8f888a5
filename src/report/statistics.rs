//! What several runs say together. The number of runs is always said with it.

use super::decimal::decimal;

/// A sample's size, mean, spread and ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    pub n: usize,
    pub mean: f64,
    /// Sample standard deviation (divisor n − 1); one run has none.
    pub deviation: Option<f64>,
    pub min: f64,
    pub max: f64,
}

impl Summary {
    /// Nothing for no values. A value that is no number makes every figure none: it is not left out
    /// quietly.
    pub fn of(values: &[f64]) -> Option<Self> {
        let n = values.len();
        if n == 0 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / n as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let deviation = (n > 1).then(|| (squares / (n - 1) as f64).sqrt());
        let end = |pick: fn(f64, f64) -> f64| {
            let poisoned = values.iter().any(|value| value.is_nan());
            if poisoned { f64::NAN } else { values.iter().copied().fold(values[0], pick) }
        };
        Some(Self { n, mean, deviation, min: end(f64::min), max: end(f64::max) })
    }

    /// `93.28 ± 0.32 (n = 3)`; a single run is `93.28 (n = 1)`.
    pub fn shown(&self, digits: usize) -> String {
        let spread = self.deviation.map(|deviation| format!(" ± {}", decimal(deviation, digits))).unwrap_or_default();
        format!("{}{spread} (n = {})", decimal(self.mean, digits), self.n)
    }
}

/// A share of a number of trials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proportion {
    pub count: usize,
    pub of: usize,
}

impl Proportion {
    pub fn new(count: usize, of: usize) -> Self {
        Self { count, of }
    }

    /// 0 of 0 is 0.
    pub fn percent(self) -> f64 {
        100.0 * self.count as f64 / self.of.max(1) as f64
    }

    /// The 95 % interval in per cent after E. B. Wilson, "Probable inference, the law of
    /// succession, and statistical inference", 1927: good at shares near 0 and 1 and for few
    /// trials, where the usual `p ± 1.96 σ` is not. It says how far off a test set of this size may
    /// be, not how far off another training would be. All of 0 to 100 for no trials.
    pub fn interval(self) -> (f64, f64) {
        if self.of == 0 {
            return (0.0, 100.0);
        }
        // The 97.5 % point of the normal distribution.
        let z = 1.959_963_984_540_054_f64;
        let (n, p) = (self.of as f64, self.count as f64 / self.of as f64);
        let centre = p + z * z / (2.0 * n);
        let spread = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
        let end = |value: f64| (100.0 * value / (1.0 + z * z / n)).clamp(0.0, 100.0);
        (end(centre - spread), end(centre + spread))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deviation_is_the_samples() {
        let summary = Summary::of(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]).unwrap();
        assert_eq!((summary.n, summary.mean, summary.min, summary.max), (8, 5.0, 2.0, 9.0));
        assert!((summary.deviation.unwrap() - (32.0f64 / 7.0).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn one_run_has_no_deviation_and_none_has_no_summary() {
        let one = Summary::of(&[93.0]).unwrap();
        assert_eq!(one.deviation, None);
        assert_eq!(one.shown(1), "93.0 (n = 1)");
        assert_eq!(Summary::of(&[]), None);
    }

    #[test]
    fn a_run_that_diverged_is_not_left_out() {
        let summary = Summary::of(&[1.0, f64::NAN, 0.5]).unwrap();
        assert!(summary.mean.is_nan() && summary.min.is_nan() && summary.max.is_nan());
    }

    /// Checked against R: `prop.test(x, n, correct = FALSE)`.
    #[test]
    fn the_interval_is_wilsons() {
        for ((count, of), (low, high)) in
            [((9724, 10_000), (96.9013, 97.5436)), ((0, 10), (0.0, 27.7533)), ((10, 10), (72.2467, 100.0))]
        {
            let (found_low, found_high) = Proportion::new(count, of).interval();
            assert!(
                (found_low - low).abs() < 1e-3 && (found_high - high).abs() < 1e-3,
                "{count} of {of}: {found_low} to {found_high}"
            );
        }
        assert_eq!(Proportion::new(0, 0).interval(), (0.0, 100.0));
    }
}
