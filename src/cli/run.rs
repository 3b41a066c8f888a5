//! `darts-run FILE`: runs a pipeline.

use super::{
    Complaint, ExitClass, StoreArguments,
    destination::{Destination, OutputOptions},
    output, path, resolved, threads, times,
};
use crate::{
    config::{self, ConfigError, Member, Origin, Pipeline, Problems},
    model::DeviceName,
    observe::{self, Fan, Jsonl, Look},
    run::{self, Listener, Manner, Planned, RunReport, Stop},
    stages,
    store::Store,
    tasks,
};
use clap::Args;
use indexmap::IndexSet;
use std::{
    collections::BTreeSet,
    ffi::OsString,
    fmt::Write as _,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::Arc,
};

/// What is changed of a pipeline's file.
#[derive(Args, Debug)]
pub(super) struct PipelineArguments {
    /// Set a key: `--set search.epochs=3`, `--set data.root=/data`, `--set matrix.seed=[1,2]`
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub settings: Vec<String>,
    /// Only these stages and what they read; `search`, or of a matrix `'search[seed=1]'`
    #[arg(value_name = "STAGE")]
    pub stages: Vec<String>,
}

#[derive(Args, Debug)]
pub(super) struct RunArguments {
    /// Pipeline to run
    #[arg(value_name = "FILE", value_parser = path())]
    file: Option<PathBuf>,
    #[command(flatten)]
    pipeline: PipelineArguments,
    /// Make these stages again although their results are there
    #[arg(long, value_name = "STAGE")]
    rerun: Vec<String>,
    /// Make these stages again, and all that reads them
    #[arg(long, value_name = "STAGE")]
    from: Vec<String>,
    /// Run so many stages side by side, each on its share of the threads
    #[arg(long, value_name = "N", default_value_t = NonZeroUsize::MIN)]
    jobs: NonZeroUsize,
    /// Start nothing more once a stage failed (else what does not read it goes on)
    #[arg(long)]
    fail_fast: bool,
    /// Make these stages alone: what they read must be in the store
    #[arg(long, requires = "stages")]
    alone: bool,
    /// Print the pipeline with every default filled in, and run nothing
    #[arg(long)]
    resolve: bool,
    #[command(flatten)]
    store: StoreArguments,
    /// Write every event as a line of JSON
    #[arg(long, value_name = "FILE", value_parser = path())]
    events: Option<PathBuf>,
    /// Replace a file of events that is there
    #[arg(long, requires = "events")]
    force: bool,
}

pub(super) fn run(arguments: &RunArguments) -> Result<u8, Complaint> {
    // Optional for clap alone, which knows a command or a file, but not "one of the two".
    let Some(file) = &arguments.file else { return Err(Complaint::usage("no pipeline file was given")) };
    let mut pipeline = loaded(file, &arguments.pipeline)?;
    let named = || arguments.pipeline.stages.iter().flat_map(|stage| pipeline.named(stage)).collect::<BTreeSet<_>>();
    let alone = arguments.alone.then(named);
    let is_made = |at: &usize| alone.as_ref().is_none_or(|made| made.contains(at));
    // Where they are made there is memory enough.
    for at in (0..pipeline.members.len()).filter(|at| !is_made(at)) {
        pipeline.members[at].runtime.allow_memory = true;
    }
    let planned = plan(&pipeline)?;
    if arguments.resolve {
        let is_stage = |name: &&String| pipeline.members.iter().any(|member| member.stage == **name);
        if let Some(part) = arguments.pipeline.stages.iter().find(|name| !is_stage(name)) {
            let complaint = Complaint::usage(format!("`--resolve` takes whole stages, and `{part}` is a part of one"));
            return Err(complaint.hint("name the stage, and say with `--set matrix.…` what of the matrix is wanted"));
        }
        output::say(resolved::yaml(&pipeline, &planned)?)?;
        return Ok(0);
    }
    let made = || pipeline.members.iter().enumerate().filter(|(at, _)| is_made(at)).map(|(_, member)| member);
    devices(made())?;
    let again = again(&pipeline, arguments)?;
    let events = arguments.events.as_deref().map(|path| events_file(path, arguments.force, &pipeline)).transpose()?;
    let store = Store::open(&arguments.store.store).map_err(|error| Complaint::store(&error))?;
    // Before signals are ours: the wait for somebody who cleans up ends with Ctrl-C.
    let _hold = store.hold().map_err(|error| Complaint::store(&error))?;
    let stop = Stop::on_signals().map_err(|error| Complaint::caused(ExitClass::Failed, &error))?;
    // Kernels use as many threads as the pipeline says. The result does not depend on it.
    let wanted = made().filter_map(|member| member.runtime.threads).max();
    threads::start(wanted)?;
    let lanes = threads::lanes(arguments.jobs, wanted)?;
    let manner = Manner { again, alone, fail_fast: arguments.fail_fast, lanes };

    let screen = observe::on_stderr();
    let events = match events {
        None => None,
        Some((name, file)) => {
            let file = file
                .open()
                .map_err(|error| Complaint::new(ExitClass::Failed, format!("failed to write `{name}`: {error}")))?;
            Some(Arc::new(Jsonl::new(name, file, screen.clone())))
        }
    };
    let listener: Arc<dyn Listener> = match &events {
        None => screen,
        Some(events) => Arc::new(Fan::new(vec![screen, events.clone()])),
    };
    let report = run::run(&pipeline, planned, &store, &stop, listener.as_ref(), &manner);

    let code = u8::try_from(report.ending().exit_code()).unwrap_or(1);
    let printed = reports(&report, &store, &pipeline).and_then(output::say);
    match printed {
        // How the run ended says more.
        Err(complaint) if code != 0 => complaint.print(),
        other => other?,
    }
    let lost = code == 0 && events.is_some_and(|events| !events.is_whole());
    Ok(if lost { ExitClass::Failed.code() } else { code })
}

/// The file of events, which must be none that the pipeline was read from. What stages read and
/// what a store keeps is not known here, so that of the files that are there only one of events is
/// replaced.
fn events_file(path: &Path, force: bool, pipeline: &Pipeline) -> Result<(String, Destination), Complaint> {
    let written_in = |origin: &Origin| match origin {
        Origin::File { source, .. } => Some(source.path.clone()),
        _ => None,
    };
    let bases = pipeline.members.iter().filter_map(|member| written_in(&member.origin));
    let inputs = bases.chain([pipeline.path.clone()]).collect();
    let file = Destination::at(&OutputOptions { path, option: "--events", force, inputs })?;
    if path.is_file() && !observe::is_of_events(path).unwrap_or(false) {
        let message = format!("`{}` is there and holds no events", path.display());
        return Err(Complaint::input(message).hint("name another file with `--events`"));
    }
    Ok((path.display().to_string(), file))
}

/// The pipeline with its stages, or everything that is wrong with the keys of those.
pub(super) fn planned(file: &Path, arguments: &PipelineArguments) -> Result<(Pipeline, Vec<Planned>), Complaint> {
    let pipeline = loaded(file, arguments)?;
    let planned = plan(&pipeline)?;
    Ok((pipeline, planned))
}

/// The stages of a pipeline, or everything that is wrong with their keys.
pub(super) fn plan(pipeline: &Pipeline) -> Result<Vec<Planned>, Complaint> {
    stages::plan(pipeline, tasks::KINDS).map_err(|problems| invalid(&problems))
}

/// The pipeline, whatever its stages need of this machine. Where the file is wrong, all that is
/// wrong with its stages is told too.
pub(super) fn loaded(file: &Path, arguments: &PipelineArguments) -> Result<Pipeline, Complaint> {
    let environment = own_environment()?;
    match config::load(file, &arguments.settings, environment.into_iter(), &stages::slots()) {
        Ok(pipeline) => only(pipeline, &arguments.stages),
        Err(ConfigError::Invalid { mut problems, understood }) => {
            let stages = understood.map(|pipeline| stages::plan(&pipeline, tasks::KINDS));
            if let Some(Err(more)) = stages {
                problems.extend(more);
            }
            Err(invalid(&problems))
        }
        Err(other) => Err(Complaint::caused(ExitClass::Input, &other).hinted(other.hint())),
    }
}

/// A part of a pipeline: the stages that are named, and what they read. All of it where none is.
fn only(mut pipeline: Pipeline, stages: &[String]) -> Result<Pipeline, Complaint> {
    if stages.is_empty() {
        return Ok(pipeline);
    }
    let kept = pipeline.needed_for(named(&pipeline, stages)?);
    pipeline.keep(&kept);
    Ok(pipeline)
}

/// The members that are to be made again.
fn again(pipeline: &Pipeline, arguments: &RunArguments) -> Result<BTreeSet<usize>, Complaint> {
    let mut again = pipeline.behind(named(pipeline, &arguments.from)?);
    again.extend(named(pipeline, &arguments.rerun)?);
    Ok(again)
}

/// The members that are named, whole stages or one of a matrix.
fn named(pipeline: &Pipeline, stages: &[String]) -> Result<Vec<usize>, Complaint> {
    let mut members = Vec::new();
    for stage in stages {
        let named = pipeline.named(stage);
        if named.is_empty() {
            let names = || pipeline.members.iter().flat_map(|member| [member.stage.as_str(), member.name.as_str()]);
            let known: IndexSet<&str> = pipeline.members.iter().map(|member| member.stage.as_str()).collect();
            let known = known.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            let hint = config::nearest(stage, names())
                .map_or_else(|| format!("it has {known}"), |near| format!("did you mean `{near}`?"));
            let message = format!("pipeline `{}` has no stage `{stage}`", pipeline.name);
            return Err(Complaint::usage(message).hint(hint));
        }
        members.extend(named);
    }
    Ok(members)
}

/// The variables of this process that are ours.
pub(super) fn own_environment() -> Result<Vec<(String, String)>, Complaint> {
    environment(std::env::vars_os())
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
fn devices<'a>(members: impl Iterator<Item = &'a Member>) -> Result<(), Complaint> {
    let names: BTreeSet<&String> = members.flat_map(|member| &member.runtime.devices).collect();
    for name in names {
        let device = name.parse().and_then(DeviceName::open);
        device.map_err(|error| Complaint::caused(ExitClass::Input, &error))?;
    }
    Ok(())
}

/// Results for stdout: the text of every report, where its files are, and how long its stages took.
/// All files are there before a word is printed, as whoever reads may go away at any.
fn reports(report: &RunReport, store: &Store, pipeline: &Pipeline) -> Result<String, Complaint> {
    let mut all = String::new();
    for (at, member) in report.members.iter().enumerate() {
        let Some(record) = &member.record else { continue };
        let Some(text) = record.outputs.get("report.txt") else { continue };
        let text = store.bytes(text).map_err(|error| Complaint::store(&error))?;
        let text = String::from_utf8_lossy(&text);
        let times = times::text(pipeline, at, report);
        let folder = stages::export_report(store, &pipeline.name, &member.name, record, &times)
            .map_err(|error| Complaint::store(&error))?;
        let (text, folder) = (text.trim_end(), folder.display());
        writeln!(all, "\n{text}\n\n{times}\nThe report and its figures: {folder}")
            .expect("writing to a string succeeds");
    }
    Ok(all)
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
