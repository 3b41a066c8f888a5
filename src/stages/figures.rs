//! What epochs come to, as a stage publishes, tells and sums it up.

use crate::{
    run::Measured,
    tasks::{Figures, Measure, Objective, Score},
    train::EpochRecord,
};
use serde_json::{Value as Json, json};

/// Images that are watched during a training and not fitted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Watched {
    HeldOut,
    Test,
    Nothing,
}

impl Watched {
    /// What a figure of theirs is called: `held_out_accuracy_percent`.
    pub fn name(self) -> &'static str {
        match self {
            Self::HeldOut => "held_out",
            Self::Test => "test",
            Self::Nothing => "watched",
        }
    }
}

/// The figures of every epoch, the output `metrics` of a stage that trains. Of the examples that
/// are fitted the first measure is told; all of them, of those that are watched.
pub(super) fn of_epochs(records: &[EpochRecord], watched: Watched) -> Json {
    let name = watched.name();
    let of = |record: &EpochRecord| {
        let mut figures = json!({
            "epoch": record.epoch,
            "learning_rate": record.learning_rate,
            "train_loss": record.train.loss,
        });
        if let Some((first, value)) = record.train.measures.first() {
            figures[format!("train_{first}")] = json!(value);
        }
        figures[format!("{name}_loss")] = json!(record.watched.as_ref().map(|watched| watched.loss));
        for measure in record.train.measures.keys() {
            let value = record.watched.as_ref().and_then(|watched| watched.measures.get(measure));
            figures[format!("{name}_{measure}")] = json!(value);
        }
        figures
    };
    records.iter().map(of).collect()
}

/// The figures of the last epoch on the examples that were fitted, as a stage's own.
pub(super) fn fitted(last: &EpochRecord) -> Vec<(String, f64)> {
    let Figures { loss, measures } = &last.train;
    let first = measures.first().map(|(name, &value)| (format!("train_{name}"), value));
    std::iter::once(("train_loss".to_owned(), *loss)).chain(first).collect()
}

/// `91.20 %`, `12.30 °`; of a task without measures its loss.
pub(super) fn shown(objective: &dyn Objective, figures: &Figures) -> String {
    match (objective.measures().first(), figures.first()) {
        (Some(measure), Some(value)) => format!("{value:.2} {}", measure.unit).trim_end().to_owned(),
        _ => format!("a loss of {:.3}", figures.loss),
    }
}

/// The first measure: a line has room for one.
pub(super) fn measured(objective: &dyn Objective, score: &Score) -> Vec<Measured> {
    let measured = |measure: &Measure| {
        let (name, words, unit) = (measure.name, measure.words, measure.unit);
        Some(Measured { name, words, unit, value: score.value(0, measure)? })
    };
    objective.measures().first().and_then(measured).into_iter().collect()
}
