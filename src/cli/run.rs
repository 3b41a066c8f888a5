//! `darts-run FILE`: runs a pipeline.

use super::{Complaint, ExitClass, StoreArguments, resolved};
use crate::{
    config::{self, ConfigError, Pipeline, Problems},
    model::DeviceName,
    observe::{self, Fan, Jsonl, Look},
    run::{self, Listener, Planned, RunReport, Stop},
    stages,
    store::Store,
};
use clap::Args;
use std::{
    collections::BTreeSet,
    ffi::OsString,
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
};

#[derive(Args, Debug)]
pub(super) struct RunArguments {
    /// Pipeline to run
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Set a key: `--set search.epochs=3`, `--set data.root=/data`, `--set matrix.seed=[1,2]`
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// Print the pipeline with every default filled in, and run nothing
    #[arg(long)]
    resolve: bool,
    #[command(flatten)]
    store: StoreArguments,
    /// Write every event as a line of JSON
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
}

pub(super) fn run(arguments: &RunArguments) -> Result<u8, Complaint> {
    // Optional for clap alone, which knows a command or a file, but not "one of the two".
    let Some(file) = &arguments.file else { return Err(Complaint::usage("no pipeline file was given")) };
    let (pipeline, planned) = plan(file, arguments)?;
    if arguments.resolve {
        // A reader that went away has seen enough.
        let _ = std::io::stdout().lock().write_all(resolved::yaml(&pipeline, &planned)?.as_bytes());
        return Ok(0);
    }
    devices(&pipeline)?;
    let store = Store::open(&arguments.store.store).map_err(|error| Complaint::caused(ExitClass::Store, &error))?;
    // Before signals are ours: the wait for somebody who cleans up ends with Ctrl-C.
    let _hold = store.hold().map_err(|error| Complaint::caused(ExitClass::Store, &error))?;
    let stop = Stop::on_signals().map_err(|error| Complaint::caused(ExitClass::Failed, &error))?;
    threads(&pipeline)?;

    let screen = observe::on_stderr();
    let listener: Arc<dyn Listener> = match &arguments.events {
        None => screen,
        Some(path) => {
            let events = Jsonl::create(path, screen.clone()).map_err(|error| {
                Complaint::new(ExitClass::Usage, format!("failed to write `{}`: {error}", path.display()))
            })?;
            Arc::new(Fan::new(vec![screen, Arc::new(events)]))
        }
    };
    // A panic in a stage is caught and told as that stage's failure; the default hook would tell it twice.
    std::panic::set_hook(Box::new(|_| {}));
    let report = run::run(&pipeline, planned, &store, &stop, listener.as_ref());
    let _ = std::panic::take_hook();

    print_reports(&report, &store, &pipeline)?;
    Ok(u8::try_from(report.ending().exit_code()).unwrap_or(1))
}

/// The pipeline with its stages, or everything that is wrong with the file and with the keys of its stages.
fn plan(file: &Path, arguments: &RunArguments) -> Result<(Pipeline, Vec<Planned>), Complaint> {
    let environment = environment(std::env::vars_os())?;
    match config::load(file, &arguments.settings, environment.into_iter(), &stages::slots()) {
        Ok(pipeline) => match stages::plan(&pipeline) {
            Ok(planned) => Ok((pipeline, planned)),
            Err(problems) => Err(invalid(&problems)),
        },
        Err(ConfigError::Invalid { mut problems, understood }) => {
            let stages = understood.map(|pipeline| stages::plan(&pipeline));
            if let Some(Err(more)) = stages {
                problems.extend(more);
            }
            Err(invalid(&problems))
        }
        Err(other) => Err(Complaint::caused(ExitClass::Input, &other).hinted(other.hint())),
    }
}

/// The variables that are ours. One that is no text cannot be obeyed, and is not passed by.
fn environment(all: impl Iterator<Item = (OsString, OsString)>) -> Result<Vec<(String, String)>, Complaint> {
    let mut ours = Vec::new();
    for (name, value) in all.filter(|(name, _)| name.as_encoded_bytes().starts_with(b"DARTS_RUN_")) {
        let shown = name.to_string_lossy().into_owned();
        match (name.into_string(), value.into_string()) {
            (Ok(name), Ok(value)) => ours.push((name, value)),
            // Its value is a path, which may be anything.
            _ if shown == "DARTS_RUN_STORE" => {}
            _ => return Err(Complaint::input(format!("environment variable `{shown}` is not UTF-8"))),
        }
    }
    Ok(ours)
}

pub(super) fn invalid(problems: &Problems) -> Complaint {
    let look = Look::of_stderr();
    Complaint::input(config::render(problems, look.colour, look.width))
}

/// Every device can be opened: a run that would end at its first search does not start.
fn devices(pipeline: &Pipeline) -> Result<(), Complaint> {
    let names: BTreeSet<&str> = pipeline.members.iter().map(|member| member.runtime.device.as_str()).collect();
    for name in names {
        let device = name.parse().and_then(DeviceName::open);
        device.map_err(|error| Complaint::caused(ExitClass::Input, &error))?;
    }
    Ok(())
}

/// Kernels use as many threads as the pipeline says, all cores otherwise. The result does not depend on it.
fn threads(pipeline: &Pipeline) -> Result<(), Complaint> {
    let Some(threads) = pipeline.members.iter().filter_map(|member| member.runtime.threads).max() else {
        return Ok(());
    };
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()
        .map_err(|error| Complaint::new(ExitClass::Failed, format!("failed to start {threads} threads: {error}")))
}

/// Results on stdout: the text of every report, and where its files are.
fn print_reports(report: &RunReport, store: &Store, pipeline: &Pipeline) -> Result<(), Complaint> {
    let failed =
        |error: std::io::Error| Complaint::new(ExitClass::Failed, format!("failed to print the report: {error}"));
    let mut stdout = std::io::stdout().lock();
    for member in &report.members {
        let Some(record) = &member.record else { continue };
        let Some(text) = record.outputs.get("report.txt") else { continue };
        let text = std::fs::read_to_string(store.object_path(&text.digest)).map_err(failed)?;
        let folder = stages::export_report(store, &pipeline.name, &member.name, record)
            .map_err(|error| Complaint::caused(ExitClass::Store, &error))?;
        match writeln!(stdout, "\n{}\n\nThe report and its figures: {}", text.trim_end(), folder.display()) {
            // A reader that went away (`| head`) has seen enough.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
            other => other.map_err(failed)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;

    #[test]
    fn a_variable_of_ours_that_is_no_text_is_named_and_others_do_not_matter() {
        let bytes = || OsString::from_vec(vec![b'/', 0xe9]);
        let all =
            [("PATH".into(), bytes()), ("DARTS_RUN_STORE".into(), bytes()), ("DARTS_RUN_DATA".into(), "x".into())];
        let known = environment(all.clone().into_iter()).unwrap();
        assert_eq!(known, [("DARTS_RUN_DATA".to_owned(), "x".to_owned())]);
        let said = environment(all.into_iter().chain([("DARTS_RUN_DATA".into(), bytes())])).unwrap_err();
        assert_eq!(said.message, "environment variable `DARTS_RUN_DATA` is not UTF-8");
    }
}
