//! `darts-run verify-resume FILE`: runs a pipeline once to its end, and once killed again and
//! again, and compares the results: the user's own proof that a kill loses nothing and changes
//! nothing.

use super::{
    Complaint, ExitClass, output, path,
    run::{PipelineArguments, planned},
};
use crate::{
    config::{Member, Pipeline},
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
    io::{self, Read},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
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
    if !matches!(proved, Ok(false)) {
        let _ = fs::remove_dir_all(work);
    }
    match proved {
        Ok(true) => Ok(0),
        Ok(false) => {
            let seed = arguments.seed;
            let message = format!("a killed run came to other results than one that was not (`--seed {seed}`)");
            let hint =
                format!("both stores are in `{}`; this is a fault of the program: please report it", work.display());
            Err(Complaint::new(ExitClass::Failed, message).hint(hint))
        }
        Err(Halt::Stopped(signal)) => Ok(u8::try_from(signal.exit_code()).unwrap_or(1)),
        Err(Halt::Failed(complaint)) => Err(complaint),
    }
}

/// Why nothing is proved.
enum Halt {
    Stopped(Signal),
    Failed(Complaint),
}

impl From<Complaint> for Halt {
    fn from(complaint: Complaint) -> Self {
        Self::Failed(complaint)
    }
}

fn failed(message: impl Into<String>) -> Complaint {
    Complaint::new(ExitClass::Failed, message)
}

/// Whether both runs come to the same.
fn prove(pipeline: &Pipeline, arguments: &VerifyResumeArguments, stop: &Stop) -> Result<bool, Halt> {
    let [whole, killed] = ["whole", "killed"].map(|name| arguments.work.join(name));
    let begun = Instant::now();
    Runner { arguments, store: &whole, stop }.to_its_end()?;
    let took = begun.elapsed();
    output::say(format!("run to its end in {}\n", observe::duration(took)))?;
    let kills = Runner { arguments, store: &killed, stop }.killed(took)?;
    if kills == 0 {
        let complaint = failed("every run ended before it could be killed: nothing is proved");
        return Err(complaint.hint("take a pipeline that runs longer, or more `--kills`").into());
    }
    let (found, differ) = compared(pipeline, &whole, &killed)?;
    let stages = pipeline.members.len();
    output::say(format!("{found}killed {kills} times, {differ} of {stages} stages differ\n"))?;
    Ok(differ == 0)
}

/// Runs of the pipeline by processes of this same program, over one store.
struct Runner<'a> {
    arguments: &'a VerifyResumeArguments,
    store: &'a Path,
    stop: &'a Stop,
}

impl Runner<'_> {
    fn start(&self) -> io::Result<Child> {
        let VerifyResumeArguments { file, pipeline, .. } = self.arguments;
        let mut store = OsString::from("--store=");
        store.push(self.store);
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("run").arg(store);
        command.args(pipeline.settings.iter().map(|setting| format!("--set={setting}")));
        command.arg("--").arg(file).args(&pipeline.stages);
        // Ctrl-C is ours to hear.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0).spawn()
    }

    /// Runs until it ends, and says how and what it said; `None` where it was killed at its moment.
    fn run(&self, moment: Option<Duration>) -> Result<Option<(ExitStatus, String)>, Halt> {
        let lost = |error| failed(format!("failed to run this program again: {error}"));
        let mut child = self.start().map_err(lost)?;
        // A full pipe would hold it up.
        let mut said = child.stderr.take();
        let reader = thread::spawn(move || {
            let mut text = Vec::new();
            // What cannot be read is not said.
            let _ = said.as_mut().map(|said| said.read_to_end(&mut text));
            String::from_utf8_lossy(&text).into_owned()
        });
        let begun = Instant::now();
        let is_due = || moment.is_some_and(|moment| begun.elapsed() >= moment);
        let mut ended = child.try_wait().map_err(lost)?;
        while ended.is_none() && !is_due() && !self.stop.requested() {
            thread::sleep(LOOK);
            ended = child.try_wait().map_err(lost)?;
        }
        if ended.is_none() {
            // It may have ended this very moment.
            let _ = child.kill();
        }
        child.wait().map_err(lost)?;
        let said = reader.join().unwrap_or_default();
        match self.stop.signal() {
            Some(signal) => Err(Halt::Stopped(signal)),
            None => Ok(ended.map(|status| (status, said))),
        }
    }

    fn to_its_end(&self) -> Result<(), Halt> {
        let Some((status, said)) = self.run(None)? else { return Ok(()) };
        let is = |class: &ExitClass| status.code() == Some(i32::from(class.code()));
        // An expectation that is missed is missed in both.
        if status.success() || is(&ExitClass::ExpectationMissed) {
            return Ok(());
        }
        let class = [ExitClass::Usage, ExitClass::Input, ExitClass::Store].into_iter().find(is);
        let lines: Vec<&str> = said.lines().collect();
        let last = lines[lines.len().saturating_sub(LINES)..].join("\n  ");
        let message = format!("the run ended with {status}; it said last:\n  {last}");
        Err(Complaint::new(class.unwrap_or(ExitClass::Failed), message).into())
    }

    /// Kills it at moments that are spread over `took`, how long a whole run takes, and lets the
    /// last run come to its end. Where one ends before its moment, all begins anew with sooner
    /// moments. Says how many kills the store of the last run has seen.
    fn killed(&self, took: Duration) -> Result<u32, Halt> {
        let wanted = self.arguments.kills;
        let mut random = ChaCha8Rng::seed_from_u64(self.arguments.seed);
        // Each run begins where the one before was at its last checkpoint, so that it must live
        // longer than a share of the whole to come any further.
        let mut longest = (2.0 / f64::from(wanted)).min(1.0) * took.as_secs_f64();
        let mut kills = 0;
        for _ in 0..wanted * TRIES {
            if kills == wanted {
                break;
            }
            let moment = Duration::from_secs_f64(random.random_range(0.0..1.0) * longest);
            if self.run(Some(moment))?.is_none() {
                kills += 1;
            } else {
                kills = 0;
                longest /= 2.0;
                let store = self.store.display();
                fs::remove_dir_all(self.store)
                    .map_err(|error| failed(format!("failed to remove `{store}`: {error}")))?;
            }
        }
        self.to_its_end()?;
        Ok(kills)
    }
}

/// A line a stage, and how many of them differ.
fn compared(pipeline: &Pipeline, whole: &Path, killed: &Path) -> Result<(String, usize), Complaint> {
    let record = |folder: &Path, member: &str| -> Result<Option<Record>, Complaint> {
        let store = Store::existing(folder);
        let store = store.ok_or_else(|| failed(format!("the store `{}` is gone", folder.display())))?;
        let found = store.last(&pipeline.name, member).and_then(|key| key.map_or(Ok(None), |key| store.record(key)));
        found.map_err(|error| Complaint::store(&error))
    };
    let (mut lines, mut differ) = (String::new(), 0);
    for Member { name, .. } in &pipeline.members {
        let (said, is_same) = match (record(whole, name)?, record(killed, name)?) {
            (Some(one), Some(other)) => {
                let [same, others] = one.compare_outputs(&other);
                let said = match (same.len(), &others[..]) {
                    (1, []) => "the same 1 output".to_owned(),
                    (count, []) => format!("the same {count} outputs"),
                    (_, names) => format!("other bytes in {}", names.join(", ")),
                };
                let resumed = other.resumed.as_ref().map_or_else(String::new, |at| format!(", resumed at {at}"));
                (said + &resumed, others.is_empty())
            }
            _ => ("has no result in one of the stores".to_owned(), false),
        };
        differ += usize::from(!is_same);
        lines += &format!("{name}: {said}\n");
    }
    Ok((lines, differ))
}
