//! Trained networks on their test set.

use super::{
    classes, compared,
    groups::{Group, groups},
    measure::{Measure, by_measure},
    trade_off::{self, Placed},
};
use crate::{
    records::{self, Evaluation, Tested},
    report::{Block, Cell, Column, Section, Summary, Table},
    run::{Input, Missing, StageError},
    tasks::MeasuredEvaluation,
};
use std::collections::BTreeMap;

/// Classifiers by class; networks of other tasks by what these measure.
pub(super) fn sections(members: &[&Input], inputs: &[Input], missing: &[Missing]) -> Result<Vec<Section>, StageError> {
    let (mut by_class, mut by_measures) = (BTreeMap::new(), BTreeMap::new());
    for member in members {
        let Evaluation { of, parameters, multiply_adds, at_size } = records::json(member, "evaluation")?;
        let name = member.member.clone();
        match of {
            Tested::Classes(of) => drop(by_class.insert(name, Evaluation { of, parameters, multiply_adds, at_size })),
            Tested::Measures(of) => {
                drop(by_measures.insert(name, Evaluation { of, parameters, multiply_adds, at_size }));
            }
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
    let groups = groups(members, missing);
    let evaluated = |group: &Group<'_>| -> Vec<&MeasuredEvaluation> {
        group.members.iter().map(|member| &evaluations[&member.member].of).collect()
    };
    let methods: Vec<_> = groups.iter().map(|group| (group.name.as_str(), evaluated(group))).collect();
    let all: Vec<Network<'_>> = groups
        .iter()
        .flat_map(|group| {
            group.members.iter().map(|member| (group.name.as_str(), *member, &evaluations[&member.member]))
        })
        .collect();
    let mut blocks: Vec<Block> = networks(&all).map(Block::Table).into_iter().collect();
    blocks.extend(compared::tables(&methods).into_iter().map(Block::Table));
    for (method, trainings) in &methods {
        let firsts: Vec<f64> =
            trainings.iter().filter_map(|of| of.measures.first()).map(|measure| measure.value).collect();
        let summary = Summary::of(&firsts).filter(|summary| summary.n > 1);
        blocks.extend(summary.zip(measure).map(|(summary, measure)| {
            let over = format!("{} over {} trainings", measure.axis(), summary.n);
            Block::Text(format!("`{method}`, {over}: {}.", summary.shown(3)))
        }));
    }
    blocks.extend(measure.and_then(|measure| trade_off(&all, measure)));
    let shown: Vec<_> = all.iter().map(|(_, member, evaluation)| (*member, &evaluation.of)).collect();
    blocks.extend(compared::figures(&shown)?.into_iter().map(Block::Figure));
    Ok(Section::new("Evaluation", blocks))
}

/// A network with the method that it is of.
type Network<'a> = (&'a str, &'a Input, &'a Evaluation<MeasuredEvaluation>);

/// A row a network.
fn networks(all: &[Network<'_>]) -> Option<Table> {
    let (_, _, first) = all.first()?;
    let mut columns = vec![Column::text("network"), Column::number("examples")];
    columns.extend(first.of.measures.iter().map(|measure| Measure::of(measure).column(&measure.words)));
    columns.push(Column::number("loss"));
    columns.push(Column::number("parameters").unit("M"));
    columns.push(Column::number("multiply-adds").unit("M"));
    let at_size = first.at_size.as_ref().map(|at| &at.size);
    columns.extend(at_size.map(|size| Column::number(format!("at {size}")).unit("G")));
    let mut table = Table::new("Trained networks on all that they are tested on.", columns);
    for (_, member, Evaluation { of, parameters, multiply_adds, at_size }) in all {
        let mut row = vec![Cell::Text(member.member.clone()), Cell::count(of.examples)];
        row.extend(of.measures.iter().map(|measure| Cell::number(measure.value, 3)));
        row.push(Cell::known(of.loss, 4));
        row.push(Cell::number(*parameters as f64 / 1e6, 3));
        row.push(Cell::number(*multiply_adds as f64 / 1e6, 1));
        row.push(Cell::known(at_size.as_ref().map(|at| at.multiply_adds as f64 / 1e9), 2));
        table.push(row);
    }
    Some(table)
}

/// Cost is counted at the size that is customary for the task, where it has one.
fn trade_off(all: &[Network<'_>], measure: &Measure) -> Option<Block> {
    let size = all.iter().map(|(.., evaluation)| Some(&evaluation.at_size.as_ref()?.size)).collect::<Option<Vec<_>>>();
    let counted = match size.as_deref() {
        Some([size, ..]) => format!("at {size}"),
        _ => "of an image".to_owned(),
    };
    let placed = all.iter().filter_map(|(method, member, Evaluation { of, multiply_adds, at_size, .. })| {
        let at_size = at_size.as_ref().filter(|_| size.is_some());
        Some(Placed {
            group: (*method).to_owned(),
            member: member.member.clone(),
            multiply_adds: at_size.map_or(*multiply_adds, |at| at.multiply_adds),
            value: of.measures.first()?.value,
        })
    });
    trade_off::figure(&placed.collect::<Vec<_>>(), &measure.axis(), &counted)
}
