//! What a report says of each kind of stage: tables, curves and drawings of what its members published.

mod absent;
mod apart;
mod benchmark;
mod collapse;
mod derived;
mod evaluation;
mod genotypes;
mod groups;
mod outputs;
mod published;
mod recipe;
mod trained;

pub(crate) use collapse::STOPPED_EARLY;
pub(crate) use derived::{Derived, DerivedEpoch, DerivedSearch};
pub(crate) use outputs::{genotype, json, space};
pub(crate) use published::{Published, published};

use crate::{
    report::{Block, Cell, Chart, Column, DrawnCell, Figure, Section, Series, Summary, Table, curves},
    run::{Input, Missing, StageError},
    space::{Genotype, Space},
};
use serde_json::Value as Json;

/// A search's figure on images that it does not fit.
const ACCURACY: &str = "supernet_held_out_accuracy_percent";

/// What did not run, then a section for each kind of stage among `inputs`, in the order in which kinds first appear.
pub(crate) fn sections(
    inputs: &[Input],
    missing: &[Missing],
    published: Option<&Published>,
) -> Result<Vec<Section>, StageError> {
    let mut kinds: Vec<&str> = Vec::new();
    for input in inputs {
        if !kinds.contains(&input.kind.as_str()) {
            kinds.push(&input.kind);
        }
    }
    let of_kinds = kinds.into_iter().map(|kind| {
        let members: Vec<&Input> = inputs.iter().filter(|input| input.kind == kind).collect();
        match kind {
            "prepare" => Ok(data(&members)),
            "search" => search(&members, missing),
            "derive" | "genotype" => genotypes::section(&members),
            "retrain" | "transfer" => trained::section(kind, &members, missing),
            "evaluate" => evaluation::section(&members, inputs, missing),
            "benchmark" => benchmark::section(&members, inputs, missing, published),
            other => Ok(figures(other, &members)),
        }
    });
    absent::section(inputs, missing).map(Ok).into_iter().chain(of_kinds).collect()
}

fn data(members: &[&Input]) -> Section {
    let texts = members.iter().filter_map(|member| Some(format!("`{}`: {}", member.member, member.summary.as_ref()?)));
    Section::new("Data", vec![Block::Text(texts.collect::<Vec<_>>().join("\n\n"))])
}

/// Any stage: its metrics, a row a member.
fn figures(kind: &str, members: &[&Input]) -> Section {
    let mut table = Table::new("", vec![Column::text("stage"), Column::text("metric"), Column::number("value")]);
    for member in members {
        for (name, value) in &member.metrics {
            table.push([Cell::Text(member.member.clone()), Cell::Text(name.clone()), Cell::number(*value, 4)]);
        }
    }
    Section::new(kind, vec![Block::Table(table)])
}

fn search(members: &[&Input], missing: &[Missing]) -> Result<Section, StageError> {
    let mut table = Table::new(
        "After the last epoch. A supernet's accuracy ranks nothing: it is no trained network's.",
        vec![
            Column::text("search"),
            Column::number("epochs"),
            Column::number("train loss"),
            Column::number("train").unit("%"),
            Column::number("supernet, held out").unit("%"),
        ],
    );
    let mut accuracy = Vec::new();
    let mut loss = Vec::new();
    let mut figures = Vec::new();
    let names = apart::called_apart(members);
    for (member, called) in members.iter().zip(&names) {
        let metric = |name: &str| member.metrics.get(name).copied();
        table.push([
            Cell::Text(called.name.clone()),
            Cell::known(metric("epochs"), 0),
            Cell::known(metric("train_loss"), 3),
            Cell::known(metric("train_accuracy_percent"), 2),
            Cell::known(metric(ACCURACY), 2),
        ]);
        let epochs: Vec<Json> = outputs::json(member, "metrics")?;
        let series = |stroke: &str, key: &str| called.line(stroke, &epochs, |epoch| epoch[key].as_f64());
        accuracy.push(series("fitted", "train_accuracy_percent"));
        accuracy.push(series("held out", "held_out_accuracy_percent"));
        loss.push(series("fitted", "train_loss"));
        loss.push(series("held out", "held_out_loss"));
        figures.push(epochs);
    }
    let mut blocks = vec![Block::Table(table)];
    let groups = groups::groups(members, missing);
    let each = groups.iter().filter_map(|group| {
        let accuracies = group.members.iter().filter_map(|member| member.metrics.get(ACCURACY).copied());
        let summary = Summary::of(&accuracies.collect::<Vec<_>>()).filter(|summary| summary.n > 1)?;
        let name = if groups.len() > 1 { format!("`{}` ", group.name) } else { String::new() };
        Some(format!("{name}{}", summary.shown(2)))
    });
    let each: Vec<String> = each.collect();
    if !each.is_empty() {
        blocks.push(Block::Text(format!("Supernet on held-out images, %: {}.", each.join("; "))));
    }
    blocks.extend(chart("supernet accuracy", "accuracy (%)", accuracy));
    blocks.extend(chart("supernet loss", "cross-entropy", loss));
    blocks.extend(collapse::blocks(members, &names, &figures));
    Ok(Section::new("Search", blocks))
}

/// A chart of the series that have points.
fn chart(title: &str, y_label: &str, series: Vec<Series>) -> Option<Block> {
    let series: Vec<Series> = series.into_iter().filter(|series| !series.points.is_empty()).collect();
    if series.is_empty() {
        return None;
    }
    let alike = |a: &Series, b: &Series| (&a.hue, &a.stroke) == (&b.hue, &b.stroke);
    let seeds = series.iter().enumerate().any(|(at, a)| series[..at].iter().any(|b| alike(a, b)));
    let chart = Chart { title: title.to_owned(), x_label: "epoch".to_owned(), y_label: y_label.to_owned(), series };
    Some(Block::Figure(Figure {
        name: title.to_owned(),
        svg: curves::draw(&chart),
        caption: format!("{title} by epoch{}", if seeds { ", a line a seed" } else { "" }),
        text: None,
        series: chart.series,
    }))
}

/// The cells of a genotype, ready to be drawn.
pub(crate) fn drawn_cells(genotype: &Genotype, space: &Space) -> Vec<DrawnCell> {
    let inputs: Vec<String> = match space.inputs() {
        1 => vec!["input".to_owned()],
        2 => vec!["c_{k-2}".to_owned(), "c_{k-1}".to_owned()],
        more => (0..more).map(|input| format!("input {input}")).collect(),
    };
    let nodes = |cell: &crate::space::CellGenotype| {
        cell.nodes
            .iter()
            .map(|node| node.iter().map(|choice| (choice.operation.clone(), choice.source)).collect())
            .collect()
    };
    genotype
        .cells
        .iter()
        .map(|(kind, cell)| DrawnCell {
            title: if kind == "cell" { "cell".to_owned() } else { format!("{kind} cell") },
            inputs: inputs.clone(),
            nodes: nodes(cell),
            output: cell.output.clone(),
        })
        .collect()
}
