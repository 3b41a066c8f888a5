//! No terminal: plain lines, as a log file or a batch system keeps them.

use super::{
    look::Look,
    phrases::{self, Tally},
    quantity::{byte_rate, bytes, estimate, measured, rate},
};
use crate::run::{Event, EventKind, Listener, Outcome, Progress, Transfer};
use std::{
    collections::BTreeMap,
    io::Write,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Between two lines about the progress of one stage.
const QUIET: Duration = Duration::from_secs(10);

/// Writes one line for each stage's start, finished epoch and end, and one each ten seconds of a
/// long epoch.
pub struct Lines<W> {
    look: Look,
    inner: Mutex<(Account, W)>,
}

impl<W: Write + Send> Lines<W> {
    pub fn new(look: Look, out: W) -> Self {
        Self { look, inner: Mutex::new((Account::default(), out)) }
    }
}

impl<W: Write + Send> Listener for Lines<W> {
    fn hear(&self, event: &Event) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let (account, out) = &mut *inner;
        if let Some(line) = account.line(event) {
            // Nobody is left to tell when stderr is closed; the run itself goes on.
            let _ = writeln!(out, "{}", self.look.text(&line)).and_then(|()| out.flush());
        }
    }
}

/// What was told so far, as far as later lines need it.
#[derive(Debug, Default)]
struct Account {
    tally: Tally,
    /// When each running stage last had a line.
    told: BTreeMap<String, Duration>,
}

impl Account {
    /// Whether `stage` had no line for so long that its progress is worth one; counts as one.
    fn is_due(&mut self, stage: &str, now: Duration) -> bool {
        let told = self.told.entry(stage.to_owned()).or_insert(now);
        let due = now.saturating_sub(*told) >= QUIET;
        if due {
            *told = now;
        }
        due
    }

    fn line(&mut self, event: &Event) -> Option<String> {
        match &event.kind {
            EventKind::RunStarted { pipeline, stages, store } => {
                self.tally.stages = *stages;
                Some(format!("{pipeline}: {}, store {store}", phrases::counted(*stages)))
            }
            EventKind::StageWaiting { stage } => Some(format!("{stage}: another run works on it; waiting")),
            EventKind::DownloadStarted { stage, url, into, kept_bytes } => {
                self.told.insert(stage.clone(), event.elapsed);
                Some(phrases::download(stage, url, into, *kept_bytes))
            }
            EventKind::DownloadProgress { stage, transfer } => {
                self.is_due(stage, event.elapsed).then(|| format!("{stage}: {}", amount(transfer)))
            }
            EventKind::DownloadFinished { stage, bytes, wall } => Some(phrases::downloaded(stage, *bytes, *wall)),
            EventKind::StageStarted { stage, reasons, .. } => {
                self.told.insert(stage.clone(), event.elapsed);
                Some(phrases::because(stage, reasons).unwrap_or_else(|| format!("{stage}: started")))
            }
            EventKind::StageReads { stage, path } => Some(format!("{stage}: reads `{path}`")),
            EventKind::StageResumed { stage, at } => Some(format!("{stage}: resumed at {at}")),
            EventKind::Progress { stage, progress } => {
                self.is_due(stage, event.elapsed).then(|| format!("{stage}: {}", figures(progress)))
            }
            EventKind::EpochFinished { stage, epoch, epochs, metrics } => {
                self.told.insert(stage.clone(), event.elapsed);
                let done = format!("{stage}: epoch {epoch}/{epochs} done");
                Some(if metrics.is_empty() { done } else { format!("{done}, {}", phrases::metrics(metrics)) })
            }
            EventKind::CheckpointSaved { .. } => None,
            EventKind::Warning { stage: Some(stage), message } => Some(format!("warning: {stage}: {message}")),
            EventKind::Warning { stage: None, message } => Some(format!("warning: {message}")),
            EventKind::StageFinished { stage, outcome, summary, .. } => {
                self.told.remove(stage);
                self.tally.interrupted += usize::from(*outcome == Outcome::Interrupted);
                let said = format!("{stage}: {}", phrases::outcome(outcome));
                Some(summary.as_ref().map_or(said.clone(), |summary| format!("{said}; {summary}")))
            }
            EventKind::RunFinished { cached, ran, failed } => {
                self.tally = Tally { cached: *cached, ran: *ran, failed: *failed, ..self.tally };
                Some(phrases::closing(&self.tally, event.elapsed))
            }
        }
    }
}

/// `34.0 MB of 170 MB, 5.12 MB/s, 27 s to go`; unknown figures are left out.
fn amount(transfer: &Transfer) -> String {
    let Transfer { bytes: came, bytes_in_all, bytes_per_second, remaining } = transfer;
    let of = bytes_in_all.map_or_else(String::new, |in_all| format!(" of {}", bytes(in_all)));
    let parts = [
        Some(format!("{}{of}", bytes(*came))),
        bytes_per_second.map(byte_rate),
        remaining.map(|time| format!("{} to go", estimate(time))),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// `epoch 1/3, step 40/100, 812 images/s, loss 1.90, accuracy 34.1 %, 30 s to go`; unknown figures
/// are left out.
fn figures(progress: &Progress) -> String {
    let Progress { epoch, epochs, step, steps, images_per_second, loss, measures, remaining } = progress;
    let parts = [
        (*epochs > 1).then(|| format!("epoch {}/{epochs}", (epoch + 1).min(*epochs))),
        (*steps > 0).then(|| format!("step {step}/{steps}")),
        images_per_second.map(|speed| format!("{} images/s", rate(speed))),
        loss.map(|loss| format!("loss {loss:.3}")),
        measures.first().map(|first| format!("{} {}", first.words, measured(first))),
        remaining.map(|time| format!("{} to go", estimate(time))),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { "working".to_owned() } else { parts.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::transcript::tests::{download, story};
    use std::sync::Arc;

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn heard(look: Look, events: &[Event]) -> String {
        let paper = Paper::default();
        let lines = Lines::new(look, paper.clone());
        events.iter().for_each(|event| lines.hear(event));
        String::from_utf8(paper.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn a_whole_run() {
        insta::assert_snapshot!(heard(Look::PLAIN, &story()), @r#"
        quickstart: 7 stages, store artifacts
        prepare: cached
        search[seed=1]: ran, because params.epochs 2 → 3
        search[seed=1]: epoch 1/3 done, loss 1.712, held out accuracy 41.50 %
        warning: search[seed=1]: the gradient's norm was clipped in 12 of 100 steps, which is seldom healthy
        search[seed=1]: ran 41 s
        search[seed=2]: another run works on it; waiting
        search[seed=2]: started
        search[seed=2]: resumed at epoch 3
        search[seed=2]: resumed at epoch 3, ran 12 s
        derive: ran, because input alphas changed
        derive: ran 31 ms; 3 of 6 edges are skip_connect
        warning: the store is nearly full
        benchmark: started
        benchmark: failed: the table `search_spaces/tables/nas_bench_201.csv.gz` ends in the middle of a row
        retrain: interrupted; a rerun goes on from the last checkpoint
        report: skipped, because benchmark failed
        7 stages: 1 cached, 3 ran, 1 failed, 1 interrupted, 1 not tried in 1 min 16 s
        "#);
    }

    #[test]
    fn a_download_has_a_line_each_ten_seconds() {
        insta::assert_snapshot!(heard(Look::PLAIN, &download()), @r#"
        prepare: downloads https://example.org/images.tar.gz into data, from 12.0 MB on
        prepare: 63.2 MB of 170 MB, 5.12 MB/s, 21 s to go
        prepare: 114 MB of 170 MB, 5.12 MB/s, 11 s to go
        warning: prepare: the connection was cut
        prepare: downloaded and unpacked 170 MB in 31 s
        prepare: started
        "#);
    }

    #[test]
    fn the_file_has_no_control_characters_and_no_marks_outside_a_utf8_locale() {
        let mut events = story();
        events.push(Event {
            elapsed: Duration::ZERO,
            kind: EventKind::Warning { stage: None, message: "from a file: \u{1b}[31mred\r\nline".into() },
        });
        let text = heard(Look { unicode: false, ..Look::PLAIN }, &events);
        assert!(text.is_ascii() && text.bytes().all(|byte| byte == b'\n' || !byte.is_ascii_control()), "{text}");
    }

    #[test]
    fn a_long_epoch_gets_a_line_each_ten_seconds() {
        let started = story()[2].clone();
        let step = |second| Event { elapsed: Duration::from_secs(second), ..story()[3].clone() };
        let events: Vec<Event> = std::iter::once(started).chain((8..48).map(step)).collect();
        let text = heard(Look::PLAIN, &events);
        assert_eq!(text.lines().filter(|line| line.contains("step 40/100")).count(), 3, "{text}");
    }
}
