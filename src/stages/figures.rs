//! What epochs come to, as a stage publishes, tells and sums it up.

use crate::{
    records::{Epoch, Watched},
    run::Measured,
    tasks::{Figures, LOSS, Measure, Objective, Score},
    train::EpochRecord,
};

/// Every epoch, for the output `metrics` of a stage that trains. Of the examples that are fitted the
/// first measure is told; all of them, of those that are watched.
pub(super) fn of_epochs(records: &[EpochRecord], watched: Watched) -> Vec<Epoch> {
    let loss = |loss: Option<f64>| (LOSS.name.to_owned(), loss);
    let of = |record: &EpochRecord| {
        let EpochRecord { train, watched: seen, .. } = record;
        let first = train.measures.first().map(|(name, &value)| (name.clone(), Some(value)));
        let value = |name: &String| seen.as_ref().and_then(|seen| seen.measures.get(name).copied());
        let all = train.measures.keys().map(|name| (name.clone(), value(name)));
        let seen = [loss(seen.as_ref().map(|seen| seen.loss))].into_iter().chain(all).collect();
        Epoch {
            epoch: record.epoch,
            learning_rate: record.learning_rate,
            train: [loss(Some(train.loss))].into_iter().chain(first).collect(),
            watched: [(watched, seen)].into(),
            diagnosis: None,
        }
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
