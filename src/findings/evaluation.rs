//! Trained networks on their test set.

use super::{
    classes, compared,
    groups::groups,
    measure::{Measure, by_measure},
};
use crate::{
    records::{self, Evaluation, Tested},
    report::{Block, Cell, Column, Section, Summary, Table},
    run::{Input, Missing, StageError},
    tasks::{MeasuredEvaluation, MeasuredValue},
};
use std::collections::BTreeMap;

/// Classifiers by class; networks of other tasks by what these measure.
pub(super) fn sections(members: &[&Input], inputs: &[Input], missing: &[Missing]) -> Result<Vec<Section>, StageError> {
    let (mut by_class, mut by_measures) = (BTreeMap::new(), BTreeMap::new());
    for member in members {
        let Evaluation { of, parameters, multiply_adds } = records::json(member, "evaluation")?;
        let name = member.member.clone();
        match of {
            Tested::Classes(of) => drop(by_class.insert(name, Evaluation { of, parameters, multiply_adds })),
            Tested::Measures(of) => drop(by_measures.insert(name, Evaluation { of, parameters, multiply_adds })),
        }
    }
    let (of_classes, others): (Vec<&Input>, Vec<&Input>) =
        members.iter().partition(|member| by_class.contains_key(&member.member));
    let mut sections = Vec::new();
    if !of_classes.is_empty() {
        sections.push(classes::section(&of_classes, &by_class, inputs, missing));
    }
    for (measure, members) in by_measure(&others)? {
        sections.push(section(measure.as_ref(), &members, &by_measures, missing)?);
    }
    Ok(sections)
}

/// Networks by the measures of their task, of which `measure` is the first: a row a network, and
/// the mean over trainings of one method.
fn section(
    measure: Option<&Measure>,
    members: &[&Input],
    evaluations: &BTreeMap<String, Evaluation<MeasuredEvaluation>>,
    missing: &[Missing],
) -> Result<Section, StageError> {
    let mut table = None;
    let mut means = Vec::new();
    for group in groups(members, missing) {
        let mut firsts: Vec<f64> = Vec::new();
        for member in group.members {
            let evaluation = &evaluations[&member.member];
            let measures = &evaluation.of.measures;
            firsts.extend(measures.first().map(|measure| measure.value));
            table.get_or_insert_with(|| empty_table(measures)).push(row(member, evaluation));
        }
        let summary = Summary::of(&firsts).filter(|summary| summary.n > 1);
        means.extend(summary.zip(measure).map(|(summary, measure)| {
            format!("`{}`, {} over {} trainings: {}.", group.name, measure.axis(), summary.n, summary.shown(3))
        }));
    }
    let mut blocks: Vec<Block> = table.map(Block::Table).into_iter().collect();
    let evaluated: Vec<_> = members.iter().map(|&member| (member, &evaluations[&member.member].of)).collect();
    blocks.extend(compared::tables(&evaluated).into_iter().map(Block::Table));
    blocks.extend(means.into_iter().map(Block::Text));
    blocks.extend(compared::figures(&evaluated)?.into_iter().map(Block::Figure));
    Ok(Section::new("Evaluation", blocks))
}

fn empty_table(measures: &[MeasuredValue]) -> Table {
    let mut columns = vec![Column::text("network"), Column::number("test images")];
    columns.extend(measures.iter().map(|measure| Measure::of(measure).column(&measure.words)));
    columns.push(Column::number("loss"));
    columns.push(Column::number("parameters").unit("M"));
    columns.push(Column::number("multiply-adds").unit("M"));
    Table::new("Trained networks on the full test set.", columns)
}

fn row(member: &Input, Evaluation { of, parameters, multiply_adds }: &Evaluation<MeasuredEvaluation>) -> Vec<Cell> {
    let mut row = vec![Cell::Text(member.member.clone()), Cell::count(of.examples)];
    row.extend(of.measures.iter().map(|measure| Cell::number(measure.value, 3)));
    row.push(Cell::known(of.loss, 4));
    row.push(Cell::number(*parameters as f64 / 1e6, 3));
    row.push(Cell::number(*multiply_adds as f64 / 1e6, 1));
    row
}
