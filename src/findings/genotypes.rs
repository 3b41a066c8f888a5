//! Genotypes: which cell goes on, by which rule, and how the search came to it.

use super::{drawn_cells, drawn_lattice};
use crate::{
    records::{self, DRAWN, Derivation, DerivedEpoch, LATTICE_SIZE, RandomDraw},
    report::{Block, Cell, Column, Figure, Section, Table, cell_drawing, lattice_drawing},
    run::{Input, StageError, coordinates::shown, sentence},
    space::{Genotype, GenotypeText, Space},
};
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// As many distinct cells as a report lists in all, and at least of each search.
const ROWS: usize = 12;
const FEWEST_ROWS: usize = 3;

/// For each cell: how it was chosen and how it changed, its drawing, its text.
pub(super) fn section(members: &[&Input]) -> Result<Section, StageError> {
    let mut blocks = Vec::new();
    let derived: Vec<Option<Derivation>> = members
        .iter()
        .map(|member| member.outputs.contains_key("genotypes").then(|| records::json(member, "genotypes")).transpose())
        .collect::<Result<_, _>>()?;
    let searches: usize = derived.iter().flatten().map(|derived| derived.searches.len()).sum();
    let most = (ROWS / searches.max(1)).max(FEWEST_ROWS);
    let drawn: Vec<Option<RandomDraw>> =
        members.iter().map(|member| records::note(member, DRAWN)).collect::<Result<_, _>>()?;
    for ((member, derived), draw) in members.iter().zip(&derived).zip(&drawn) {
        let space = records::space(member)?;
        let genotype = records::genotype(member, &space)?;
        if let Some(derived) = derived {
            blocks.push(Block::Text(chosen(&member.member, derived)));
            blocks.push(Block::Table(changes(derived, &space, most)?));
        }
        if let Some(draw) = draw {
            blocks.push(Block::Text(format!("`{}` was {draw}.", member.member)));
        }
        let named =
            |title: &str| if members.len() > 1 { format!("{} {title}", member.member) } else { title.to_owned() };
        if let Some(drawn) = drawn_lattice(&genotype, &space, records::note(member, LATTICE_SIZE)?) {
            blocks.push(Block::Figure(Figure {
                name: named(&drawn.title),
                svg: lattice_drawing::draw(&drawn),
                text: Some(lattice_drawing::write(&drawn)),
                caption: format!("{} of `{}`: cells to the right, fixed blocks down", drawn.title, member.member),
                series: Vec::new(),
            }));
        }
        for drawn in drawn_cells(&genotype, &space) {
            let failed = |error: crate::report::ReportError| StageError::failed(error.to_string());
            blocks.push(Block::Figure(Figure {
                name: named(&drawn.title),
                svg: cell_drawing::draw(&drawn).map_err(failed)?,
                text: Some(cell_drawing::write(&drawn).map_err(failed)?),
                caption: format!("{} of `{}`", drawn.title, member.member),
                series: Vec::new(),
            }));
        }
        blocks.extend(texts(&genotype, &space, members.len() == 1));
    }
    let title = match drawn.iter().flatten().count() {
        _ if members.iter().all(|member| member.kind == "derive") => "Genotype",
        0 => "Published genotype",
        all if all == members.len() => "Random genotype",
        _ => "Published and random genotypes",
    };
    Ok(Section::new(title, blocks))
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

/// `` `cell` by the rule `last`: epoch 50, the last of 50 epochs. ``
fn chosen(member: &str, derived: &Derivation) -> String {
    let Derivation { rule, why, search, epoch, missing, .. } = derived;
    let rule = match rule.as_object().and_then(|rule| rule.iter().next()) {
        Some((name, value)) => format!("{name}: {}", written(value)),
        None => rule.as_str().unwrap_or_default().to_owned(),
    };
    let what = match (epoch, search) {
        (Some(epoch), Some(search)) => format!("epoch {epoch} of `{search}`: "),
        (None, Some(search)) => format!("of `{search}`: "),
        (Some(epoch), None) => format!("epoch {epoch}: "),
        (None, None) => String::new(),
    };
    let lacking = match missing.len() {
        0 => String::new(),
        _ => format!(" Without {}, which did not run.", names(missing)),
    };
    format!("`{member}` by the rule `{rule}`, {what}{why}.{lacking}")
}

/// As in a pipeline file, without what is not set.
fn written(value: &Json) -> String {
    let joined = |parts: &mut dyn Iterator<Item = String>| parts.collect::<Vec<_>>().join(", ");
    match value {
        Json::Object(map) => {
            let set = map.iter().filter(|(_, value)| !value.is_null());
            format!("{{{}}}", joined(&mut set.map(|(key, value)| format!("{key}: {}", written(value)))))
        }
        Json::Array(items) => format!("[{}]", joined(&mut items.iter().map(written))),
        other => shown(other),
    }
}

fn names(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// A distinct cell of a search, and the epochs that derive to it.
struct Distinct<'a> {
    genotype: &'a str,
    epochs: Vec<usize>,
}

/// In the order in which they first came.
fn distinct(epochs: &[DerivedEpoch]) -> Vec<Distinct<'_>> {
    let mut all: Vec<Distinct<'_>> = Vec::new();
    for DerivedEpoch { epoch, genotype } in epochs {
        match all.iter_mut().find(|known| known.genotype == genotype) {
            Some(known) => known.epochs.push(*epoch),
            None => all.push(Distinct { genotype, epochs: vec![*epoch] }),
        }
    }
    all
}

/// A row a distinct cell, `most` of each search: the last ones, and the one that goes on.
fn changes(derived: &Derivation, space: &Space, most: usize) -> Result<Table, StageError> {
    let several = derived.searches.len() > 1;
    let kinds: Vec<&str> = space.cell_kinds().iter().map(|kind| kind.name.as_str()).collect();
    let mut columns: Vec<Column> = several.then(|| Column::text("search")).into_iter().collect();
    columns.push(Column::text("epochs"));
    columns.extend(
        kinds.iter().map(|kind| Column::text(if *kind == "cell" { "cell".to_owned() } else { format!("{kind} cell") })),
    );
    columns.push(Column::text("goes on"));
    let (mut rows, mut left_out, mut marked) = (Vec::new(), 0, false);
    for search in &derived.searches {
        let all = distinct(&search.epochs);
        let is_its = search.search.is_none() || search.search == derived.search;
        let goes_on = |cell: &Distinct<'_>| is_its && cell.genotype == derived.genotype;
        let first = all.len().saturating_sub(most);
        for (_, cell) in all.iter().enumerate().filter(|(at, cell)| *at >= first || goes_on(cell)) {
            let mut row: Vec<Cell> =
                several.then(|| search.search.as_deref().unwrap_or_default().into()).into_iter().collect();
            row.push(ranges(&cell.epochs).into());
            row.extend(counts(cell.genotype, space)?);
            row.push(if goes_on(cell) { "yes" } else { "" }.into());
            marked |= goes_on(cell);
            rows.push(row);
        }
        left_out += all.iter().take(first).filter(|cell| !goes_on(cell)).count();
    }
    if !marked {
        let mut row: Vec<Cell> = several.then_some(Cell::Missing).into_iter().collect();
        row.push(Cell::Missing);
        row.extend(counts(&derived.genotype, space)?);
        row.push("yes".into());
        rows.push(row);
    }
    let mut caption = "Distinct cells that epochs derive to by the rule of the space.".to_owned();
    if left_out > 0 {
        caption += &format!(" Earlier ones are not listed ({left_out}); the stage's `genotypes` has all.");
    }
    let mut table = Table::new(caption, columns);
    rows.into_iter().for_each(|row| table.push(row));
    Ok(table)
}

/// `1-4, 9`; of many ranges the first and the last.
fn ranges(epochs: &[usize]) -> String {
    /// Ranges that are all listed.
    const FEW: usize = 4;
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for &epoch in epochs {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == epoch => *last = epoch,
            _ => ranges.push((epoch, epoch)),
        }
    }
    let text =
        |(first, last): &(usize, usize)| if first == last { first.to_string() } else { format!("{first}-{last}") };
    match &ranges[..] {
        [first, .., last] if ranges.len() > FEW => {
            format!("{}, …, {} ({} epochs)", text(first), text(last), epochs.len())
        }
        all => all.iter().map(text).collect::<Vec<_>>().join(", "),
    }
}

/// By kind of cell: `3 nor_conv_3x3, 2 skip_connect, 1 none`.
fn counts(text: &str, space: &Space) -> Result<Vec<Cell>, StageError> {
    let genotype = Genotype::parse(text, space).map_err(|error| StageError::failed(sentence(&error)))?;
    let of_kind = |kind: &str| {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for choice in genotype.of_kind(kind).flat_map(|cell| cell.nodes.iter().flatten()) {
            *counts.entry(&choice.operation).or_default() += 1;
        }
        let mut counts: Vec<(&str, usize)> = counts.into_iter().collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        counts.iter().map(|(operation, count)| format!("{count} {operation}")).collect::<Vec<_>>().join(", ")
    };
    Ok(space.cell_kinds().iter().map(|kind| of_kind(&kind.name).into()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        records::DerivedSearch,
        report::{Document, terminal},
        space::shipped,
    };
    use serde_json::json;

    fn cell(last: &str) -> String {
        format!("|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|skip_connect~1|{last}~2|")
    }

    fn search(seed: Option<u64>, cells: &[&str]) -> DerivedSearch {
        let epoch = |(at, last): (usize, &&str)| DerivedEpoch { epoch: at + 1, genotype: cell(last) };
        DerivedSearch {
            search: seed.map(|seed| format!("search[seed={seed}]")),
            epochs: cells.iter().enumerate().map(epoch).collect(),
        }
    }

    fn told(derived: &Derivation, most: usize) -> String {
        let table = changes(derived, &shipped::space("nas_bench_201"), most).unwrap();
        let blocks = vec![Block::Text(chosen("cell", derived)), Block::Table(table)];
        let document = Document { title: String::new(), sections: vec![Section::new("", blocks)] };
        terminal::plain(&document).trim_start().to_owned()
    }

    #[test]
    fn one_search_shows_its_distinct_cells_and_which_goes_on() {
        let derived = Derivation {
            rule: json!({"epoch": 4}),
            why: "the one of 6 that the rule names".into(),
            search: None,
            epoch: Some(4),
            genotype: cell("none"),
            searches: vec![search(None, &["nor_conv_1x1", "none", "nor_conv_1x1", "none", "none", "skip_connect"])],
            missing: Vec::new(),
        };
        insta::assert_snapshot!(told(&derived, 12), @"
        `cell` by the rule `epoch: 4`, epoch 4: the one of 6 that the rule names.

         epochs  cell                                            goes on
        ─────────────────────────────────────────────────────────────────
         1, 3    3 nor_conv_3x3, 2 skip_connect, 1 nor_conv_1x1
         2, 4-5  3 nor_conv_3x3, 2 skip_connect, 1 none          yes
         6       3 nor_conv_3x3, 3 skip_connect
        Distinct cells that epochs derive to by the rule of the space.
        ");
        let short = told(&derived, 1).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(short.contains("Earlier ones are not listed (1)") && short.contains("2, 4-5"), "{short}");
    }

    #[test]
    fn a_cell_of_several_searches_has_a_row_of_its_own() {
        let derived = Derivation {
            rule: json!("consensus"),
            why: "the mean of the mixing weights of 2 searches, each after its last epoch".into(),
            search: None,
            epoch: None,
            genotype: cell("avg_pool_3x3"),
            searches: vec![search(Some(0), &["none", "nor_conv_1x1"]), search(Some(1), &["skip_connect"])],
            missing: vec!["search[seed=2]".into()],
        };
        insta::assert_snapshot!(told(&derived, 12), @"
        `cell` by the rule `consensus`, the mean of the mixing weights of 2 searches,
        each after its last epoch. Without `search[seed=2]`, which did not run.

         search          epochs  cell                                           goes on
        ────────────────────────────────────────────────────────────────────────────────
         search[seed=0]  1       3 nor_conv_3x3, 2 skip_connect, 1 none
         search[seed=0]  2       3 nor_conv_3x3, 2 skip_connect, 1
                                 nor_conv_1x1
         search[seed=1]  1       3 nor_conv_3x3, 3 skip_connect
         –               –       3 nor_conv_3x3, 2 skip_connect, 1              yes
                                 avg_pool_3x3
        Distinct cells that epochs derive to by the rule of the space.
        ");
    }

    #[test]
    fn epochs_are_written_as_ranges() {
        assert_eq!(ranges(&[1, 2, 3, 4, 9]), "1-4, 9");
        assert_eq!(ranges(&[1, 3, 5, 7, 9, 10]), "1, …, 9-10 (6 epochs)");
    }
}
