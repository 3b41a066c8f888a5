//! The line of a running stage, fitted to the width there is.

use super::{
    look::{Look, Tone},
    quantity::{byte_rate, bytes, estimate, measured, rate},
};
use crate::run::{Progress, Transfer};
use std::time::Duration;

const BAR_MIN: usize = 6;
const BAR_MAX: usize = 24;
/// The spinner turns this often.
const TURN: Duration = Duration::from_millis(125);

/// What a stage told last.
#[derive(Debug, Clone)]
pub(super) enum Shown {
    Work(Progress),
    Download(Transfer),
}

/// `⠹ search[seed=1] ━━━━━──────── epoch 3/50 120/390 812 img/s loss 1.23 54.2 % ETA 3 min` in at
/// most `look.width` columns. Where that is too long the step goes first, then the speed, the loss,
/// the bar, the measure, the epoch, the time left; last the name is cut. A download has bytes and
/// their speed instead: `34.0 MB of 170 MB 5.12 MB/s`. `shown` is absent while the stage has told
/// nothing.
pub(super) fn bar_line(stage: &str, shown: Option<&Shown>, elapsed: Duration, look: &Look) -> String {
    let turn = elapsed.as_millis() / TURN.as_millis();
    let spinner = if look.unicode { "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏" } else { "|/-\\" };
    let count = spinner.chars().count();
    let spinner = spinner.chars().nth(usize::try_from(turn).unwrap_or(0) % count).unwrap_or(' ');
    let stage = look.text(stage);

    let mut parts = match shown {
        Some(Shown::Work(progress)) => Part::of(progress, elapsed),
        Some(Shown::Download(transfer)) => Part::of_download(transfer),
        None => vec![Part { rank: 0, text: super::duration(elapsed.max(Duration::from_millis(100))) }],
    };
    let fraction = match shown {
        Some(Shown::Work(progress)) => fraction(progress),
        Some(Shown::Download(Transfer { bytes, bytes_in_all, .. })) => {
            bytes_in_all.filter(|in_all| *in_all > 0).map(|in_all| (*bytes as f64 / in_all as f64).clamp(0.0, 1.0))
        }
        None => None,
    };
    let name_width = console::measure_text_width(&stage);
    let mut bar = fraction.is_some().then_some(BAR_MIN);
    let length = |parts: &[Part], bar: Option<usize>| {
        2 + name_width
            + bar.map_or(0, |bar| bar + 1)
            + parts.iter().map(|part| 1 + part.text.chars().count()).sum::<usize>()
    };
    // The least important part goes first; the bar is worth more than those of rank 3 and up.
    while length(&parts, bar) > look.width {
        let last = parts.iter().map(|part| part.rank).max().filter(|rank| *rank >= 3 || bar.is_none());
        match last {
            Some(rank) => parts.retain(|part| part.rank != rank),
            None if bar.is_some() => bar = None,
            None => break,
        }
    }
    let spare = look.width.saturating_sub(length(&parts, bar));
    let bar = bar.map(|bar| (bar + spare).min(BAR_MAX));

    let name = if 2 + name_width > look.width {
        console::truncate_str(&stage, look.width.saturating_sub(2), if look.unicode { "…" } else { "." })
    } else {
        stage
    };
    let mut line = format!("{} {}", look.paint(&spinner.to_string(), Tone::Quiet), look.paint(&name, Tone::Strong));
    if let (Some(width), Some(fraction)) = (bar, fraction) {
        line.push(' ');
        line.push_str(&drawn(width, fraction, look));
    }
    for part in parts {
        line.push(' ');
        line.push_str(&look.text(&part.text));
    }
    line
}

/// A piece of the line; a higher rank is dropped earlier.
struct Part {
    rank: u8,
    text: String,
}

impl Part {
    fn of(progress: &Progress, elapsed: Duration) -> Vec<Self> {
        let mut parts = Vec::new();
        let mut push = |rank, text: Option<String>| parts.extend(text.map(|text| Self { rank, text }));
        let Progress { epoch, epochs, step, steps, images_per_second, loss, measures, remaining } = progress;
        push(1, (*epochs > 1).then(|| format!("epoch {}/{epochs}", (epoch + 1).min(*epochs))));
        // Padded to the width of the total, so that the line does not jump at each step.
        push(5, (*steps > 0).then(|| format!("{step:>width$}/{steps}", width = steps.to_string().len())));
        push(4, images_per_second.map(|speed| format!("{} img/s", rate(speed))));
        push(3, loss.map(|loss| if loss.is_finite() { format!("loss {loss:.2}") } else { format!("loss {loss}") }));
        push(2, measures.first().map(measured));
        push(0, remaining.map(|time| format!("ETA {}", estimate(time))));
        if parts.is_empty() {
            parts.push(Self { rank: 0, text: super::duration(elapsed) });
        }
        parts
    }

    fn of_download(transfer: &Transfer) -> Vec<Self> {
        let Transfer { bytes: came, bytes_in_all, bytes_per_second, remaining } = transfer;
        let of = bytes_in_all.map_or_else(String::new, |in_all| format!(" of {}", bytes(in_all)));
        let speed = bytes_per_second.map(|speed| Self { rank: 3, text: byte_rate(speed) });
        let left = remaining.map(|time| Self { rank: 0, text: format!("ETA {}", estimate(time)) });
        [Some(Self { rank: 1, text: format!("{}{of}", bytes(*came)) }), speed, left].into_iter().flatten().collect()
    }
}

/// How much of the whole stage is done, 0 to 1, if that is known.
fn fraction(progress: &Progress) -> Option<f64> {
    let within = if progress.steps > 0 { progress.step as f64 / progress.steps as f64 } else { 0.0 };
    (progress.epochs > 0).then(|| ((progress.epoch as f64 + within) / progress.epochs as f64).clamp(0.0, 1.0))
}

fn drawn(width: usize, fraction: f64, look: &Look) -> String {
    let full = (fraction * width as f64).floor() as usize;
    let (done, open) = if look.unicode { ("━", "─") } else { ("#", "-") };
    format!("{}{}", look.paint(&done.repeat(full), Tone::Good), look.paint(&open.repeat(width - full), Tone::Quiet))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn progress() -> Progress {
        Progress {
            epoch: 2,
            epochs: 50,
            step: 120,
            steps: 390,
            images_per_second: Some(812.3),
            loss: Some(1.2345),
            measures: vec![crate::observe::quantity::accuracy(54.21)],
            remaining: Some(Duration::from_secs(200)),
        }
    }

    #[test]
    fn parts_are_dropped_gracefully_as_the_terminal_narrows() {
        let lines: Vec<String> = [100, 85, 80, 72, 64, 56, 48, 40, 32, 24, 12]
            .into_iter()
            .map(|width| {
                let look = Look { width, ..Look::PLAIN };
                bar_line("search[seed=1]", Some(&Shown::Work(progress())), Duration::from_millis(250), &look)
            })
            .collect();
        insta::assert_snapshot!(lines.join("\n"), @r#"
        ⠹ search[seed=1] ━─────────────────────── epoch 3/50 120/390 812 img/s loss 1.23 54.2 % ETA 3 min
        ⠹ search[seed=1] ──────────── epoch 3/50 120/390 812 img/s loss 1.23 54.2 % ETA 3 min
        ⠹ search[seed=1] ─────── epoch 3/50 120/390 812 img/s loss 1.23 54.2 % ETA 3 min
        ⠹ search[seed=1] ─────── epoch 3/50 812 img/s loss 1.23 54.2 % ETA 3 min
        ⠹ search[seed=1] ───────── epoch 3/50 loss 1.23 54.2 % ETA 3 min
        ⠹ search[seed=1] ─────────── epoch 3/50 54.2 % ETA 3 min
        ⠹ search[seed=1] epoch 3/50 54.2 % ETA 3 min
        ⠹ search[seed=1] epoch 3/50 ETA 3 min
        ⠹ search[seed=1] ETA 3 min
        ⠹ search[seed=1]
        ⠹ search[se…
        "#);
    }

    #[test]
    fn unknown_figures_are_left_out_and_a_silent_stage_shows_its_time() {
        let only_steps = Progress { epochs: 1, step: 7, steps: 10, ..Progress::default() };
        let lines = [
            bar_line("prepare", Some(&Shown::Work(only_steps)), Duration::from_secs(2), &Look::PLAIN),
            bar_line("prepare", Some(&Shown::Work(Progress::default())), Duration::from_secs(2), &Look::PLAIN),
            bar_line("prepare", None, Duration::from_secs(2), &Look { unicode: false, ..Look::PLAIN }),
            bar_line("search", Some(&Shown::Work(Progress { loss: Some(f64::NAN), ..progress() })), Duration::ZERO, &{
                Look { unicode: false, ..Look::PLAIN }
            }),
        ];
        insta::assert_snapshot!(lines.join("\n"), @r#"
        ⠦ prepare ━━━━━━━━━━━━━━━━────────  7/10
        ⠦ prepare 2.0 s
        | prepare 2.0 s
        | search ---------------- epoch 3/50 120/390 812 img/s loss NaN 54.2 % ETA 3 min
        "#);
    }

    #[test]
    fn a_download_shows_its_bytes_and_drops_its_speed_first() {
        let transfer = Transfer {
            bytes: 34_000_000,
            bytes_in_all: Some(170_052_171),
            bytes_per_second: Some(5_120_000.0),
            remaining: Some(Duration::from_secs(27)),
        };
        let line = |transfer: &Transfer, width| {
            let look = Look { width, ..Look::PLAIN };
            bar_line("images", Some(&Shown::Download(transfer.clone())), Duration::from_secs(7), &look)
        };
        let unknown = Transfer { bytes: 512, ..Transfer::default() };
        let lines =
            [line(&transfer, 80), line(&transfer, 48), line(&transfer, 36), line(&transfer, 20), line(&unknown, 80)];
        insta::assert_snapshot!(lines.join("\n"), @r#"
        ⠦ images ━━━━──────────────────── 34.0 MB of 170 MB 5.12 MB/s ETA 27 s
        ⠦ images ━━────────── 34.0 MB of 170 MB ETA 27 s
        ⠦ images 34.0 MB of 170 MB ETA 27 s
        ⠦ images ETA 27 s
        ⠦ images 512 bytes
        "#);
    }

    proptest! {
        #[test]
        fn no_figure_breaks_the_width(
            width in 8usize..200, epoch in 0usize..2000, epochs in 0usize..1000, step in 0usize..100_000,
            steps in 0usize..100_000, speed in proptest::option::of(0.0f64..1e7), loss in proptest::option::of(0.0f64..1e9),
            seconds in proptest::option::of(0u64..10_000_000), colour: bool, unicode: bool,
        ) {
            let progress = Progress {
                epoch, epochs, step, steps, images_per_second: speed, loss, measures: vec![crate::observe::quantity::accuracy(100.0)],
                remaining: seconds.map(Duration::from_secs),
            };
            let look = Look { width, unicode, colour, moves: true };
            let line = bar_line("search[seed=1,space=darts]", Some(&Shown::Work(progress)), Duration::from_secs(3), &look);
            prop_assert!(console::measure_text_width(&line) <= width, "{line}");
        }
    }
}
