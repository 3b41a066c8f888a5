//! Problems as a person reads them: the line, the place underlined, the way out.

use super::{Origin, Problem, Problems};
use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};
use std::{error::Error, fmt, ops::Range};

/// All problems by place, then how many they are. `colour` also says whether to use terminal styles at all.
pub fn render(problems: &Problems, colour: bool, width: usize) -> String {
    let theme = if colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(width)
        .with_context_lines(0)
        .with_links(false)
        // The name carries line and column, counted as everywhere else.
        .without_primary_span_start();
    let sorted = problems.sorted();
    let mut text = String::new();
    for problem in &sorted {
        if handler.render_report(&mut text, &Shown::new(problem)).is_err() {
            text.push_str(&format!("{}: {}\n", problem.origin, problem.message));
        }
        text.push('\n');
    }
    let count = sorted.len();
    text.push_str(&format!("{count} problem{}; nothing was started\n", if count == 1 { "" } else { "s" }));
    text
}

/// A problem as miette wants it.
#[derive(Debug)]
struct Shown<'a> {
    problem: &'a Problem,
    /// The file's text under the name `file:line:column`, and what to underline in it.
    source: Option<(NamedSource<String>, Range<usize>)>,
    /// In place of a line, for what no file says.
    origin: Option<Elsewhere>,
}

/// `--set epochs=-1`, shown as the cause.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Elsewhere(String);

impl<'a> Shown<'a> {
    fn new(problem: &'a Problem) -> Self {
        match &problem.origin {
            Origin::File { source, span } => {
                let name = problem.origin.to_string();
                let source = NamedSource::new(name, source.text.clone());
                let underlined = first_line(source.inner(), span);
                Self { problem, source: Some((source, underlined)), origin: None }
            }
            other => Self { problem, source: None, origin: Some(Elsewhere(other.to_string())) },
        }
    }
}

/// The part of `span` on its first line: enough to point at a stage of thirty lines.
fn first_line(text: &str, span: &Range<usize>) -> Range<usize> {
    let written = text.get(span.clone()).unwrap_or_default();
    let line = written.lines().next().unwrap_or_default().trim_end();
    span.start..span.start + line.len()
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem.message)
    }
}

impl Error for Shown<'_> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.origin.as_ref().map(|origin| origin as _)
    }
}

impl Diagnostic for Shown<'_> {
    fn help<'b>(&'b self) -> Option<Box<dyn fmt::Display + 'b>> {
        self.problem.hint.as_ref().map(|hint| Box::new(hint) as _)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|(source, _)| source as _)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let (_, span) = self.source.as_ref()?;
        Some(Box::new(std::iter::once(LabeledSpan::new(None, span.start, span.len()))))
    }
}
