//! The NAS-Bench-201 table: trained accuracies of every cell.
//!
//! A CSV, plain or gzip'd, with the columns of `search_spaces/tables/README.md`; others may stand
//! between them. Accuracies are per cent.

use crate::{
    machine::{self, Lines},
    space::Space,
};
use flate2::read::GzDecoder;
use std::{
    borrow::Cow,
    collections::HashMap,
    io::{self, BufReader, Read},
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

/// All rows, with a look-up by cell string.
#[derive(Debug)]
pub struct NasBenchTable {
    rows: Vec<NasBenchRow>,
    by_cell: HashMap<String, usize>,
    by_index: HashMap<usize, usize>,
}

/// One cell.
#[derive(Debug, Clone, PartialEq)]
pub struct NasBenchRow {
    /// The benchmark's own number of the cell.
    pub index: usize,
    /// `|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`
    pub cell: String,
    values: [f64; NasBenchColumn::ALL.len()],
}

/// The data set that cells were trained on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NasBenchData {
    Cifar10,
    Cifar100,
    ImageNet16_120,
}

/// The images that accuracy was measured on: which ones, `search_spaces/tables/README.md` says for
/// each data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NasBenchSplit {
    Valid,
    Test,
}

/// A column of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NasBenchColumn {
    /// Per cent, after the full training of 200 epochs.
    Accuracy(NasBenchData, NasBenchSplit),
    /// Per cent, after the short training of 12 epochs.
    ShortAccuracy(NasBenchData, NasBenchSplit),
    Parameters(NasBenchData),
    /// In millions. The benchmark's counter adds the classifier's biases, one for each class, which
    /// [`Cost::multiply_adds`](crate::space::Cost::multiply_adds) leaves out (as the counts
    /// published for DARTS do).
    MultiplyAdds(NasBenchData),
}

/// A table cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum NasBenchError {
    #[error("failed to open table `{path}`")]
    Open {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// Cut short, not gzip after all, not text.
    #[error("failed to read table `{path}` after line {line}")]
    Read {
        path: PathBuf,
        line: u64,
        #[source]
        source: csv::Error,
    },
    #[error("table `{path}` lacks the column `{column}`")]
    MissingColumn { path: PathBuf, column: &'static str },
    #[error("`{path}` line {line}: {found} fields, the header has {expected}")]
    Fields { path: PathBuf, line: u64, found: u64, expected: u64 },
    #[error("`{path}` line {line}: column `{column}` is `{text}`, not {expected}")]
    Value { path: PathBuf, line: u64, column: &'static str, text: String, expected: &'static str },
    #[error("`{path}` line {line}: {what} is there twice")]
    Repeated { path: PathBuf, line: u64, what: String },
    #[error("table `{path}` has no rows")]
    Empty { path: PathBuf },
    #[error("table `{path}` has {cells} cells, and no cell {index}")]
    NoCell { path: PathBuf, cells: usize, index: usize },
}

/// A genotype's text; where that is a number, the cell that has it in the table of the space.
///
/// # Errors
/// Where the table cannot be read, or has no such cell.
pub fn cell_text<'a>(text: &'a str, space: &Space) -> Result<Cow<'a, str>, NasBenchError> {
    let table = space.benchmark.as_deref().filter(|path| path.is_file());
    let (Ok(index), Some(path)) = (text.trim().parse(), table) else { return Ok(Cow::Borrowed(text)) };
    let table = NasBenchTable::open(path)?;
    match table.by_index(index) {
        Some(row) => Ok(Cow::Owned(row.cell.clone())),
        None => Err(NasBenchError::NoCell { path: path.to_owned(), cells: table.rows.len(), index }),
    }
}

use NasBenchColumn::{Accuracy, MultiplyAdds, Parameters, ShortAccuracy};
use NasBenchData::{Cifar10, Cifar100, ImageNet16_120};
use NasBenchSplit::{Test, Valid};

impl NasBenchColumn {
    /// Every column, accuracies after full training first.
    pub const ALL: [Self; 18] = [
        Accuracy(Cifar10, Valid),
        Accuracy(Cifar10, Test),
        Accuracy(Cifar100, Valid),
        Accuracy(Cifar100, Test),
        Accuracy(ImageNet16_120, Valid),
        Accuracy(ImageNet16_120, Test),
        Parameters(Cifar10),
        Parameters(Cifar100),
        Parameters(ImageNet16_120),
        MultiplyAdds(Cifar10),
        MultiplyAdds(Cifar100),
        MultiplyAdds(ImageNet16_120),
        ShortAccuracy(Cifar10, Valid),
        ShortAccuracy(Cifar10, Test),
        ShortAccuracy(Cifar100, Valid),
        ShortAccuracy(Cifar100, Test),
        ShortAccuracy(ImageNet16_120, Valid),
        ShortAccuracy(ImageNet16_120, Test),
    ];

    /// The column's name in a table.
    pub fn name(self) -> &'static str {
        match self {
            Accuracy(Cifar10, Valid) => "cifar10_valid_acc",
            Accuracy(Cifar10, Test) => "cifar10_test_acc",
            Accuracy(Cifar100, Valid) => "cifar100_valid_acc",
            Accuracy(Cifar100, Test) => "cifar100_test_acc",
            Accuracy(ImageNet16_120, Valid) => "imagenet16_120_valid_acc",
            Accuracy(ImageNet16_120, Test) => "imagenet16_120_test_acc",
            Parameters(Cifar10) => "params_cifar10",
            Parameters(Cifar100) => "params_cifar100",
            Parameters(ImageNet16_120) => "params_imagenet16_120",
            MultiplyAdds(Cifar10) => "mflops_cifar10",
            MultiplyAdds(Cifar100) => "mflops_cifar100",
            MultiplyAdds(ImageNet16_120) => "mflops_imagenet16_120",
            ShortAccuracy(Cifar10, Valid) => "ep12_cifar10_valid_acc",
            ShortAccuracy(Cifar10, Test) => "ep12_cifar10_test_acc",
            ShortAccuracy(Cifar100, Valid) => "ep12_cifar100_valid_acc",
            ShortAccuracy(Cifar100, Test) => "ep12_cifar100_test_acc",
            ShortAccuracy(ImageNet16_120, Valid) => "ep12_imagenet16_120_valid_acc",
            ShortAccuracy(ImageNet16_120, Test) => "ep12_imagenet16_120_test_acc",
        }
    }

    /// True of accuracies; of costs less is better.
    pub fn higher_is_better(self) -> bool {
        matches!(self, Accuracy(..) | ShortAccuracy(..))
    }

    /// What a value can be, and that in words.
    fn range(self) -> (RangeInclusive<f64>, &'static str) {
        match self {
            Accuracy(..) | ShortAccuracy(..) => (0.0..=100.0, "a percentage from 0 to 100"),
            Parameters(_) | MultiplyAdds(_) => (0.0..=f64::MAX, "a number from 0"),
        }
    }

    fn position(self) -> usize {
        Self::ALL.iter().position(|column| *column == self).expect("ALL has every column")
    }

    /// Whether `a` beats `b`.
    fn better(self, a: f64, b: f64) -> bool {
        if self.higher_is_better() { a > b } else { a < b }
    }
}

impl NasBenchRow {
    /// In the column's own unit.
    pub fn get(&self, column: NasBenchColumn) -> f64 {
        self.values[column.position()]
    }
}

impl NasBenchTable {
    /// Reads the table at `path`, unpacking it if it begins as gzip does.
    ///
    /// # Errors
    /// Where it cannot be read, or a line of it is no cell of the benchmark.
    pub fn open(path: &Path) -> Result<Self, NasBenchError> {
        let open_error = |source| NasBenchError::Open { path: path.to_owned(), source };
        let mut file = machine::open(path).map_err(open_error)?;
        let mut head = Vec::with_capacity(2);
        file.by_ref().take(2).read_to_end(&mut head).map_err(open_error)?;
        let packed = head == [0x1f, 0x8b];
        let whole = io::Cursor::new(head).chain(BufReader::new(file));
        if packed { Self::read(path, GzDecoder::new(whole)) } else { Self::read(path, whole) }
    }

    fn read(path: &Path, input: impl Read) -> Result<Self, NasBenchError> {
        let mut reader = csv::ReaderBuilder::new().from_reader(Lines::new(input));
        let header = reader.headers().map_err(|source| read_error(path, 0, source))?.clone();
        let find = |name: &'static str| {
            let missing = || NasBenchError::MissingColumn { path: path.to_owned(), column: name };
            header.iter().position(|column| column.trim() == name).ok_or_else(missing)
        };
        let (index_at, cell_at) = (find("index")?, find("arch")?);
        let mut values_at = [0; NasBenchColumn::ALL.len()];
        for (at, column) in values_at.iter_mut().zip(NasBenchColumn::ALL) {
            *at = find(column.name())?;
        }
        let mut table = Self { rows: Vec::new(), by_cell: HashMap::new(), by_index: HashMap::new() };
        let mut record = csv::StringRecord::new();
        let mut line = 1;
        while reader.read_record(&mut record).map_err(|source| read_error(path, line, source))? {
            line = record.position().map_or(line + 1, csv::Position::line);
            let wrong = |column, text: &str, expected| NasBenchError::Value {
                path: path.to_owned(),
                line,
                column,
                text: text.to_owned(),
                expected,
            };
            let index = record[index_at].trim();
            let index = index.parse().map_err(|_| wrong("index", index, "a whole number"))?;
            let mut values = [0.0; NasBenchColumn::ALL.len()];
            for ((value, at), column) in values.iter_mut().zip(values_at).zip(NasBenchColumn::ALL) {
                let text = record[at].trim();
                let (range, expected) = column.range();
                let number = text.parse().ok().filter(|number: &f64| range.contains(number));
                *value = number.ok_or_else(|| wrong(column.name(), text, expected))?;
            }
            let cell = record[cell_at].trim();
            if !is_cell(cell) {
                return Err(wrong("arch", cell, "a cell, `|op~0|+|op~0|op~1|+…`, each source a state before its node"));
            }
            let row = NasBenchRow { index, cell: cell.to_owned(), values };
            table.add(row).map_err(|what| NasBenchError::Repeated { path: path.to_owned(), line, what })?;
        }
        if table.rows.is_empty() {
            return Err(NasBenchError::Empty { path: path.to_owned() });
        }
        Ok(table)
    }

    fn add(&mut self, row: NasBenchRow) -> Result<(), String> {
        let position = self.rows.len();
        if self.by_index.insert(row.index, position).is_some() {
            return Err(format!("index {}", row.index));
        }
        if self.by_cell.insert(row.cell.clone(), position).is_some() {
            return Err(format!("cell `{}`", row.cell));
        }
        self.rows.push(row);
        Ok(())
    }

    /// In the order of the file.
    pub fn rows(&self) -> &[NasBenchRow] {
        &self.rows
    }

    /// The row of exactly this cell string.
    pub fn by_cell(&self, cell: &str) -> Option<&NasBenchRow> {
        self.by_cell.get(cell).map(|&position| &self.rows[position])
    }

    /// The row of the benchmark's cell number.
    pub fn by_index(&self, index: usize) -> Option<&NasBenchRow> {
        self.by_index.get(&index).map(|&position| &self.rows[position])
    }

    /// The place of cell `index` in `column`, 1 being the best, and out of how many; equal cells
    /// share the better place.
    pub fn rank(&self, index: usize, column: NasBenchColumn) -> Option<(usize, usize)> {
        let own = self.by_index(index)?.get(column);
        let better = self.rows.iter().filter(|row| column.better(row.get(column), own)).count();
        Some((better + 1, self.rows.len()))
    }

    /// The best row of `column`, of equal ones the first.
    pub fn best(&self, column: NasBenchColumn) -> &NasBenchRow {
        let (first, rest) = self.rows.split_first().expect("a table without rows is refused");
        rest.iter().fold(first, |best, row| if column.better(row.get(column), best.get(column)) { row } else { best })
    }
}

/// Whether a text has the form of a cell: every node between bars, each choice an operation and a
/// state that is there.
fn is_cell(text: &str) -> bool {
    let is_choice = |choice: &str, node: usize| {
        choice.split_once('~').is_some_and(|(operation, source)| {
            !operation.is_empty() && source.parse().is_ok_and(|source: usize| source <= node)
        })
    };
    text.split('+').enumerate().all(|(node, choices)| {
        let choices = choices.strip_prefix('|').and_then(|choices| choices.strip_suffix('|'));
        choices.is_some_and(|choices| choices.split('|').all(|choice| is_choice(choice, node)))
    })
}

fn read_error(path: &Path, line: u64, source: csv::Error) -> NasBenchError {
    let path = path.to_owned();
    match *source.kind() {
        csv::ErrorKind::UnequalLengths { ref pos, expected_len, len } => {
            let line = pos.as_ref().map_or(line + 1, csv::Position::line);
            NasBenchError::Fields { path, line, found: len, expected: expected_len }
        }
        _ => NasBenchError::Read { path, line, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{edited::edited, space::Genotype};
    use rayon::prelude::*;
    use std::io::Write as _;

    fn shipped() -> NasBenchTable {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("search_spaces/tables/nas_bench_201.csv.gz");
        NasBenchTable::open(&path).unwrap()
    }

    fn open_text(text: &str) -> Result<NasBenchTable, NasBenchError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        NasBenchTable::open(file.path())
    }

    /// A table of rows that hold one number everywhere, with a column that nobody knows.
    fn text(rows: &[(usize, &str, &str)]) -> String {
        let names: Vec<&str> = NasBenchColumn::ALL.iter().map(|column| column.name()).collect();
        let mut text = format!("index,note,arch,{}\n", names.join(","));
        for (index, cell, value) in rows {
            let values = [*value; NasBenchColumn::ALL.len()].join(",");
            text.push_str(&format!("{index},x,|{cell}~0|,{values}\n"));
        }
        text
    }

    #[test]
    fn the_shipped_table_has_its_landmarks() {
        let table = shipped();
        assert_eq!(table.rows().len(), 15_625);
        let best = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|";
        let row = table.by_cell(best).unwrap();
        assert_eq!(row.index, 9930);
        assert!((row.get(Accuracy(Cifar10, Test)) - 94.36).abs() < 0.005);
        assert!((row.get(Accuracy(ImageNet16_120, Test)) - 46.34).abs() < 0.005);
        assert_eq!(row.get(Parameters(Cifar10)), 1_288_506.0);
        for (column, index) in [
            (Accuracy(Cifar10, Valid), 6111),
            (Accuracy(Cifar10, Test), 6111),
            (Accuracy(Cifar100, Valid), 9930),
            (Accuracy(Cifar100, Test), 9930),
            (Accuracy(ImageNet16_120, Valid), 10676),
            (Accuracy(ImageNet16_120, Test), 857),
        ] {
            assert_eq!(table.best(column).index, index, "{}", column.name());
            assert_eq!(table.rank(index, column), Some((1, 15_625)));
        }
        assert_eq!(table.rank(15_625, Accuracy(Cifar10, Test)), None);
        assert!(table.by_cell("|none~0|").is_none());
    }

    #[test]
    fn equal_cells_share_the_better_rank_and_of_costs_less_is_better() {
        let table = open_text(&text(&[(3, "a", "1"), (1, "b", "2"), (2, "c", "2"), (7, "d", "0.5")])).unwrap();
        let ranks = |column| [3, 1, 2, 7].map(|index| table.rank(index, column).unwrap().0);
        assert_eq!(ranks(Accuracy(Cifar10, Test)), [3, 1, 1, 4]);
        assert_eq!(ranks(Parameters(Cifar100)), [2, 3, 3, 1]);
        assert_eq!(table.best(Accuracy(Cifar10, Test)).index, 1);
        assert_eq!(table.by_index(7).unwrap().cell, "|d~0|");
    }

    #[test]
    fn a_bad_table_is_refused_with_its_place() {
        let good = text(&[(0, "a", "1"), (1, "b", "2")]);
        assert!(matches!(
            open_text(&edited(&good, &[("params_cifar10,", "parameters,")])).unwrap_err(),
            NasBenchError::MissingColumn { column: "params_cifar10", .. }
        ));
        assert!(matches!(open_text("").unwrap_err(), NasBenchError::MissingColumn { column: "index", .. }));
        assert!(matches!(open_text(&text(&[])).unwrap_err(), NasBenchError::Empty { .. }));
        let bad = open_text(&text(&[(0, "a", "1"), (1, "b", "two")])).unwrap_err();
        assert!(matches!(&bad, NasBenchError::Value { line: 3, column: "cifar10_valid_acc", .. }), "{bad}");
        assert!(
            bad.to_string().ends_with("line 3: column `cifar10_valid_acc` is `two`, not a percentage from 0 to 100"),
            "{bad}"
        );
        for accuracy in ["1e308", "-1", "100.5"] {
            let bad = open_text(&text(&[(0, "a", accuracy)])).unwrap_err().to_string();
            assert!(bad.contains("line 2: column `cifar10_valid_acc` is `"), "{bad}");
        }
        let no_cell = open_text(&edited(&good, &[("|b~0|", "|b~0|+|b~2|c~0|")])).unwrap_err().to_string();
        assert!(no_cell.contains("line 3: column `arch` is `|b~0|+|b~2|c~0|`, not a cell"), "{no_cell}");
        assert!(open_text(&text(&[(0, "a", "NaN")])).is_err());
        let short = format!("{good}2,x,c,1,2\n");
        assert!(matches!(
            open_text(&short).unwrap_err(),
            NasBenchError::Fields { line: 4, found: 5, expected: 21, .. }
        ));
        let twice = open_text(&text(&[(0, "a", "1"), (1, "a", "2")])).unwrap_err();
        assert!(matches!(&twice, NasBenchError::Repeated { line: 3, .. }), "{twice}");
    }

    #[test]
    fn a_packed_table_cut_short_is_refused() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("search_spaces/tables/nas_bench_201.csv.gz");
        let bytes = std::fs::read(path).unwrap();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&bytes[..bytes.len() / 2]).unwrap();
        let error = NasBenchTable::open(file.path()).unwrap_err();
        assert!(matches!(error, NasBenchError::Read { line: 1000.., .. } | NasBenchError::Fields { .. }), "{error}");
        assert!(matches!(NasBenchTable::open(Path::new("/no/such")).unwrap_err(), NasBenchError::Open { .. }));
    }

    /// Cost of every cell: what this project counts is what the benchmark counted.
    #[test]
    fn every_cell_costs_what_the_table_says() {
        let space = crate::space::shipped::space("nas_bench_201");
        shipped().rows().par_iter().enumerate().for_each(|(position, row)| {
            let genotype = Genotype::parse(&row.cell, &space).unwrap();
            let cost = |side, classes| {
                space.discrete(&genotype, &crate::space::shipped::build("final", side, classes)).unwrap().cost()
            };
            let check = |data, side, classes| {
                let cost = cost(side, classes);
                let mflops = format!("{:.6}", (cost.multiply_adds as f64 + classes as f64) / 1e6);
                let expected = format!("{:.6}", row.get(MultiplyAdds(data)));
                let found = (cost.parameters as f64, mflops);
                assert_eq!(found, (row.get(Parameters(data)), expected), "{}", row.cell);
            };
            check(Cifar10, 32, 10);
            if position % 50 == 0 {
                check(Cifar100, 32, 100);
                check(ImageNet16_120, 16, 120);
            }
        });
    }
}
