//! What a report says of each kind of stage: tables, curves and drawings of what its members
//! published.
//!
//! `sections` is the way in: one section a kind, one file each. Members that differ in their seed
//! alone are one row (`groups`); what they were measured by is what their task said (`measure`).

mod benchmark;
mod classes;
mod collapse;
mod compared;
mod evaluation;
mod genotypes;
mod groups;
mod measure;
mod missing;
mod names;
mod published;
mod recipe;
mod search;
mod trade_off;
mod trained;

pub(crate) use published::{Published, published};

use crate::{
    report::{Block, Cell, Chart, Column, DrawnCell, DrawnLattice, Figure, Marks, Section, Series, Table, curves},
    run::{Input, Missing, StageError},
    space::{Genotype, PathStep, Space},
};

/// What did not run, then a section for each kind of stage among `inputs`, in the order in which
/// kinds first appear.
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
        let measured = || measure::by_measure(&members);
        Ok(match kind {
            "prepare" => vec![data(&members)],
            "search" => measured()?
                .into_iter()
                .map(|(measure, of)| search::section(measure.as_ref(), &of, missing))
                .collect::<Result<_, _>>()?,
            "derive" | "genotype" => vec![genotypes::section(&members)?],
            "retrain" | "transfer" => measured()?
                .into_iter()
                .map(|(measure, of)| trained::section(kind, measure.as_ref(), &of, missing))
                .collect::<Result<_, _>>()?,
            "evaluate" => evaluation::sections(&members, inputs, missing)?,
            "benchmark" => vec![benchmark::section(&members, inputs, missing, published)?],
            other => vec![figures(other, &members)],
        })
    });
    let absent = missing::section(inputs, missing).map(|section| Ok(vec![section]));
    let sections: Vec<Vec<Section>> = absent.into_iter().chain(of_kinds).collect::<Result<_, StageError>>()?;
    Ok(sections.into_iter().flatten().collect())
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

/// A chart of the series that have points.
fn chart(title: &str, y_label: &str, series: Vec<Series>) -> Option<Block> {
    let series: Vec<Series> = series.into_iter().filter(|series| !series.points.is_empty()).collect();
    if series.is_empty() {
        return None;
    }
    let alike = |a: &Series, b: &Series| (&a.hue, &a.stroke) == (&b.hue, &b.stroke);
    let seeds = series.iter().enumerate().any(|(at, a)| series[..at].iter().any(|b| alike(a, b)));
    let caption = format!("{title} by epoch{}", if seeds { ", a line a seed" } else { "" });
    let [title, x_label, y_label] = [title, "epoch", y_label].map(str::to_owned);
    Some(charted(Chart { title, marks: Marks::Line, x_label, y_label, series }, caption))
}

fn charted(chart: Chart, caption: String) -> Block {
    let svg = curves::draw(&chart);
    Block::Figure(Figure { name: chart.title, svg, caption, text: None, series: chart.series })
}

/// The path of a genotype, ready to be drawn, where it has one; `cells` is how many cells the lattice has
/// behind the first, where that is known.
pub(crate) fn drawn_lattice(genotype: &Genotype, space: &Space, cells: Option<usize>) -> Option<DrawnLattice> {
    let (cell, block, blocks) = space.lattice_steps()?;
    let steps = [cells.unwrap_or_default(), blocks];
    let path = genotype.path.iter().skip(1).map(|step| matches!(step, PathStep::Cell(_))).collect();
    let names = [cell, block].map(str::to_owned);
    (!genotype.path.is_empty()).then(|| DrawnLattice { title: "path".to_owned(), steps, names, path })
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
    let drawn = |(title, cell): (String, &crate::space::CellGenotype)| DrawnCell {
        title,
        inputs: inputs.clone(),
        nodes: nodes(cell),
        output: cell.output.clone(),
        widths: space.nodes_that_choose().into_iter().zip(cell.widths.iter().cloned()).collect(),
    };
    let title = |kind: &str| if kind == "cell" { "cell".to_owned() } else { format!("{kind} cell") };
    let of_kinds = genotype.cells.iter().map(|(kind, cell)| (title(kind), cell));
    let on_path = genotype.path.iter().enumerate().filter_map(|(step, taken)| match taken {
        PathStep::Cell(cell) => Some((format!("step {}: cell", step + 1), cell)),
        PathStep::Block(_) => None,
    });
    of_kinds.chain(on_path).map(drawn).collect()
}
