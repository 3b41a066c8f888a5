//! What the terminal at hand can show.

use console::Term;
use std::borrow::Cow;

/// How text for a person is set: how wide, with which marks, with colour or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Columns to stay within.
    pub width: usize,
    /// `✓ → –` may be written; otherwise their ASCII likeness.
    pub unicode: bool,
    pub colour: bool,
    /// A terminal whose lines can be drawn over.
    pub moves: bool,
}

impl Look {
    /// Plain text in 80 columns: what a file gets.
    pub const PLAIN: Self = Self { width: 80, unicode: true, colour: false, moves: false };

    pub fn of_stderr() -> Self {
        Self::of(&Term::stderr(), |name| std::env::var(name).ok())
    }

    pub fn of_stdout() -> Self {
        Self::of(&Term::stdout(), |name| std::env::var(name).ok())
    }

    fn of(term: &Term, variable: impl Fn(&str) -> Option<String>) -> Self {
        let width = term.size_checked().map_or(80, |(_, columns)| usize::from(columns));
        Self::from_environment(term.is_term(), width, variable)
    }

    /// The rules alone: `NO_COLOR` (any text) and `TERM=dumb` switch colour off, the locale's
    /// encoding decides the marks, and the first of `LC_ALL`, `LC_CTYPE`, `LANG` that is set is the
    /// locale (POSIX).
    fn from_environment(terminal: bool, width: usize, variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let dumb = set("TERM").is_none_or(|term| term == "dumb") && !cfg!(windows);
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set);
        let unicode = locale.map_or(cfg!(windows), |locale| {
            let locale = locale.to_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        });
        let moves = terminal && !dumb;
        Self { width, unicode, colour: moves && set("NO_COLOR").is_none(), moves }
    }

    /// The text with our marks replaced where the locale cannot show them, and without what is
    /// hidden: a name or a message from a file must not move the cursor.
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if text.chars().all(|c| !is_hidden(c) && (self.unicode || c.is_ascii())) {
            return Cow::Borrowed(text);
        }
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            match c {
                '\n' | '\t' => out.push(' '),
                c if is_hidden(c) => {}
                c if self.unicode => out.push(c),
                '→' => out.push_str("->"),
                '←' => out.push_str("<-"),
                '…' => out.push_str("..."),
                '±' => out.push_str("+/-"),
                '–' | '—' | '·' | '─' => out.push('-'),
                '✓' => out.push('+'),
                '✗' | '×' => out.push('x'),
                '━' => out.push('#'),
                c => out.push(c),
            }
        }
        Cow::Owned(out)
    }

    /// The text in a colour, where there is colour.
    pub(crate) fn paint(&self, text: &str, tone: Tone) -> String {
        if !self.colour || text.is_empty() {
            return text.to_owned();
        }
        let styled = console::style(text).force_styling(true);
        match tone {
            Tone::Good => styled.green(),
            Tone::Bad => styled.red().bold(),
            Tone::Careful => styled.yellow(),
            Tone::Quiet => styled.dim(),
            Tone::Strong => styled.bold(),
        }
        .to_string()
    }
}

/// Whether a character is not seen itself but changes what is seen of others: one that controls the
/// terminal, ends a line, or turns the direction in which text runs.
pub(crate) fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text without what is hidden, save those characters that are `kept`.
pub(crate) fn without_hidden(text: &str, kept: &[char]) -> String {
    text.chars().filter(|c| kept.contains(c) || !is_hidden(*c)).collect()
}

/// What a colour means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Bad,
    Careful,
    Quiet,
    Strong,
}

/// `text` folded to `width` columns at spaces, later lines starting below column `indent`; a word
/// is never cut.
pub(crate) fn fold(text: &str, width: usize, indent: usize) -> String {
    let hang = " ".repeat(indent);
    let options = textwrap::Options::new(width.max(indent + 20))
        .subsequent_indent(&hang)
        .break_words(false)
        .word_separator(textwrap::WordSeparator::AsciiSpace)
        .word_splitter(textwrap::WordSplitter::NoHyphenation)
        .wrap_algorithm(textwrap::WrapAlgorithm::FirstFit);
    textwrap::fill(text, options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(terminal: bool, variables: &[(&str, &str)]) -> Look {
        Look::from_environment(terminal, 80, |name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn colour_needs_a_terminal_that_is_not_dumb_and_no_wish_against_it() {
        let utf8 = ("LANG", "en_GB.UTF-8");
        assert!(look(true, &[("TERM", "xterm"), utf8]).colour);
        assert!(!look(false, &[("TERM", "xterm"), utf8]).colour);
        assert!(!look(true, &[("TERM", "dumb"), utf8]).colour);
        assert!(!look(true, &[("TERM", "dumb"), utf8]).moves);
        let no_colour = look(true, &[("TERM", "xterm"), utf8, ("NO_COLOR", "1")]);
        assert!(!no_colour.colour && no_colour.moves);
        assert!(look(true, &[("TERM", "xterm"), ("NO_COLOR", "")]).colour, "an empty NO_COLOR is not set");
    }

    #[test]
    fn the_first_locale_variable_that_is_set_decides_the_marks() {
        assert!(look(true, &[("LANG", "de_DE.utf8")]).unicode);
        assert!(!look(true, &[("LC_ALL", "C"), ("LANG", "de_DE.UTF-8")]).unicode);
        assert!(look(true, &[("LC_ALL", ""), ("LC_CTYPE", "C.UTF-8")]).unicode);
        assert_eq!(look(true, &[]).unicode, cfg!(windows));
    }

    #[test]
    fn marks_have_an_ascii_likeness_and_control_characters_are_dropped() {
        let ascii = Look { unicode: false, ..Look::PLAIN };
        assert_eq!(ascii.text("epochs 2 → 3 ± 1 …"), "epochs 2 -> 3 +/- 1 ...");
        assert_eq!(Look::PLAIN.text("a\u{1b}[2Jb\nc → d"), "a[2Jb c → d");
    }

    #[test]
    fn no_name_turns_the_direction_of_what_follows_it() {
        let turned = "a\u{202e}b\u{2066}c\u{200f}d\u{2029}e\u{61c}f";
        assert_eq!(Look::PLAIN.text(turned), "abcdef");
        assert_eq!(without_hidden("a\u{202e}\u{1b}[1mb\nc", &['\n']), "a[1mb\nc");
        // What letters of other scripts need to join is no direction.
        assert_eq!(Look::PLAIN.text("نمی‌خواهم 👩‍🔬"), "نمی‌خواهم 👩‍🔬");
    }

    #[test]
    fn folding_hangs_and_never_cuts_a_word() {
        assert_eq!(fold("one two three four five", 24, 4), "one two three four five");
        assert_eq!(fold("name  a/very/long/path/that/is/wider says no", 24, 6), {
            "name\n      a/very/long/path/that/is/wider\n      says no"
        });
    }
}
