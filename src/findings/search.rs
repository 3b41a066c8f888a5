//! Supernets while they trained.

use super::{chart, collapse, groups::groups, measure::Measure, names};
use crate::{
    records::{self, Epoch, Watched},
    report::{Block, Cell, Column, Section, Summary, Table},
    run::{Input, Missing, StageError},
    tasks::LOSS,
};

pub(super) fn section(
    measure: Option<&Measure>,
    members: &[&Input],
    missing: &[Missing],
) -> Result<Section, StageError> {
    let words = measure.map_or("loss", |measure| &measure.words);
    let mut columns = vec![Column::text("search"), Column::number("epochs"), Column::number("train loss")];
    columns.extend(
        measure.into_iter().flat_map(|measure| ["train", "supernet, held out"].map(|name| measure.column(name))),
    );
    let caption = format!("After the last epoch. A supernet's {words} ranks nothing: it is no trained network's.");
    let mut table = Table::new(caption, columns);
    // `train_accuracy_percent` of the first measure.
    let figure = |prefix: &str| measure.map(|measure| format!("{prefix}_{}", measure.name));
    let held_out = figure("supernet_held_out");
    let mut measured = Vec::new();
    let mut loss = Vec::new();
    let mut figures = Vec::new();
    let names = names::distinct(members);
    for (member, called) in members.iter().zip(&names) {
        let metric = |name: &str| member.metrics.get(name).copied();
        let mut row = vec![
            Cell::Text(called.name.clone()),
            Cell::known(metric("epochs"), 0),
            Cell::known(metric("train_loss"), 3),
        ];
        let figures_of_row = [figure("train"), held_out.clone()].into_iter().flatten();
        row.extend(figures_of_row.map(|name| Cell::known(metric(&name), 2)));
        table.push(row);
        let epochs: Vec<Epoch> = records::json(member, "metrics")?;
        let fitted = |name: &str| called.line("fitted", &epochs, |epoch| epoch.train(name));
        let held_out = |name: &str| called.line("held out", &epochs, |epoch| epoch.watched(Watched::HeldOut, name));
        measured.extend(measure.into_iter().flat_map(|measure| [fitted(&measure.name), held_out(&measure.name)]));
        loss.extend([fitted(LOSS.name), held_out(LOSS.name)]);
        figures.push(epochs);
    }
    let mut blocks = vec![Block::Table(table)];
    let groups = groups(members, missing);
    let each = groups.iter().filter_map(|group| {
        let name = held_out.as_ref()?;
        let values = group.members.iter().filter_map(|member| member.metrics.get(name).copied());
        let summary = Summary::of(&values.collect::<Vec<_>>()).filter(|summary| summary.n > 1)?;
        let name = if groups.len() > 1 { format!("`{}` ", group.name) } else { String::new() };
        Some(format!("{name}{}", summary.shown(2)))
    });
    let each: Vec<String> = each.collect();
    if let Some(measure) = measure.filter(|_| !each.is_empty()) {
        let unit = if measure.unit.is_empty() { &measure.words } else { &measure.unit };
        blocks.push(Block::Text(format!("Supernet on held-out images, {unit}: {}.", each.join("; "))));
    }
    blocks.extend(measure.and_then(|measure| chart(&format!("supernet {words}"), &measure.axis(), measured)));
    blocks.extend(chart("supernet loss", "loss", loss));
    blocks.extend(collapse::blocks(measure, members, &names, &figures)?);
    Ok(Section::new("Search", blocks))
}
