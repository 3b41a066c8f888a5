//! What a run would do, for a person.

use super::{Look, look::fold, phrases, quantity::duration};
use crate::run::{Foreseen, Outlook};
use std::time::Duration;

/// A line a stage and one for all of them.
///
/// `search: would run, because params.epochs 2 → 3; took 12 s last`
pub fn outlook(foreseen: &[Foreseen], look: &Look) -> String {
    let lines = foreseen.iter().map(line).chain([closing(foreseen)]);
    lines.map(|line| format!("{}\n", fold(&look.text(&line), look.width, 2))).collect()
}

/// A line a stage, and below it one for each of its reasons.
pub fn explained(foreseen: &[Foreseen], look: &Look) -> String {
    let lines = foreseen.iter().flat_map(|stage| {
        let reasons = match &stage.outlook {
            Outlook::Runs { reasons, .. } => reasons.as_slice(),
            _ => &[],
        };
        let reasons = reasons.iter().map(|reason| format!("  {reason}"));
        [format!("{}: {}", stage.stage, state(&stage.outlook))].into_iter().chain(reasons)
    });
    lines.map(|line| format!("{}\n", fold(&look.text(&line), look.width, 4))).collect()
}

fn line(Foreseen { stage, outlook, last_seconds, .. }: &Foreseen) -> String {
    let took = last_seconds.filter(|_| *outlook != Outlook::Cached);
    let took = took.map_or_else(String::new, |seconds| format!("; took {} last", time(seconds)));
    let why = match outlook {
        Outlook::Runs { reasons, .. } => {
            let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
            phrases::why(&reasons).map_or_else(|| ", never run".to_owned(), |why| format!(", because {why}"))
        }
        _ => String::new(),
    };
    format!("{stage}: {}{why}{took}", state(outlook))
}

fn state(outlook: &Outlook) -> String {
    match outlook {
        Outlook::Cached => "cached".to_owned(),
        Outlook::Runs { from_checkpoint: false, .. } => "would run".to_owned(),
        Outlook::Runs { from_checkpoint: true, .. } => "would run on from its checkpoint".to_owned(),
        Outlook::Waits { on } => format!("waits for {}", phrases::some(on)),
        Outlook::Unknown { why } => format!("not known before it runs: {why}"),
    }
}

fn closing(foreseen: &[Foreseen]) -> String {
    let count = |test: fn(&Outlook) -> bool| foreseen.iter().filter(|stage| test(&stage.outlook)).count();
    let parts = [
        (count(|outlook| matches!(outlook, Outlook::Cached)), "cached"),
        (count(|outlook| matches!(outlook, Outlook::Runs { .. })), "would run"),
        (count(|outlook| matches!(outlook, Outlook::Waits { .. })), "behind them"),
        (count(|outlook| matches!(outlook, Outlook::Unknown { .. })), "not known"),
    ];
    let parts: Vec<String> =
        parts.into_iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    let left: Vec<&Foreseen> = foreseen.iter().filter(|stage| stage.outlook != Outlook::Cached).collect();
    let known: Vec<f64> = left.iter().filter_map(|stage| stage.last_seconds).collect();
    let took = match (known.len(), left.len() - known.len()) {
        (0, _) => String::new(),
        (_, 0) => format!("; they took {} last", time(known.iter().sum())),
        (_, never) => format!("; {never} never ran, the others took {} last", time(known.iter().sum())),
    };
    format!("{}: {}{took}", phrases::counted(foreseen.len()), parts.join(", "))
}

fn time(seconds: f64) -> String {
    duration(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::DirtyReason;

    #[test]
    fn each_stage_has_a_line_and_all_have_one() {
        let stage = |stage: &str, outlook, last_seconds| Foreseen {
            stage: stage.to_owned(),
            kind: "search".to_owned(),
            outlook,
            key: None,
            last_seconds,
        };
        let param = |path: &str| DirtyReason::Param { path: path.to_owned(), old: 2.into(), new: 3.into() };
        let runs =
            |reasons: &[DirtyReason], from_checkpoint| Outlook::Runs { reasons: reasons.to_vec(), from_checkpoint };
        let found = outlook(
            &[
                stage("data", Outlook::Cached, Some(9.0)),
                stage("search", runs(&["a", "b", "c", "d"].map(param), true), Some(12.0)),
                stage("other", runs(&[DirtyReason::NeverRun], false), None),
                stage("report", Outlook::Waits { on: vec!["search".to_owned(), "other".to_owned()] }, Some(1.0)),
                stage("photos", Outlook::Unknown { why: "no folder `photos`".to_owned() }, None),
            ],
            &Look { width: 200, ..Look::PLAIN },
        );
        let expected = "\
data: cached
search: would run on from its checkpoint, because params.a 2 → 3; params.b 2 → 3; params.c 2 → 3; and 1 more; took 12 s last
other: would run, never run
report: waits for search, other; took 1.0 s last
photos: not known before it runs: no folder `photos`
5 stages: 1 cached, 2 would run, 1 behind them, 1 not known; 2 never ran, the others took 13 s last
";
        assert_eq!(found, expected);
        let every = [stage("search", runs(&["a", "b", "c", "d"].map(param), false), Some(12.0))];
        let every = explained(&every, &Look::PLAIN);
        assert!(every.starts_with("search: would run\n  params.a 2 → 3\n") && every.lines().count() == 5, "{every}");
        let cached = outlook(&[stage("data", Outlook::Cached, Some(9.0))], &Look::PLAIN);
        assert_eq!(cached, "data: cached\n1 stage: 1 cached\n");
    }
}
