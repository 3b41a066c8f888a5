//! Text with something else in it, for tests of what a changed file does.

/// `text` with every `from` replaced by its `to`, one edit after the other.
///
/// # Panics
/// Where there is nothing to replace: the test would be about the unchanged text.
#[track_caller]
pub fn edited(text: &str, edits: &[(&str, &str)]) -> String {
    edits.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "`{from}` is not there to be replaced in:\n{text}");
        text.replace(from, to)
    })
}
