//! What a pipeline expects of its results, and whether it was so.

use super::Summary;
use crate::observe::number;
use std::collections::BTreeMap;

/// A value that a metric should have, over the members that a report gathers.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Expectation {
    /// For example `table.cifar10_test_percent`.
    pub metric: String,
    #[serde(flatten)]
    pub bound: Bound,
    /// How far beyond the bound still counts; in the metric's unit.
    pub tolerance: f64,
    pub over: Aggregate,
}

#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    Equals(f64),
    AtLeast(f64),
    AtMost(f64),
}

/// Which figure of several members is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregate {
    Mean,
    Min,
    Max,
}

/// An expectation with what was found.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Verdict {
    #[serde(flatten)]
    pub expectation: Expectation,
    pub met: bool,
    /// Absent where the metric was not there.
    pub found: Option<f64>,
    /// How many members had the metric.
    pub n: usize,
    /// The distance to the nearest value that would have been accepted.
    pub missed_by: Option<f64>,
    /// Names like the metric's, nearest first, where it was not there.
    pub nearest: Vec<String>,
}

impl Expectation {
    /// Compares the members' values. No value, or one that is no number, is a miss.
    pub fn check(&self, values: &[f64]) -> Verdict {
        let found = Summary::of(values).map(|summary| match self.over {
            Aggregate::Mean => summary.mean,
            Aggregate::Min => summary.min,
            Aggregate::Max => summary.max,
        });
        // Decimal fractions are not exact in binary: 93.9 is within 0.1 of 94.
        let noise = |bound: f64| 1e-9 * bound.abs().max(1.0);
        let beyond = found.map(|found| {
            let (distance, bound) = match self.bound {
                Bound::Equals(bound) => ((found - bound).abs(), bound),
                Bound::AtLeast(bound) => (bound - found, bound),
                Bound::AtMost(bound) => (found - bound, bound),
            };
            let beyond = distance - self.tolerance;
            if beyond <= noise(bound) { 0.0 } else { beyond }
        });
        let met = beyond == Some(0.0);
        let missed_by = beyond.filter(|_| !met);
        Verdict { expectation: self.clone(), met, found, n: values.len(), missed_by, nearest: Vec::new() }
    }

    /// Looks the metric up first; one that is not there is a miss that names the nearest.
    pub fn check_among(&self, metrics: &BTreeMap<String, Vec<f64>>) -> Verdict {
        match metrics.get(&self.metric) {
            Some(values) if !values.is_empty() => self.check(values),
            _ => Verdict { nearest: nearest(&self.metric, metrics.keys()), ..self.check(&[]) },
        }
    }
}

/// At most three names, most alike first; equals in the order of the alphabet.
fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut scored: Vec<(f64, &String)> =
        names.filter(|name| *name != wanted).map(|name| (strsim::jaro_winkler(wanted, name), name)).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    scored.into_iter().take(3).map(|(_, name)| name.clone()).collect()
}

impl Verdict {
    /// `met`, `missed by 0.3`, `missed`.
    pub fn word(&self) -> String {
        match self.missed_by {
            _ if self.met => "met".to_owned(),
            Some(by) if by.is_finite() => format!("missed by {}", number(by)),
            _ => "missed".to_owned(),
        }
    }

    /// The whole of it but for the verdict:
    /// `` `search.loss`: mean 1.7 (n = 1), expected at most 1.5, tolerance 0.1 ``.
    pub fn sentence(&self) -> String {
        let Expectation { metric, bound, tolerance, over } = &self.expectation;
        let expected = match bound {
            Bound::Equals(value) => number(*value),
            Bound::AtLeast(value) => format!("at least {}", number(*value)),
            Bound::AtMost(value) => format!("at most {}", number(*value)),
        };
        let tolerance = if *tolerance == 0.0 { String::new() } else { format!(", tolerance {}", number(*tolerance)) };
        let over = match over {
            Aggregate::Mean => "mean",
            Aggregate::Min => "minimum",
            Aggregate::Max => "maximum",
        };
        let found = match self.found {
            Some(found) => format!("{over} {} (n = {})", number(found), self.n),
            None if self.nearest.is_empty() => "no such metric".to_owned(),
            None => {
                let names: Vec<String> = self.nearest.iter().map(|name| format!("`{name}`")).collect();
                format!("no such metric (the nearest: {})", names.join(", "))
            }
        };
        format!("`{metric}`: {found}, expected {expected}{tolerance}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expect(bound: Bound, tolerance: f64, over: Aggregate) -> Expectation {
        Expectation { metric: "table.cifar10_test_percent".into(), bound, tolerance, over }
    }

    #[test]
    fn each_bound_has_its_sides_and_its_tolerance() {
        let found = |bound, values: &[f64]| expect(bound, 0.1, Aggregate::Mean).check(values).word();
        assert_eq!(found(Bound::AtLeast(94.0), &[93.9]), "met");
        assert_eq!(found(Bound::AtLeast(94.0), &[93.6]), "missed by 0.3");
        assert_eq!(found(Bound::AtLeast(94.0), &[99.0]), "met");
        assert_eq!(found(Bound::AtMost(94.0), &[94.1]), "met");
        assert_eq!(found(Bound::AtMost(94.0), &[94.4]), "missed by 0.3");
        assert_eq!(found(Bound::Equals(94.0), &[93.9]), "met");
        assert_eq!(found(Bound::Equals(94.0), &[94.4]), "missed by 0.3");
        assert_eq!(found(Bound::Equals(94.0), &[93.6]), "missed by 0.3");
    }

    #[test]
    fn members_are_gathered_as_asked() {
        let values = [93.0, 94.0, 95.0];
        let found = |over| expect(Bound::AtLeast(94.0), 0.0, over).check(&values);
        assert_eq!(
            [Aggregate::Mean, Aggregate::Min, Aggregate::Max].map(|over| found(over).found.unwrap()),
            [94.0, 93.0, 95.0]
        );
        assert_eq!([Aggregate::Mean, Aggregate::Min, Aggregate::Max].map(|over| found(over).met), [true, false, true]);
        assert_eq!(found(Aggregate::Min).sentence(), {
            "`table.cifar10_test_percent`: minimum 93 (n = 3), expected at least 94"
        });
    }

    #[test]
    fn a_number_that_is_none_is_a_miss_whatever_is_compared() {
        for over in [Aggregate::Mean, Aggregate::Min, Aggregate::Max] {
            let verdict = expect(Bound::AtMost(1e9), 1.0, over).check(&[1.0, f64::NAN]);
            assert!(!verdict.met);
            assert_eq!(verdict.word(), "missed");
            assert!(verdict.sentence().contains("NaN (n = 2)"), "{}", verdict.sentence());
        }
    }

    #[test]
    fn a_metric_that_is_not_there_is_a_miss_that_names_the_nearest() {
        let metrics = BTreeMap::from([
            ("table.cifar100_test_percent".to_owned(), vec![70.0]),
            ("search.loss".to_owned(), vec![1.0]),
            ("table.cifar10_valid_percent".to_owned(), vec![90.0]),
            ("wall_seconds".to_owned(), vec![3.0]),
        ]);
        let verdict = expect(Bound::AtLeast(94.0), 0.1, Aggregate::Mean).check_among(&metrics);
        assert!(!verdict.met && verdict.found.is_none() && verdict.n == 0);
        assert_eq!(verdict.word(), "missed");
        assert_eq!(verdict.nearest[0], "table.cifar100_test_percent");
        assert_eq!(verdict.nearest.len(), 3);
        assert!(verdict.sentence().contains("no such metric (the nearest: `table.cifar100_test_percent`, "));
        let nothing = expect(Bound::AtLeast(94.0), 0.0, Aggregate::Mean).check_among(&BTreeMap::new());
        assert!(nothing.sentence().contains("no such metric, expected at least 94"));
    }
}
