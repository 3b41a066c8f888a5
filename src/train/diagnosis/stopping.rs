//! When a search ends before its last epoch.
//!
//! Each rule looks at the finished epochs alone, so that a search that was stopped and resumed ends
//! where it would have ended.

use crate::train::EpochRecord;
use serde::{Deserialize, Serialize};

/// The rules of a search; the first that holds ends it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StopEarly {
    pub count: Option<CountRule>,
    pub eigenvalue: Option<EigenvalueRule>,
}

/// The search ends once a derived cell has more than so many of an operation, and the cell of the
/// epoch before is its result (Liang et al., "DARTS+", arXiv 1909.06035: two skips in a normal
/// cell). An epoch before that has as many already is no result either: while there is none with
/// fewer, as by the chance of the first alphas, the search goes on. That is our choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountRule {
    pub operation: String,
    pub more_than: usize,
}

/// The search ends once the mean of the last `window` eigenvalues is more than `ratio` times the
/// mean of as many before them, and its result is the cell at the middle of those before (arXiv
/// 1909.09656, section 4.3). The authors' code has windows of 5 values that are 4 apart, a ratio of
/// 1.3 and looks from the tenth epoch on; that the paper says 1 / 0.75 and 5 is from memory. Two
/// windows side by side are our choice between the two.
#[derive(Debug, Clone, PartialEq)]
pub struct EigenvalueRule {
    pub ratio: f64,
    /// Measured eigenvalues, not epochs.
    pub window: usize,
}

/// A search that ended early.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopped {
    /// The last epoch, from 1.
    pub at: usize,
    /// The epoch whose cell is the result.
    pub kept: usize,
    /// A sentence without a capital and a full stop.
    pub reason: String,
}

impl StopEarly {
    /// Whether the last of `records`, which are in order, is the search's last.
    pub fn verdict(&self, records: &[EpochRecord]) -> Option<Stopped> {
        let by_count = self.count.as_ref().and_then(|rule| rule.verdict(records));
        by_count.or_else(|| self.eigenvalue.as_ref().and_then(|rule| rule.verdict(records)))
    }
}

impl CountRule {
    fn verdict(&self, records: &[EpochRecord]) -> Option<Stopped> {
        let [.., before, last] = records else { return None };
        let Self { operation, more_than } = self;
        if self.excess(before).is_some() {
            return None;
        }
        let (kind, now) = self.excess(last)?;
        let reason = format!("the derived `{kind}` has {now} of `{operation}`, more than {more_than}");
        Some(Stopped { at: last.epoch, kept: before.epoch, reason })
    }

    /// A kind of cell that has too many, and how many.
    fn excess<'r>(&self, record: &'r EpochRecord) -> Option<(&'r str, usize)> {
        let counts = &record.diagnosis.as_ref()?.counts;
        let of = |counts: &super::CellCounts| counts.operations.get(&self.operation).copied().unwrap_or(0);
        counts.iter().map(|(kind, counts)| (kind.as_str(), of(counts))).find(|(_, count)| *count > self.more_than)
    }
}

impl EigenvalueRule {
    fn verdict(&self, records: &[EpochRecord]) -> Option<Stopped> {
        let eigenvalue = |record: &EpochRecord| Some((record.epoch, record.diagnosis.as_ref()?.eigenvalue?));
        let last = records.last()?;
        // Nothing new is known after an epoch that measured nothing.
        eigenvalue(last)?;
        let measured: Vec<(usize, f64)> = records.iter().filter_map(eigenvalue).collect();
        let Self { ratio, window } = *self;
        let earlier = measured.len().checked_sub(2 * window)?;
        let (before, now) = measured[earlier..].split_at(window);
        let mean = |values: &[(usize, f64)]| values.iter().map(|(_, value)| value).sum::<f64>() / window as f64;
        let (was, is) = (mean(before), mean(now));
        // A ratio of means that are not both positive says nothing.
        (was > 0.0 && is > ratio * was).then(|| Stopped {
            at: last.epoch,
            kept: before[window / 2].0,
            reason: format!("the mean eigenvalue rose from {was:.4} to {is:.4}, more than {ratio}-fold"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        space::Genotype,
        tasks::Figures,
        train::{DiagnosisRecord, diagnosis::CellCounts},
    };

    fn record(epoch: usize, skips: usize, eigenvalue: Option<f64>) -> EpochRecord {
        let operations = [("skip".to_owned(), skips), ("conv".to_owned(), 8 - skips)].into();
        let cell = CellCounts { operations, parameter_free: skips, learnable: 8 - skips };
        let diagnosis = DiagnosisRecord {
            derived: Genotype::default(),
            counts: [("normal".to_owned(), cell)].into(),
            discretised: None,
            benefit_fit: None,
            benefit_held_out: None,
            eigenvalue,
        };
        EpochRecord {
            epoch,
            learning_rate: 0.1,
            train: Figures { loss: 1.0, measures: indexmap::IndexMap::new() },
            watched: None,
            tables: Vec::new(),
            diagnosis: Some(diagnosis),
        }
    }

    /// The epoch that `rules` end a search of these records at, with the one kept.
    fn ends(rules: &StopEarly, records: &[EpochRecord]) -> Option<(usize, usize)> {
        let verdict = |length: usize| rules.verdict(&records[..length]).map(|stopped| (stopped.at, stopped.kept));
        (1..=records.len()).find_map(verdict)
    }

    #[test]
    fn a_count_that_is_passed_ends_the_search_and_one_that_was_never_kept_does_not() {
        let rules =
            StopEarly { count: Some(CountRule { operation: "skip".to_owned(), more_than: 2 }), eigenvalue: None };
        let search = |skips: &[usize]| -> Vec<EpochRecord> {
            skips.iter().enumerate().map(|(at, &skips)| record(at + 1, skips, None)).collect()
        };
        assert_eq!(ends(&rules, &search(&[0, 1, 2, 3, 8])), Some((4, 3)));
        assert_eq!(ends(&rules, &search(&[5, 4, 2, 2])), None);
        assert_eq!(ends(&rules, &search(&[5, 4, 2, 4])), Some((4, 3)));
        assert_eq!(ends(&rules, &search(&[8])), None);
        assert_eq!(ends(&StopEarly::default(), &search(&[0, 8])), None);
        let said = rules.verdict(&search(&[0, 8])).unwrap().reason;
        assert_eq!(said, "the derived `normal` has 8 of `skip`, more than 2");
    }

    #[test]
    fn an_eigenvalue_that_rises_from_one_window_to_the_next_ends_the_search() {
        let rules = StopEarly { count: None, eigenvalue: Some(EigenvalueRule { ratio: 1.3, window: 3 }) };
        // Measured after every second epoch.
        let search = |values: &[f64]| -> Vec<EpochRecord> {
            let of = |(at, &value): (usize, &f64)| [record(2 * at + 1, 0, None), record(2 * at + 2, 0, Some(value))];
            values.iter().enumerate().flat_map(of).collect()
        };
        assert_eq!(ends(&rules, &search(&[0.1; 8])), None);
        assert_eq!(ends(&rules, &search(&[0.1, 0.1, 0.1, 0.1, 0.1])), None, "two windows are needed");
        // 0.1 to 0.1333 after six measures is more than 1.3-fold; the middle of the first window is
        // the second measure.
        assert_eq!(ends(&rules, &search(&[0.1, 0.1, 0.1, 0.1, 0.1, 0.2])), Some((12, 4)));
        assert_eq!(ends(&rules, &search(&[-0.1, -0.1, -0.1, 0.1, 0.1, 0.2])), None);
        // A fall to the old height is no rise.
        assert_eq!(ends(&rules, &search(&[0.2, 0.2, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1])), None);
    }
}
