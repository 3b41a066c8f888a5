//! Discrete networks while they trained.

use super::{chart, groups::groups, measure::Measure, names, recipe};
use crate::{
    records::{self, Epoch, Watched},
    report::{Block, Cell, Column, Section, Table},
    run::{Input, Missing, StageError},
    tasks::LOSS,
};

/// The sets that a training may watch, with what a report calls them.
const WATCHED: [(Watched, &str); 2] = [(Watched::Test, "test"), (Watched::HeldOut, "held out")];

pub(super) fn section(
    kind: &str,
    measure: Option<&Measure>,
    members: &[&Input],
    missing: &[Missing],
) -> Result<Section, StageError> {
    let figure = |prefix: &str| measure.map(|measure| format!("{prefix}_{}", measure.name));
    let watched = |member: &Input| {
        WATCHED.iter().find_map(|(examples, _)| member.metrics.get(&figure(examples.name())?).copied())
    };
    // Who learns by playing watches nothing beside it.
    let is_watched = members.iter().any(|member| watched(member).is_some());
    let mut columns = ["epochs", "steps", "train loss"].map(Column::number).to_vec();
    columns.insert(0, Column::text("training"));
    let names = ["train", "watched"].into_iter().take(if is_watched { 2 } else { 1 });
    columns.extend(measure.into_iter().flat_map(|measure| names.clone().map(|name| measure.column(name))));
    let mut table =
        Table::new("After the last epoch, which is the result: no epoch is chosen by what it scores.", columns);
    let (mut measured, mut loss) = (Vec::new(), Vec::new());
    for (member, called) in members.iter().zip(names::distinct(members)) {
        let metric = |name: &str| member.metrics.get(name).copied();
        let mut row = vec![
            Cell::Text(called.name.clone()),
            Cell::known(metric("epochs"), 0),
            Cell::known(metric("steps"), 0),
            Cell::known(metric("train_loss"), 3),
        ];
        let fitted = figure("train").map(|name| metric(&name));
        row.extend(fitted.map(|fitted| Cell::known(fitted, 2)));
        row.extend(measure.filter(|_| is_watched).map(|_| Cell::known(watched(member), 2)));
        table.push(row);
        let epochs: Vec<Epoch> = records::json(member, "metrics")?;
        let lines = |name: &str| {
            let watched =
                WATCHED.map(|(examples, stroke)| called.line(stroke, &epochs, |epoch| epoch.watched(examples, name)));
            std::iter::once(called.line("fitted", &epochs, |epoch| epoch.train(name))).chain(watched)
        };
        measured.extend(measure.into_iter().flat_map(|measure| lines(&measure.name)));
        loss.extend(lines(LOSS.name));
    }
    let title = if kind == "transfer" { "Transfer" } else { "Retraining" };
    let mut blocks = vec![Block::Table(table)];
    blocks.extend(recipe::differences(&groups(members, missing), Some).map(Block::Table));
    blocks.extend(measure.and_then(|measure| chart(&format!("{kind} {}", measure.words), &measure.axis(), measured)));
    blocks.extend(chart(&format!("{kind} loss"), "loss", loss));
    Ok(Section::new(title, blocks))
}
