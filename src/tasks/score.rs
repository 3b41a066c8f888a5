//! Sums over examples, and the figures that they come to.

use super::Measure;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// How well outputs did, summed over examples.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Over examples, the sum of the mean loss of their batch.
    pub loss_sum: f64,
    /// One for each measure of the objective, in its order; none before the first example.
    pub sums: Vec<f64>,
    pub seen: usize,
}

/// What a [`Score`] comes to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Mean of an example.
    pub loss: f64,
    /// By the name of the measure, in the order of the objective.
    pub measures: IndexMap<String, f64>,
}

impl Score {
    /// Of `seen` examples by the sums of their measures, without a loss.
    pub fn new(sums: Vec<f64>, seen: usize) -> Self {
        Self { loss_sum: 0.0, sums, seen }
    }

    /// The same with the mean loss of its examples.
    #[must_use]
    pub fn with_loss(self, loss: f64) -> Self {
        Self { loss_sum: loss * self.seen as f64, ..self }
    }

    /// Adds the score of further examples.
    pub fn add(&mut self, other: Self) {
        self.loss_sum += other.loss_sum;
        self.seen += other.seen;
        self.sums.resize(self.sums.len().max(other.sums.len()), 0.0);
        for (sum, more) in self.sums.iter_mut().zip(other.sums) {
            *sum += more;
        }
    }

    /// Mean loss of an example; `None` before the first.
    pub fn loss(&self) -> Option<f64> {
        (self.seen > 0).then(|| self.loss_sum / self.seen as f64)
    }

    /// The value of the measure numbered `at`; `None` before the first example.
    pub fn value(&self, at: usize, measure: &Measure) -> Option<f64> {
        let sum = self.sums.get(at)?;
        (self.seen > 0).then(|| measure.scale * sum / self.seen as f64)
    }

    /// The values of `measures`, which are the objective's; empty before the first example.
    pub fn values(&self, measures: &[Measure]) -> IndexMap<String, f64> {
        let named = |(at, measure): (usize, &Measure)| Some((measure.name.to_owned(), self.value(at, measure)?));
        measures.iter().enumerate().filter_map(named).collect()
    }

    /// `None` before the first example.
    pub fn figures(&self, measures: &[Measure]) -> Option<Figures> {
        Some(Figures { loss: self.loss()?, measures: self.values(measures) })
    }
}

impl Figures {
    /// The first measure: the one that a line has room for. `None` of a task that measures nothing
    /// but its loss.
    pub fn first(&self) -> Option<f64> {
        self.measures.first().map(|(_, &value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::Better;

    #[test]
    fn figures_are_over_all_examples() {
        let share = Measure {
            name: "right_percent",
            words: "right",
            unit: "%",
            better: Better::Higher,
            scale: 100.0,
            told: true,
        };
        let mut score = Score::default();
        assert_eq!(score.figures(&[share]), None);
        score.add(Score::new(vec![1.0], 3).with_loss(2.0));
        score.add(Score::new(vec![1.0], 1).with_loss(6.0));
        let figures = score.figures(&[share]).unwrap();
        assert_eq!((figures.loss, figures.first()), (3.0, Some(50.0)));
    }
}
