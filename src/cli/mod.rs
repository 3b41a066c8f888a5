//! The command line: one file a command, one place where errors become exit codes.

mod bench;
mod complaint;
mod destination;
mod doctor;
mod episode;
mod explain;
mod export;
mod graph;
mod images;
mod init;
mod internal_error;
mod list;
mod manual;
mod network;
mod output;
mod parity;
mod pictures;
mod plan;
mod predict;
mod resolved;
mod run;
mod runs;
mod show;
mod stage_result;
mod status;
mod store;
mod submit;
mod threads;
mod times;
mod verify_resume;

pub use complaint::{Complaint, ExitClass};

use crate::machine;
use clap::{
    Args, Parser, Subcommand,
    builder::{OsStringValueParser, PathBufValueParser, TypedValueParser},
};
use signal_hook::consts::SIGXFSZ;
use std::{ffi::OsString, path::PathBuf, process::ExitCode, sync::Arc};

const EXAMPLES: &str = "\
Examples:
  darts-run pipelines/quickstart.yaml                    search a cell on the digits that ship
  darts-run pipelines/nb201_small.yaml --set search.epochs=3
  DARTS_RUN_DATA=/data darts-run pipelines/cifar10_small.yaml
                                                         search, derive, retrain, test
  darts-run show search_spaces/genotypes/darts_v2.txt    draw a cell, count its cost
  darts-run export cifar10_small/network --to onnx       take a trained network along

Exit codes:
    0  done
    1  a stage failed, or output could not be written
    2  wrong usage
    3  an invalid pipeline or input; nothing was started, or the stage says what is wrong
    4  the store could not be read or written, or is damaged
    5  an expectation was missed
   75  stopped by SIGTERM, SIGUSR1 or a closed terminal (SIGHUP); run again to go on
  130  interrupted; run again to go on";

const COMPLETIONS: &str = "\
Examples:
  darts-run completions bash > ~/.local/share/bash-completion/completions/darts-run
  darts-run completions zsh > ~/.zfunc/_darts-run";

/// Differentiable architecture search from one YAML file: data prepared, a supernet searched, cells
/// derived, networks trained and tested, a report written. Every stage's result is kept under the
/// hash of what made it, so a second run answers at once.
#[derive(Parser)]
#[command(name = "darts-run", version, after_help = EXAMPLES, args_conflicts_with_subcommands = true, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: run::RunArguments,
}

#[derive(Subcommand)]
enum Command {
    /// Run a pipeline (`darts-run FILE` does the same)
    Run(run::RunArguments),
    /// Hand a pipeline to SLURM: a batch job for each stage that is not cached
    Submit(submit::SubmitArguments),
    /// Say what a run would do, stage by stage and why, and do nothing
    Plan(plan::PlanArguments),
    /// Say why stages would run, all reasons; or in what two results differ and since which epoch
    Explain(explain::ExplainArguments),
    /// Run a pipeline whole, and again killed at random moments, and compare all results
    VerifyResume(verify_resume::VerifyResumeArguments),
    /// Say how stages stand: fresh, stale, running with epoch and time to go, failed
    Status(status::StatusArguments),
    /// Draw which stage reads which, for Markdown or Graphviz or as SVG
    Graph(graph::GraphArguments),
    /// Draw a genotype, count its cost, look its benchmark up
    Show(show::ShowArguments),
    /// Replay golden files of PyTorch and print the relative errors
    Parity(parity::ParityArguments),
    /// Class scores, pictures or a played episode of a trained network, from weights of any program
    Predict(predict::PredictArguments),
    /// Write a cell or a trained network as a file for other programs
    Export(export::ExportArguments),
    /// Measure how fast this machine does a kind of work
    Bench(bench::BenchArguments),
    /// Read all of the store, or keep it small
    Store(store::StoreCommand),
    /// List the newest results of a store
    Runs(runs::RunsArguments),
    /// Write a folder to begin in: a first pipeline, search spaces, cells
    Init(init::InitArguments),
    /// Say what this machine and this build have: devices, memory, disk, store, data, spaces
    Doctor(doctor::DoctorArguments),
    /// Name the kinds of stages, tasks, search spaces or primitives that there are
    List {
        #[arg(value_enum, value_name = "WHAT")]
        what: list::What,
    },
    /// Write a script that completes this program's words in a shell
    #[command(after_help = COMPLETIONS)]
    Completions {
        #[arg(value_enum, value_name = "SHELL")]
        shell: clap_complete::Shell,
    },
    /// Write the manual page of the program, or of a command
    #[command(after_help = "Example:\n  darts-run man export | man -l -")]
    Man {
        #[arg(value_name = "COMMAND")]
        command: Option<String>,
    },
}

/// A path, in which `~` is the home folder: of `--output=~/net.onnx` no shell sees one.
fn path() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().map(machine::expanded)
}

/// Where results are kept.
#[derive(Args, Debug)]
struct StoreArguments {
    /// Folder of the store
    #[arg(long, value_name = "FOLDER", env = "DARTS_RUN_STORE", default_value = STORE, value_parser = folder(STORE))]
    store: PathBuf,
}

/// Where data sets lie, for commands that read no pipeline.
#[derive(Args, Debug)]
struct DataArguments {
    /// Where data sets lie; its folder `procgen` has Procgen's library
    #[arg(long, value_name = "FOLDER", env = "DARTS_RUN_DATA", default_value = DATA, value_parser = folder(DATA))]
    data: PathBuf,
}

const STORE: &str = "artifacts";
const DATA: &str = "data";

/// A folder; an empty variable says nothing.
fn folder(usual: &'static str) -> impl TypedValueParser<Value = PathBuf> {
    let of = move |written: OsString| if written.is_empty() { usual.into() } else { machine::expanded(written) };
    OsStringValueParser::new().map(of)
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    internal_error::watch();
    // Where a file may not grow (`ulimit -f`), its writer is to be told and the process not to end.
    // Where that cannot be asked for, it ends as any other program does.
    let _ = signal_hook::flag::register(SIGXFSZ, Arc::default());
    match internal_error::caught(command) {
        Ok(code) => ExitCode::from(code),
        Err(complaint) => {
            complaint.print();
            ExitCode::from(complaint.class.code())
        }
    }
}

fn command() -> Result<u8, Complaint> {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) if error.use_stderr() => {
            // Where stderr is gone there is nobody to tell.
            let _ = error.print();
            return Ok(ExitClass::Usage.code());
        }
        Err(help) => return output::help(&help).map(|()| 0),
    };
    start_logging();
    match arguments.command {
        None => run::run(&arguments.run),
        Some(Command::Run(run)) => run::run(&run),
        Some(Command::Submit(submit)) => submit::run(&submit),
        Some(Command::Plan(plan)) => plan::run(&plan),
        Some(Command::Explain(explain)) => explain::run(&explain),
        Some(Command::VerifyResume(verify)) => verify_resume::run(&verify),
        Some(Command::Status(status)) => status::run(&status),
        Some(Command::Init(init)) => init::run(&init),
        Some(Command::Graph(graph)) => graph::run(&graph),
        Some(Command::Show(show)) => show::run(&show),
        Some(Command::Parity(parity)) => parity::run(&parity),
        Some(Command::Predict(predict)) => predict::run(&predict),
        Some(Command::Export(export)) => export::run(&export),
        Some(Command::Bench(bench)) => bench::run(&bench),
        Some(Command::Store(store)) => store::run(&store),
        Some(Command::Runs(runs)) => runs::run(&runs),
        Some(Command::Doctor(doctor)) => doctor::run(&doctor),
        Some(Command::List { what }) => list::run(what),
        Some(Command::Completions { shell }) => manual::completions(shell),
        Some(Command::Man { command }) => manual::page(command.as_deref()),
    }
}

/// Logs of the libraries go to stderr where `DARTS_RUN_LOG` asks for them: `DARTS_RUN_LOG=debug`.
fn start_logging() {
    if let Ok(filter) = tracing_subscriber::EnvFilter::try_from_env("DARTS_RUN_LOG") {
        let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
        // It would tell on stderr that stderr is gone, and end in a panic.
        log.log_internal_errors(false).init();
    }
}
