//! Whether searches collapse: their derived cells, epoch by epoch.

use super::{chart, measure::Measure, names::MemberName};
use crate::{
    report::{Block, Cell, Column, Series, Table},
    run::Input,
};
use serde_json::Value as Json;

/// The note that says why a search ended before its last epoch.
pub(crate) const STOPPED_EARLY: &str = "stopped_early";

/// What the benefit of candidates is measured on, as figures and a chart call it.
const IMAGES: [(&str, &str); 2] = [("fit", "fitted"), ("held_out", "held out")];

/// A row a search, and the charts of what was measured; `names` and `epochs` are what the members
/// are called and their figures.
pub(super) fn blocks(
    measure: Option<&Measure>,
    members: &[&Input],
    names: &[MemberName],
    epochs: &[Vec<Json>],
) -> Vec<Block> {
    let all: Vec<(&MemberName, &[Json])> = names.iter().zip(epochs.iter().map(Vec::as_slice)).collect();
    let mut blocks = ended_early(members);
    blocks.push(Block::Table(table(measure, members, names, epochs)));
    let accuracy = all.iter().map(|(member, epochs)| series(member, "", epochs, "/derived_cifar10_test_percent"));
    blocks.extend(chart("derived cell accuracy", "CIFAR-10 test, trained alone (%)", accuracy.collect()));
    blocks.extend(chart(
        "parameter-free operations",
        "in the derived cell",
        by_key(&all, "/derived_counts", "/parameter_free"),
    ));
    blocks.extend(chart("entropy of mixing weights", "mean over edges (nats)", by_key(&all, "/entropy", "")));
    blocks.extend(chart("benefit of weights", "learnable minus parameter-free", advantages(&all)));
    let eigenvalue = all.iter().map(|(member, epochs)| series(member, "", epochs, "/eigenvalue"));
    blocks.extend(chart("largest eigenvalue", "of the Hessian in alphas", eigenvalue.collect()));
    blocks
}

fn ended_early(members: &[&Input]) -> Vec<Block> {
    let said = |member: &&Input| {
        let stopped = member.notes.get(STOPPED_EARLY)?;
        let (at, kept, reason) = (stopped["at"].as_u64()?, stopped["kept"].as_u64()?, stopped["reason"].as_str()?);
        Some(format!("`{}` ended after epoch {at}: {reason}. Its cell is of epoch {kept}.", member.member))
    };
    let said: Vec<String> = members.iter().filter_map(said).collect();
    if said.is_empty() { Vec::new() } else { vec![Block::Text(said.join("\n\n"))] }
}

fn table(measure: Option<&Measure>, members: &[&Input], names: &[MemberName], epochs: &[Vec<Json>]) -> Table {
    // Of a figure of the gap the unit is the last word, as of the measure's.
    let gap_figure = measure.map(|measure| measure.name.rsplit('_').next().unwrap_or(&measure.name));
    let gap_figure = format!("/discretisation_gap_{}", gap_figure.unwrap_or_default());
    let is_known =
        |pointer: &str| epochs.iter().flatten().any(|epoch| epoch.pointer(pointer).is_some_and(Json::is_f64));
    let (benchmarked, gap, curved) =
        (is_known("/derived_cifar10_test_percent"), is_known(&gap_figure), is_known("/eigenvalue"));
    let mut columns = vec![Column::text("search"), Column::number("epoch"), Column::text("parameter-free")];
    columns.push(Column::number("entropy").unit("nats"));
    columns.extend(measure.filter(|_| gap).map(|measure| measure.column("gap")));
    columns.extend(benchmarked.then(|| Column::number("cell, test").unit("%")));
    columns.extend(curved.then(|| Column::number("eigenvalue")));
    let mut table = Table::new(
        "Collapse: after the epoch that the cell is derived from. Operations without weights in the derived cell, out of all; how \
         undecided an edge is in the mean; what the supernet loses on held-out images when only the derived cell is left of it.",
        columns,
    );
    for ((member, called), epochs) in members.iter().zip(names).zip(epochs) {
        let kept = member.metrics.get("kept_epoch").copied();
        let epoch = match kept {
            Some(kept) => epochs.iter().find(|epoch| epoch["epoch"].as_f64() == Some(kept)),
            None => epochs.last(),
        };
        let Some(epoch) = epoch else { continue };
        let number = |pointer: &str| epoch.pointer(pointer).and_then(Json::as_f64);
        let entropies: Vec<f64> = values(epoch, "/entropy", "").into_iter().map(|(_, value)| value).collect();
        let mean = (!entropies.is_empty()).then(|| entropies.iter().sum::<f64>() / entropies.len() as f64);
        let mut row = vec![
            Cell::Text(called.name.clone()),
            Cell::known(number("/epoch"), 0),
            Cell::Text(parameter_free(epoch)),
            Cell::known(mean, 3),
        ];
        row.extend(gap.then(|| Cell::known(number(&gap_figure), 2)));
        row.extend(benchmarked.then(|| Cell::known(number("/derived_cifar10_test_percent"), 2)));
        row.extend(curved.then(|| {
            let last = epochs.iter().rev().find_map(|epoch| epoch["eigenvalue"].as_f64());
            Cell::known(last, 4)
        }));
        table.push(row);
    }
    table
}

/// `3 of 6`, or of each kind of cell: `normal 1 of 8, reduce 6 of 8`.
fn parameter_free(epoch: &Json) -> String {
    let kinds: Vec<String> = values(epoch, "/derived_counts", "/parameter_free")
        .into_iter()
        .map(|(kind, free)| {
            let learnable = epoch["derived_counts"][&kind]["learnable"].as_f64().unwrap_or(0.0);
            format!("{kind} {free} of {}", free + learnable)
        })
        .collect();
    match kinds.as_slice() {
        [only] => only.split_once(' ').map_or_else(|| only.clone(), |(_, counts)| counts.to_owned()),
        several => several.join(", "),
    }
}

/// The numbers at `inner` under each key of the map at `outer`.
fn values(epoch: &Json, outer: &str, inner: &str) -> Vec<(String, f64)> {
    let map = epoch.pointer(outer).and_then(Json::as_object).into_iter().flatten();
    map.filter_map(|(key, value)| Some((key.clone(), value.pointer(inner)?.as_f64()?))).collect()
}

fn series(member: &MemberName, stroke: &str, epochs: &[Json], pointer: &str) -> Series {
    member.line(stroke, epochs, |epoch| epoch.pointer(pointer)?.as_f64())
}

/// A line for each member and key of the map at `outer`; where there is one key, it goes without
/// saying.
fn by_key(all: &[(&MemberName, &[Json])], outer: &str, inner: &str) -> Vec<Series> {
    let mut lines = Vec::new();
    for (member, epochs) in all {
        let keys: Vec<String> =
            epochs.first().map(|epoch| values(epoch, outer, inner)).into_iter().flatten().map(|(key, _)| key).collect();
        for key in &keys {
            let stroke = if keys.len() == 1 { "" } else { key };
            lines.push(series(member, stroke, epochs, &format!("{outer}/{key}{inner}")));
        }
    }
    lines
}

/// By how much more the loss falls with weight on a learnable candidate than on another, in the
/// mean.
fn advantages(all: &[(&MemberName, &[Json])]) -> Vec<Series> {
    let of = |(member, epochs): &(&MemberName, &[Json])| {
        IMAGES.map(|(key, stroke)| {
            member.line(stroke, epochs, |epoch| {
                let benefit = &epoch["benefit"][key];
                Some(benefit["learnable"].as_f64()? - benefit["parameter_free"].as_f64()?)
            })
        })
    };
    all.iter().flat_map(of).collect()
}
