//! The words for what happened, shared by bars and plain lines.

use super::quantity::{bytes, duration, metric};
use crate::run::Outcome;
use std::time::Duration;

/// `search: ran, because params.epochs 2 → 3`; nothing where the stage simply never ran.
pub(super) fn because(stage: &str, reasons: &[String]) -> Option<String> {
    why(reasons).map(|why| format!("{stage}: ran, because {why}"))
}

/// Reasons that are told; of a report over a matrix there may be dozens.
const TOLD: usize = 3;

/// The first reasons in one line, without "never run": that is no news.
pub(super) fn why(reasons: &[String]) -> Option<String> {
    let known: Vec<&str> = reasons.iter().map(String::as_str).filter(|reason| *reason != "never run").collect();
    let told = known[..known.len().min(TOLD)].join("; ");
    match known.len().saturating_sub(TOLD) {
        0 => (!told.is_empty()).then_some(told),
        more => Some(format!("{told}; and {more} more")),
    }
}

/// `cached`, `ran 41 s`, `resumed at epoch 3, ran 12 s`, `failed: …`.
pub(super) fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Cached => "cached".to_owned(),
        Outcome::Ran { wall, resumed: None } => format!("ran {}", duration(*wall)),
        Outcome::Ran { wall, resumed: Some(at) } => format!("resumed at {at}, ran {}", duration(*wall)),
        Outcome::Failed { message } => format!("failed: {message}"),
        Outcome::Interrupted => "interrupted; a rerun goes on from the last checkpoint".to_owned(),
        Outcome::Skipped { because } => format!("skipped, because {because}"),
    }
}

/// `images: downloads https://example.org/a.tar.gz into data`, and what an earlier try left of it.
pub(super) fn download(stage: &str, url: &str, into: &str, kept_bytes: u64) -> String {
    let kept = if kept_bytes > 0 { format!(", from {} on", bytes(kept_bytes)) } else { String::new() };
    format!("{stage}: downloads {url} into {into}{kept}")
}

/// `images: downloaded and unpacked 170 MB in 41 s`
pub(super) fn downloaded(stage: &str, count: u64, wall: Duration) -> String {
    format!("{stage}: downloaded and unpacked {} in {}", bytes(count), duration(wall))
}

/// `loss 1.235, accuracy 54.23 %`.
pub(super) fn metrics(metrics: &[(String, f64)]) -> String {
    metrics.iter().map(|(name, value)| metric(name, *value)).collect::<Vec<_>>().join(", ")
}

/// How many stages a run has and how they ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub stages: usize,
    pub cached: usize,
    pub ran: usize,
    pub failed: usize,
    pub interrupted: usize,
}

/// `4 stages: 2 cached, 2 ran in 41 s`. What was neither answered, run, failed nor interrupted was
/// not tried.
pub(super) fn closing(tally: &Tally, elapsed: Duration) -> String {
    let Tally { stages, cached, ran, failed, interrupted } = *tally;
    let untried = stages.saturating_sub(cached + ran + failed + interrupted);
    let parts: Vec<String> =
        [(cached, "cached"), (ran, "ran"), (failed, "failed"), (interrupted, "interrupted"), (untried, "not tried")]
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, word)| format!("{count} {word}"))
            .collect();
    format!("{}: {} in {}", counted(stages), parts.join(", "), duration(elapsed)).replace(":  in", ", done in")
}

/// The first names of a list, and how many more there are.
pub(super) fn some(names: &[String]) -> String {
    let told = names[..names.len().min(TOLD)].join(", ");
    match names.len().saturating_sub(TOLD) {
        0 => told,
        more => format!("{told} and {more} more"),
    }
}

/// `1 stage`, `4 stages`.
pub(super) fn counted(stages: usize) -> String {
    format!("{stages} stage{}", if stages == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_run_needs_no_reason_and_several_reasons_share_a_line() {
        assert_eq!(because("search", &["never run".into()]), None);
        assert_eq!(because("search", &[]), None);
        assert_eq!(
            because("search", &["params.epochs 2 → 3".into(), "input data changed".into()]).unwrap(),
            "search: ran, because params.epochs 2 → 3; input data changed"
        );
        let many: Vec<String> = (1..=5).map(|at| format!("input {at} changed")).collect();
        assert_eq!(why(&many[..3]).unwrap(), "input 1 changed; input 2 changed; input 3 changed");
        assert_eq!(why(&many).unwrap(), "input 1 changed; input 2 changed; input 3 changed; and 2 more");
    }

    #[test]
    fn the_closing_line_names_only_what_there_was() {
        let took = Duration::from_secs(41);
        let tally = Tally { stages: 4, cached: 2, ran: 2, ..Tally::default() };
        assert_eq!(closing(&tally, took), "4 stages: 2 cached, 2 ran in 41 s");
        let tally = Tally { stages: 5, cached: 1, failed: 1, interrupted: 1, ..Tally::default() };
        assert_eq!(closing(&tally, took), "5 stages: 1 cached, 1 failed, 1 interrupted, 2 not tried in 41 s");
        assert_eq!(closing(&Tally::default(), took), "0 stages, done in 41 s");
    }
}
