//! Which of a text's genotypes is meant: of a log the last, of a source file the one that is named.

use super::cell_string;
use super::form::OUTPUT_SUFFIX;
use super::python::{Place, Value};
use crate::space::genotype::GenotypeError;
use crate::space::language::find::same_name;
use crate::space::language::hint::listed;
use indexmap::IndexSet;

/// A text as a person sees it: without byte order mark, colours and comments. What is a line stays
/// one, so that places stay true.
pub(super) fn cleaned(text: &str) -> String {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n").replace('\r', "\n");
    let mut shown = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        if line.trim_start().starts_with('#') {
            shown.push_str(if line.ends_with('\n') { "\n" } else { "" });
        } else {
            shown.extend(without_colours(line));
        }
    }
    shown
}

/// Leaves out what tells a terminal about colours: escape, bracket, numbers, a letter.
fn without_colours(line: &str) -> impl Iterator<Item = &str> {
    line.split('\u{1b}').enumerate().map(|(at, part)| match part.strip_prefix('[') {
        Some(code) if at > 0 => {
            code.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';').get(1..).unwrap_or("")
        }
        _ => part,
    })
}

/// Where a genotype begins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Head<'a> {
    pub at: usize,
    /// What it is assigned to.
    pub name: Option<&'a str>,
    pub form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Form {
    /// A call or a dictionary.
    Python,
    /// `|op~0|+…`, up to this byte.
    CellString { end: usize },
}

/// Every place at which a genotype begins, in order.
pub(super) fn heads(text: &str) -> Vec<Head<'_>> {
    let calls: Vec<(usize, Argument)> = text.match_indices('(').filter_map(|(at, _)| call(text, at)).collect();
    // A log that shows a traceback, or a source file, has calls that compute their fields.
    let written = calls.iter().any(|(_, argument)| *argument == Argument::Literal);
    let calls = calls.into_iter().filter(|(_, argument)| !written || *argument == Argument::Literal);
    let python = calls.map(|(at, _)| at).chain(dictionaries(text));
    let mut heads: Vec<Head<'_>> =
        python.map(|at| Head { at, name: name_before(text, at), form: Form::Python }).collect();
    let mut from = 0;
    while let Some(at) = text[from..].find('|').map(|at| from + at) {
        from = at + 1;
        if let Some(end) = cell_string::end(text, at) {
            heads.push(Head { at, name: name_before(text, at), form: Form::CellString { end } });
            from = end;
        }
    }
    heads.sort_by_key(|head| head.at);
    heads
}

/// What a call begins with.
#[derive(Clone, Copy, PartialEq)]
enum Argument {
    Literal,
    Computed,
}

/// The start of the call `….Genotype(` whose parenthesis is at `open`; nothing where it has no
/// arguments or is another call.
fn call(text: &str, open: usize) -> Option<(usize, Argument)> {
    let before = text[..open].trim_end_matches([' ', '\t']);
    let of_name = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '.';
    let at = before
        .rfind(|letter| !of_name(letter))
        .map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
    let name = before[at..].rsplit('.').next()?;
    if !name.to_lowercase().contains("genotype") || text[..at].trim_end().ends_with("def") {
        return None;
    }
    let inside = text[open + 1..].trim_start();
    let behind = inside.trim_start_matches(|letter: char| letter.is_alphanumeric() || letter == '_').trim_start();
    let first = behind.strip_prefix('=').map_or(inside, str::trim_start);
    let literal = first.starts_with(['[', '(', '{']) || first.starts_with("list") || first.starts_with("range");
    match inside.chars().next()? {
        ')' | '\'' | '"' | '*' => None,
        _ if literal => Some((at, Argument::Literal)),
        _ => Some((at, Argument::Computed)),
    }
}

/// Where dictionaries begin that have, in one line, the fields of a genotype.
fn dictionaries(text: &str) -> Vec<usize> {
    let (mut found, mut open) = (Vec::new(), Vec::new());
    for (at, mark) in text.match_indices(['{', '}', '\n', '_']) {
        match mark {
            "{" => open.push(at),
            "}" => drop(open.pop()),
            "\n" => open.clear(),
            _ if !text[at..].starts_with(OUTPUT_SUFFIX) => {}
            _ => found.extend(open.last().filter(|innermost| found.last() != Some(*innermost))),
        }
    }
    found
}

/// The name of `name = ` before byte `at`, where nothing else is in its line.
fn name_before(text: &str, at: usize) -> Option<&str> {
    let before = text[..at].trim_end_matches(['\'', '"']).trim_end_matches(|c: char| c.is_whitespace() || c == '\\');
    let before = before.strip_suffix('=')?;
    let mut backwards = before.char_indices().rev().take(LONGEST_NAME);
    let line = backwards.find(|(_, letter)| *letter == '\n').map_or(0, |(at, _)| at + 1);
    let line = (line > 0 || before.len() < LONGEST_NAME).then(|| before[line..].trim())?;
    // A type may stand behind the name.
    let name = line.split(':').next().unwrap_or(line).trim_end();
    is_name(name).then_some(name)
}

/// Letters before a genotype among which a name is looked for: lines of logs may be as long as the
/// log.
const LONGEST_NAME: usize = 200;

fn is_name(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|letter| letter.is_alphanumeric() || letter == '_')
}

/// The head that is meant, and what there is to say of the choice. `heads` are all of the text's.
pub(super) fn select<'a>(
    text: &'a str,
    heads: &[Head<'a>],
    name: Option<&str>,
) -> Result<(Head<'a>, Option<String>), GenotypeError> {
    let names: IndexSet<&str> = heads.iter().filter_map(|head| head.name).collect();
    let Some(last) = heads.last() else { return Err(GenotypeError::Empty) };
    if let Some(wanted) = name {
        let meant = named(text, &names, wanted).ok_or_else(|| {
            let others = aliases(text).filter(|(_, other)| names.contains(other)).map(|(name, _)| name);
            let names = listed(names.iter().copied().chain(others));
            GenotypeError::NoName { name: wanted.to_owned(), names }
        })?;
        let last = heads.iter().rfind(|head| head.name == Some(meant)).unwrap_or(last);
        return Ok((*last, None));
    }
    // A name may be given again and again, as a log does; several are a file of genotypes.
    if names.len() > 1 && heads.iter().all(|head| head.name.is_some()) {
        return Err(GenotypeError::Names { names: listed(names) });
    }
    let note = (heads.len() > 1)
        .then(|| format!("the last of {} genotypes is taken, in line {}", heads.len(), Place::of(text, last.at).line));
    Ok((*last, note))
}

/// The name of `names` that `wanted` means: itself, one that is written otherwise, or what
/// `wanted = other` says.
fn named<'a>(text: &'a str, names: &IndexSet<&'a str>, wanted: &str) -> Option<&'a str> {
    let find = |wanted: &str| names.get(wanted).or_else(|| names.iter().find(|name| same_name(name, wanted))).copied();
    find(wanted).or_else(|| find(aliases(text).find(|(name, _)| same_name(name, wanted))?.1))
}

/// `name = other`, in a line of its own.
fn aliases(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs.map(|(name, other)| (name.trim(), other.trim())).filter(|(name, other)| is_name(name) && is_name(other))
}

/// The text of the genotype that begins at `head`.
pub(super) fn part<'a>(text: &'a str, head: &Head<'_>) -> Result<&'a str, GenotypeError> {
    match head.form {
        Form::CellString { end } => Ok(&text[head.at..end]),
        Form::Python => Value::read(text, head.at).map(|(_, end)| &text[head.at..end]),
    }
}
