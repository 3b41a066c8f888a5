//! `darts-run verify-resume FILE`: runs a pipeline once to its end and once killed again and again, and
//! compares the results. The user's own proof that a killed run loses nothing and changes nothing.

use super::{
    Complaint, ExitClass, output, path,
    run::{PipelineArguments, planned},
};
use crate::{
    config::Pipeline,
    observe,
    run::{Signal, Stop},
    store::{Record, Store},
};
use clap::Args;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::{
    ffi::OsString,
    fs,
    io::Read,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

#[derive(Args, Debug)]
pub(super) struct VerifyResumeArguments {
    /// Pipeline to run twice
    #[arg(value_name = "FILE", value_parser = path())]
    file: PathBuf,
    #[command(flatten)]
    pipeline: PipelineArguments,
    /// How often the second run is killed (SIGKILL, at random moments)
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    kills: u32,
    /// What the moments are drawn by
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Where both stores are kept meanwhile; removed where their results are the same
    #[arg(long, value_name = "FOLDER", default_value = "verify-resume", value_parser = path())]
    work: PathBuf,
}

/// How often it is looked whether a run has ended.
const LOOK: Duration = Duration::from_millis(2);
/// Runs for each kill that is asked for, at most: those that end before their moment prove nothing.
const TRIES: u32 = 10;
/// Of what a run that failed said.
const LINES: usize = 12;

pub(super) fn run(arguments: &VerifyResumeArguments) -> Result<u8, Complaint> {
    let (pipeline, _) = planned(&arguments.file, &arguments.pipeline)?;
    let work = &arguments.work;
    fs::create_dir(work).map_err(|error| {
        let message = format!("failed to make the folder `{}`: {error}", work.display());
        Complaint::input(message).hint("remove it, or name one that is not there yet with `--work`")
    })?;
    let stop = Stop::on_signals().map_err(|error| Complaint::caused(ExitClass::Failed, &error))?;
    let proved = prove(&pipeline, arguments, &stop);
    // Two stores that differ are worth a look; what else is left would only take space.
    if !matches!(proved, Ok(Proof::Differs)) {
        let _ = fs::remove_dir_all(work);
    }
    match proved? {
        Proof::Same => Ok(0),
        Proof::Stopped(signal) => Ok(u8::try_from(signal.exit_code()).unwrap_or(1)),
        Proof::Differs => {
            let seed = arguments.seed;
            let message = format!("a killed run came to other results than one that was not (`--seed {seed}`)");
            let hint =
                format!("both stores are in `{}`; this is a fault of the program: please report it", work.display());
            Err(Complaint::new(ExitClass::Failed, message).hint(hint))
        }
    }
}

/// What came of both runs.
enum Proof {
    Same,
    Differs,
    Stopped(Signal),
}

fn prove(pipeline: &Pipeline, arguments: &VerifyResumeArguments, stop: &Stop) -> Result<Proof, Complaint> {
    let [whole, killed] = ["whole", "killed"].map(|name| arguments.work.join(name));
    let begun = Instant::now();
    if let Some(signal) = (Runner { arguments, store: &whole, stop }).to_its_end()? {
        return Ok(Proof::Stopped(signal));
    }
    let took = begun.elapsed();
    output::say(format!("run to its end in {}\n", observe::duration(took)))?;
    let landed = match (Runner { arguments, store: &killed, stop }).killed(took)? {
        Killed::Landed(landed) => landed,
        Killed::Stopped(signal) => return Ok(Proof::Stopped(signal)),
    };
    if landed == 0 {
        return Err(Complaint::new(ExitClass::Failed, "every run ended before it could be killed: nothing is proved")
            .hint("take a pipeline that runs longer, or more `--kills`"));
    }
    let (found, differ) = compared(pipeline, &whole, &killed)?;
    let stages = pipeline.members.len();
    output::say(format!("{found}killed {landed} times, {differ} of {stages} stages differ\n"))?;
    Ok(if differ > 0 { Proof::Differs } else { Proof::Same })
}

/// Runs of the pipeline by processes of this same program, over one store.
struct Runner<'a> {
    arguments: &'a VerifyResumeArguments,
    store: &'a Path,
    stop: &'a Stop,
}

/// How a run ended.
enum Ended {
    /// By itself: how, and what it said.
    Itself(ExitStatus, String),
    /// At its moment, by us.
    Killed,
    /// Because we are to stop.
    Stopped(Signal),
}

/// How killed runs ended.
enum Killed {
    /// So many kills met a run that was under way.
    Landed(u32),
    Stopped(Signal),
}

impl Runner<'_> {
    /// Runs until it ends, its moment comes, or one is to stop.
    fn run(&self, moment: Option<Duration>) -> Result<Ended, Complaint> {
        let VerifyResumeArguments { file, pipeline, .. } = self.arguments;
        let mut store = OsString::from("--store=");
        store.push(self.store);
        let child = std::env::current_exe().and_then(|program| {
            let mut command = Command::new(program);
            command.arg("run").arg(store);
            command.args(pipeline.settings.iter().map(|setting| format!("--set={setting}")));
            command.arg("--").arg(file).args(&pipeline.stages);
            // Ctrl-C is ours to hear.
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0).spawn()
        });
        let failed = |error| Complaint::new(ExitClass::Failed, format!("failed to run this program again: {error}"));
        let mut child = child.map_err(failed)?;
        // A full pipe would hold it up.
        let mut said = child.stderr.take();
        let reader = thread::spawn(move || {
            let mut text = Vec::new();
            // What cannot be read is not said.
            let _ = said.as_mut().map(|said| said.read_to_end(&mut text));
            String::from_utf8_lossy(&text).into_owned()
        });
        let begun = Instant::now();
        let killed = loop {
            if child.try_wait().map_err(failed)?.is_some() {
                break None;
            }
            let stopped = self.stop.signal().map(Ended::Stopped);
            let due = moment.is_some_and(|moment| begun.elapsed() >= moment).then_some(Ended::Killed);
            if let Some(ended) = stopped.or(due) {
                // It may have ended this very moment.
                let _ = child.kill();
                break Some(ended);
            }
            thread::sleep(LOOK);
        };
        let status = child.wait().map_err(failed)?;
        let said = reader.join().unwrap_or_default();
        Ok(killed.unwrap_or(Ended::Itself(status, said)))
    }

    /// The signal, where one was to stop.
    fn to_its_end(&self) -> Result<Option<Signal>, Complaint> {
        let (status, said) = match self.run(None)? {
            Ended::Itself(status, said) => (status, said),
            Ended::Stopped(signal) => return Ok(Some(signal)),
            Ended::Killed => return Ok(None),
        };
        // An expectation that is missed is missed in both.
        let class = [ExitClass::Usage, ExitClass::Input, ExitClass::Store];
        match status.code() {
            Some(code) if code == 0 || code == i32::from(ExitClass::ExpectationMissed.code()) => Ok(None),
            code => {
                let class = class.into_iter().find(|class| code == Some(i32::from(class.code())));
                let lines: Vec<&str> = said.lines().collect();
                let last = lines[lines.len().saturating_sub(LINES)..].join("\n  ");
                let message = format!("the run ended with {status}; it said last:\n  {last}");
                Err(Complaint::new(class.unwrap_or(ExitClass::Failed), message))
            }
        }
    }

    /// Kills it at moments that are spread over `took`, how long a whole run takes, and lets the last one
    /// come to its end. Where one ends before its moment, all begins anew with sooner moments.
    fn killed(&self, took: Duration) -> Result<Killed, Complaint> {
        let kills = self.arguments.kills;
        let mut random = ChaCha8Rng::seed_from_u64(self.arguments.seed);
        // Each run begins where the one before was at its last checkpoint, so that it must live longer
        // than a share of the whole to come any further.
        let mut longest = (2.0 / f64::from(kills)).min(1.0) * took.as_secs_f64();
        let mut landed = 0;
        for _ in 0..kills * TRIES {
            if landed == kills {
                break;
            }
            match self.run(Some(Duration::from_secs_f64(random.random_range(0.0..1.0) * longest)))? {
                Ended::Killed => landed += 1,
                Ended::Stopped(signal) => return Ok(Killed::Stopped(signal)),
                Ended::Itself(..) => {
                    landed = 0;
                    longest /= 2.0;
                    fs::remove_dir_all(self.store).map_err(|error| {
                        let store = self.store.display();
                        Complaint::new(ExitClass::Failed, format!("failed to remove `{store}`: {error}"))
                    })?;
                }
            }
        }
        Ok(self.to_its_end()?.map_or(Killed::Landed(landed), Killed::Stopped))
    }
}

/// A line a stage, and how many of them differ.
fn compared(pipeline: &Pipeline, whole: &Path, killed: &Path) -> Result<(String, usize), Complaint> {
    let record = |folder: &Path, member: &str| -> Result<Option<Record>, Complaint> {
        let store = Store::existing(folder)
            .ok_or_else(|| Complaint::new(ExitClass::Failed, format!("the store `{}` is gone", folder.display())))?;
        let found = store.last(&pipeline.name, member).and_then(|key| key.map_or(Ok(None), |key| store.record(key)));
        found.map_err(|error| Complaint::store(&error))
    };
    let (mut lines, mut differ) = (String::new(), 0);
    for member in &pipeline.members {
        let name = &member.name;
        let line = match (record(whole, name)?, record(killed, name)?) {
            (Some(one), Some(other)) => {
                let names =
                    one.outputs.keys().chain(other.outputs.keys().filter(|name| !one.outputs.contains_key(*name)));
                let other_bytes: Vec<&str> = names
                    .filter(|name| one.outputs.get(*name) != other.outputs.get(*name))
                    .map(String::as_str)
                    .collect();
                let resumed = other.resumed.as_ref().map_or_else(String::new, |at| format!(", resumed at {at}"));
                if other_bytes.is_empty() {
                    let outputs = if one.outputs.len() == 1 { "output" } else { "outputs" };
                    format!("{name}: the same {} {outputs}{resumed}\n", one.outputs.len())
                } else {
                    differ += 1;
                    format!("{name}: other bytes in {}{resumed}\n", other_bytes.join(", "))
                }
            }
            _ => {
                differ += 1;
                format!("{name}: has no result in one of the stores\n")
            }
        };
        lines += &line;
    }
    Ok((lines, differ))
}
