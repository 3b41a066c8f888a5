//! The line of a running stage, fitted to the width there is.

use super::{
    look::{Look, Tone},
    quantity::{estimate, percent, rate},
};
use crate::run::Progress;
use std::time::Duration;

const BAR_MIN: usize = 6;
const BAR_MAX: usize = 24;
/// The spinner turns this often.
const TURN: Duration = Duration::from_millis(125);

/// `⠹ search[seed=1] ━━━━━──────── epoch 3/50 120/390 812 img/s loss 1.23 54.2 % ETA 3 min` in at most
/// `look.width` columns. Where that is too long the step goes first, then the speed, the loss, the bar, the accuracy,
/// the epoch, the time left; last the name is cut. `progress` is absent while the stage has told nothing.
pub(super) fn bar_line(stage: &str, progress: Option<&Progress>, elapsed: Duration, look: &Look) -> String {
    let turn = elapsed.as_millis() / TURN.as_millis();
    let spinner = if look.unicode { "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏" } else { "|/-\\" };
    let count = spinner.chars().count();
    let spinner = spinner.chars().nth(usize::try_from(turn).unwrap_or(0) % count).unwrap_or(' ');
    let stage = look.text(stage);

    let mut parts = match progress {
        Some(progress) => Part::of(progress, elapsed),
        None => vec![Part { rank: 0, text: super::duration(elapsed.max(Duration::from_millis(100))) }],
    };
    let fraction = progress.and_then(fraction);
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
        let Progress { epoch, epochs, step, steps, images_per_second, loss, accuracy_percent, remaining } = progress;
        push(1, (*epochs > 1).then(|| format!("epoch {}/{epochs}", (epoch + 1).min(*epochs))));
        // Padded to the width of the total, so that the line does not jump at each step.
        push(5, (*steps > 0).then(|| format!("{step:>width$}/{steps}", width = steps.to_string().len())));
        push(4, images_per_second.map(|speed| format!("{} img/s", rate(speed))));
        push(3, loss.map(|loss| if loss.is_finite() { format!("loss {loss:.2}") } else { format!("loss {loss}") }));
        push(2, accuracy_percent.map(percent));
        push(0, remaining.map(|time| format!("ETA {}", estimate(time))));
        if parts.is_empty() {
            parts.push(Self { rank: 0, text: super::duration(elapsed) });
        }
        parts
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
            accuracy_percent: Some(54.21),
            remaining: Some(Duration::from_secs(200)),
        }
    }

    #[test]
    fn parts_are_dropped_gracefully_as_the_terminal_narrows() {
        let lines: Vec<String> = [100, 85, 80, 72, 64, 56, 48, 40, 32, 24, 12]
            .into_iter()
            .map(|width| {
                let look = Look { width, ..Look::PLAIN };
                bar_line("search[seed=1]", Some(&progress()), Duration::from_millis(250), &look)
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
            bar_line("prepare", Some(&only_steps), Duration::from_secs(2), &Look::PLAIN),
            bar_line("prepare", Some(&Progress::default()), Duration::from_secs(2), &Look::PLAIN),
            bar_line("prepare", None, Duration::from_secs(2), &Look { unicode: false, ..Look::PLAIN }),
            bar_line("search", Some(&Progress { loss: Some(f64::NAN), ..progress() }), Duration::ZERO, &{
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

    proptest! {
        #[test]
        fn no_figure_breaks_the_width(
            width in 8usize..200, epoch in 0usize..2000, epochs in 0usize..1000, step in 0usize..100_000,
            steps in 0usize..100_000, speed in proptest::option::of(0.0f64..1e7), loss in proptest::option::of(0.0f64..1e9),
            seconds in proptest::option::of(0u64..10_000_000), colour: bool, unicode: bool,
        ) {
            let progress = Progress {
                epoch, epochs, step, steps, images_per_second: speed, loss, accuracy_percent: Some(100.0),
                remaining: seconds.map(Duration::from_secs),
            };
            let look = Look { width, unicode, colour, moves: true };
            let line = bar_line("search[seed=1,space=darts]", Some(&progress), Duration::from_secs(3), &look);
            prop_assert!(console::measure_text_width(&line) <= width, "{line}");
        }
    }
}
