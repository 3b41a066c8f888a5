//! How long the program takes to say something, and to answer from its store:
//! `cargo bench --bench startup`.
//!
//! Both are whole processes, timed from the moment they are started, on the quickstart.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::{
    error::Error,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

const RUNS: usize = 31;

fn main() -> Result<(), Box<dyn Error>> {
    let scratch = tempfile::tempdir()?;
    let fresh = |run: usize| scratch.path().join(format!("fresh-{run}"));
    let first_line = (0..RUNS).map(|run| until_first_line(&fresh(run))).collect::<Result<Vec<_>, _>>()?;

    let kept = scratch.path().join("kept");
    if !quickstart(&kept).stdout(Stdio::null()).stderr(Stdio::null()).status()?.success() {
        return Err("the quickstart failed".into());
    }
    let cached = (0..RUNS).map(|_| until_end(&kept)).collect::<Result<Vec<_>, _>>()?;

    println!("{:32} {:>10} {:>10} {:>10}", format!("{RUNS} runs, ms"), "least", "median", "most");
    row("start to first line, empty store", first_line);
    row("quickstart, all cached", cached);
    Ok(())
}

fn quickstart(store: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_darts-run"));
    command.arg("pipelines/quickstart.yaml").arg("--store").arg(store).current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

fn until_first_line(store: &Path) -> Result<Duration, Box<dyn Error>> {
    let start = Instant::now();
    let mut child = quickstart(store).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let mut line = String::new();
    BufReader::new(child.stderr.take().ok_or("stderr is piped")?).read_line(&mut line)?;
    let elapsed = start.elapsed();
    child.kill()?;
    child.wait()?;
    Ok(elapsed)
}

fn until_end(store: &Path) -> Result<Duration, Box<dyn Error>> {
    let start = Instant::now();
    let output = quickstart(store).output()?;
    let elapsed = start.elapsed();
    if !output.status.success() || String::from_utf8_lossy(&output.stderr).matches(": cached").count() < 4 {
        return Err("the second quickstart was not answered from the store".into());
    }
    Ok(elapsed)
}

fn row(name: &str, mut times: Vec<Duration>) {
    times.sort();
    let ms = |time: Duration| format!("{:.1}", time.as_secs_f64() * 1e3);
    println!("{name:32} {:>10} {:>10} {:>10}", ms(times[0]), ms(times[times.len() / 2]), ms(times[times.len() - 1]));
}
