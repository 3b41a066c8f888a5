//! Problems as a person reads them: the line, the place underlined, the way out.

use super::{Origin, Problem, Problems};
use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents, SourceCode,
    SourceSpan, SpanContents,
};
use std::{error::Error, fmt, ops::Range};

/// More than anyone mends at once: a file with thousands of problems has one cause.
const SHOWN_AT_MOST: usize = 50;

/// All problems by place, then how many they are, for a terminal of `width` columns. Without
/// `colour` there are no terminal codes at all.
pub fn render(problems: &Problems, colour: bool, width: usize) -> String {
    // Below this there is no laying out.
    let width = width.max(40);
    let theme = if colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(width)
        .with_links(false)
        // The name carries line and column, counted as everywhere else.
        .without_primary_span_start();
    let sorted = problems.sorted();
    let mut text = String::new();
    for problem in sorted.iter().take(SHOWN_AT_MOST) {
        if handler.render_report(&mut text, &Shown::new(problem, width)).is_err() {
            text.push_str(&format!("{}: {}\n", problem.origin, problem.message));
        }
        text.push('\n');
    }
    let count = sorted.len();
    if count > SHOWN_AT_MOST {
        text.push_str(&format!("… and {} more\n\n", count - SHOWN_AT_MOST));
    }
    text.push_str(&format!("{count} problem{}; nothing was started\n", if count == 1 { "" } else { "s" }));
    text
}

/// A problem as miette wants it.
#[derive(Debug)]
struct Shown<'a> {
    problem: &'a Problem,
    place: Place,
}

#[derive(Debug)]
enum Place {
    InFile(Line),
    /// What was said outside any file, shown as the cause.
    Elsewhere(SourceName),
}

/// `--set epochs=-1`
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct SourceName(String);

/// What is quoted from a file must not move the cursor.
fn without_controls(text: &str) -> String {
    text.chars().filter(|c| *c == '\n' || !c.is_control()).collect()
}

impl<'a> Shown<'a> {
    fn new(problem: &'a Problem, width: usize) -> Self {
        let name = without_controls(&problem.origin.to_string());
        let place = match &problem.origin {
            Origin::File { source, span } => Place::InFile(Line::new(name, &source.text, span, width)),
            _ => Place::Elsewhere(SourceName(name)),
        };
        Self { problem, place }
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&without_controls(&self.problem.message))
    }
}

impl Error for Shown<'_> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.place {
            Place::InFile(_) => None,
            Place::Elsewhere(said) => Some(said),
        }
    }
}

impl Diagnostic for Shown<'_> {
    fn help<'b>(&'b self) -> Option<Box<dyn fmt::Display + 'b>> {
        self.problem.hint.as_ref().map(|hint| Box::new(without_controls(hint)) as _)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        match &self.place {
            Place::InFile(line) => Some(line),
            Place::Elsewhere(_) => None,
        }
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        match &self.place {
            Place::InFile(Line { underlined, .. }) => {
                Some(Box::new(std::iter::once(LabeledSpan::new(None, underlined.start, underlined.len()))))
            }
            Place::Elsewhere(_) => None,
        }
    }
}

/// The one line that is shown of a file: what begins there is enough to point at a stage of thirty
/// lines.
#[derive(Debug)]
struct Line {
    /// `pipelines/small.yaml:3:7`
    name: String,
    /// From 0.
    number: usize,
    text: String,
    /// In bytes of `text`.
    underlined: Range<usize>,
}

impl Line {
    fn new(name: String, text: &str, span: &Range<usize>, width: usize) -> Self {
        let start = text[..span.start].rfind('\n').map_or(0, |at| at + 1);
        let end = text[span.start..].find('\n').map_or(text.len(), |at| span.start + at);
        // One byte for another, so that the place stays.
        let line = text[start..end].replace(|c: char| c.is_ascii_control() && c != '\t', " ");
        let line = line.trim_end();
        let from = (span.start - start).min(line.len());
        let to = (span.end - start).clamp(from, line.len());
        let number = text[..start].matches('\n').count();
        let (text, underlined) = crop(line, from..to, width);
        Self { name, number, text, underlined }
    }
}

impl SourceCode for Line {
    /// The whole line, whatever part is asked for.
    fn read_span<'a>(
        &'a self,
        _: &SourceSpan,
        _: usize,
        _: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let whole = SourceSpan::from(0..self.text.len());
        let text = self.text.as_bytes();
        Ok(Box::new(MietteSpanContents::new_named(self.name.clone(), text, whole, self.number, 0, 1)))
    }
}

/// Keeps a line too long for the terminal around its underlined part; a wrapped line would lose its
/// underline.
fn crop(line: &str, underlined: Range<usize>, width: usize) -> (String, Range<usize>) {
    /// Columns that the line number and the frame take.
    const FRAME: usize = 10;
    /// Columns of what stands before the underlined part: the key, mostly.
    const BEFORE: usize = 24;
    let room = width.saturating_sub(FRAME).max(2 * BEFORE);
    let characters: Vec<(usize, char)> = line.char_indices().collect();
    if characters.len() <= room {
        return (line.to_owned(), underlined);
    }
    let at = |byte: usize| characters.iter().take_while(|(offset, _)| *offset < byte).count();
    let first = at(underlined.start).saturating_sub(BEFORE).min(characters.len() - room);
    let kept = &characters[first..(first + room)];
    let mut text: String = kept.iter().map(|(_, character)| character).collect();
    let cut = kept[0].0;
    let mut moved = underlined.start - cut..(underlined.end - cut).min(text.len());
    if first + room < characters.len() {
        text.push('…');
    }
    if first > 0 {
        text.insert(0, '…');
        moved = moved.start + '…'.len_utf8()..moved.end + '…'.len_utf8();
    }
    (text, moved)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Node;

    /// `text` with a problem at the value of `key`.
    fn shown(text: &str, key: &str, width: usize) -> String {
        let node = Node::parse("p.yaml", text).unwrap();
        let mut problems = Problems::new();
        problems.add(&node.get(key).unwrap().origin, "wrong");
        render(&problems, false, width)
    }

    #[test]
    fn only_the_first_line_of_a_long_value_is_shown() {
        insta::assert_snapshot!(shown("é: 1\nstage:\n  a: 1\n  b: 2\n", "stage", 80), @"
          × wrong
           ╭─[p.yaml:3:3]
         3 │   a: 1
           ·   ────
           ╰────

        1 problem; nothing was started
        ");
    }

    #[test]
    fn a_long_line_is_cut_around_what_is_wrong() {
        let text = format!("{{key: wrong, x{}: 1}}\n", "x".repeat(90));
        insta::assert_snapshot!(shown(&text, "key", 60), @"
          × wrong
           ╭─[p.yaml:1:7]
         1 │ {key: wrong, xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…
           ·       ─────
           ╰────

        1 problem; nothing was started
        ");
        let text = format!("{{long: {}, key: wrong, x{}: 1}}\n", "l".repeat(90), "x".repeat(90));
        insta::assert_snapshot!(shown(&text, "key", 60), @"
          × wrong
           ╭─[p.yaml:1:105]
         1 │ …lllllllllllllllll, key: wrong, xxxxxxxxxxxxxxxxxxx…
           ·                          ─────
           ╰────

        1 problem; nothing was started
        ");
    }

    #[test]
    fn each_problem_is_said_once_and_colour_is_a_choice() {
        let mut problems = Problems::new();
        let origin = Origin::Argument { text: "a=1".into() };
        problems.add(&origin, "wrong");
        problems.add(&origin, "wrong");
        assert!(render(&problems, false, 80).ends_with("\n1 problem; nothing was started\n"));
        assert!(!render(&problems, false, 80).contains('\u{1b}'));
        assert!(render(&problems, true, 80).contains('\u{1b}'));
    }
}
