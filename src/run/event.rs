//! What happens during a run, as data. The runner and the stages emit; listeners (`observe`, logs)
//! show.

use serde::Serialize as _;
use std::time::Duration;

/// One thing that happened, with the time since the run began.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Event {
    #[serde(rename = "elapsed_seconds", serialize_with = "seconds")]
    pub elapsed: Duration,
    #[serde(flatten)]
    pub kind: EventKind,
}

#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventKind {
    RunStarted {
        pipeline: String,
        /// How many stage members the run has.
        stages: usize,
        store: String,
    },
    /// Another process works on the same key; this one waits for it.
    StageWaiting {
        stage: String,
    },
    /// What a stage reads begins to come from elsewhere, before the stage's work; `kept_bytes` came
    /// in an earlier try.
    DownloadStarted {
        stage: String,
        url: String,
        /// The folder it is put in.
        into: String,
        kept_bytes: u64,
    },
    DownloadProgress {
        stage: String,
        transfer: Transfer,
    },
    /// All of it came, was checked and is in its place.
    DownloadFinished {
        stage: String,
        bytes: u64,
        #[serde(rename = "wall_seconds", serialize_with = "seconds")]
        wall: Duration,
    },
    /// A stage's work begins. `reasons` says why it was not answered from the store, a line each.
    StageStarted {
        stage: String,
        kind: String,
        position: usize,
        reasons: Vec<String>,
    },
    /// The stage's work reads a file or a folder that no stage made.
    StageReads {
        stage: String,
        path: String,
    },
    /// The stage found a checkpoint and goes on from it, for example from `epoch 3`.
    StageResumed {
        stage: String,
        at: String,
    },
    Progress {
        stage: String,
        progress: Progress,
    },
    /// An epoch is complete; metrics in the order to show them.
    EpochFinished {
        stage: String,
        epoch: usize,
        epochs: usize,
        metrics: Vec<(String, f64)>,
    },
    CheckpointSaved {
        stage: String,
        step: u64,
    },
    Warning {
        stage: Option<String>,
        message: String,
    },
    StageFinished {
        stage: String,
        kind: String,
        position: usize,
        outcome: Outcome,
        summary: Option<String>,
    },
    RunFinished {
        cached: usize,
        ran: usize,
        failed: usize,
    },
}

#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// Answered from the store.
    Cached,
    /// Worked `wall` long in this process; `resumed` names the place it went on from.
    Ran {
        #[serde(rename = "wall_seconds", serialize_with = "seconds")]
        wall: Duration,
        resumed: Option<String>,
    },
    Failed {
        message: String,
    },
    /// Stopped by a signal; a rerun goes on from the last checkpoint.
    Interrupted,
    /// Not tried, since a stage it reads failed or was interrupted.
    Skipped {
        because: String,
    },
}

/// How far a stage is. Absent figures are unknown, never zero.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct Progress {
    /// Epochs completed before this one, and in all.
    pub epoch: usize,
    pub epochs: usize,
    /// Steps completed in this epoch, and in an epoch.
    pub step: usize,
    pub steps: usize,
    pub images_per_second: Option<f64>,
    /// Running mean over the epoch so far.
    pub loss: Option<f64>,
    /// What else is measured, in JSON each under its name.
    #[serde(flatten, serialize_with = "by_name")]
    pub measures: Vec<Measured>,
    /// Estimated time to the end of the stage.
    #[serde(rename = "remaining_seconds", serialize_with = "seconds_if_known")]
    pub remaining: Option<Duration>,
}

/// A figure of what is under way.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// `accuracy_percent`
    pub name: &'static str,
    /// `accuracy`
    pub words: &'static str,
    /// `%`
    pub unit: &'static str,
    pub value: f64,
}

/// How far a download is. Absent figures are unknown, never zero.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct Transfer {
    /// Bytes that are there, those of an earlier try included.
    pub bytes: u64,
    pub bytes_in_all: Option<u64>,
    pub bytes_per_second: Option<f64>,
    /// Estimated time to the end of the download.
    #[serde(rename = "remaining_seconds", serialize_with = "seconds_if_known")]
    pub remaining: Option<Duration>,
}

fn by_name<S: serde::Serializer>(measures: &[Measured], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(measures.iter().map(|measured| (measured.name, measured.value)))
}

/// In JSON a time is a number of seconds.
fn seconds<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

fn seconds_if_known<S: serde::Serializer>(time: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(|time| time.as_secs_f64()).serialize(serializer)
}

/// Something that hears events. Runs on the thread that emits: be quick.
pub trait Listener: Send + Sync {
    fn hear(&self, event: &Event);
}
