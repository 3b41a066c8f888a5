//! What a report says, before it has a form.

use super::decimal::decimal;
use std::collections::BTreeSet;

/// What stands where a value is missing. Missing is never zero.
pub(super) const MISSING: &str = "–";

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Document {
    pub title: String,
    pub sections: Vec<Section>,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Section {
    pub heading: String,
    pub blocks: Vec<Block>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Block {
    /// Paragraphs, an empty line between them; backticks mark code. No other markup.
    Text(String),
    /// Lines that are kept as they are.
    Code(String),
    Table(Table),
    Figure(Figure),
    Expectations(Vec<super::Verdict>),
}

/// A picture, and what stands for it where none can be shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// Names the file, made fit for one.
    pub name: String,
    pub svg: String,
    pub caption: String,
    /// Lines of text for a terminal.
    pub text: Option<String>,
    /// The numbers behind curves, for programs.
    pub series: Vec<super::Series>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    pub caption: String,
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    /// Shown behind the name: `accuracy (%)`.
    pub unit: Option<String>,
    pub align: Align,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Text(String),
    /// Shown with so many decimals. A value that is not finite is shown as such: a loss that
    /// diverged is a result.
    Number {
        value: f64,
        digits: usize,
    },
    Missing,
}

impl Document {
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), sections: Vec::new() }
    }

    /// Every figure with its file name (`normal_cell.svg`), each name once.
    pub fn figures(&self) -> Vec<(String, &Figure)> {
        let mut taken = BTreeSet::new();
        let blocks = self.sections.iter().flat_map(|section| &section.blocks);
        let figures = blocks.filter_map(|block| if let Block::Figure(figure) = block { Some(figure) } else { None });
        figures
            .map(|figure| {
                let stem = file_stem(&figure.name);
                let names = std::iter::once(stem.clone()).chain((2..).map(|at| format!("{stem}_{at}")));
                let mut names = names.filter(|name| !taken.contains(name));
                let name = names.next().unwrap_or(stem);
                taken.insert(name.clone());
                (format!("{name}.svg"), figure)
            })
            .collect()
    }
}

/// Lower-case letters, digits, `-` and `_`; what else there is becomes one `_`. No longer than a
/// folder takes.
fn file_stem(name: &str) -> String {
    const LONGEST: usize = 100;
    let mut stem = String::new();
    for c in name.to_lowercase().chars() {
        if c.is_ascii_alphanumeric() || c == '-' {
            stem.push(c);
        } else if !stem.ends_with('_') {
            stem.push('_');
        }
    }
    stem.truncate(LONGEST);
    let stem = stem.trim_matches('_');
    if stem.is_empty() { "figure".to_owned() } else { stem.to_owned() }
}

impl Section {
    pub fn new(heading: impl Into<String>, blocks: Vec<Block>) -> Self {
        Self { heading: heading.into(), blocks }
    }
}

impl Table {
    pub fn new(caption: impl Into<String>, columns: Vec<Column>) -> Self {
        Self { caption: caption.into(), columns, rows: Vec::new() }
    }

    /// Adds a row. Cells that it lacks are missing; cells beyond the last column are left out.
    pub fn push(&mut self, row: impl IntoIterator<Item = Cell>) {
        let mut row: Vec<Cell> = row.into_iter().take(self.columns.len()).collect();
        row.resize(self.columns.len(), Cell::Missing);
        self.rows.push(row);
    }

    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Each as long as there are columns.
    pub fn rows(&self) -> &[Vec<Cell>] {
        &self.rows
    }
}

impl Column {
    /// Words, aligned left.
    pub fn text(name: impl Into<String>) -> Self {
        Self { name: name.into(), unit: None, align: Align::Left }
    }

    /// Numbers, aligned right.
    pub fn number(name: impl Into<String>) -> Self {
        Self { name: name.into(), unit: None, align: Align::Right }
    }

    pub fn unit(self, unit: impl Into<String>) -> Self {
        Self { unit: Some(unit.into()), ..self }
    }

    pub(super) fn shown(&self) -> String {
        self.unit.as_ref().map_or(self.name.clone(), |unit| format!("{} ({unit})", self.name))
    }
}

impl Cell {
    pub fn number(value: f64, digits: usize) -> Self {
        Self::Number { value, digits }
    }

    /// A count: whole, with commas between the thousands.
    pub fn count(value: usize) -> Self {
        Self::Number { value: value as f64, digits: 0 }
    }

    /// Missing where there is no value.
    pub fn known(value: Option<f64>, digits: usize) -> Self {
        value.map_or(Self::Missing, |value| Self::Number { value, digits })
    }

    pub(super) fn shown(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number { value, digits } => decimal(*value, *digits),
            Self::Missing => MISSING.to_owned(),
        }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::report::{
        Aggregate, Bound, Chart, DrawnCell, Expectation, Marks, Series, Summary, cell_drawing, curves,
    };
    use std::collections::BTreeMap;

    /// One document that has everything in it, with characters that each format must escape.
    pub fn everything() -> Document {
        let cell = DrawnCell {
            title: "found cell".into(),
            inputs: vec!["input".into()],
            nodes: vec![
                vec![("conv_3x3".into(), 0)],
                vec![("skip".into(), 0), ("conv_1x1".into(), 1)],
                vec![("none".into(), 0), ("conv_3x3".into(), 1), ("avg_pool_3x3".into(), 2)],
            ],
            output: vec![3],
            widths: BTreeMap::new(),
        };
        let chart = Chart {
            title: "Loss".into(),
            marks: Marks::Line,
            x_label: "epoch".into(),
            y_label: "loss".into(),
            series: vec![Series {
                name: "search & <held out>".into(),
                hue: "search & <held out>".into(),
                stroke: String::new(),
                points: vec![(1.0, 2.3), (2.0, 1.7)],
            }],
        };
        let accuracies = [93.25, 93.61, 92.98];
        let mut table = Table::new("Test accuracy by seed, CIFAR-10 | retrained", {
            let mut columns = vec![Column::text("search"), Column::number("parameters"), Column::number("n")];
            columns.extend(["test accuracy, mean", "std", "min", "max"].map(|name| Column::number(name).unit("%")));
            columns
        });
        let summarised = |values: &[f64]| {
            let Summary { n, mean, deviation, min, max } = Summary::of(values).unwrap();
            let ends = [min, max].map(|end| Cell::number(end, 2));
            [Cell::count(n), Cell::number(mean, 2), Cell::known(deviation, 2)].into_iter().chain(ends)
        };
        table.push(
            [Cell::from("single-level | softmax"), Cell::count(1_930_618)].into_iter().chain(summarised(&accuracies)),
        );
        table.push([Cell::from("bilevel <first order>"), Cell::Missing].into_iter().chain(summarised(&[91.5])));
        table.push([Cell::from("diverged"), Cell::count(0), Cell::count(2), Cell::number(f64::NAN, 2)]);
        let metrics = BTreeMap::from([
            ("table.cifar10_test_percent".to_owned(), accuracies.to_vec()),
            ("search.loss".to_owned(), vec![1.7]),
        ]);
        let expect = |metric: &str, bound| {
            Expectation { metric: metric.into(), bound, tolerance: 0.1, over: Aggregate::Mean }.check_among(&metrics)
        };
        Document {
            title: "quickstart: report".into(),
            sections: vec![
                Section::new(
                    "Results",
                    vec![
                        Block::Text(
                            "Three seeds of `search`, a < b & *not* emphasised; the text of this paragraph is longer \
                             than a line of eighty columns.\n\nA second paragraph."
                                .into(),
                        ),
                        Block::Table(table),
                        Block::Expectations(vec![
                            expect("table.cifar10_test_percent", Bound::AtLeast(93.2)),
                            expect("table.cifar10_test_percent", Bound::AtLeast(94.0)),
                            expect("table.cifar10_tset_percent", Bound::Equals(94.0)),
                        ]),
                    ],
                ),
                Section::new(
                    "Figures",
                    vec![
                        Block::Figure(Figure {
                            name: "Found cell".into(),
                            svg: cell_drawing::draw(&cell).unwrap(),
                            caption: "The cell of seed 1 [best of 3]".into(),
                            text: Some(cell_drawing::write(&cell).unwrap()),
                            series: Vec::new(),
                        }),
                        Block::Figure(Figure {
                            name: "found cell".into(),
                            svg: curves::draw(&chart),
                            caption: "Loss by epoch".into(),
                            text: None,
                            series: chart.series.clone(),
                        }),
                    ],
                ),
            ],
        }
    }

    #[test]
    fn numbers_read_well() {
        let read = [
            (1_930_618.0, 0),
            (15_625.0, 0),
            (9930.0, 0),
            (-0.001, 2),
            (-1234567.5, 1),
            (93.125, 2),
            (f64::NAN, 2),
            (f64::INFINITY, 2),
        ]
        .map(|(value, digits)| decimal(value, digits));
        assert_eq!(read.join("|"), "1,930,618|15,625|9930|0.00|-1,234,567.5|93.12|NaN|inf");
        assert_eq!(Cell::known(None, 2).shown(), "–");
    }

    #[test]
    fn rows_are_as_long_as_the_columns() {
        let mut table = Table::new("", vec![Column::text("a"), Column::text("b")]);
        table.push(["1".into()]);
        table.push(["1".into(), "2".into(), "3".into()]);
        assert_eq!(table.rows(), [vec!["1".into(), Cell::Missing], vec!["1".into(), "2".into()]]);
    }

    #[test]
    fn figures_have_file_names_that_differ() {
        let document = everything();
        let names: Vec<_> = document.figures().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["found_cell.svg", "found_cell_2.svg"]);
        assert_eq!([file_stem("../../etc/passwd"), file_stem("…")], ["etc_passwd", "figure"]);
        assert_eq!(file_stem(&"long ".repeat(100)).len(), 99);
    }
}
