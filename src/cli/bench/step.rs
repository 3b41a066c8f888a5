//! A step of a search or a training.

use super::{BenchArguments, complaint, unreadable};
use crate::{
    bench::{ImageSource, Profile, StepBench, StepRow, Work, shipped},
    cli::{Complaint, ExitClass, output, threads},
    kernels::{Kernels, Precision},
    observe::Look,
    report::{Block, Cell, Column, Document, Section, Table, terminal},
};
use serde_json::json;
use std::{
    io,
    num::NonZeroUsize,
    path::Path,
    process::{Command, Stdio},
};

const BATCH: usize = 64;
const STEPS: usize = 5;

/// One configuration is measured in this process; of several each in one of its own, so that its
/// memory is its own.
pub(super) fn run(arguments: &BenchArguments) -> Result<u8, Complaint> {
    let works = arguments.work.iter().map(|name| Ok((name, read(name)?))).collect::<Result<Vec<_>, Complaint>>()?;
    let batches = arguments.batches(BATCH);
    let mut rows = Vec::new();
    let mut failures = 0;
    let mut hear = |row: Result<StepRow, (String, usize, String)>| match row {
        Ok(row) if arguments.json => output::say(serde_json::to_string(&row).expect("a row is plain data") + "\n"),
        Ok(row) => {
            rows.push(row);
            Ok(())
        }
        Err((work, batch, error)) => {
            failures += 1;
            if arguments.json {
                return output::say(format!("{}\n", json!({"work": work, "batch": batch, "error": error})));
            }
            Complaint::new(ExitClass::Failed, format!("{work}, batch {batch}: {error}")).print();
            Ok(())
        }
    };
    if let ([(name, work)], [batch]) = (&works[..], &batches[..]) {
        hear(Ok(measure(arguments, name, work.clone(), *batch)?))?;
    } else {
        for (name, _) in &works {
            for batch in &batches {
                hear(elsewhere(arguments, name, *batch).map_err(|error| ((*name).clone(), *batch, error)))?;
            }
        }
    }
    if !rows.is_empty() {
        output::say(terminal::render(&document(&rows), &Look::of_stdout()))?;
    }
    Ok(if failures == 0 { 0 } else { ExitClass::Failed.code() })
}

/// A work that ships, or that of a file.
fn read(name: &str) -> Result<Work, Complaint> {
    if !name.ends_with(".yaml") && !name.contains('/') {
        if !shipped::works().any(|known| known == name) {
            let known = shipped::works().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            let complaint = Complaint::new(ExitClass::Usage, format!("no work `{name}`"));
            return Err(complaint.hint(format!("there are `loader`, {known}, and files whose name ends in `.yaml`")));
        }
        return Work::shipped(name).map_err(|error| unreadable(&error));
    }
    Work::read(Path::new(name)).map_err(|error| unreadable(&error))
}

fn measure(arguments: &BenchArguments, name: &str, work: Work, batch: usize) -> Result<StepRow, Complaint> {
    let device = arguments.device.parse().map_err(|error| Complaint::caused(ExitClass::Usage, &error))?;
    // The process's own threads: those that a run would have, and a loader beside it.
    threads::start(arguments.threads.map(NonZeroUsize::get))?;
    let stem = Path::new(name).file_stem().map_or(name.to_owned(), |stem| stem.to_string_lossy().into_owned());
    let images = match arguments.with_data {
        true => ImageSource::FixedAndLoaded { cifar10: arguments.data.clone() },
        false => ImageSource::Fixed,
    };
    let bench = StepBench {
        name: stem,
        work,
        batch,
        device,
        kernels: arguments.kernels.into(),
        precision: arguments.precision.into(),
        steps: arguments.steps.map_or(STEPS, NonZeroUsize::get),
        warm: arguments.warm,
        images,
        profile: arguments.profile,
    };
    bench.run().map_err(|error| complaint(&error))
}

/// The same program for one configuration; what it says about a failure.
fn elsewhere(arguments: &BenchArguments, work: &str, batch: usize) -> Result<StepRow, String> {
    let BenchArguments { threads, steps, warm, device, kernels, precision, with_data, data, profile, .. } = arguments;
    let started = |error: io::Error| format!("failed to start this program again: {error}");
    let mut command = Command::new(std::env::current_exe().map_err(started)?);
    command.args(["bench", "--json", "--work", work, "--device", device]);
    let (kernels, precision) = (Kernels::from(*kernels), Precision::from(*precision));
    command.args(["--kernels".to_owned(), kernels.to_string(), "--precision".to_owned(), precision.to_string()]);
    command.args(["--batch".to_owned(), batch.to_string(), "--warm".to_owned(), warm.to_string()]);
    for (name, value) in [("--threads", threads), ("--steps", steps)] {
        command.args(value.iter().flat_map(|value| [name.to_owned(), value.to_string()]));
    }
    command.args(with_data.then_some("--with-data"));
    command.args(profile.then_some("--profile"));
    if let Some(folder) = data {
        command.arg("--data").arg(folder);
    }
    let output = command.stdin(Stdio::null()).output().map_err(started)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{}{}", said.trim().trim_start_matches("error: "), ended(&output.status)));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("its row cannot be read: {error}"))
}

/// How a process that said nothing about it came to its end: nothing to add after an exit code.
fn ended(status: &std::process::ExitStatus) -> String {
    if status.code().is_some() { String::new() } else { format!("ended by {status}") }
}

fn document(rows: &[StepRow]) -> Document {
    let with_data = rows.iter().any(|row| row.loaded.is_some());
    let mut columns = vec![
        Column::text("work"),
        Column::number("batch"),
        Column::number("images/s"),
        Column::number("ms a step"),
        Column::number("least"),
        Column::number("most"),
        Column::number("CPU ms"),
        Column::number("peak MiB"),
        Column::number("parameters"),
    ];
    if with_data {
        columns.push(Column::number("ms with data"));
        columns.push(Column::number("loss").unit("%"));
    }
    let mut table = Table::new("", columns);
    for row in rows {
        let [least, most] = row.spread;
        let mut cells = vec![
            Cell::Text(row.work.clone()),
            Cell::count(row.batch),
            Cell::number(row.images_s, 1),
            Cell::number(row.ms, 1),
            Cell::number(least, 1),
            Cell::number(most, 1),
            Cell::number(row.cpu_ms, 1),
            Cell::known(row.peak_mib, 0),
            Cell::number(row.params as f64, 0),
        ];
        if with_data {
            cells.push(Cell::known(row.loaded.map(|loaded| loaded.with_data_ms), 1));
            cells.push(Cell::known(row.loaded.map(|loaded| loaded.data_loss_percent), 1));
        }
        table.push(cells);
    }
    let what = rows.first().map_or_else(String::new, |row| {
        let StepRow { device, kernels, precision, threads, steps, .. } = row;
        format!("{device}, {kernels} kernels, {precision}, threads: {threads}, medians of {steps} steps")
    });
    let mut document = Document::new("step");
    document.sections.push(Section::new(what, vec![Block::Table(table)]));
    for row in rows {
        if let Some(profile) = &row.profile {
            document.sections.push(profiled(row, profile));
        }
    }
    document
}

/// Where a step's time goes.
fn profiled(row: &StepRow, profile: &Profile) -> Section {
    let Profile { peak, operators, rest_ms } = profile;
    let share = Column::number("share").unit("%");
    let mut table = Table::new(
        "Forward and reverse of one step. Work is that of direct convolution, a multiply-add being two; memory is the least that is moved.",
        vec![
            Column::text("operator"),
            Column::number("steps"),
            Column::number("forward").unit("ms"),
            Column::number("reverse").unit("ms"),
            share,
            Column::number("GFLOP/s"),
            Column::number("GB/s"),
        ],
    );
    let whole = rest_ms + operators.iter().map(|operator| operator.forward_ms + operator.reverse_ms).sum::<f64>();
    for operator in operators {
        let took = operator.forward_ms + operator.reverse_ms;
        let a_second = |work: f64| (work > 0.0 && took > 0.0).then(|| work * 1e3 / took);
        table.push([
            Cell::Text(operator.operator.clone()),
            Cell::count(operator.steps),
            Cell::number(operator.forward_ms, 1),
            Cell::number(operator.reverse_ms, 1),
            Cell::number(100.0 * took / whole, 1),
            Cell::known(a_second(operator.gflop), 1),
            Cell::known(a_second(operator.gbyte), 1),
        ]);
    }
    table.push([
        Cell::Text("all else".to_owned()),
        Cell::known(None, 0),
        Cell::known(None, 0),
        Cell::known(None, 0),
        Cell::number(100.0 * rest_ms / whole, 1),
        Cell::known(None, 0),
        Cell::known(None, 0),
    ]);
    let yardstick = format!(
        "This machine, {} threads: {:.0} GFLOP/s in registers, {:.1} GB/s copying memory.",
        row.threads, peak.gflop_s, peak.gbyte_s
    );
    Section::new(format!("Where the time of {} goes", row.work), vec![Block::Table(table), Block::Text(yardstick)])
}
