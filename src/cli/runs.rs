//! `darts-run runs`: the newest results of the store, when each was made, how long it took, what
//! came of it.

use super::{Complaint, StoreArguments, complaint::warn, output, store::existing};
use crate::{
    machine, observe, run,
    store::{Record, StoreError},
};
use clap::Args;
use serde_json::json;
use std::time::Duration;

#[derive(Args, Debug)]
pub(super) struct RunsArguments {
    /// Only this pipeline's
    #[arg(value_name = "PIPELINE")]
    pipeline: Option<String>,
    /// As many as this, the newest
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..))]
    last: u16,
    /// Print a line of JSON for each
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    store: StoreArguments,
}

pub(super) fn run(arguments: &RunsArguments) -> Result<u8, Complaint> {
    let store = existing(&arguments.store)?;
    let failed = |error: StoreError| Complaint::store(&error);
    let mut results: Vec<(String, String, Record)> = Vec::new();
    for (pipeline, member, key) in store.newest().map_err(failed)? {
        if arguments.pipeline.as_ref().is_some_and(|only| *only != pipeline) {
            continue;
        }
        let name = format!("{pipeline}/{member}");
        match store.record(key) {
            Ok(Some(record)) => results.push((name, key.to_string(), record)),
            // Swept.
            Ok(None) => {}
            Err(error) => warn(&format!("{name}: {}", run::sentence(&error))),
        }
    }
    results.sort_by_key(|(name, _, record)| (std::cmp::Reverse(record.finished), name.clone()));
    results.truncate(usize::from(arguments.last));
    if arguments.json {
        output::say(results.iter().map(|(name, key, record)| as_json(name, key, record)).collect::<String>())?;
    } else if results.is_empty() {
        output::say("no result\n")?;
    } else {
        let now = machine::unix_time();
        let rows = results.into_iter().map(|(name, _, record)| (name, in_words(&record, now)));
        output::say_rows(&rows.collect::<Vec<_>>())?;
    }
    Ok(0)
}

/// `3 min 12 s ago, took 12 s; 96.1 % on the held-out images`; `now` is Unix time in seconds.
fn in_words(record: &Record, now: u64) -> String {
    let ago = observe::ago(record.finished, now);
    let took = observe::duration(Duration::try_from_secs_f64(record.wall_seconds).unwrap_or_default());
    let summary = record.summary.as_ref().map_or_else(String::new, |summary| format!("; {summary}"));
    format!("{ago}, took {took}{summary}")
}

fn as_json(name: &str, key: &str, record: &Record) -> String {
    let Record { metrics, summary, started, finished, wall_seconds, resumed, program, .. } = record;
    let line = json!({
        "stage": name, "key": key, "summary": summary, "metrics": metrics, "started": started, "finished": finished,
        "wall_seconds": wall_seconds, "resumed": resumed, "program": program,
    });
    format!("{line}\n")
}
