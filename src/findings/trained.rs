//! Discrete networks while they trained.

use super::{apart, chart, groups::groups, outputs, recipe};
use crate::{
    report::{Block, Cell, Column, Section, Table},
    run::{Input, Missing, StageError},
};
use serde_json::Value as Json;

/// The sets that a training may watch, with what a report calls them.
const WATCHED: [(&str, &str); 2] = [("test", "test"), ("held_out", "held out")];

pub(super) fn section(kind: &str, members: &[&Input], missing: &[Missing]) -> Result<Section, StageError> {
    let mut table = Table::new(
        "After the last epoch, which is the result: no epoch is chosen by what it scores.",
        vec![
            Column::text("training"),
            Column::number("epochs"),
            Column::number("steps"),
            Column::number("train loss"),
            Column::number("train").unit("%"),
            Column::number("watched").unit("%"),
        ],
    );
    let (mut accuracy, mut loss) = (Vec::new(), Vec::new());
    for (member, called) in members.iter().zip(apart::called_apart(members)) {
        let metric = |name: &str| member.metrics.get(name).copied();
        let watched = WATCHED.iter().find_map(|(key, _)| metric(&format!("{key}_accuracy_percent")));
        table.push([
            Cell::Text(called.name.clone()),
            Cell::known(metric("epochs"), 0),
            Cell::known(metric("steps"), 0),
            Cell::known(metric("train_loss"), 3),
            Cell::known(metric("train_accuracy_percent"), 2),
            Cell::known(watched, 2),
        ]);
        let epochs: Vec<Json> = outputs::json(member, "metrics")?;
        let series = |stroke: &str, key: &str| called.line(stroke, &epochs, |epoch| epoch[key].as_f64());
        accuracy.push(series("fitted", "train_accuracy_percent"));
        loss.push(series("fitted", "train_loss"));
        for (key, name) in WATCHED {
            accuracy.push(series(name, &format!("{key}_accuracy_percent")));
            loss.push(series(name, &format!("{key}_loss")));
        }
    }
    let title = if kind == "transfer" { "Transfer" } else { "Retraining" };
    let mut blocks = vec![Block::Table(table)];
    blocks.extend(recipe::differences(&groups(members, missing), Some).map(Block::Table));
    blocks.extend(chart(&format!("{kind} accuracy"), "accuracy (%)", accuracy));
    blocks.extend(chart(&format!("{kind} loss"), "loss", loss));
    Ok(Section::new(title, blocks))
}
