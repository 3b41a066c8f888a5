//! A terminal: one bar for the running stage, one permanent line for each finished one.

use super::{
    bar_line::{Shown, bar_line},
    look::Look,
    transcript::Transcript,
};
use crate::run::{Event, EventKind, Listener};
use console::Term;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{RecvTimeoutError, Sender, channel},
    },
    thread::Builder,
    time::Duration,
};

/// Between two drawings of the running stage: eight a second.
const REDRAW: Duration = Duration::from_millis(125);

/// Draws a run on a terminal.
///
/// A step's event only stores its figures; a thread draws them at its own pace, so that training
/// never waits for a terminal.
pub struct Bars {
    look: Look,
    screen: MultiProgress,
    /// Writes a permanent line while the bars are away. (indicatif's own `println` fills lines with
    /// spaces and ends without a line break.)
    write_line: Box<dyn Fn(&str) + Send + Sync>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    transcript: Transcript,
    running: Vec<Running>,
}

struct Running {
    stage: String,
    bar: ProgressBar,
    /// Read by the drawing thread: never held while indicatif is called.
    shown: Arc<Mutex<Option<Shown>>>,
    /// Ends the drawing thread when it is dropped; absent where none could be started, and events
    /// draw.
    drawing: Option<Sender<()>>,
}

impl State {
    fn show(&self, stage: &str, figures: Shown) {
        if let Some(running) = self.running.iter().find(|running| running.stage == stage) {
            *running.shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(figures);
            if running.drawing.is_none() {
                // indicatif thins it out.
                running.bar.tick();
            }
        }
    }
}

impl Bars {
    /// Bars on stderr; the width follows the terminal's.
    pub fn on_stderr(look: Look) -> Self {
        let write_line = |text: &str| {
            // Nobody is left to tell when the terminal is gone.
            let _ = Term::stderr().write_line(text);
        };
        Self::new(look, ProgressDrawTarget::term(Term::buffered_stderr(), 10), write_line)
    }

    fn new(look: Look, target: ProgressDrawTarget, write_line: impl Fn(&str) + Send + Sync + 'static) -> Self {
        let screen = MultiProgress::with_draw_target(target);
        Self { look, screen, write_line: Box::new(write_line), state: Mutex::default() }
    }

    fn start(&self, stage: &str) -> Running {
        let shown: Arc<Mutex<Option<Shown>>> = Arc::default();
        let (to_draw, name, look) = (shown.clone(), stage.to_owned(), self.look);
        let line = move |state: &ProgressState, out: &mut dyn fmt::Write| {
            let shown = to_draw.lock().unwrap_or_else(PoisonError::into_inner).clone();
            // The last column stays free: some terminals wrap when it is written.
            let width = current_width(&look).saturating_sub(1);
            // Writing to a string in memory.
            let _ = out.write_str(&bar_line(&name, shown.as_ref(), state.elapsed(), &Look { width, ..look }));
        };
        let style = ProgressStyle::with_template("{line}").unwrap_or_else(|_| ProgressStyle::default_spinner());
        let bar = self.screen.add(ProgressBar::new_spinner().with_style(style.with_key("line", line)));
        let drawing = drawing(bar.clone());
        Running { stage: stage.to_owned(), bar, shown, drawing }
    }
}

/// A thread that draws the bar until what is returned is dropped. (indicatif's own panics where
/// none can be started.)
fn drawing(bar: ProgressBar) -> Option<Sender<()>> {
    let (alive, ended) = channel::<()>();
    let draw = move || {
        while ended.recv_timeout(REDRAW) == Err(RecvTimeoutError::Timeout) {
            bar.tick();
        }
    };
    Builder::new().name("progress".to_owned()).spawn(draw).ok().map(|_thread| alive)
}

/// The terminal may have been resized since the run began.
fn current_width(look: &Look) -> usize {
    Term::stderr().size_checked().map_or(look.width, |(_, columns)| usize::from(columns))
}

impl Listener for Bars {
    fn hear(&self, event: &Event) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &event.kind {
            EventKind::Progress { stage, progress } => {
                state.show(stage, Shown::Work(progress.clone()));
                return;
            }
            EventKind::DownloadProgress { stage, transfer } => {
                state.show(stage, Shown::Download(transfer.clone()));
                return;
            }
            EventKind::StageFinished { stage, .. } | EventKind::DownloadFinished { stage, .. } => {
                state.running.retain(|running| {
                    let goes = running.stage == *stage;
                    if goes {
                        running.bar.finish_and_clear();
                        self.screen.remove(&running.bar);
                    }
                    !goes
                })
            }
            EventKind::RunFinished { .. } => {
                for running in state.running.drain(..) {
                    running.bar.finish_and_clear();
                    self.screen.remove(&running.bar);
                }
            }
            _ => {}
        }
        let look = Look { width: current_width(&self.look), ..self.look };
        if let Some(text) = state.transcript.tell(event, &look) {
            self.screen.suspend(|| (self.write_line)(&text));
        }
        // A stage that read something damaged starts a second time without an end: its bar is
        // there.
        if let EventKind::StageStarted { stage, .. } | EventKind::DownloadStarted { stage, .. } = &event.kind
            && state.running.iter().all(|running| running.stage != *stage)
        {
            let running = self.start(stage);
            state.running.push(running);
        }
    }
}

impl Drop for Bars {
    /// A run that ends in an error before its last event leaves no half-drawn bar.
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        for running in state.running.drain(..) {
            running.bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::transcript::tests::{download, story};
    use indicatif::TermLike;
    use std::io;

    /// Records what is written; movements of the cursor are not played.
    #[derive(Debug, Clone, Default)]
    struct Paper(Arc<Mutex<(Vec<String>, usize)>>);

    impl TermLike for Paper {
        fn width(&self) -> u16 {
            80
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().unwrap().0.push(text.to_owned());
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            self.0.lock().unwrap().1 += 1;
            Ok(())
        }
    }

    fn bars_on(paper: &Paper) -> Bars {
        let target = ProgressDrawTarget::term_like(Box::new(paper.clone()));
        let below = paper.clone();
        Bars::new(Look::PLAIN, target, move |text| below.0.lock().unwrap().0.push(text.to_owned()))
    }

    #[test]
    fn every_finished_stage_and_warning_is_written_and_no_bar_is_left() {
        let paper = Paper::default();
        let bars = bars_on(&paper);
        for event in story() {
            bars.hear(&event);
        }
        let written = paper.0.lock().unwrap().0.join("\n");
        for part in ["ran, because params.epochs 2 → 3", "ran 41 s", "warning: search[seed=1]", "1 interrupted"] {
            assert!(written.contains(part), "{part} in {written}");
        }
        assert!(bars.state.lock().unwrap().running.is_empty());
    }

    #[test]
    fn a_download_has_a_bar_until_it_is_there_and_its_stage_one_of_its_own() {
        let paper = Paper::default();
        let bars = bars_on(&paper);
        let shown =
            || bars.state.lock().unwrap().running.iter().map(|running| running.shown.clone()).collect::<Vec<_>>();
        let events = download();
        bars.hear(&events[0]);
        bars.hear(&events[1]);
        assert!(matches!(*shown()[0].lock().unwrap(), Some(Shown::Download(_))));
        bars.hear(&events[26]);
        assert!(shown().is_empty());
        bars.hear(&events[27]);
        assert!(shown()[0].lock().unwrap().is_none());
    }

    #[test]
    fn a_hundred_thousand_steps_draw_next_to_nothing() {
        let paper = Paper::default();
        let bars = bars_on(&paper);
        let story = story();
        bars.hear(&story[2]);
        let begun = std::time::Instant::now();
        for _ in 0..100_000 {
            bars.hear(&story[3]);
        }
        let drawn = paper.0.lock().unwrap().1;
        let turns = begun.elapsed().as_millis() / REDRAW.as_millis();
        assert!(drawn as u128 <= turns + 6, "{drawn} drawings in {turns} turns");
    }

    #[test]
    fn progress_of_a_stage_that_never_started_is_ignored() {
        let bars = Bars::new(Look::PLAIN, ProgressDrawTarget::hidden(), |_| {});
        bars.hear(&story()[3]);
    }
}
