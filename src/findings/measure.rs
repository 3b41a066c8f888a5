//! What the networks of a report were measured by.

use super::{groups::groups, outputs};
use crate::{
    report::{Block, Cell, Column, Section, Summary, Table},
    run::{Input, Missing, StageError},
    tasks::{MeasuredEvaluation, MeasuredValue},
};
use serde::Deserialize;

/// The note in which a stage that trains says what its task measures.
pub(crate) const MEASURES: &str = "measures";

/// A measure as a report calls it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Called {
    /// `accuracy_percent`
    pub name: String,
    /// `accuracy`
    pub words: String,
    /// `%`; empty of a pure number.
    pub unit: String,
}

impl Called {
    /// The first measure of a stage that trained. Records of before tasks were named are of
    /// classifiers.
    pub fn first(of: &Input) -> Option<Self> {
        match of.notes.get(MEASURES) {
            Some(note) => Vec::<Self>::deserialize(note).ok()?.into_iter().next(),
            None => Some(Self { name: "accuracy_percent".into(), words: "accuracy".into(), unit: "%".into() }),
        }
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

/// Stages that were measured by one thing stand together; nothing where a task measures its loss
/// alone.
pub(super) fn by_measure<'a>(members: &[&'a Input]) -> Vec<(Option<Called>, Vec<&'a Input>)> {
    let mut all: Vec<(Option<Called>, Vec<&Input>)> = Vec::new();
    for &member in members {
        let measure = Called::first(member);
        match all.iter_mut().find(|(known, _)| *known == measure) {
            Some((_, members)) => members.push(member),
            None => all.push((measure, vec![member])),
        }
    }
    all
}

/// The `evaluation` output of a test that tells the measures of its objective.
#[derive(Deserialize)]
struct Evaluation {
    #[serde(flatten)]
    of: MeasuredEvaluation,
    parameters: u64,
    multiply_adds: u64,
}

impl Called {
    fn of(MeasuredValue { name, words, unit, .. }: &MeasuredValue) -> Self {
        Self { name: name.clone(), words: words.clone(), unit: unit.clone() }
    }
}

/// Networks on their test set, by the measures of their task: a row a network, and the mean over
/// trainings of one method.
pub(super) fn evaluated(members: &[&Input], missing: &[Missing]) -> Result<Section, StageError> {
    let mut blocks = Vec::new();
    let groups = groups(members, missing);
    let mut table: Option<Table> = None;
    let mut means = Vec::new();
    for group in &groups {
        let mut first: Vec<f64> = Vec::new();
        let mut called = None;
        for member in &group.members {
            let Evaluation { of, parameters, multiply_adds } = outputs::json(member, "evaluation")?;
            let table = table.get_or_insert_with(|| {
                let mut columns = vec![Column::text("network"), Column::number("test images")];
                columns.extend(of.measures.iter().map(|measure| Called::of(measure).column(&measure.words)));
                columns.push(Column::number("loss"));
                columns.push(Column::number("parameters").unit("M"));
                columns.push(Column::number("multiply-adds").unit("M"));
                Table::new("Trained networks on the full test set.", columns)
            });
            let mut row = vec![Cell::Text(member.member.clone()), Cell::count(of.examples)];
            row.extend(of.measures.iter().map(|measure| Cell::number(measure.value, 3)));
            row.push(Cell::known(of.loss, 4));
            row.push(Cell::number(parameters as f64 / 1e6, 3));
            row.push(Cell::number(multiply_adds as f64 / 1e6, 1));
            table.push(row);
            first.extend(of.measures.first().map(|measure| measure.value));
            called = of.measures.first().map(Called::of);
        }
        let summary = Summary::of(&first).filter(|summary| summary.n > 1);
        means.extend(summary.zip(called).map(|(summary, called)| {
            format!("`{}`, {} over {} trainings: {}.", group.name, called.axis(), summary.n, summary.shown(3))
        }));
    }
    blocks.extend(table.map(Block::Table));
    blocks.extend(means.into_iter().map(Block::Text));
    Ok(Section::new("Evaluation", blocks))
}
