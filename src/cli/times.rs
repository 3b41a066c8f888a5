//! How long the stages of a report took. Their records know it; a report does not, and is the same
//! however long its stages took.

use crate::{config::Pipeline, observe, run::RunReport};
use std::time::Duration;

/// A line for each stage that the member `at` reads, with the time of all the processes that worked
/// on it.
pub(super) fn text(pipeline: &Pipeline, at: usize, report: &RunReport) -> String {
    let mut read: Vec<usize> = pipeline.members[at].inputs.values().flatten().copied().collect();
    read.sort_unstable();
    read.dedup();
    let stages = read.into_iter().map(|of| &report.members[of]);
    let rows: Vec<(&str, String)> = stages
        .filter_map(|stage| {
            let record = stage.record.as_ref()?;
            let time = Duration::try_from_secs_f64(record.wall_seconds).unwrap_or_default();
            let resumed = record.resumed.as_ref().map_or_else(String::new, |at| format!(", resumed at {at}"));
            Some((stage.name.as_str(), observe::duration(time) + &resumed))
        })
        .collect();
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let lines = rows.iter().map(|(name, time)| format!("  {name:width$}  {time}\n"));
    let text = format!("Time, of the stages' records and no part of the report:\n{}", lines.collect::<String>());
    observe::without_hidden(&text, &['\n'])
}
