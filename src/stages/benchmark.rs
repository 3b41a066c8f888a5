//! `benchmark`: looks a genotype up in a table of cells that were trained.

use super::{PlanContext, artifacts};
use crate::{
    config::Fields,
    interop::nas_bench::{NasBenchColumn, NasBenchData, NasBenchSplit, NasBenchTable},
    machine,
    records::{self, BenchmarkCell, CellAccuracy},
    run::{Context, Resource, Stage, StageError, sentence},
    space::{self, GenotypeText, Space},
};
use std::path::PathBuf;

struct Benchmark {
    table: PathBuf,
}

/// `table: nas_bench_201` is the table that the search space of that name declares;
/// `table: my/cells.csv` is a file.
pub(super) fn read(fields: &mut Fields<'_>, context: &PlanContext<'_>) -> Option<Box<dyn Stage>> {
    let name = fields.required_text("table");
    // What it says is in the key, by its digest.
    fields.exclude_from_hash("table");
    if name.is_empty() {
        return None;
    }
    let place = fields.origin_of("table").clone();
    let is_path = name.contains('/') || [".csv", ".gz"].iter().any(|ending| name.ends_with(ending));
    let found = if is_path {
        let table = machine::expanded(&name);
        let beside = context.folder.join(&table);
        Ok(if beside.exists() { beside } else { table })
    } else {
        table_of(&name, context)
    };
    match found {
        Ok(table) => {
            let why = match machine::is_file(&table) {
                Ok(true) => return Some(Box::new(Benchmark { table })),
                Ok(false) => format!("there is no table `{}`", table.display()),
                Err(error) => format!("failed to read `{}`: {}", table.display(), machine::reason(&error)),
            };
            fields.problems().add(&place, why);
            None
        }
        Err((message, hint)) => {
            fields.problems().add_with_hint(&place, message, hint);
            None
        }
    }
}

/// The table of the space `name`, or what is wrong and a way out.
fn table_of(name: &str, context: &PlanContext<'_>) -> Result<PathBuf, (String, String)> {
    let path = space::find(name, context.folder)
        .map_err(|error| (error.to_string(), error.hint.unwrap_or_else(|| "give the path of a CSV file".to_owned())))?;
    let space = Space::read(&path).map_err(|error| (error.to_string(), format!("mend `{}`", path.display())))?;
    space.benchmark.ok_or_else(|| {
        let message = format!("search space `{name}` declares no benchmark");
        (message, format!("give the path of a CSV file, or `benchmark:` in `{}`", path.display()))
    })
}

impl Stage for Benchmark {
    fn resources(&self) -> Vec<(String, Resource)> {
        vec![("table".to_owned(), Resource::Path(self.table.clone()))]
    }

    fn reads(&self, slot: &str) -> Option<&'static [&'static str]> {
        artifacts::genotype_outputs(slot)
    }

    fn run(&self, context: &mut Context<'_>) -> Result<(), StageError> {
        let derived = context.input("genotype")?;
        let space = artifacts::space(derived)?;
        let genotype = artifacts::genotype(derived, &space)?;
        let cell = artifacts::genotype_text(&genotype, GenotypeText::CellString, &space)?;
        let table = NasBenchTable::open(&self.table).map_err(|error| StageError::input(sentence(&error)))?;
        let cell = cell.trim();
        let row = table
            .by_cell(cell)
            .ok_or_else(|| StageError::input(format!("`{}` has no cell `{cell}`", self.table.display())))?;

        let mut accuracies = Vec::new();
        context.metric("index", row.index as f64);
        for column in NasBenchColumn::ALL {
            let NasBenchColumn::Accuracy(..) = column else { continue };
            let name = column.name().trim_end_matches("_acc");
            let (percent, best_percent) = (row.get(column), table.best(column).get(column));
            let (rank, of) = table.rank(row.index, column).expect("the row is of this table");
            accuracies.push(CellAccuracy { name: name.to_owned(), percent, rank, of, best_percent });
            context.metric(format!("{name}_percent"), percent);
            context.metric(format!("{name}_rank"), rank as f64);
        }
        let (cell, cells) = (cell.to_owned(), table.rows().len());
        let result = BenchmarkCell { cell, index: row.index, cells, accuracies };
        context.publish_bytes("benchmark", &records::sorted_bytes(&result))?;
        let test = NasBenchColumn::Accuracy(NasBenchData::Cifar10, NasBenchSplit::Test);
        context.summary(format!(
            "cell {} of {}, {} {:.2} %",
            row.index,
            table.rows().len(),
            test.name(),
            row.get(test)
        ));
        Ok(())
    }
}
