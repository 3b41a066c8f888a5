//! Picture files into batches.

use super::{BenchArguments, complaint};
use crate::{
    bench::{LoaderBench, LoaderRow, View},
    cli::{Complaint, output},
    observe::Look,
    report::{Block, Cell, Column, Document, Section, Table, terminal},
};
use std::num::NonZeroUsize;

const BATCH: usize = 32;
const STEPS: usize = 25;

pub(super) fn run(arguments: &BenchArguments) -> Result<u8, Complaint> {
    let all_cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let mut rows = Vec::new();
    let mut said = Ok(());
    for batch in arguments.batches(BATCH) {
        let bench = LoaderBench {
            folder: arguments.data.clone(),
            batch,
            threads: arguments.threads.map_or_else(all_cores, NonZeroUsize::get),
            steps: arguments.steps.map_or(STEPS, NonZeroUsize::get),
        };
        let measured = bench.run(|row| {
            if arguments.json {
                // A row at a time: whoever waits sees the first while the next is measured.
                let row = serde_json::to_string(&row).expect("a row is plain data") + "\n";
                said = std::mem::replace(&mut said, Ok(())).and_then(|()| output::say(row));
            } else {
                rows.push(row);
            }
        });
        measured.map_err(|error| complaint(&error))?;
    }
    if !arguments.json {
        said = output::say(terminal::render(&document(&rows), &Look::of_stdout()));
    }
    said.map(|()| 0)
}

fn document(rows: &[LoaderRow]) -> Document {
    let mut table = Table::new(
        "",
        vec![
            Column::text("view"),
            Column::number("batch"),
            Column::number("images/s"),
            Column::number("a core"),
            Column::number("ms a batch"),
            Column::number("least"),
            Column::number("most"),
            Column::number("peak MiB"),
        ],
    );
    for row in rows {
        let view = match row.view {
            View::TrainingWithJitter => "crop, flip, colours",
            View::Training => "crop, flip",
            View::Evaluation => "middle",
        };
        let spread = row.ms_per_batch;
        table.push([
            Cell::Text(view.to_owned()),
            Cell::count(row.batch),
            Cell::Text(format!("{:.0}", row.images_per_second)),
            Cell::Text(format!("{:.0}", row.images_per_second_per_core)),
            Cell::Text(format!("{:.2}", spread.median)),
            Cell::Text(format!("{:.2}", spread.least)),
            Cell::Text(format!("{:.2}", spread.greatest)),
            row.peak_mib.map_or(Cell::Missing, |peak| Cell::Text(format!("{peak:.0}"))),
        ]);
    }
    let what = rows.first().map_or_else(String::new, |row| {
        let LoaderRow { pictures, size, threads, steps, .. } = row;
        format!("{pictures} pictures to {size}x{size}, threads: {threads}, medians of {steps} batches")
    });
    let mut document = Document::new("loader");
    document.sections.push(Section::new(what, vec![Block::Table(table)]));
    document
}
