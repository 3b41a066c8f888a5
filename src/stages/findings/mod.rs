//! What a report says of each kind of stage.

mod collapse;
mod evaluation;
mod trained;

use super::artifacts;
use crate::{
    report::{Block, Cell, Chart, Column, DrawnCell, Figure, Section, Series, Summary, Table, cell_drawing, curves},
    run::{Input, StageError},
    space::{Genotype, GenotypeText, Space},
};
use serde_json::Value as Json;

/// A section for each kind of stage among `inputs`, in the order in which kinds first appear.
pub(super) fn sections(inputs: &[Input]) -> Result<Vec<Section>, StageError> {
    let mut kinds: Vec<&str> = Vec::new();
    for input in inputs {
        if !kinds.contains(&input.kind.as_str()) {
            kinds.push(&input.kind);
        }
    }
    kinds
        .into_iter()
        .map(|kind| {
            let members: Vec<&Input> = inputs.iter().filter(|input| input.kind == kind).collect();
            match kind {
                "prepare" => Ok(data(&members)),
                "search" => search(&members),
                "derive" | "genotype" => genotypes(&members),
                "retrain" | "transfer" => trained::section(kind, &members),
                "evaluate" => evaluation::section(&members),
                "benchmark" => benchmark(&members),
                other => Ok(figures(other, &members)),
            }
        })
        .collect()
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

fn search(members: &[&Input]) -> Result<Section, StageError> {
    let mut table = Table::new(
        "After the last epoch. A supernet's accuracy ranks nothing: it is no trained network's.",
        vec![
            Column::text("search"),
            Column::number("epochs"),
            Column::number("train loss"),
            Column::number("train").unit("%"),
            Column::number("supernet, held out").unit("%"),
            Column::number("time").unit("s"),
        ],
    );
    let mut accuracy = Vec::new();
    let mut loss = Vec::new();
    let mut figures = Vec::new();
    for member in members {
        let metric = |name: &str| member.metrics.get(name).copied();
        table.push([
            Cell::Text(member.member.clone()),
            Cell::known(metric("epochs"), 0),
            Cell::known(metric("train_loss"), 3),
            Cell::known(metric("train_accuracy_percent"), 2),
            Cell::known(metric("supernet_held_out_accuracy_percent"), 2),
            Cell::number(member.wall_seconds, 1),
        ]);
        let epochs: Vec<Json> = artifacts::json(member, "metrics")?;
        let series = |name: &str, key: &str| Series {
            name: format!("{}{name}", member.member),
            points: epochs.iter().filter_map(|epoch| Some((epoch["epoch"].as_f64()?, epoch[key].as_f64()?))).collect(),
        };
        accuracy.push(series(", fitted", "train_accuracy_percent"));
        accuracy.push(series(", held out", "held_out_accuracy_percent"));
        loss.push(series(", fitted", "train_loss"));
        loss.push(series(", held out", "held_out_loss"));
        figures.push(epochs);
    }
    let mut blocks = vec![Block::Table(table)];
    let values: Vec<f64> =
        members.iter().filter_map(|member| member.metrics.get("supernet_held_out_accuracy_percent").copied()).collect();
    if let Some(summary) = Summary::of(&values).filter(|summary| summary.n > 1) {
        blocks.push(Block::Text(format!("Supernet on held-out images, %: {}.", summary.shown(2))));
    }
    blocks.extend(chart("supernet accuracy", "accuracy (%)", accuracy));
    blocks.extend(chart("supernet loss", "cross-entropy", loss));
    blocks.extend(collapse::blocks(members, &figures));
    Ok(Section::new("Search", blocks))
}

/// A chart of the series that have points.
fn chart(title: &str, y_label: &str, series: Vec<Series>) -> Option<Block> {
    let series: Vec<Series> = series.into_iter().filter(|series| !series.points.is_empty()).collect();
    if series.is_empty() {
        return None;
    }
    let chart = Chart { title: title.to_owned(), x_label: "epoch".to_owned(), y_label: y_label.to_owned(), series };
    Some(Block::Figure(Figure {
        name: title.to_owned(),
        svg: curves::draw(&chart),
        caption: format!("{title} by epoch"),
        text: None,
    }))
}

fn genotypes(members: &[&Input]) -> Result<Section, StageError> {
    let mut blocks = Vec::new();
    for member in members {
        let space = artifacts::space(member)?;
        let genotype = artifacts::genotype(member, &space)?;
        for drawn in drawn_cells(&genotype, &space) {
            let failed = |error: crate::report::ReportError| StageError::failed(error.to_string());
            blocks.push(Block::Figure(Figure {
                name: if members.len() > 1 {
                    format!("{} {}", member.member, drawn.title)
                } else {
                    drawn.title.clone()
                },
                svg: cell_drawing::draw(&drawn).map_err(failed)?,
                text: Some(cell_drawing::write(&drawn).map_err(failed)?),
                caption: format!("{} of `{}`", drawn.title, member.member),
            }));
        }
        blocks.extend(texts(&genotype, &space, members.len() == 1));
    }
    let found = if members.iter().all(|member| member.kind == "derive") { "Genotype" } else { "Published genotype" };
    Ok(Section::new(found, blocks))
}

/// A genotype in all its text forms; among many, in the one that is customary for its space.
fn texts(genotype: &Genotype, space: &Space, all: bool) -> Vec<Block> {
    let forms = [
        ("As a cell string:", GenotypeText::CellString),
        ("As the DARTS code writes it:", GenotypeText::NamedTuple),
        ("As YAML:", GenotypeText::Yaml),
    ];
    let mut blocks = Vec::new();
    for (name, form) in forms.into_iter().filter(|(_, form)| all || *form == space.genotype_text) {
        // A form that cannot hold this genotype is left out: the others can.
        let Ok(text) = genotype.to_text(form, space) else { continue };
        if all {
            blocks.push(Block::Text(name.to_owned()));
        }
        blocks.push(Block::Code(text));
    }
    blocks
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

/// The `benchmark` output of a stage.
#[derive(serde::Deserialize)]
struct Found {
    cell: String,
    index: usize,
    cells: usize,
    accuracies: Vec<Accuracy>,
}

#[derive(serde::Deserialize)]
struct Accuracy {
    name: String,
    percent: f64,
    rank: usize,
    best_percent: f64,
}

impl Accuracy {
    /// `cifar10 test`
    fn words(&self) -> String {
        self.name.replace('_', " ")
    }
}

fn benchmark(members: &[&Input]) -> Result<Section, StageError> {
    let read = |member: &&Input| Ok((member.member.clone(), artifacts::json(member, "benchmark")?));
    let found: Vec<(String, Found)> = members.iter().map(read).collect::<Result<_, StageError>>()?;
    let tables = match found.as_slice() {
        [(_, only)] => vec![one_cell(only)],
        several => vec![several_cells(several), over_all(several)],
    };
    Ok(Section::new("Benchmark", tables.into_iter().map(Block::Table).collect()))
}

fn one_cell(found: &Found) -> Table {
    let mut table = Table::new(
        format!("Cell {} of {}, trained alone: `{}`", found.index, found.cells, found.cell),
        vec![
            Column::text("data"),
            Column::number("accuracy").unit("%"),
            Column::number("rank"),
            Column::number("best cell").unit("%"),
        ],
    );
    for accuracy in &found.accuracies {
        table.push([
            Cell::Text(accuracy.words()),
            Cell::number(accuracy.percent, 2),
            Cell::count(accuracy.rank),
            Cell::number(accuracy.best_percent, 2),
        ]);
    }
    table
}

/// A row a search, a column a data set.
fn several_cells(found: &[(String, Found)]) -> Table {
    let mut columns = vec![Column::text("stage"), Column::number("cell")];
    columns.extend(
        found.iter().take(1).flat_map(|(_, first)| &first.accuracies).map(|accuracy| Column::number(accuracy.words())),
    );
    let mut table = Table::new("Accuracy in %, each cell trained alone", columns);
    for (member, found) in found {
        let percents = found.accuracies.iter().map(|accuracy| Cell::number(accuracy.percent, 2));
        table.push([Cell::Text(member.clone()), Cell::Text(found.index.to_string())].into_iter().chain(percents));
    }
    table
}

/// Mean and spread over all searches: no cell of several stands for them alone.
fn over_all(found: &[(String, Found)]) -> Table {
    let mut columns = vec![Column::text("data")];
    columns.extend(Summary::columns("accuracy", Some("%")));
    let mut table = Table::new("Over all searches", columns);
    for (at, accuracy) in found.iter().take(1).flat_map(|(_, first)| first.accuracies.iter().enumerate()) {
        let values: Vec<f64> = found.iter().filter_map(|(_, found)| Some(found.accuracies.get(at)?.percent)).collect();
        let cells = Summary::of(&values).map(|summary| summary.cells(2)).into_iter().flatten();
        table.push(std::iter::once(Cell::Text(accuracy.words())).chain(cells));
    }
    table
}
