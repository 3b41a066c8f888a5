//! `darts-run bench --work …`: how fast this machine does a kind of work.

use super::{Complaint, ExitClass};
use crate::{
    bench::{BenchError, LoaderBench, LoaderRow, View},
    observe::Look,
    report::{Block, Cell, Column, Document, Section, Table, terminal},
};
use clap::{Args, ValueEnum};
use std::{io::Write, num::NonZeroUsize, path::PathBuf};

#[derive(Args, Debug)]
pub(super) struct BenchArguments {
    /// What to measure
    #[arg(long, value_enum)]
    work: Work,
    /// Folder of class folders of JPEG and PNG files, or one with such a `train` in it; without it, pictures are drawn
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Images a batch
    #[arg(long, value_name = "N", default_value = "32")]
    batch: NonZeroUsize,
    /// Threads; all cores without it
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Batches that are timed
    #[arg(long, value_name = "K", default_value = "25")]
    steps: NonZeroUsize,
    /// One JSON object a configuration, each on a line, instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Work {
    /// Picture files into batches, on the processor
    Loader,
}

pub(super) fn run(arguments: &BenchArguments) -> Result<u8, Complaint> {
    match arguments.work {
        Work::Loader => loader(arguments),
    }
}

fn loader(arguments: &BenchArguments) -> Result<u8, Complaint> {
    let all_cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let bench = LoaderBench {
        folder: arguments.data.clone(),
        batch: arguments.batch.get(),
        threads: arguments.threads.map_or_else(all_cores, NonZeroUsize::get),
        steps: arguments.steps.get(),
    };
    let mut rows = Vec::new();
    let measured = bench.run(|row| {
        if arguments.json {
            // A row at a time: whoever waits sees the first while the next is measured.
            say(&(serde_json::to_string(&row).expect("a row is plain data") + "\n"));
        } else {
            rows.push(row);
        }
    });
    measured.map_err(|error| complaint(&error))?;
    if !arguments.json {
        say(&terminal::render(&document(&rows), &Look::of_stdout()));
    }
    Ok(0)
}

fn complaint(error: &BenchError) -> Complaint {
    let class = match error {
        BenchError::Data(_) | BenchError::TooFew { .. } => ExitClass::Input,
        BenchError::Pictures(_) | BenchError::Threads { .. } => ExitClass::Failed,
    };
    let complaint = Complaint::caused(class, error);
    match error {
        BenchError::Data(error) => complaint.hinted(error.hint()),
        BenchError::TooFew { .. } => complaint.hint("lower `--batch`"),
        BenchError::Pictures(_) => complaint.hint("`--data FOLDER` measures with pictures of your own"),
        BenchError::Threads { .. } => complaint.hint("lower `--threads`"),
    }
}

fn say(text: &str) {
    // A closed pipe changes nothing about what was measured.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

fn document(rows: &[LoaderRow]) -> Document {
    let mut table = Table::new(
        "",
        vec![
            Column::text("view"),
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
            Cell::Text(format!("{:.0}", row.images_per_second)),
            Cell::Text(format!("{:.0}", row.images_per_second_per_core)),
            Cell::Text(format!("{:.2}", spread.median)),
            Cell::Text(format!("{:.2}", spread.least)),
            Cell::Text(format!("{:.2}", spread.greatest)),
            row.peak_mib.map_or(Cell::Missing, |peak| Cell::Text(format!("{peak:.0}"))),
        ]);
    }
    let what = rows.first().map_or_else(String::new, |row| {
        let LoaderRow { pictures, size, batch, threads, steps, .. } = row;
        format!(
            "{pictures} pictures to {size}x{size}, batches of {batch}, threads: {threads}, medians of {steps} batches"
        )
    });
    let mut document = Document::new("loader");
    document.sections.push(Section::new(what, vec![Block::Table(table)]));
    document
}
