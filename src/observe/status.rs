//! How the stages of a pipeline stand, on stdout.

use super::{
    phrases,
    quantity::{ago, estimate},
};
use crate::run::{Standing, Status, WorkState};
use std::time::Duration;

/// How a stage stands, in words; `now` is Unix time in seconds.
pub fn status(status: &Status, now: u64) -> String {
    match status {
        Status::Fresh => "fresh".to_owned(),
        Status::Stale { reasons } => {
            let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
            phrases::why(&reasons).map_or_else(|| "stale".to_owned(), |why| format!("stale, because {why}"))
        }
        Status::NeverRun => "never run".to_owned(),
        Status::Running { work: Some(standing) } => running(standing),
        Status::Running { work: None } => "running".to_owned(),
        Status::Failed(standing) => format!("{} ({})", ended(standing), ago(standing.at, now)),
        Status::Stopped => "stopped; a run goes on from its checkpoint".to_owned(),
        Status::Waiting { on } => format!("waits for {}", phrases::some(on)),
        Status::Unknown { why } => format!("not known before it runs: {why}"),
    }
}

/// `running, epoch 3/50, 4 min to go, process 4711 on node7`
fn running(Standing { machine, process, state, .. }: &Standing) -> String {
    let mut parts = vec!["running".to_owned()];
    if let WorkState::Working { epoch, epochs, remaining_seconds } = state {
        parts.extend((*epochs > 1).then(|| format!("epoch {}/{epochs}", (epoch + 1).min(*epochs))));
        let left = remaining_seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        parts.extend(left.map(|left| format!("{} to go", estimate(left))));
    }
    parts.push(format!("process {process} on {machine}"));
    parts.join(", ")
}

/// How a try ended: `failed: the loss became NaN`.
fn ended(standing: &Standing) -> String {
    match &standing.state {
        WorkState::Failed { message } => format!("failed: {message}"),
        WorkState::Interrupted => "stopped".to_owned(),
        WorkState::Working { .. } => "killed".to_owned(),
    }
}

/// What is known of work that is not finished, whatever pipeline it is of.
pub fn unfinished(standing: &Standing, is_running: bool, now: u64) -> String {
    if is_running { running(standing) } else { format!("{} ({})", ended(standing), ago(standing.at, now)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        plan::DirtyReason,
        run::{Foreseen, Outlook},
    };

    fn foreseen(outlook: Outlook) -> Foreseen {
        Foreseen { stage: "search".to_owned(), kind: "search".to_owned(), outlook, key: None, last_seconds: None }
    }

    fn standing(state: WorkState) -> Standing {
        Standing {
            pipeline: "p".to_owned(),
            member: "search".to_owned(),
            machine: "node7".to_owned(),
            process: 4711,
            at: 1000,
            state,
        }
    }

    #[test]
    fn a_stage_stands_as_the_store_and_whoever_works_on_it_say() {
        let param = DirtyReason::Param { path: "epochs".into(), old: 2.into(), new: 3.into() };
        let runs =
            |reasons: &[DirtyReason], from_checkpoint| Outlook::Runs { reasons: reasons.to_vec(), from_checkpoint };
        let working = || standing(WorkState::Working { epoch: 2, epochs: 50, remaining_seconds: Some(240.0) });
        let failed = || standing(WorkState::Failed { message: "the loss became NaN".to_owned() });
        let never = || runs(&[DirtyReason::NeverRun], false);
        let cases = [
            (Outlook::Cached, None, false, "fresh"),
            (never(), None, false, "never run"),
            (runs(std::slice::from_ref(&param), false), None, false, "stale, because params.epochs 2 → 3"),
            (runs(&[param], true), Some(working()), true, "running, epoch 3/50, 4 min to go, process 4711 on node7"),
            (
                runs(&[DirtyReason::NeverRun], true),
                Some(working()),
                false,
                "stopped; a run goes on from its checkpoint",
            ),
            (never(), Some(failed()), false, "failed: the loss became NaN (1 min 12 s ago)"),
            (never(), None, true, "running"),
            (Outlook::Waits { on: vec!["a".to_owned()] }, None, false, "waits for a"),
        ];
        for (outlook, standing, is_running, expected) in cases {
            assert_eq!(status(&Status::of(&foreseen(outlook), standing, is_running), 1072), expected);
        }
        assert_eq!(unfinished(&working(), false, 1003), "killed (3.0 s ago)");
    }
}
