//! Reads the keys of a map one by one: types, ranges, defaults, and at the end the keys nobody
//! asked for.
//!
//! A caller names each key once, with its default and its range; this is the one place where they
//! stand. A wrong value adds a [`Problem`](super::Problem) and reads as its default, so that
//! reading goes on and all complaints are made at once. Whoever calls must look at [`Problems`]
//! before using what was read.
//!
//! Reading is writing too: the value that a key turns out to have is noted as it is read, so that
//! no key can decide a result and be missing where results are told hashed_as ([`Effective`]).

use super::{Effective, Entry, Node, Origin, Problems, Value, mishap, nearest, yaml};
use indexmap::IndexMap;
use serde_json::Value as Json;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    ops::RangeBounds,
    sync::LazyLock,
};

/// The keys of one map, being read.
pub struct Fields<'a> {
    pub(super) map: &'a IndexMap<String, Entry>,
    origin: Origin,
    /// What the map is, for messages: ``stage `search` ``.
    pub(super) what: String,
    pub(super) asked: BTreeSet<&'static str>,
    /// Those of them whose value was looked at, and not only whether there is one.
    pub(super) read: BTreeSet<&'static str>,
    /// What the keys that were read turned out to be.
    pub(super) effective: Effective,
    /// Keys that are hashed otherwise than they are written; `None` is not at all.
    pub(super) hashed_as: BTreeMap<&'static str, Option<Json>>,
    pub(super) problems: &'a mut Problems,
}

static NO_KEYS: LazyLock<IndexMap<String, Entry>> = LazyLock::new(IndexMap::new);

impl<'a> Fields<'a> {
    /// Starts reading `node`, which should be a map; nothing at all reads as an empty one.
    pub fn open(node: &'a Node, what: impl Into<String>, problems: &'a mut Problems) -> Self {
        let what = what.into();
        let map = match &node.value {
            Value::Map(map) => map,
            Value::Null => &NO_KEYS,
            other => {
                let hint = node.as_text().and_then(mishap::without_space).map(|meant| format!("write `{meant}`"));
                problems.add_hinted(&node.origin, format!("{what} must be a map, found {}", other.type_name()), hint);
                &NO_KEYS
            }
        };
        Self {
            map,
            origin: node.origin.clone(),
            what,
            asked: BTreeSet::new(),
            read: BTreeSet::new(),
            effective: Effective::default(),
            hashed_as: BTreeMap::new(),
            problems,
        }
    }

    /// The raw node of `key`, or `None` where it is absent or null.
    pub fn node(&mut self, key: &'static str) -> Option<&'a Node> {
        self.written(key).filter(|node| node.value != Value::Null)
    }

    /// Whether `key` is written, be it with nothing as its value. Counts as asking for it.
    pub fn has(&mut self, key: &'static str) -> bool {
        self.asked.insert(key);
        self.map.contains_key(key)
    }

    /// Whether `key` is written with a value. Does not count as asking for it.
    pub fn is_written(&self, key: &str) -> bool {
        self.map.get(key).is_some_and(|entry| entry.node.value != Value::Null)
    }

    /// The raw node of `key` where it is written, nothing as its value included: a number that
    /// someone forgot to write.
    pub(super) fn written(&mut self, key: &'static str) -> Option<&'a Node> {
        self.asked.insert(key);
        self.read.insert(key);
        self.map.get(key).map(|entry| &entry.node)
    }

    /// As [`node`](Self::node); absence is a problem.
    pub fn required_node(&mut self, key: &'static str) -> Option<&'a Node> {
        let node = self.node(key);
        if node.is_none() {
            self.problems.add(&self.origin, format!("{} lacks the key `{key}`", self.what));
        }
        node
    }

    /// A whole number inside `range`.
    pub fn integer<T>(&mut self, key: &'static str, default: T, range: impl RangeBounds<T>, expected: &str) -> T
    where
        T: TryFrom<i64> + PartialOrd + Display + Copy + Into<Json>,
    {
        let value = self.whole(key, &range, expected).unwrap_or(default);
        self.note(key, value);
        value
    }

    /// As [`integer`](Self::integer), of a key that may be left out and has no default.
    pub fn optional_integer<T>(&mut self, key: &'static str, range: impl RangeBounds<T>, expected: &str) -> Option<T>
    where
        T: TryFrom<i64> + PartialOrd + Display + Copy + Into<Json>,
    {
        let value = self.node(key).and_then(|_| self.whole(key, &range, expected));
        self.note(key, value);
        value
    }

    fn whole<T>(&mut self, key: &'static str, range: &impl RangeBounds<T>, expected: &str) -> Option<T>
    where
        T: TryFrom<i64> + PartialOrd,
    {
        let node = self.written(key)?;
        if let Value::Integer(value) = node.value
            && let Ok(value) = T::try_from(value)
            && range.contains(&value)
        {
            return Some(value);
        }
        // Its digits alone do not say why a whole number is none.
        let digits =
            node.typed().is_some_and(|typed| typed.trim_start_matches('-').bytes().all(|c| c.is_ascii_digit()));
        let hint = matches!(node.value, Value::Float(_)) && digits;
        let hint = hint.then(|| format!("whole numbers are read from {} to {}", i64::MIN, i64::MAX));
        match hint {
            Some(hint) => self.wrong_hinted(key, node, expected, Some(hint)),
            None => self.wrong_scalar(key, node, expected),
        }
        None
    }

    /// A finite number inside `range`; a whole number counts.
    pub fn number(&mut self, key: &'static str, default: f64, range: impl RangeBounds<f64>, expected: &str) -> f64 {
        let value = self.finite(key, &range, expected).unwrap_or(default);
        self.note(key, value);
        value
    }

    /// As [`number`](Self::number), of a key that may be left out and has no default.
    pub fn optional_number(&mut self, key: &'static str, range: impl RangeBounds<f64>, expected: &str) -> Option<f64> {
        let value = self.node(key).and_then(|_| self.finite(key, &range, expected));
        self.note(key, value);
        value
    }

    fn finite(&mut self, key: &'static str, range: &impl RangeBounds<f64>, expected: &str) -> Option<f64> {
        let node = self.written(key)?;
        let value = node.number().filter(|value| range.contains(value));
        if value.is_none() {
            self.wrong_scalar(key, node, expected);
        }
        value
    }

    /// Two numbers that fit together, as `[0.5, 0.999]`.
    pub fn pair(
        &mut self,
        key: &'static str,
        default: [f64; 2],
        fits: impl Fn([f64; 2]) -> bool,
        expected: &str,
    ) -> [f64; 2] {
        let pair = self.node(key).and_then(|node| {
            let pair = match &node.value {
                Value::List(items) => match items.as_slice() {
                    [first, second] => first.number().zip(second.number()).map(<[f64; 2]>::from),
                    _ => None,
                },
                _ => None,
            };
            let pair = pair.filter(|pair| fits(*pair));
            if pair.is_none() {
                self.wrong(key, node, expected);
            }
            pair
        });
        let pair = pair.unwrap_or(default);
        self.note(key, pair.to_vec());
        pair
    }

    pub fn boolean(&mut self, key: &'static str, default: bool) -> bool {
        let value = self.written(key).and_then(|node| match node.value {
            Value::Bool(value) => Some(value),
            _ => {
                self.wrong_scalar(key, node, "true or false");
                None
            }
        });
        let value = value.unwrap_or(default);
        self.note(key, value);
        value
    }

    /// Text, or `None` where the key is absent.
    pub fn text(&mut self, key: &'static str) -> Option<String> {
        let Some(node) = self.node(key) else {
            self.note(key, Json::Null);
            return None;
        };
        match &node.value {
            Value::Text(text) => Some(text.clone()),
            _ => {
                let scalar = matches!(node.value, Value::Bool(_) | Value::Integer(_) | Value::Float(_));
                let hint = node.typed().filter(|_| scalar).map(|typed| format!("in quotes it is text: `'{typed}'`"));
                self.wrong_hinted(key, node, "text", hint);
                None
            }
        }
    }

    /// Text, or `default` where the key is absent.
    pub fn text_or(&mut self, key: &'static str, default: &str) -> String {
        let text = self.text(key).unwrap_or_else(|| default.to_owned());
        self.note(key, text.as_str());
        text
    }

    /// Text that must be there and must not be blank; the empty string stands in after the
    /// complaint.
    pub fn required_text(&mut self, key: &'static str) -> String {
        let Some(node) = self.required_node(key) else { return String::new() };
        let text = self.text(key);
        if text.as_ref().is_some_and(|text| text.trim().is_empty()) {
            self.problems.add(&node.origin, format!("`{key}` must not be empty"));
            return String::new();
        }
        text.unwrap_or_default()
    }

    /// One of `choices`, each a word and what it stands for.
    pub fn choice<T: Clone + PartialEq>(&mut self, key: &'static str, default: T, choices: &[(&str, T)]) -> T {
        let value = self.chosen(key, choices).unwrap_or(default);
        if let Some((word, _)) = choices.iter().find(|(_, choice)| *choice == value) {
            self.note(key, *word);
        }
        value
    }

    /// As [`choice`](Self::choice), of a key that came later: results of before it had the default,
    /// and keep their keys.
    pub fn later_choice<T: Clone + PartialEq>(&mut self, key: &'static str, default: T, choices: &[(&str, T)]) -> T {
        let value = self.choice(key, default.clone(), choices);
        if value == default {
            self.exclude_from_hash(key);
        }
        value
    }

    fn chosen<T: Clone>(&mut self, key: &'static str, choices: &[(&str, T)]) -> Option<T> {
        let node = self.written(key)?;
        let word = match &node.value {
            Value::Text(word) => word.clone(),
            Value::Bool(word) => word.to_string(),
            Value::Integer(word) => word.to_string(),
            _ => String::new(),
        };
        if let Some((_, value)) = choices.iter().find(|(name, _)| *name == word) {
            return Some(value.clone());
        }
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let all = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        match nearest(&word, names) {
            Some(name) => self.problems.add_with_hint(
                &node.origin,
                format!("`{key}` must be one of {all}, found {}", quote(node)),
                format!("did you mean `{name}`?"),
            ),
            None => self.wrong(key, node, &format!("one of {all}")),
        }
        None
    }

    /// A list of texts; a single text reads as a list of one.
    pub fn texts(&mut self, key: &'static str) -> Option<Vec<String>> {
        let node = self.node(key)?;
        let items = match &node.value {
            Value::List(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        let mut texts = Vec::with_capacity(items.len());
        for item in items {
            match &item.value {
                Value::Text(text) => texts.push(text.clone()),
                _ => self.wrong(key, item, "text"),
            }
        }
        Some(texts)
    }

    /// Complains about `node`, the value of `key`: ``… must be EXPECTED, found `…` ``.
    pub fn wrong(&mut self, key: &str, node: &Node, expected: &str) {
        self.wrong_hinted(key, node, expected, None);
    }

    /// As [`wrong`](Self::wrong), where a number or a word of YAML's is expected, which quotes make
    /// a text.
    fn wrong_scalar(&mut self, key: &str, node: &Node, expected: &str) {
        let quoted = matches!(&node.value, Value::Text(text)
            if matches!(yaml::plain(text), Value::Bool(_) | Value::Integer(_) | Value::Float(_)));
        self.wrong_hinted(key, node, expected, quoted.then(|| "write it without quotes".to_owned()));
    }

    fn wrong_hinted(&mut self, key: &str, node: &Node, expected: &str, hint: Option<String>) {
        self.problems.add_hinted(&node.origin, format!("`{key}` must be {expected}, found {}", quote(node)), hint);
    }

    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The place of `key`'s value where it was written, of the whole map otherwise.
    pub fn origin_of(&self, key: &str) -> &Origin {
        self.map.get(key).map_or(&self.origin, |entry| &entry.node.origin)
    }

    pub fn problems(&mut self) -> &mut Problems {
        self.problems
    }

    /// Says which keys were never asked for, each with the nearest that was.
    pub fn close(self) {
        for (key, entry) in self.map {
            if self.asked.contains(key.as_str()) {
                continue;
            }
            let message = format!("unknown key `{key}` in {}", self.what);
            match nearest(key, self.asked.iter().copied()) {
                Some(near) => self.problems.add_with_hint(&entry.key, message, format!("did you mean `{near}`?")),
                None => {
                    let all = self.asked.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
                    self.problems.add_with_hint(&entry.key, message, format!("the keys are {all}"));
                }
            }
        }
    }
}

/// A value as it reads in a message: `` `0.5` `` as it was typed, ``the text `1` `` where it looks
/// like something else, or its type where it is long.
pub(super) fn quote(node: &Node) -> String {
    let typed = node.typed();
    match &node.value {
        Value::Bool(value) => format!("`{value}`"),
        Value::Integer(value) => format!("`{}`", typed.map_or_else(|| value.to_string(), str::to_owned)),
        Value::Float(value) => format!("`{}`", typed.map_or_else(|| format!("{value:?}"), str::to_owned)),
        Value::Text(value) if !matches!(yaml::plain(value), Value::Text(_)) => format!("the text `{value}`"),
        Value::Text(value) => format!("`{value}`"),
        other => other.type_name().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Problem, *};

    /// A problem's message, and its hint behind it in brackets.
    fn said(problem: &Problem) -> String {
        let hint = problem.hint.as_ref().map_or_else(String::new, |hint| format!(" ({hint})"));
        format!("{}{hint}", problem.message)
    }

    #[test]
    fn a_quoted_number_is_told_from_a_wrong_one() {
        let node = Node::parse("p.yaml", "a: '3'\nb: 'x'\nc: 'true'\nd: ''\ne: '0.5'\n").unwrap();
        let mut problems = Problems::new();
        let mut fields = Fields::open(&node, "stage `search`", &mut problems);
        for key in ["a", "b", "d"] {
            fields.integer(key, 1, 0.., "a whole number");
        }
        fields.boolean("c", false);
        fields.number("e", 1.0, 0.0.., "a number");
        assert_eq!(
            problems.iter().map(said).collect::<Vec<_>>(),
            [
                "`a` must be a whole number, found the text `3` (write it without quotes)",
                "`b` must be a whole number, found `x`",
                "`d` must be a whole number, found the text ``",
                "`c` must be true or false, found the text `true` (write it without quotes)",
                "`e` must be a number, found the text `0.5` (write it without quotes)",
            ]
        );
    }

    #[test]
    fn required_text_is_never_blank_without_a_word() {
        for (text, expected) in [
            ("from: darts_v2", None),
            ("from: ''", Some("`from` must not be empty")),
            ("from: ' '", Some("`from` must not be empty")),
            ("from:", Some("stage `cell` lacks the key `from`")),
            ("from: 6111", Some("`from` must be text, found `6111` (in quotes it is text: `'6111'`)")),
            ("from: [a]", Some("`from` must be text, found a list")),
        ] {
            let node = Node::parse("p.yaml", text).unwrap();
            let mut problems = Problems::new();
            let read = Fields::open(&node, "stage `cell`", &mut problems).required_text("from");
            assert_eq!(read.is_empty(), expected.is_some(), "{text}");
            assert_eq!(problems.iter().map(said).collect::<Vec<_>>(), Vec::from_iter(expected));
        }
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once_with_its_place() {
        let node = Node::parse("p.yaml", "epochs: -1\nrate: .nan\nbath: 3\nmixing: softmx\nseed:\n").unwrap();
        let mut problems = Problems::new();
        let mut fields = Fields::open(&node, "stage `search`", &mut problems);
        assert_eq!(fields.integer("epochs", 50_usize, 1.., "a whole number from 1"), 50);
        assert_eq!(fields.number("rate", 0.025, 0.0.., "a number from 0"), 0.025);
        assert_eq!(fields.integer("batch", 64_usize, 1.., "a whole number from 1"), 64);
        assert_eq!(fields.integer("seed", 0_u64, 0.., "a whole number from 0"), 0);
        assert_eq!(fields.choice("mixing", 0, &[("softmax", 0), ("sigmoid", 1)]), 0);
        fields.close();
        let said: Vec<String> = problems.iter().map(|p| format!("{} {} {:?}", p.origin, p.message, p.hint)).collect();
        assert_eq!(
            said,
            [
                "p.yaml:1:9 `epochs` must be a whole number from 1, found `-1` None",
                "p.yaml:2:7 `rate` must be a number from 0, found `NaN` None",
                "p.yaml:5:1 `seed` must be a whole number from 0, found nothing None",
                "p.yaml:4:9 `mixing` must be one of `softmax`, `sigmoid`, found `softmx` Some(\"did you mean `softmax`?\")",
                "p.yaml:3:1 unknown key `bath` in stage `search` Some(\"did you mean `batch`?\")",
            ]
        );
    }
}
