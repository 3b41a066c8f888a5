//! A folder of its own for a test, with a small pipeline in it, and the real program run there.
#![expect(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

use crate::edited::edited;
use serde_json::Value as Json;
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// What takes longer than this will never be: on a machine that does nothing else all of it takes
/// seconds.
const DEADLINE: Duration = Duration::from_secs(120);

pub struct Scratch {
    folder: TempDir,
}

/// A search of seconds on images that the program draws itself.
const PIPELINE: &str = "\
name: tiny
stages:
  images:
    prepare: {synthetic: {train: 96, test: 16, classes: 4, size: 8, channels: 1, seed: 3}}
  search:
    search:
      data: images
      space: nas_bench_201
      channels: 4
      size: 1
      epochs: 3
      batch: 16
      seed: 1
      augment: {crop_padding: 1, flip: true}
      alphas: {learning_rate: 0.01}
    runtime: {checkpoint: {every_steps: 1}}
  cell:
    derive: {search: search}
  table:
    benchmark: {genotype: cell, table: nas_bench_201}
  report:
    report: {of: [images, search, cell, table]}
";

impl Scratch {
    pub fn new() -> Self {
        let scratch = Self { folder: tempfile::tempdir().unwrap() };
        scratch.write("tiny.yaml", PIPELINE);
        let spaces = Path::new(env!("CARGO_MANIFEST_DIR")).join("search_spaces");
        std::os::unix::fs::symlink(spaces, scratch.path("search_spaces")).unwrap();
        scratch
    }

    /// With the search of seconds for each of the seeds, `1, 2`, of which one report is made.
    pub fn with_seeds(seeds: &str) -> Self {
        let scratch = Self::new();
        let matrix = format!("name: tiny\nmatrix: {{seed: [{seeds}]}}\n");
        scratch.edit(
            "tiny.yaml",
            &[
                ("name: tiny\n", &matrix),
                ("seed: 1\n", "seed: \"${matrix.seed}\"\n"),
                ("[images, search, cell, table]", "[images, \"search[*]\", \"cell[*]\", \"table[*]\"]"),
            ],
        );
        scratch
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Writes a file anew with every `from` in it replaced by its `to`; fails where there is none.
    #[track_caller]
    pub fn edit(&self, name: &str, edits: &[(&str, &str)]) {
        self.write(name, &edited(&self.read(name), edits));
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_darts-run"));
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        // What the tests' own environment sets is not the pipeline's.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("DARTS_RUN_")) {
            command.env_remove(name);
        }
        // Servers of tests are on this machine.
        command.env("NO_PROXY", "127.0.0.1");
        command
    }

    /// Runs the program to its end.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        Ended::from(self.command(arguments).output().unwrap())
    }

    /// Runs the program to its end, with standard output elsewhere.
    pub fn run_into(&self, stdout: impl Into<Stdio>, arguments: &[&str]) -> Ended {
        let child = self.command(arguments).stdout(stdout).stderr(Stdio::piped()).spawn().unwrap();
        Ended::from(child.wait_with_output().unwrap())
    }

    /// Runs the program to its end, with these variables in its environment.
    pub fn run_with(&self, environment: &[(&str, &str)], arguments: &[&str]) -> Ended {
        Ended::from(self.command(arguments).envs(environment.iter().copied()).output().unwrap())
    }

    /// Starts a run and hears what happens in it.
    pub fn start(&self, arguments: &[&str]) -> Running {
        self.hear(self.command(arguments))
    }

    /// Starts a command that has no events.
    pub fn start_deaf(&self, arguments: &[&str]) -> Running {
        let child = self.command(arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        Running { child, events: channel().1 }
    }

    /// The same where a hangup is ignored, as `nohup` does.
    pub fn start_without_hangup(&self, arguments: &[&str]) -> Running {
        let program = self.command(arguments);
        let mut shell = Command::new("sh");
        shell.args(["-c", "trap '' HUP; exec \"$0\" \"$@\""]).arg(program.get_program()).args(program.get_args());
        shell.current_dir(self.folder.path());
        self.hear(shell)
    }

    /// Runs the program to its end in a shell that did `before`.
    pub fn run_limited(&self, before: &str, arguments: &[&str]) -> Ended {
        let program = self.command(arguments);
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &format!("{before}; exec \"$0\" \"$@\"")])
            .arg(program.get_program())
            .args(program.get_args());
        Ended::from(shell.current_dir(self.folder.path()).stdin(Stdio::null()).output().unwrap())
    }

    /// Starts the command with its events going into a pipe.
    fn hear(&self, mut command: Command) -> Running {
        let pipe = self.path("events.pipe");
        // A new one each time: whoever reads the one before may not have seen its end yet.
        let _ = fs::remove_file(&pipe);
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        command.arg("--events").arg(&pipe).stdout(Stdio::null()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        let (say, events) = channel();
        // Reading may wait for ever, so it has a thread of its own, which ends with the program.
        thread::spawn(move || {
            let lines = BufReader::new(File::open(pipe).unwrap()).lines().map_while(Result::ok);
            // The last line of a program that was killed may be half of one.
            let mut events = lines.map_while(|line| serde_json::from_str(&line).ok());
            events.try_for_each(|event| say.send(event))
        });
        Running { child, events }
    }

    /// The outputs of the stages of `kind` in the store `store`: name → digest, of the newest
    /// record.
    pub fn outputs(&self, store: &str, kind: &str) -> BTreeMap<String, String> {
        let records = fs::read_dir(self.path(store).join("actions-v1")).unwrap();
        let records: Vec<Json> = records
            .map(|entry| serde_json::from_slice(&fs::read(entry.unwrap().path()).unwrap()).unwrap())
            .filter(|record: &Json| record["manifest"]["kind"] == kind)
            .collect();
        assert_eq!(records.len(), 1, "one record of {kind}");
        let outputs = records[0]["outputs"].as_object().unwrap();
        outputs.iter().map(|(name, output)| (name.clone(), output["digest"].as_str().unwrap().to_owned())).collect()
    }

    /// Every file below a folder.
    pub fn files(&self, folder: &str) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut folders = vec![self.path(folder)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() { folders.push(path) } else { files.push(path) }
            }
        }
        files.sort();
        files
    }
}

/// Waits for something outside the program that tells nobody when it is done.
#[track_caller]
pub fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < DEADLINE, "not seen in {DEADLINE:?}: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A run that goes on while the test does. It ends with its test, however that ends.
pub struct Running {
    child: Child,
    events: Receiver<Json>,
}

impl Running {
    /// The next event; none once the run is over.
    #[track_caller]
    fn next(&self) -> Option<Json> {
        match self.events.recv_timeout(DEADLINE) {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("no event in {DEADLINE:?}"),
        }
    }

    /// Waits for an event of this name, which must come.
    #[track_caller]
    pub fn wait_for(&self, name: &str) {
        while self.next().unwrap_or_else(|| panic!("the run is over without an event `{name}`"))["event"] != name {}
    }

    /// Waits for so many events, or for the end of the run.
    #[track_caller]
    pub fn wait_for_any(&self, count: usize) {
        for _ in 0..count {
            self.next();
        }
    }

    /// Ends it as a crash does.
    pub fn kill(self) {
        drop(self);
    }

    /// Ends it as a crash does; whether it had not ended by itself.
    pub fn killed(mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Sends a signal, by the name that `kill` knows.
    pub fn signal(&self, name: &str) {
        let kill = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(kill.expect("`kill` can be started").success());
    }

    /// Waits for its end.
    pub fn ended(mut self) -> Ended {
        let mut stderr = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        Ended { code: self.child.wait().unwrap().code(), stdout: String::new(), stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a run left behind.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ended {
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// The line of stderr that tells how `stage` ended.
    #[track_caller]
    pub fn line(&self, words: &[&str]) -> &str {
        let mut lines = self.stderr.lines().filter(|line| words.iter().all(|word| line.contains(word)));
        lines.next().unwrap_or_else(|| panic!("no line with {words:?} in:\n{}", self.stderr))
    }
}
