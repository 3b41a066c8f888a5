//! Every event as a line of JSON, for programs that watch a run.

use crate::run::{Event, EventKind, Listener};
use std::{
    fs::File,
    io::{self, BufWriter, Read, Write},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

/// Writes events to a file or any other writer. A failing write is told once, to another listener
/// as a warning, and ends the writing; the run goes on, and [`is_whole`](Self::is_whole) says so
/// afterwards.
pub struct Jsonl {
    /// How messages call the writer: its path.
    name: String,
    complaints: Arc<dyn Listener>,
    /// Absent after a failure.
    out: Mutex<Option<Box<dyn Write + Send>>>,
}

impl Jsonl {
    pub fn new(name: String, out: impl Write + Send + 'static, complaints: Arc<dyn Listener>) -> Self {
        Self { name, complaints, out: Mutex::new(Some(Box::new(BufWriter::new(out)))) }
    }

    /// Whether every event was written, as far as was heard.
    pub fn is_whole(&self) -> bool {
        self.out.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

impl Listener for Jsonl {
    fn hear(&self, event: &Event) {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(writer) = out.as_mut() else { return };
        // Steps come often and may wait for the next flush; anything else is worth seeing at once.
        let often = matches!(event.kind, EventKind::Progress { .. });
        if let Err(error) = written(writer, event, often) {
            *out = None;
            drop(out);
            let message = format!("no more events are written to `{}`: {error}", self.name);
            let kind = EventKind::Warning { stage: None, message };
            self.complaints.hear(&Event { elapsed: event.elapsed, kind });
        }
    }
}

/// How every line of a file of events begins.
const BEGIN: &[u8] = b"{\"elapsed_seconds\":";

/// Whether a file was written as [`Jsonl`] writes, or is empty.
///
/// # Errors
/// Where it cannot be read.
pub fn is_of_events(path: &Path) -> io::Result<bool> {
    let mut begin = Vec::new();
    File::open(path)?.take(BEGIN.len() as u64).read_to_end(&mut begin)?;
    Ok(begin.is_empty() || begin == BEGIN)
}

fn written(out: &mut dyn Write, event: &Event, often: bool) -> io::Result<()> {
    let mut line = serde_json::to_vec(event)?;
    line.push(b'\n');
    out.write_all(&line)?;
    if often { Ok(()) } else { out.flush() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::transcript::tests::{download, story};

    #[derive(Default)]
    struct Ears(Mutex<Vec<Event>>);

    impl Listener for Ears {
        fn hear(&self, event: &Event) {
            self.0.lock().unwrap().push(event.clone());
        }
    }

    #[test]
    fn each_event_is_one_line_that_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let file = std::fs::File::create(&path).unwrap();
        let jsonl = Jsonl::new("events.jsonl".into(), file, Arc::new(Ears::default()));
        for event in story() {
            jsonl.hear(&event);
        }
        assert!(jsonl.is_whole());
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), story().len());
        let values: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(values[0]["event"], "run_started");
        assert_eq!(values[3]["progress"]["steps"], 100);
        assert!(values[3]["progress"]["loss"].is_number());
        insta::assert_snapshot!([2, 3, 4, 7, 16].map(|at| text.lines().nth(at).unwrap()).join("\n"), @r#"
        {"elapsed_seconds":8.0,"event":"stage_started","stage":"search[seed=1]","kind":"search","position":1,"reasons":["params.epochs 2 → 3"]}
        {"elapsed_seconds":12.0,"event":"progress","stage":"search[seed=1]","progress":{"epoch":0,"epochs":3,"step":40,"steps":100,"images_per_second":812.0,"loss":1.9,"accuracy_percent":34.125,"remaining_seconds":30.0}}
        {"elapsed_seconds":16.0,"event":"epoch_finished","stage":"search[seed=1]","epoch":1,"epochs":3,"metrics":[["loss",1.7123],["held_out_accuracy_percent",41.5]]}
        {"elapsed_seconds":28.0,"event":"stage_finished","stage":"search[seed=1]","kind":"search","position":1,"outcome":{"outcome":"ran","wall_seconds":41.0,"resumed":null},"summary":null}
        {"elapsed_seconds":64.0,"event":"stage_finished","stage":"benchmark","kind":"search","position":4,"outcome":{"outcome":"failed","message":"the table `search_spaces/tables/nas_bench_201.csv.gz` ends in the middle of a row"},"summary":null}
        "#);
    }

    #[test]
    fn a_download_is_told_in_bytes_and_seconds() {
        let mut text = Vec::new();
        let events = download();
        for at in [0, 1, 26] {
            written(&mut text, &events[at], false).unwrap();
        }
        insta::assert_snapshot!(String::from_utf8(text).unwrap(), @r#"
        {"elapsed_seconds":0.0,"event":"download_started","stage":"prepare","url":"https://example.org/images.tar.gz","into":"data","kept_bytes":12000000}
        {"elapsed_seconds":1.0,"event":"download_progress","stage":"prepare","transfer":{"bytes":17120000,"bytes_in_all":170052171,"bytes_per_second":5120000.0,"remaining_seconds":30.0}}
        {"elapsed_seconds":26.0,"event":"download_finished","stage":"prepare","bytes":170052171,"wall_seconds":31.0}
        "#);
    }

    #[test]
    fn a_number_that_is_none_is_null() {
        let kind = EventKind::EpochFinished {
            stage: "search".into(),
            epoch: 1,
            epochs: 1,
            metrics: vec![("loss".into(), f64::NAN)],
        };
        let mut line = Vec::new();
        written(&mut line, &Event { elapsed: std::time::Duration::ZERO, kind }, false).unwrap();
        assert!(String::from_utf8(line).unwrap().contains(r#"["loss",null]"#));
    }

    #[test]
    fn a_full_disk_is_told_once() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::Error::new(io::ErrorKind::StorageFull, "no space left"))
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let ears = Arc::new(Ears::default());
        let jsonl = Jsonl::new("events.jsonl".into(), Full, ears.clone());
        for event in story() {
            jsonl.hear(&event);
        }
        assert!(!jsonl.is_whole());
        let heard = ears.0.lock().unwrap();
        assert_eq!(heard.len(), 1);
        let EventKind::Warning { message, .. } = &heard[0].kind else { panic!("{heard:?}") };
        assert_eq!(message, "no more events are written to `events.jsonl`: no space left");
    }
}
