//! A small matrix through a SLURM of one machine, as `.ci/slurm` starts it, with two partitions of
//! which one preempts the other.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use crate::scratch::{Ended, Scratch};
use serde_json::{Value as Json, json};
use std::{
    collections::BTreeMap,
    fs,
    process::Command,
    thread,
    time::{Duration, Instant},
};

const DEADLINE: Duration = Duration::from_secs(100);

/// Two seeds of a search of the digits. The name and the folder have characters that the shell,
/// `sbatch` or both would make something else of.
fn pipeline(epochs: u32) -> String {
    let digits = concat!(env!("CARGO_MANIFEST_DIR"), "/pipelines/data/digits.csv.gz");
    format!(
        "name: it's small\nmatrix: {{seed: [0, 1]}}\nruntime: {{threads: 1, slurm: {{partition: low}}}}\nstages:\n  \
         digits: {{prepare: {{digits: {{path: '{digits}'}}}}}}\n  \
         search:\n    search: {{data: digits, space: nas_bench_201, channels: 4, size: 1, epochs: {epochs}, batch: 32, \
         seed: '${{matrix.seed}}'}}\n    runtime: {{checkpoint: {{every_steps: 10}}}}\n  \
         cell: {{derive: {{search: search}}}}\n  report: {{report: {{of: [digits, 'search[*]', 'cell[*]']}}}}\n"
    )
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Waits for what the cluster does.
#[track_caller]
fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        let queue = said("squeue", &["--array", "--states=all", "--format=%i %j %T %r %E"]);
        assert!(begun.elapsed() < DEADLINE, "not seen in {DEADLINE:?}: {what}; the queue:\n{queue}");
        thread::sleep(Duration::from_millis(100));
    }
}

/// Whether `squeue` says `state` of a job.
fn is(job: &str, state: &str) -> bool {
    said("squeue", &["--noheader", "--states=all", "--format=%T", &format!("--jobs={job}")]).trim() == state
}

fn submit(scratch: &Scratch, arguments: &[&str]) -> Ended {
    scratch.run(&[&["submit", "a b/small.yaml", "--store", "the store"], arguments].concat())
}

/// The number of a stage's job, as `submit` said it.
fn number<'a>(submitted: &'a Ended, stage: &str) -> &'a str {
    let line = submitted.stdout.lines().find_map(|line| line.strip_prefix(&format!("{stage}: "))).unwrap();
    let number = line.strip_prefix("jobs ").or(line.strip_prefix("job ")).unwrap();
    number.split('_').next().unwrap()
}

/// Key → digests of all outputs, and whether the work went on from a checkpoint.
fn results(scratch: &Scratch, store: &str) -> BTreeMap<String, (Json, bool)> {
    let records = fs::read_dir(scratch.path(store).join("actions-v1")).unwrap();
    let result = |entry: Result<fs::DirEntry, _>| {
        let path = entry.unwrap().path();
        let record: Json = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, (record["outputs"].clone(), record["resumed"] != json!(null)))
    };
    records.map(result).collect()
}

#[test]
#[ignore = "needs SLURM: `.ci/slurm cargo test --test cli -- --ignored slurm::` starts one on this machine"]
fn a_matrix_whose_searches_are_preempted_comes_to_the_digests_of_a_run_without_slurm() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.path("a b")).unwrap();
    scratch.write("a b/small.yaml", &pipeline(12));
    let checkpoints = || scratch.files("the store/work-v1").len();

    // What is cancelled stays so, and takes along what waits for it.
    let cancelled = submit(&scratch, &["cell"]).exits(0);
    let (search, cell) = (number(&cancelled, "search"), number(&cancelled, "cell"));
    wait_until("checkpoints of both searches", || checkpoints() == 2);
    said("scancel", &[search]);
    for job in [format!("{search}_0"), format!("{search}_1"), format!("{cell}_0"), format!("{cell}_1")] {
        wait_until("what is cancelled has ended", || is(&job, "CANCELLED"));
    }

    let submitted = submit(&scratch, &[]).exits(0);
    assert!(submitted.stdout.starts_with("digits: cached\nsearch: jobs "), "{}", submitted.stdout);
    let (search, report) = (number(&submitted, "search"), number(&submitted, "report"));
    let [first, second] = [0, 1].map(|task| format!("{search}_{task}"));
    wait_until("both searches run", || is(&first, "RUNNING") && is(&second, "RUNNING"));
    let again = submit(&scratch, &[]).exits(0);
    assert!(again.stdout.contains(&format!("search: {first} is in the queue (RUNNING), ")), "{}", again.stdout);
    assert!(!again.stdout.contains("job"), "{}", again.stdout);

    // One is preempted; the other is told that its time is over.
    let log = |job: &str| fs::read_to_string(scratch.path(&format!("the store/slurm/it%27s%20small/search-{job}.log")));
    wait_until("both searches went on", || {
        [&first, &second].iter().all(|job| log(job).is_ok_and(|log| !log.is_empty()))
    });
    said("sbatch", &["--partition=high", "--ntasks=1", "--output=/dev/null", "--wrap=true"]);
    let preempted = || [&first, &second].into_iter().find(|job| log(job).unwrap().contains("DUE TO PREEMPTION"));
    wait_until("a search is preempted", || preempted().is_some());
    let other = if preempted() == Some(&first) { &second } else { &first };
    said("scancel", &["--batch", "--signal=USR1", other]);
    let restarts = |job: &str| said("scontrol", &["show", "job", job]).contains("Restarts=1");
    wait_until("both are queued again", || restarts(&first) && restarts(&second));

    wait_until("the report's job has ended", || is(report, "COMPLETED"));
    scratch.run(&["a b/small.yaml", "--store", "alone"]).exits(0);
    let [jobs, alone] = ["the store", "alone"].map(|store| results(&scratch, store));
    let digests = |of: &BTreeMap<String, (Json, bool)>| -> BTreeMap<String, Json> {
        of.iter().map(|(key, (outputs, _))| (key.clone(), outputs.clone())).collect()
    };
    assert_eq!(digests(&jobs), digests(&alone));
    assert_eq!(jobs.len(), 6, "digits, two searches, two cells, a report");
    assert_eq!(jobs.values().filter(|(_, resumed)| *resumed).count(), 2, "both searches went on from checkpoints");
    let done = submit(&scratch, &[]).exits(0);
    assert_eq!(done.stdout, "digits: cached\nsearch: cached\ncell: cached\nreport: cached\n");
}
