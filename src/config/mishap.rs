//! What people write and YAML reads otherwise: where the slip is, not where the parser gave up over
//! it.

use std::ops::Range;

/// A slip in a file's text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mishap {
    pub span: Range<usize>,
    pub message: String,
    pub hint: String,
}

/// Lines before the one at which the parser gave up that may hold the slip.
const LINES_BEFORE: usize = 2;

/// The slip behind a syntax error at byte `at` of `text`: the nearest before it, or on the line
/// behind it, as the parser may name the beginning of what it could not end.
pub(super) fn explain(text: &str, at: usize) -> Option<Mishap> {
    let line_end = |from: usize| text[from..].find('\n').map_or(text.len(), |more| from + more);
    let end = line_end(at);
    upwards(text, end, LINES_BEFORE).or_else(|| upwards(text, line_end((end + 1).min(text.len())), 0))
}

/// The slip on the line that ends at `end`, or on so many before it.
fn upwards(text: &str, mut end: usize, before: usize) -> Option<Mishap> {
    for _ in 0..=before {
        let start = text[..end].rfind('\n').map_or(0, |before| before + 1);
        let line = text[start..end].trim_end();
        if !line.trim_start().starts_with('#')
            && let Some((span, message, hint)) = on_line(line)
        {
            return Some(Mishap { span: start + span.start..start + span.end, message, hint });
        }
        end = start.checked_sub(1)?;
    }
    None
}

/// `channels:4`, what reads as one text, as the key and value that were meant.
pub(super) fn without_space(text: &str) -> Option<String> {
    let (key, value) = text.split_once(':')?;
    let is_key = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
    let is_path = value.starts_with(['/', '\\', ':']);
    (is_key && !is_path && value.starts_with(|c: char| !c.is_whitespace())).then(|| format!("{key}: {value}"))
}

type Found = (Range<usize>, String, String);

fn on_line(line: &str) -> Option<Found> {
    tab(line).or_else(|| open_brace(line)).or_else(|| bar(line)).or_else(|| joined(line)).or_else(|| second_colon(line))
}

fn tab(line: &str) -> Option<Found> {
    let indent = &line[..line.len() - line.trim_start().len()];
    let at = indent.find('\t')?;
    Some((at..at + 1, "a tab indents this line".to_owned(), "YAML is indented with spaces".to_owned()))
}

/// `{rate: ${matrix.rate}}`: inside brackets a `{` begins a map.
fn open_brace(line: &str) -> Option<Found> {
    let mut search = 0;
    while let Some(at) = line[search..].find("${").map(|at| search + at) {
        let before = &line[..at];
        let open = |opening, closing| before.matches(opening).count() > before.matches(closing).count();
        let quoted = ['"', '\''].iter().any(|quote| before.matches(*quote).count() % 2 == 1);
        let end = line[at..].find('}').map_or(line.len(), |end| at + end + 1);
        if !quoted && (open('{', '}') || open('[', ']')) {
            let written = &line[at..end];
            let message = format!("`{written}` must be quoted inside of `{{…}}` and `[…]`");
            return Some((at..end, message, format!("write `\"{written}\"`")));
        }
        search = end;
    }
    None
}

/// `from: |op~0|+…`: a bar at the start of a value announces lines of text.
fn bar(line: &str) -> Option<Found> {
    let start = [": |", "- |"].into_iter().find_map(|mark| Some(line.find(mark)? + 2))?;
    let value = &line[start..=line.rfind('|')?];
    let is_cell = value[1..].starts_with(|c: char| c.is_alphabetic() || c == '_');
    is_cell.then(|| {
        let message = "a value that begins with `|` must be quoted".to_owned();
        (start..start + value.len(), message, format!("write `'{value}'`"))
    })
}

/// `channels:4`
fn joined(line: &str) -> Option<Found> {
    let pieces = line.split_inclusive(['{', ',', '[']).scan(0, |next, piece| {
        let start = *next;
        *next += piece.len();
        Some((start, piece))
    });
    for (start, piece) in pieces {
        let trimmed = piece.trim_start().trim_start_matches("- ").trim_start();
        let start = start + piece.len() - trimmed.len();
        let word = trimmed.split([' ', ',', '}', ']', '#']).next().unwrap_or_default();
        if let Some(meant) = without_space(word) {
            let message = format!("`{word}` lacks the space after its colon");
            return Some((start..start + word.len(), message, format!("write `{meant}`")));
        }
    }
    None
}

/// `about: one: two`
fn second_colon(line: &str) -> Option<Found> {
    let first = line.find(": ")? + 2;
    let value = &line[first..];
    let plain = !value.trim_start().starts_with(['"', '\'', '{', '[', '|', '>', '#', '&', '*', '!']);
    let value = value.split(" #").next().unwrap_or(value).trim_end();
    (plain && value.contains(": ")).then(|| {
        let message = "a value with a colon and a space in it must be quoted".to_owned();
        (first..first + value.len(), message, format!("write `\"{value}\"`"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found in a text that the parser gave up at the end of.
    fn found(text: &str) -> Option<(&str, String, String)> {
        explain(text, text.len()).map(|Mishap { span, message, hint }| (&text[span], message, hint))
    }

    #[test]
    fn each_slip_is_found_where_it_is() {
        let (place, message, hint) = found("a: 1\nw: {rate: ${matrix.rate}, x: 1}\n\n").unwrap();
        assert_eq!(place, "${matrix.rate}");
        assert_eq!(message, "`${matrix.rate}` must be quoted inside of `{…}` and `[…]`");
        assert_eq!(hint, "write `\"${matrix.rate}\"`");
        assert_eq!(found("from: |skip~0|+|skip~0|skip~1|").unwrap().0, "|skip~0|+|skip~0|skip~1|");
        let (place, _, hint) = found("search:\n  channels:4\n  size: 5").unwrap();
        assert_eq!((place, hint.as_str()), ("channels:4", "write `channels: 4`"));
        assert_eq!(found("x: {a: 1, b:2}").unwrap().0, "b:2");
        assert_eq!(found("a:\n\t- b").unwrap().0, "\t");
        assert_eq!(found("about: one: two  # three").unwrap().0, "one: two");
    }

    #[test]
    fn a_slip_behind_the_place_that_is_named_is_found_on_the_next_line() {
        let text = "a:\n  b: c\n\td: e\n";
        assert_eq!(explain(text, 8).map(|slip| slip.span), Some(10..11));
        assert_eq!(explain("a: b\n", 5), None);
    }

    #[test]
    fn what_is_written_well_is_no_slip() {
        for text in [
            "a: ${matrix.rate}\n",
            "a: {b: \"${matrix.rate}\"}\n",
            "a: |\n  text\n",
            "a: |-\n",
            "a: https://x.y\n",
            "a: C:\\x\n",
            "a: 'x: y'\n",
            "# a:b ${x}\n",
            "",
        ] {
            assert_eq!(found(text), None, "{text:?}");
        }
    }
}
