//! `darts-run verify-resume FILE`: runs a pipeline once to its end and once killed again and again, and
//! compares the results. The user's own proof that a killed run loses nothing and changes nothing.

use super::{
    Complaint, ExitClass, output, path,
    run::{PipelineArguments, planned},
};
use crate::{
    config::Pipeline,
    observe,
    store::{Record, Store},
};
use clap::Args;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
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

pub(super) fn run(arguments: &VerifyResumeArguments) -> Result<u8, Complaint> {
    let (pipeline, _) = planned(&arguments.file, &arguments.pipeline)?;
    let work = &arguments.work;
    fs::create_dir(work).map_err(|error| {
        let message = format!("failed to make the folder `{}`: {error}", work.display());
        Complaint::input(message).hint("name one that is not there yet with `--work`")
    })?;
    let [whole, killed] = ["whole", "killed"].map(|name| work.join(name));
    let begun = Instant::now();
    Runner { arguments, store: &whole }.to_its_end()?;
    let took = begun.elapsed();
    output::say(format!("run to its end in {}\n", observe::duration(took)))?;

    let landed = Runner { arguments, store: &killed }.killed(took)?;
    let (found, differ) = compared(&pipeline, &whole, &killed)?;
    let kills = format!("killed {landed} times of {}", arguments.kills);
    output::say(format!("{found}{kills}, {} of {} stages differ\n", differ, pipeline.members.len()))?;
    if differ > 0 {
        let message = format!("a killed run came to other results than one that was not, of seed {}", arguments.seed);
        return Err(Complaint::new(ExitClass::Failed, message).hint(format!(
            "both stores are in `{}`; this is a fault of the program: please report it",
            work.display()
        )));
    }
    // What is left would only take space.
    let _ = fs::remove_dir_all(work);
    Ok(0)
}

/// Runs of the pipeline by processes of this same program, over one store.
struct Runner<'a> {
    arguments: &'a VerifyResumeArguments,
    store: &'a Path,
}

impl Runner<'_> {
    fn start(&self) -> Result<Child, Complaint> {
        let program = std::env::current_exe();
        let VerifyResumeArguments { file, pipeline, .. } = self.arguments;
        let child = program.and_then(|program| {
            let mut command = Command::new(program);
            command.arg("run").arg(file).args(&pipeline.stages);
            command.args(pipeline.settings.iter().map(|setting| format!("--set={setting}")));
            command.arg("--store").arg(self.store);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()
        });
        child.map_err(|error| Complaint::new(ExitClass::Failed, format!("failed to start this program again: {error}")))
    }

    fn to_its_end(&self) -> Result<(), Complaint> {
        let child = self.start()?;
        let ended = child.wait_with_output();
        let ended = ended.map_err(|error| Complaint::new(ExitClass::Failed, format!("failed to run: {error}")))?;
        // An expectation that is missed is missed in both.
        let codes = [0, i32::from(ExitClass::ExpectationMissed.code())];
        if ended.status.code().is_some_and(|code| codes.contains(&code)) {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        let last: Vec<&str> = said.lines().rev().take(3).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        let message = format!("the run ended with {}; it said last:\n  {}", ended.status, last.join("\n  "));
        Err(Complaint::new(ExitClass::Failed, message))
    }

    /// Kills it at moments that are spread over `took`, how long a whole run takes, and lets the last one
    /// come to its end. How many kills met a run that was still under way.
    fn killed(&self, took: Duration) -> Result<u32, Complaint> {
        let mut random = ChaCha8Rng::seed_from_u64(self.arguments.seed);
        // Each run begins where the one before was at its last checkpoint, so that it must live longer
        // than a share of the whole to come any further.
        let longest = 2.0 * took.as_secs_f64() / f64::from(self.arguments.kills);
        let mut landed = 0;
        for _ in 0..self.arguments.kills {
            let moment = Duration::from_secs_f64(random.random_range(0.0..1.0) * longest);
            landed += u32::from(killed_at(self.start()?, moment)?);
        }
        self.to_its_end()?;
        Ok(landed)
    }
}

/// Whether it was still under way.
fn killed_at(mut child: Child, moment: Duration) -> Result<bool, Complaint> {
    let failed = |error| Complaint::new(ExitClass::Failed, format!("failed to wait for a run: {error}"));
    // A full pipe would hold it up.
    let mut said = child.stderr.take();
    let reader = thread::spawn(move || said.as_mut().map(|said| said.read_to_end(&mut Vec::new())));
    let begun = Instant::now();
    let under_way = loop {
        if child.try_wait().map_err(failed)?.is_some() {
            break false;
        }
        if begun.elapsed() >= moment {
            // It may have ended this very moment.
            let _ = child.kill();
            break true;
        }
        thread::sleep(LOOK);
    };
    child.wait().map_err(failed)?;
    // Its pipe has ended with it.
    let _ = reader.join();
    Ok(under_way)
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
                    format!("{name}: the same {} outputs{resumed}\n", one.outputs.len())
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
