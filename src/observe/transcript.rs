//! The permanent lines on a terminal: which events leave one, and what it says.

use super::{
    look::{Look, Tone, fold},
    phrases::{self, Tally},
};
use crate::run::{Event, EventKind, Outcome};
use std::collections::BTreeMap;

/// What a run has told so far, as far as later lines need it.
#[derive(Debug, Default)]
pub(super) struct Transcript {
    tally: Tally,
    reasons: BTreeMap<String, Vec<String>>,
    name_width: usize,
}

impl Transcript {
    /// The line or lines that `event` leaves behind, if it leaves any.
    pub fn tell(&mut self, event: &Event, look: &Look) -> Option<String> {
        match &event.kind {
            EventKind::RunStarted { pipeline, stages, store } => {
                self.tally.stages = *stages;
                let text = format!("{pipeline}: {}, store {store}", phrases::counted(*stages));
                Some(look.paint(&fold(&look.text(&text), look.width, 2), Tone::Quiet))
            }
            EventKind::StageWaiting { stage } => {
                let text = format!("{stage}: another run works on it; waiting");
                Some(look.paint(&fold(&look.text(&text), look.width, 2), Tone::Quiet))
            }
            EventKind::StageReads { stage, path } => {
                let text = format!("{stage}: reads `{path}`");
                Some(look.paint(&fold(&look.text(&text), look.width, 2), Tone::Quiet))
            }
            EventKind::DownloadStarted { stage, url, into, kept_bytes } => {
                let text = phrases::download(stage, url, into, *kept_bytes);
                Some(look.paint(&fold(&look.text(&text), look.width, 2), Tone::Quiet))
            }
            EventKind::DownloadFinished { stage, bytes, wall } => {
                let text = phrases::downloaded(stage, *bytes, *wall);
                Some(look.paint(&fold(&look.text(&text), look.width, 2), Tone::Quiet))
            }
            EventKind::StageStarted { stage, reasons, .. } => {
                self.reasons.insert(stage.clone(), reasons.clone());
                let text = phrases::because(stage, reasons)?;
                Some(look.paint(&fold(&look.text(&text), look.width, 2), Tone::Quiet))
            }
            EventKind::Warning { stage, message } => {
                let whose = stage.as_ref().map(|stage| format!("{stage}: ")).unwrap_or_default();
                let text = format!("warning: {whose}{message}");
                Some(look.paint(&fold(&look.text(&text), look.width, 9), Tone::Careful))
            }
            EventKind::StageFinished { stage, outcome, summary, .. } => {
                self.tally.interrupted += usize::from(*outcome == Outcome::Interrupted);
                let reasons = self.reasons.remove(stage).unwrap_or_default();
                let note = summary.clone().or_else(|| phrases::why(&reasons).map(|why| format!("reason: {why}")));
                Some(self.finished(stage, outcome, note.as_deref(), look))
            }
            EventKind::RunFinished { cached, ran, failed } => {
                self.tally = Tally { cached: *cached, ran: *ran, failed: *failed, ..self.tally };
                let tone = if *failed > 0 { Tone::Bad } else { Tone::Strong };
                Some(look.paint(&fold(&phrases::closing(&self.tally, event.elapsed), look.width, 2), tone))
            }
            // The bar shows these.
            EventKind::StageResumed { .. }
            | EventKind::DownloadProgress { .. }
            | EventKind::Progress { .. }
            | EventKind::EpochFinished { .. }
            | EventKind::CheckpointSaved { .. } => None,
        }
    }

    /// `  ✓ search[seed=1]     ran 41 s        reason: params.epochs 2 → 3`, the names and outcomes
    /// aligned.
    fn finished(&mut self, stage: &str, outcome: &Outcome, note: Option<&str>, look: &Look) -> String {
        const NAME: usize = 18;
        const OUTCOME: usize = 14;
        let (mark, tone) = match outcome {
            Outcome::Cached => ('✓', Tone::Quiet),
            Outcome::Ran { .. } => ('✓', Tone::Good),
            Outcome::Failed { .. } => ('✗', Tone::Bad),
            Outcome::Interrupted => ('!', Tone::Careful),
            Outcome::Skipped { .. } => ('–', Tone::Quiet),
        };
        let stage = look.text(stage);
        // A long name widens the column for the lines after it, but not without end.
        self.name_width = self.name_width.max(NAME).max(console::measure_text_width(&stage).min(look.width / 2));
        let said = phrases::outcome(outcome);
        let rest = match note {
            Some(note) => format!("{}  {note}", console::pad_str(&said, OUTCOME, console::Alignment::Left, None)),
            None => said,
        };
        let name = console::pad_str(&stage, self.name_width, console::Alignment::Left, None);
        let text = format!("{mark} {name}  {rest}");
        let aligned = 4 + self.name_width + 2;
        let indent = if aligned + 40 <= look.width { aligned } else { 6 };
        let folded = fold(&format!("  {}", look.text(&text)), look.width, indent);
        let mark = look.text(&mark.to_string()).into_owned();
        folded.replacen(&mark, &look.paint(&mark, tone), 1)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::run::{Progress, Transfer};
    use std::time::Duration;

    /// A run with every kind of event and every outcome.
    pub fn story() -> Vec<Event> {
        let stage = |name: &str| name.to_owned();
        let finished = |name: &str, position, outcome, summary: Option<&str>| EventKind::StageFinished {
            stage: stage(name),
            kind: "search".into(),
            position,
            outcome,
            summary: summary.map(str::to_owned),
        };
        let started = |name: &str, position, reasons: &[&str]| EventKind::StageStarted {
            stage: stage(name),
            kind: "search".into(),
            position,
            reasons: reasons.iter().map(|reason| (*reason).to_owned()).collect(),
        };
        let ran = |seconds: f64, resumed: Option<&str>| Outcome::Ran {
            wall: Duration::from_secs_f64(seconds),
            resumed: resumed.map(str::to_owned),
        };
        let progress = Progress {
            epochs: 3,
            step: 40,
            steps: 100,
            images_per_second: Some(812.0),
            loss: Some(1.9),
            measures: vec![crate::observe::quantity::accuracy(34.125)],
            remaining: Some(Duration::from_secs(30)),
            epoch: 0,
        };
        let kinds = vec![
            EventKind::RunStarted { pipeline: "quickstart".into(), stages: 7, store: "artifacts".into() },
            finished("prepare", 0, Outcome::Cached, None),
            started("search[seed=1]", 1, &["params.epochs 2 → 3"]),
            EventKind::Progress { stage: stage("search[seed=1]"), progress },
            EventKind::EpochFinished {
                stage: stage("search[seed=1]"),
                epoch: 1,
                epochs: 3,
                metrics: vec![("loss".into(), 1.7123), ("held_out_accuracy_percent".into(), 41.5)],
            },
            EventKind::CheckpointSaved { stage: stage("search[seed=1]"), step: 100 },
            EventKind::Warning {
                stage: Some(stage("search[seed=1]")),
                message: "the gradient's norm was clipped in 12 of 100 steps, which is seldom healthy".into(),
            },
            finished("search[seed=1]", 1, ran(41.0, None), None),
            EventKind::StageWaiting { stage: stage("search[seed=2]") },
            started("search[seed=2]", 2, &["never run"]),
            EventKind::StageResumed { stage: stage("search[seed=2]"), at: "epoch 3".into() },
            finished("search[seed=2]", 2, ran(12.0, Some("epoch 3")), None),
            started("derive", 3, &["input alphas changed"]),
            finished("derive", 3, ran(0.031, None), Some("3 of 6 edges are skip_connect")),
            EventKind::Warning { stage: None, message: "the store is nearly full".into() },
            started("benchmark", 4, &["never run"]),
            finished(
                "benchmark",
                4,
                Outcome::Failed {
                    message: "the table `search_spaces/tables/nas_bench_201.csv.gz` ends in the middle of a row".into(),
                },
                None,
            ),
            finished("retrain", 5, Outcome::Interrupted, None),
            finished("report", 6, Outcome::Skipped { because: "benchmark failed".into() }, None),
            EventKind::RunFinished { cached: 1, ran: 3, failed: 1 },
        ];
        kinds
            .into_iter()
            .enumerate()
            .map(|(at, kind)| Event { elapsed: Duration::from_secs(4 * at as u64), kind })
            .collect()
    }

    /// A download that goes on from an earlier try and is cut once, up to the work it was for.
    pub fn download() -> Vec<Event> {
        let stage = || "prepare".to_owned();
        let progress = |second: u64| EventKind::DownloadProgress {
            stage: stage(),
            transfer: Transfer {
                bytes: 12_000_000 + second * 5_120_000,
                bytes_in_all: Some(170_052_171),
                bytes_per_second: Some(5_120_000.0),
                remaining: Some(Duration::from_secs(31 - second)),
            },
        };
        let mut kinds = vec![EventKind::DownloadStarted {
            stage: stage(),
            url: "https://example.org/images.tar.gz".into(),
            into: "data".into(),
            kept_bytes: 12_000_000,
        }];
        kinds.extend((1..25).map(progress));
        kinds.push(EventKind::Warning { stage: Some(stage()), message: "the connection was cut".into() });
        kinds.push(EventKind::DownloadFinished { stage: stage(), bytes: 170_052_171, wall: Duration::from_secs(31) });
        kinds.push(EventKind::StageStarted {
            stage: stage(),
            kind: "prepare".into(),
            position: 1,
            reasons: vec!["never run".into()],
        });
        (0..).zip(kinds).map(|(at, kind)| Event { elapsed: Duration::from_secs(at), kind }).collect()
    }

    #[test]
    fn a_download_leaves_where_it_came_from_and_how_long_it_took() {
        let mut transcript = Transcript::default();
        let told: Vec<String> = download().iter().filter_map(|event| transcript.tell(event, &Look::PLAIN)).collect();
        insta::assert_snapshot!(told.join("\n"), @r#"
        prepare: downloads https://example.org/images.tar.gz into data, from 12.0 MB on
        warning: prepare: the connection was cut
        prepare: downloaded and unpacked 170 MB in 31 s
        "#);
    }

    fn told(look: &Look) -> String {
        let mut transcript = Transcript::default();
        story().iter().filter_map(|event| transcript.tell(event, look)).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_whole_run_in_eighty_columns() {
        insta::assert_snapshot!(told(&Look::PLAIN), @r#"
        quickstart: 7 stages, store artifacts
          ✓ prepare             cached
        search[seed=1]: ran, because params.epochs 2 → 3
        warning: search[seed=1]: the gradient's norm was clipped in 12 of 100 steps,
                 which is seldom healthy
          ✓ search[seed=1]      ran 41 s        reason: params.epochs 2 → 3
        search[seed=2]: another run works on it; waiting
          ✓ search[seed=2]      resumed at epoch 3, ran 12 s
        derive: ran, because input alphas changed
          ✓ derive              ran 31 ms       3 of 6 edges are skip_connect
        warning: the store is nearly full
          ✗ benchmark           failed: the table
                                `search_spaces/tables/nas_bench_201.csv.gz` ends in the
                                middle of a row
          ! retrain             interrupted; a rerun goes on from the last checkpoint
          – report              skipped, because benchmark failed
        7 stages: 1 cached, 3 ran, 1 failed, 1 interrupted, 1 not tried in 1 min 16 s
        "#);
    }

    #[test]
    fn a_whole_run_in_forty_columns_of_ascii() {
        insta::assert_snapshot!(told(&Look { width: 40, unicode: false, ..Look::PLAIN }), @r#"
        quickstart: 7 stages, store artifacts
          + prepare             cached
        search[seed=1]: ran, because
          params.epochs 2 -> 3
        warning: search[seed=1]: the gradient's
                 norm was clipped in 12 of 100
                 steps, which is seldom healthy
          + search[seed=1]      ran 41 s
              reason: params.epochs 2 -> 3
        search[seed=2]: another run works on it;
          waiting
          + search[seed=2]      resumed at epoch
              3, ran 12 s
        derive: ran, because input alphas
          changed
          + derive              ran 31 ms
              3 of 6 edges are skip_connect
        warning: the store is nearly full
          x benchmark           failed: the
              table
              `search_spaces/tables/nas_bench_201.csv.gz`
              ends in the middle of a row
          ! retrain             interrupted; a
              rerun goes on from the last
              checkpoint
          - report              skipped, because
              benchmark failed
        7 stages: 1 cached, 3 ran, 1 failed, 1
          interrupted, 1 not tried in 1 min 16 s
        "#);
    }

    #[test]
    fn colour_adds_only_escapes() {
        let plain = told(&Look::PLAIN);
        let colour = told(&Look { colour: true, ..Look::PLAIN });
        assert_ne!(colour, plain);
        assert_eq!(console::strip_ansi_codes(&colour), plain);
    }
}
