//! Whether searches collapse: their derived cells, epoch by epoch.

use super::{chart, measure::Measure, names::MemberName};
use crate::{
    records::{self, Benefit, CELL_ACCURACY, CellCounts, Epoch, EpochDiagnosis, STOPPED_EARLY, Stopped},
    report::{Block, Cell, Column, Series, Table},
    run::{Input, StageError},
};

/// A search: its member, what it is called, its epochs.
type Search<'a> = (&'a Input, &'a MemberName, &'a [Epoch]);

/// A row a search, and the charts of what was measured; `names` and `epochs` are what the members
/// are called and their figures.
pub(super) fn blocks(
    measure: Option<&Measure>,
    members: &[&Input],
    names: &[MemberName],
    epochs: &[Vec<Epoch>],
) -> Result<Vec<Block>, StageError> {
    let searches = members.iter().zip(names).zip(epochs);
    let searches: Vec<Search<'_>> = searches.map(|((&member, name), epochs)| (member, name, &epochs[..])).collect();
    let line = |value: fn(&EpochDiagnosis) -> Option<f64>| {
        searches.iter().map(|(_, name, epochs)| series(name, "", epochs, value)).collect::<Vec<_>>()
    };
    let mut blocks: Vec<Block> = ended_early(members)?.into_iter().collect();
    blocks.push(Block::Table(table(measure, &searches)));
    blocks.extend(chart("derived cell accuracy", "CIFAR-10 test, trained alone (%)", line(accuracy)));
    blocks.extend(chart("parameter-free operations", "in the derived cell", by_key(&searches, parameter_free)));
    blocks.extend(chart("entropy of mixing weights", "mean over edges (nats)", by_key(&searches, entropies)));
    blocks.extend(chart("benefit of weights", "learnable minus parameter-free", advantages(&searches)));
    blocks.extend(chart("largest eigenvalue", "of the Hessian in alphas", line(|found| found.eigenvalue)));
    Ok(blocks)
}

/// Of the cell on CIFAR-10's test images, trained alone, in per cent.
fn accuracy(found: &EpochDiagnosis) -> Option<f64> {
    found.accuracies.get(CELL_ACCURACY).copied().flatten()
}

/// By how much worse the derived cell alone is than the supernet.
fn gap(found: &EpochDiagnosis) -> Option<f64> {
    found.gap.values().copied().flatten().next()
}

/// By kind of cell.
fn parameter_free(found: &EpochDiagnosis) -> Vec<(&str, f64)> {
    found.counts.iter().map(|(kind, counts)| (kind.as_str(), counts.parameter_free as f64)).collect()
}

/// By alpha table.
fn entropies(found: &EpochDiagnosis) -> Vec<(&str, f64)> {
    found.entropy.iter().filter_map(|(table, entropy)| Some((table.as_str(), (*entropy)?))).collect()
}

fn ended_early(members: &[&Input]) -> Result<Option<Block>, StageError> {
    let mut said = Vec::new();
    for member in members {
        let Some(Stopped { at, kept, reason }) = records::note(member, STOPPED_EARLY)? else { continue };
        said.push(format!("`{}` ended after epoch {at}: {reason}. Its cell is of epoch {kept}.", member.member));
    }
    Ok((!said.is_empty()).then(|| Block::Text(said.join("\n\n"))))
}

fn table(measure: Option<&Measure>, searches: &[Search<'_>]) -> Table {
    let is_known = |value: fn(&EpochDiagnosis) -> Option<f64>| {
        let epochs = searches.iter().flat_map(|(.., epochs)| *epochs);
        epochs.filter_map(|epoch| epoch.diagnosis.as_ref()).any(|found| value(found).is_some())
    };
    let (benchmarked, curved) = (is_known(accuracy), is_known(|found| found.eigenvalue));
    let measure = measure.filter(|_| is_known(gap));
    let mut columns = vec![Column::text("search"), Column::number("epoch"), Column::text("parameter-free")];
    columns.push(Column::number("entropy").unit("nats"));
    columns.extend(measure.map(|measure| measure.column("gap")));
    columns.extend(benchmarked.then(|| Column::number("cell, test").unit("%")));
    columns.extend(curved.then(|| Column::number("eigenvalue")));
    let mut table = Table::new(
        "Collapse: after the epoch that the cell is derived from. Operations without weights in the derived cell, out of all; how \
         undecided an edge is in the mean; what the supernet loses on held-out images when only the derived cell is left of it.",
        columns,
    );
    for (member, called, epochs) in searches {
        let epoch = match member.metrics.get("kept_epoch") {
            Some(&kept) => epochs.iter().find(|epoch| epoch.epoch as f64 == kept),
            None => epochs.last(),
        };
        let Some(epoch) = epoch else { continue };
        let unknown = EpochDiagnosis::default();
        let found = epoch.diagnosis.as_ref().unwrap_or(&unknown);
        let entropies = entropies(found);
        let sum: f64 = entropies.iter().map(|(_, entropy)| entropy).sum();
        let mut row = vec![
            Cell::Text(called.name.clone()),
            Cell::count(epoch.epoch),
            Cell::Text(shares(found)),
            Cell::known((!entropies.is_empty()).then(|| sum / entropies.len() as f64), 3),
        ];
        row.extend(measure.map(|_| Cell::known(gap(found), 2)));
        row.extend(benchmarked.then(|| Cell::known(accuracy(found), 2)));
        let last = epochs.iter().rev().find_map(|epoch| epoch.diagnosis.as_ref()?.eigenvalue);
        row.extend(curved.then(|| Cell::known(last, 4)));
        table.push(row);
    }
    table
}

/// `3 of 6`, or of each kind of cell: `normal 1 of 8, reduce 6 of 8`.
fn shares(found: &EpochDiagnosis) -> String {
    let share =
        |counts: &CellCounts| format!("{} of {}", counts.parameter_free, counts.parameter_free + counts.learnable);
    match found.counts.values().collect::<Vec<_>>()[..] {
        [only] => share(only),
        _ => {
            let each = found.counts.iter().map(|(kind, counts)| format!("{kind} {}", share(counts)));
            each.collect::<Vec<_>>().join(", ")
        }
    }
}

/// A line of what the diagnosis of each epoch says.
fn series(
    member: &MemberName,
    stroke: &str,
    epochs: &[Epoch],
    value: impl Fn(&EpochDiagnosis) -> Option<f64>,
) -> Series {
    member.line(stroke, epochs, |epoch| value(epoch.diagnosis.as_ref()?))
}

/// A line for each member and each key of the first epoch's `values`; where there is one key, it
/// goes without saying.
fn by_key(searches: &[Search<'_>], values: fn(&EpochDiagnosis) -> Vec<(&str, f64)>) -> Vec<Series> {
    let mut lines = Vec::new();
    for (_, member, epochs) in searches {
        let first = epochs.first().and_then(|epoch| epoch.diagnosis.as_ref()).map(values).unwrap_or_default();
        for (key, _) in &first {
            let stroke = if first.len() == 1 { "" } else { key };
            lines.push(series(member, stroke, epochs, |found| {
                values(found).into_iter().find_map(|(other, value)| (other == *key).then_some(value))
            }));
        }
    }
    lines
}

/// By how much more the loss falls with weight on a learnable candidate than on another, in the
/// mean.
fn advantages(searches: &[Search<'_>]) -> Vec<Series> {
    let of = |(_, member, epochs): &Search<'_>| {
        let advantage = |benefit: &Benefit| Some(benefit.learnable? - benefit.parameter_free?);
        [
            series(member, "fitted", epochs, |found| advantage(found.benefit.fit.as_ref()?)),
            series(member, "held out", epochs, |found| advantage(found.benefit.held_out.as_ref()?)),
        ]
    };
    searches.iter().flat_map(of).collect()
}
