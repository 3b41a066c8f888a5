//! Found cells in a benchmark's table: each cell, and methods beside each other and beside
//! published ones.

use super::{
    groups::{Group, groups, unequal},
    published::{Published, PublishedRow},
    recipe,
};
use crate::{
    records::{self, BenchmarkCell, CellAccuracy},
    report::{Block, Cell, Column, Section, Summary, Table},
    run::{Input, Missing, StageError},
};
use indexmap::{IndexMap, IndexSet};
use std::collections::{BTreeMap, BTreeSet};

impl CellAccuracy {
    /// `cifar10 test`
    fn words(&self) -> String {
        self.name.replace('_', " ")
    }

    /// Data and images that it was measured on: `cifar10`, `test`.
    fn parts(&self) -> (&str, &str) {
        self.name.rsplit_once('_').unwrap_or((&self.name, ""))
    }
}

pub(super) fn section(
    members: &[&Input],
    inputs: &[Input],
    missing: &[Missing],
    published: Option<&Published>,
) -> Result<Section, StageError> {
    let read = |member: &&Input| Ok((member.member.clone(), records::json(member, "benchmark")?));
    let found: BTreeMap<String, BenchmarkCell> = members.iter().map(read).collect::<Result<_, StageError>>()?;
    let groups = groups(members, missing);
    let mut blocks = Vec::new();
    let alone = members.len() == 1;
    match members {
        [only] => blocks.push(Block::Table(one_cell(&found[&only.member]))),
        several => blocks.push(Block::Table(cells(several, &found))),
    }
    if !alone || published.is_some() || missing.iter().any(|missing| missing.kind == "benchmark") {
        blocks.extend(comparison(&groups, &found, published)?);
        blocks.extend(searched(&groups, inputs, published).map(Block::Table));
        blocks.extend(published.map(|published| Block::Text(sources(published))));
    }
    Ok(Section::new("Benchmark", blocks))
}

fn one_cell(found: &BenchmarkCell) -> Table {
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

/// A row a found cell: its index, and accuracy and rank on test images.
fn cells(members: &[&Input], found: &BTreeMap<String, BenchmarkCell>) -> Table {
    let first = &found[&members[0].member];
    let tested: Vec<&CellAccuracy> = first.accuracies.iter().filter(|accuracy| accuracy.parts().1 == "test").collect();
    let mut columns = vec![Column::text("stage"), Column::number("cell")];
    for accuracy in &tested {
        columns.push(Column::number(accuracy.words()));
        columns.push(Column::number(format!("rank {}", accuracy.parts().0.replace('_', " "))));
    }
    let caption = format!(
        "Accuracy in % of each found cell, trained alone, and its rank among the {} cells of the benchmark by that accuracy.",
        first.cells
    );
    let mut table = Table::new(caption, columns);
    for member in members {
        let of = &found[&member.member];
        let accuracies =
            tested.iter().flat_map(|wanted| match of.accuracies.iter().find(|accuracy| accuracy.name == wanted.name) {
                Some(accuracy) => [Cell::number(accuracy.percent, 2), Cell::count(accuracy.rank)],
                None => [Cell::Missing, Cell::Missing],
            });
        table.push([Cell::Text(member.member.clone()), Cell::Text(of.index.to_string())].into_iter().chain(accuracies));
    }
    table
}

/// For each data set a row a method: how many cells, mean, deviation and best; then published rows.
fn comparison(
    groups: &[Group<'_>],
    found: &BTreeMap<String, BenchmarkCell>,
    published: Option<&Published>,
) -> Result<Vec<Block>, StageError> {
    let mut data: IndexMap<&str, Vec<&CellAccuracy>> = IndexMap::new();
    for accuracy in found.values().next().into_iter().flat_map(|found| &found.accuracies) {
        data.entry(accuracy.parts().0).or_default().push(accuracy);
    }
    let known = |name: &String| data.values().flatten().any(|accuracy| accuracy.name == *name);
    if let Some(published) = published
        && !published.rows.iter().flat_map(|row| row.figures.keys()).any(known)
    {
        return Err(StageError::input(format!(
            "`{}` has no figure of this benchmark's: it has other names in `figures`",
            published.name
        )));
    }
    let incomplete = groups.iter().any(|group| group.members.len() != group.planned);
    let mut blocks: Vec<Block> = unequal(groups).map(Block::Text).into_iter().collect();
    for (at, (name, accuracies)) in data.iter().enumerate() {
        let mut columns = vec![Column::text("method"), Column::number("n")];
        if incomplete {
            columns.push(Column::number("of"));
        }
        for accuracy in accuracies {
            let part = accuracy.parts().1;
            columns.extend([
                Column::number(part).unit("%"),
                Column::number(format!("± {part}")),
                Column::number(format!("best {part}")),
            ]);
        }
        if published.is_some() {
            columns.push(Column::text("source"));
        }
        let mut caption = name.replace('_', " ");
        blocks.push(Block::Text(format!("On {caption}:")));
        if at == 0 {
            caption += ": mean over the n cells that a method found, ± sample standard deviation. The best is the best of the n by \
                        its own column, and so no estimate of anything.";
            if published.is_some_and(|published| published.rows.iter().any(|row| row.n.is_none())) {
                caption += " Of a published row without n it is not known to us.";
            }
        }
        let mut table = Table::new(caption, columns);
        for group in groups {
            let mut row = vec![Cell::Text(group.name.clone()), Cell::count(group.members.len())];
            row.extend(incomplete.then(|| Cell::count(group.planned)));
            for accuracy in accuracies {
                row.extend(mean_and_best(group, found, &accuracy.name));
            }
            row.extend(published.map(|_| Cell::from("ours")));
            table.push(row);
        }
        for of in published.iter().flat_map(|published| &published.rows) {
            let mut row = vec![Cell::Text(of.method.clone()), of.n.map_or(Cell::Missing, Cell::count)];
            row.extend(incomplete.then_some(Cell::Missing));
            for accuracy in accuracies {
                let figure = of.figures.get(&accuracy.name);
                let deviation = figure.and_then(|(_, deviation)| *deviation);
                row.extend([Cell::known(figure.map(|(mean, _)| *mean), 2), Cell::known(deviation, 2), Cell::Missing]);
            }
            row.push(Cell::Text(of.tag.clone()));
            table.push(row);
        }
        blocks.push(Block::Table(table));
    }
    Ok(blocks)
}

/// Of a single cell the mean is its own figure, and it is the best of nothing.
fn mean_and_best(group: &Group<'_>, found: &BTreeMap<String, BenchmarkCell>, name: &str) -> [Cell; 3] {
    let value = |member: &&Input| {
        let of = found.get(&member.member)?;
        Some(of.accuracies.iter().find(|accuracy| accuracy.name == name)?.percent)
    };
    let values: Vec<f64> = group.members.iter().filter_map(value).collect();
    let Some(Summary { n, mean, deviation, max, .. }) = Summary::of(&values) else {
        return [const { Cell::Missing }; 3];
    };
    [Cell::number(mean, 2), Cell::known(deviation, 2), Cell::known((n > 1).then_some(max), 2)]
}

/// How each row was searched: what is written of published ones, and of ours what their searches
/// were told, as far as this report gathers them.
fn searched(groups: &[Group<'_>], inputs: &[Input], published: Option<&Published>) -> Option<Table> {
    /// Keys of a search that are always told; of the others, those in which a row is not as most of
    /// ours are.
    const TOLD: [&str; 5] = ["strategy", "mixing", "epochs", "batch", "images"];
    let searches = || inputs.iter().filter(|input| input.kind == "search");
    let ours: Vec<(&Group<'_>, BTreeMap<String, String>)> = groups
        .iter()
        .filter_map(|group| {
            let search = group.members.iter().find_map(|member| recipe::only(member, searches()))?;
            Some((group, recipe::flat(&search.params)))
        })
        .collect();
    let usual = |key: &str, value: Option<&String>| {
        2 * ours.iter().filter(|(_, keys)| keys.get(key) == value).count() > ours.len()
    };
    let others: BTreeSet<&str> = ours.iter().flat_map(|(_, keys)| keys.keys().map(String::as_str)).collect();
    let others: Vec<&str> = others.into_iter().filter(|key| *key != "seed" && !TOLD.contains(key)).collect();
    let mut recipes: IndexMap<String, Vec<String>> = IndexMap::new();
    for (group, keys) in &ours {
        let unusual = others.iter().copied().filter(|key| !usual(key, keys.get(*key)));
        let told = TOLD.into_iter().chain(unusual);
        let told =
            told.filter_map(|key| keys.get(key).filter(|value| *value != "null").map(|value| format!("{key} {value}")));
        recipes.entry(told.collect::<Vec<_>>().join(", ")).or_default().push(group.name.clone());
    }
    for row in published.iter().flat_map(|published| &published.rows) {
        let told = row.recipe.clone().unwrap_or_else(|| "not known to us".to_owned());
        recipes.entry(told).or_default().push(row.method.clone());
    }
    if recipes.len() < 2 {
        return None;
    }
    let columns = vec![Column::text("method"), Column::text("how its cells were found")];
    let caption = "Searches may differ in more than their method. The found cells were all trained alike, as the benchmark trains.";
    let mut table = Table::new(caption, columns);
    for (recipe, methods) in recipes {
        table.push([Cell::Text(methods.join(", ")), Cell::Text(recipe)]);
    }
    Some(table)
}

/// Where published rows are from, how sure they are, what else there is to say of them.
fn sources(published: &Published) -> String {
    let Published { name, tags, rows, .. } = published;
    let mut by_source: IndexMap<&str, Vec<&str>> = IndexMap::new();
    let mut sure: IndexSet<(&str, &str)> = IndexSet::new();
    for PublishedRow { method, source, tag, spread_tag, .. } in rows {
        by_source.entry(source.as_str()).or_default().push(method);
        sure.extend(spread_tag.as_ref().filter(|spread| *spread != tag).map(|spread| (tag.as_str(), spread.as_str())));
    }
    let from = by_source.iter().map(|(source, methods)| format!("{}: {source}.", methods.join("; ")));
    let sure = sure.iter().map(|(tag, spread)| format!("Where means are {tag}, their deviations are {spread}."));
    let used = |tag: &&String| rows.iter().any(|row| row.tag == **tag || row.spread_tag.as_ref() == Some(*tag));
    let meaning = tags.iter().filter(|(tag, _)| used(tag)).map(|(tag, meaning)| format!("{tag}: {meaning}."));
    let notes = rows.iter().filter_map(|row| Some(format!("{}: {}.", row.method, row.note.as_ref()?)));
    let paragraphs = [
        format!("Published rows, of the table `{name}`. {}", from.collect::<Vec<_>>().join(" ")),
        meaning.chain(sure).collect::<Vec<_>>().join(" "),
        notes.collect::<Vec<_>>().join(" "),
    ];
    paragraphs.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n\n")
}

#[cfg(test)]
mod tests;
