//! Published results, to stand beside one's own: a file of rows with their sources.
//!
//! ```yaml
//! name: my_table
//! tags: {read: read in the source}             # how sure a figure may be
//! figures: [cifar10_valid, cifar10_test]       # what the numbers of a row are of
//! rows:
//!   - {method: REA, source: "…", tag: read, mean: [91.19, 93.92], deviation: [0.31, 0.30], n: 500,
//!      recipe: "…", note: "…"}
//! ```

use crate::{
    config::{Fields, Node, Problems, Value},
    store::Digest,
};
use indexmap::IndexMap;

/// The rows of a file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Published {
    pub name: String,
    /// Tag → what it means.
    pub tags: IndexMap<String, String>,
    pub rows: Vec<PublishedRow>,
    /// Of the file's text.
    pub digest: Digest,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PublishedRow {
    pub method: String,
    /// Where it was published.
    pub source: String,
    /// How sure the means are, and how sure the deviations.
    pub tag: String,
    pub spread_tag: Option<String>,
    /// Searches behind it, where that is known.
    pub n: Option<usize>,
    /// Figure → mean, and sample standard deviation where there is one.
    pub figures: IndexMap<String, (f64, Option<f64>)>,
    /// How the cell was searched or the network trained.
    pub recipe: Option<String>,
    pub note: Option<String>,
}

/// Reads such a file, whose text has this digest.
pub(crate) fn published(node: &Node, digest: Digest, problems: &mut Problems) -> Published {
    let mut fields = Fields::open(node, "a table of published results", problems);
    let name = fields.required_text("name");
    fields.text("about");
    let mut tags = IndexMap::new();
    if let Some(map) = fields.required_node("tags").and_then(Node::as_map) {
        for (tag, entry) in map {
            match entry.node.as_text() {
                Some(text) => drop(tags.insert(tag.clone(), text.to_owned())),
                None => fields.wrong(tag, &entry.node, "text"),
            }
        }
    }
    let names = fields.required_node("figures").and_then(|_| fields.texts("figures")).unwrap_or_default();
    let mut rows = Vec::new();
    match fields.required_node("rows") {
        Some(Node { value: Value::List(items), .. }) => {
            rows.extend(items.iter().map(|item| row(item, &names, &tags, fields.problems())));
        }
        Some(other) => fields.wrong("rows", other, "a list of rows"),
        None => {}
    }
    fields.close();
    Published { name, tags, rows, digest }
}

fn row(node: &Node, names: &[String], tags: &IndexMap<String, String>, problems: &mut Problems) -> PublishedRow {
    let mut keys = Fields::open(node, "a row", problems);
    let (method, source) = (keys.required_text("method"), keys.required_text("source"));
    let tag = keys.required_text("tag");
    let spread_tag = keys.text("spread_tag");
    for (key, tag) in [("tag", Some(&tag)), ("spread_tag", spread_tag.as_ref())] {
        if let Some(tag) = tag.filter(|tag| !tag.is_empty() && !tags.contains_key(*tag)) {
            let place = keys.origin_of(key).clone();
            keys.problems().add(&place, format!("`tags` does not say what `{tag}` means"));
        }
    }
    keys.required_node("mean");
    let mean = numbers(&mut keys, "mean", names.len()).unwrap_or_default();
    let deviation = numbers(&mut keys, "deviation", names.len());
    if deviation.is_some() && spread_tag.is_none() && tag != "read" {
        let place = keys.origin_of("deviation").clone();
        keys.problems().add(&place, "a row with `deviation` has a `spread_tag`");
    }
    let n = keys.optional_integer("n", 1.., "a whole number from 1");
    let (recipe, note) = (keys.text("recipe"), keys.text("note"));
    keys.close();
    let deviation = |at: usize| deviation.as_ref().and_then(|all| all.get(at).copied());
    let figures = names.iter().zip(mean).enumerate().map(|(at, (name, mean))| (name.clone(), (mean, deviation(at))));
    PublishedRow { method, source, tag, spread_tag, n, figures: figures.collect(), recipe, note }
}

/// The list of numbers under `key`, one for each figure; `None` where it is absent or wrong.
fn numbers(keys: &mut Fields<'_>, key: &'static str, expected: usize) -> Option<Vec<f64>> {
    let node = keys.node(key)?;
    let items = if let Value::List(items) = &node.value { items.as_slice() } else { &[] };
    let found: Option<Vec<f64>> = items.iter().map(Node::number).collect();
    let found = found.filter(|found| found.len() == expected);
    if found.is_none() {
        keys.wrong(key, node, &format!("a list of {expected} numbers, one for each of `figures`"));
    }
    found
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn read(text: &str) -> Result<Published, String> {
        let node = Node::parse("table.yaml", text).unwrap();
        let mut problems = Problems::new();
        let published = published(&node, Digest::of(b""), &mut problems);
        let said: Vec<String> =
            problems.iter().map(|problem| format!("{} {}", problem.origin, problem.message)).collect();
        if said.is_empty() { Ok(published) } else { Err(said.join("\n")) }
    }

    /// What ships has all six figures in every row, its two landmarks as the benchmark's own table
    /// has them, and every row its source.
    #[test]
    fn the_rows_that_ship_can_be_read_and_agree_with_the_benchmark_where_they_are_cells_of_it() {
        use crate::interop::nas_bench::{NasBenchColumn, NasBenchTable};
        let path =
            crate::space::find_published("nas_bench_201_published", std::path::Path::new(env!("CARGO_MANIFEST_DIR")));
        let published = read(&std::fs::read_to_string(path.unwrap()).unwrap()).unwrap();
        assert_eq!(published.rows.len(), 15);
        assert!(published.rows.iter().all(|row| row.figures.len() == 6 && !row.source.is_empty()));
        let table = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("search_spaces/tables/nas_bench_201.csv.gz");
        let table = NasBenchTable::open(&table).unwrap();
        for (method, index) in [("DARTS-V1, V2", 1835), ("ENAS", 1835), ("beta-DARTS", 9930)] {
            let row = published.rows.iter().find(|row| row.method == method).unwrap();
            let cell = table.rows().iter().find(|row| row.index == index).unwrap();
            for column in NasBenchColumn::ALL {
                let NasBenchColumn::Accuracy(..) = column else { continue };
                let (mean, deviation) = row.figures[column.name().trim_end_matches("_acc")];
                assert!((mean - cell.get(column)).abs() < 0.006 && deviation.is_none(), "{method} {column:?}");
            }
        }
    }

    #[test]
    fn what_is_wrong_has_its_place() {
        let table = |row: &str| format!("name: t\ntags: {{read: yes it was}}\nfigures: [a, b]\nrows:\n  - {{{row}}}\n");
        let row = "method: m, source: s, tag: read";
        let fine = read(&table(&format!("{row}, mean: [1, 2.5], deviation: [0.1, 0.2], n: 4"))).unwrap();
        assert_eq!(fine.rows[0].figures["b"], (2.5, Some(0.2)));
        for (row, said) in [
            (
                format!("{row}, mean: [1]"),
                "table.yaml:5:45 `mean` must be a list of 2 numbers, one for each of `figures`",
            ),
            (format!("{row}, mean: [1, x]"), "`mean` must be a list of 2 numbers"),
            (row.to_owned(), "a row lacks the key `mean`"),
            ("method: m, source: s, tag: sure, mean: [1, 2]".to_owned(), "`tags` does not say what `sure` means"),
            (format!("{row}, mean: [1, 2], recipy: x"), "unknown key `recipy` in a row"),
        ] {
            let problems = read(&table(&row)).unwrap_err();
            assert!(problems.contains(said), "{row}: {problems}");
        }
    }
}
