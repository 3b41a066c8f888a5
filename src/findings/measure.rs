//! What the networks of a report were measured by.

use crate::{
    records::{self, MEASURES},
    report::Column,
    run::{Input, StageError},
    tasks::MeasuredValue,
};
use serde::Deserialize;

/// A measure as a report calls it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Measure {
    /// `accuracy_percent`
    pub name: String,
    /// `accuracy`
    pub words: String,
    /// `%`; empty of a pure number.
    pub unit: String,
}

impl Measure {
    /// The first measure of a stage that trained. Records of before tasks were named are of
    /// classifiers.
    fn first(of: &Input) -> Result<Option<Self>, StageError> {
        Ok(match records::note::<Vec<Self>>(of, MEASURES)? {
            Some(measures) => measures.into_iter().next(),
            None => Some(Self { name: "accuracy_percent".into(), words: "accuracy".into(), unit: "%".into() }),
        })
    }

    pub fn of(MeasuredValue { name, words, unit, .. }: &MeasuredValue) -> Self {
        Self { name: name.clone(), words: words.clone(), unit: unit.clone() }
    }

    /// A column of its values.
    pub fn column(&self, name: impl Into<String>) -> Column {
        let column = Column::number(name);
        if self.unit.is_empty() { column } else { column.unit(&self.unit) }
    }

    /// `accuracy (%)`
    pub fn axis(&self) -> String {
        if self.unit.is_empty() { self.words.clone() } else { format!("{} ({})", self.words, self.unit) }
    }
}

/// Stages with what they were measured by.
type Measured<'a> = (Option<Measure>, Vec<&'a Input>);

/// Stages that were measured by one thing stand together; nothing where a task measures its loss
/// alone.
pub(super) fn by_measure<'a>(members: &[&'a Input]) -> Result<Vec<Measured<'a>>, StageError> {
    let mut all: Vec<Measured<'_>> = Vec::new();
    for &member in members {
        let measure = Measure::first(member)?;
        match all.iter_mut().find(|(known, _)| *known == measure) {
            Some((_, members)) => members.push(member),
            None => all.push((measure, vec![member])),
        }
    }
    Ok(all)
}
