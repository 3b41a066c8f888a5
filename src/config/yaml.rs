//! From YAML text to [`Node`]s: the parser's events with their places, one document a file.
//!
//! Events rather than the parser's own tree, since the tree stops at the first duplicate key and
//! lets the place of a block map run on to whatever follows it.

use super::{
    Entry, Node, Origin, Problems, SourceFile, Value,
    mishap::{self, Mishap},
};
use indexmap::{IndexMap, map};
use saphyr::Scalar;
use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};
use std::{borrow::Cow, collections::HashMap, ops::Range, path::PathBuf, sync::Arc};

/// Deeper nesting than any file of ours by an order of magnitude; keeps the recursion within the
/// stack.
const DEPTH_LIMIT: usize = 64;

/// How many nodes all aliases of a file may stand for: keeps nested aliases from growing without
/// bound.
const ALIAS_LIMIT: usize = 100_000;

impl Node {
    /// Reads YAML text of one document. Syntax errors, duplicate keys and keys that are no text
    /// become problems.
    ///
    /// # Errors
    /// All that is wrong with the text, each with its place.
    pub fn parse(path: impl Into<PathBuf>, text: impl Into<String>) -> Result<Self, Problems> {
        let source = Arc::new(SourceFile { path: path.into(), text: text.into() });
        let mut problems = Problems::new();
        let node = read(&source, &mut problems);
        match node {
            Some(node) if problems.is_empty() => Ok(node),
            _ => Err(problems),
        }
    }

    /// A scalar as it was typed, as far as its place shows it: `1.0`, `1e-3`,
    /// `9223372036854775808`.
    pub(super) fn typed(&self) -> Option<&str> {
        let written = match &self.origin {
            Origin::File { source, span } => source.text.get(span.clone())?,
            Origin::Argument { text } => text.split_once('=')?.1.trim(),
            _ => return None,
        };
        // An alias or a value of the matrix stands for something else.
        (plain(written) == self.value).then_some(written)
    }
}

/// Reads the one document of `source`; an empty file is [`Value::Null`], a syntax error `None`.
/// After other problems, as a duplicate key, what could be read is returned, so that the rest of
/// the file is still checked.
pub(super) fn read(source: &Arc<SourceFile>, problems: &mut Problems) -> Option<Node> {
    let mut reader = Reader {
        parser: Parser::new_from_str(&source.text),
        // The parser counts characters, an Origin counts bytes.
        offsets: source.text.char_indices().map(|(at, _)| at).chain([source.text.len()]).collect(),
        source,
        anchors: HashMap::new(),
        alias_budget: ALIAS_LIMIT,
        problems,
    };
    match reader.document() {
        Ok(node) => Some(node),
        Err(error) => {
            let at = reader.byte(error.marker().index());
            let (span, message, hint) = match mishap::explain(&source.text, at) {
                Some(Mishap { span, message, hint }) => (span, message, Some(hint)),
                None => (at..at, error.info().to_owned(), None),
            };
            let origin = Origin::File { source: source.clone(), span };
            reader.problems.add_hinted(&origin, format!("not valid YAML: {message}"), hint);
            None
        }
    }
}

/// YAML 1.1's key that takes in another map: it would be weaker than what a stage says, and a
/// variant must be stronger.
const MERGE: &str = "<<";

/// The value that a scalar stands for; `None` where its tag is another type's.
fn scalar(text: Cow<'_, str>, style: ScalarStyle, tag: Option<&Cow<'_, Tag>>) -> Option<Value> {
    Some(match Scalar::parse_from_cow_and_metadata(text, style, tag)? {
        Scalar::Null => Value::Null,
        Scalar::Boolean(value) => Value::Bool(value),
        Scalar::Integer(value) => Value::Integer(value),
        Scalar::FloatingPoint(value) => Value::Float(value.into_inner()),
        Scalar::String(value) => Value::Text(value.into_owned()),
    })
}

/// What `text` would be without quotes around it.
pub(super) fn plain(text: &str) -> Value {
    scalar(text.into(), ScalarStyle::Plain, None).unwrap_or(Value::Null)
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    source: &'a Arc<SourceFile>,
    /// Byte offset of each character, and of the end.
    offsets: Vec<usize>,
    /// What each anchor named, with its number of nodes.
    anchors: HashMap<usize, (Node, usize)>,
    alias_budget: usize,
    problems: &'a mut Problems,
}

impl<'a> Reader<'a> {
    fn document(&mut self) -> Result<Node, ScanError> {
        let mut document = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
                _ if document.is_some() => {
                    let origin = self.place(span);
                    self.problems.add(&origin, "more than one YAML document in the file");
                    break;
                }
                event => document = Some(self.node(event, span, 0)?),
            }
        }
        Ok(document.unwrap_or_else(|| Node::new(Value::Null, self.origin(0..0))))
    }

    /// The node that begins with `event`.
    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, ScanError> {
        if depth > DEPTH_LIMIT {
            return Err(ScanError::new_str(span.start, "nested too deeply"));
        }
        let (node, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let origin = self.place(span);
                let value = scalar(text, style, tag.as_ref());
                if value.is_none() {
                    self.problems.add(&origin, "the YAML tag does not fit the value");
                }
                (Node::new(value.unwrap_or(Value::Null), origin), anchor)
            }
            Event::SequenceStart(anchor, _) => (self.list(span, depth)?, anchor),
            Event::MappingStart(anchor, _) => (self.map(span, depth)?, anchor),
            Event::Alias(anchor) => return self.alias(anchor, span),
            _ => return Err(ScanError::new_str(span.start, "a value was expected")),
        };
        if anchor != 0 {
            let size = node.size();
            self.anchors.insert(anchor, (node.clone(), size));
        }
        Ok(node)
    }

    fn list(&mut self, begin: Span, depth: usize) -> Result<Node, ScanError> {
        let mut items = Vec::new();
        let mut end = self.byte(begin.end.index());
        loop {
            let (event, span) = self.next()?;
            if event == Event::SequenceEnd {
                return Ok(Node::new(Value::List(items), self.collection(begin, span, end)));
            }
            let item = self.node(event, span, depth + 1)?;
            end = end.max(end_of(&item.origin));
            items.push(item);
        }
    }

    fn map(&mut self, begin: Span, depth: usize) -> Result<Node, ScanError> {
        let mut map: IndexMap<String, Entry> = IndexMap::new();
        let mut end = self.byte(begin.end.index());
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(Node::new(Value::Map(map), self.collection(begin, span, end)));
            }
            let written = self.place(span);
            let key = self.node(event, span, depth + 1)?;
            let (event, span) = self.next()?;
            let empty = matches!(&event, Event::Scalar(text, ..) if text.is_empty() && span.is_empty());
            let mut node = self.node(event, span, depth + 1)?;
            if empty {
                // Nothing was written: the key is what one can point at.
                node.origin = written.clone();
            }
            end = end.max(end_of(&node.origin)).max(end_of(&written));
            let name = match key.value {
                Value::Text(name) => name,
                Value::Integer(number) => number.to_string(),
                _ => {
                    self.problems.add(&key.origin, "a key must be text");
                    continue;
                }
            };
            if name == MERGE {
                let hint = "write its keys out, or say them once as one of the `variants`, which a stage takes by `with: NAME`";
                self.problems.add_with_hint(&written, "YAML's merge key `<<` is not read", hint);
                continue;
            }
            match map.entry(name) {
                map::Entry::Vacant(place) => {
                    place.insert(Entry { key: written, node });
                }
                map::Entry::Occupied(first) => self.problems.add_with_hint(
                    &written,
                    format!("duplicate key `{}`", first.key()),
                    format!("it was first written at {}", first.get().key),
                ),
            }
        }
    }

    /// What the anchor named, at the alias's place; nodes inside keep theirs.
    fn alias(&mut self, anchor: usize, span: Span) -> Result<Node, ScanError> {
        // The parser itself refuses an unknown name; what is left is an alias inside its own
        // anchor.
        let Some((node, size)) = self.anchors.get(&anchor) else {
            return Err(ScanError::new_str(span.start, "the alias stands inside what it names"));
        };
        let Some(rest) = self.alias_budget.checked_sub(*size) else {
            return Err(ScanError::new_str(span.start, "the aliases stand for too many values"));
        };
        self.alias_budget = rest;
        Ok(Node::new(node.value.clone(), self.place(span)))
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), ScanError> {
        self.parser.next_event().unwrap_or(Ok((Event::StreamEnd, Span::default())))
    }

    /// The place of a list or map: a flow one ends with its bracket, a block one with its last
    /// part.
    fn collection(&self, begin: Span, end: Span, last_part: usize) -> Origin {
        let start = self.byte(begin.start.index());
        // The parser's end of a flow one runs on to the next token.
        let end = if end.is_empty() { last_part } else { self.byte(end.start.index()) + "]".len() };
        self.origin(start..end)
    }

    fn place(&self, span: Span) -> Origin {
        self.origin(self.byte(span.start.index())..self.byte(span.end.index()))
    }

    fn byte(&self, character: usize) -> usize {
        self.offsets[character.min(self.offsets.len() - 1)]
    }

    /// The place `span` without white space at its end.
    fn origin(&self, span: Range<usize>) -> Origin {
        let written = self.source.text.get(span.clone()).unwrap_or_default();
        Origin::File { source: self.source.clone(), span: span.start..span.start + written.trim_end().len() }
    }
}

fn end_of(origin: &Origin) -> usize {
    match origin {
        Origin::File { span, .. } => span.end,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Node {
        Node::parse("p.yaml", text).unwrap()
    }

    fn said(text: &str) -> Vec<String> {
        let problems = Node::parse("p.yaml", text).unwrap_err();
        problems.iter().map(|p| format!("{} {} ({})", p.origin, p.message, p.hint.as_deref().unwrap_or("-"))).collect()
    }

    /// The text a node's place covers.
    fn covered(node: &Node) -> &str {
        let Origin::File { source, span } = &node.origin else { panic!("not from a file") };
        &source.text[span.clone()]
    }

    #[test]
    fn a_place_covers_its_value_and_nothing_else() {
        let root = parse(concat!(
            "# é before everything\n",
            "name:   plain words   # comment\n",
            "quoted: \"a # b\"  \n",
            "single: 'it''s'\n",
            "list: [1, 2.5 ]   # comment\n",
            "block:\n",
            "  inner: 1e-3   # comment\n",
            "  deep:\n",
            "    - x\n",
            "    - y: z   \n",
            "\n",
            "# comment after the block\n",
            "folded: >\n",
            "  two\n",
            "  lines\n",
            "\n",
            "last: true\n",
        ));
        assert_eq!(covered(root.get("name").unwrap()), "plain words");
        assert_eq!(covered(root.get("quoted").unwrap()), "\"a # b\"");
        assert_eq!(covered(root.get("single").unwrap()), "'it''s'");
        assert_eq!(covered(root.get("list").unwrap()), "[1, 2.5 ]");
        let block = root.get("block").unwrap();
        assert_eq!(covered(block.get("inner").unwrap()), "1e-3");
        assert_eq!(block.get("inner").unwrap().value, Value::Float(1e-3));
        assert_eq!(covered(block), "inner: 1e-3   # comment\n  deep:\n    - x\n    - y: z");
        assert!(covered(root.get("folded").unwrap()).ends_with("two\n  lines"));
        assert_eq!(covered(root.get("last").unwrap()), "true");
        assert_eq!(root.get("name").unwrap().origin.to_string(), "p.yaml:2:9");
    }

    #[test]
    fn a_value_left_out_is_at_its_key() {
        let root = parse("a:\n\nb: 1\n");
        assert_eq!(root.get("a").unwrap().value, Value::Null);
        assert_eq!(covered(root.get("a").unwrap()), "a");
    }

    #[test]
    fn an_alias_is_what_its_anchor_named_at_its_own_place() {
        let root = parse("a: &x {k: 1}\nb: *x\n");
        let b = root.get("b").unwrap();
        assert_eq!(b.get("k").unwrap().value, Value::Integer(1));
        assert_eq!(covered(b), "*x");
    }

    #[test]
    fn every_duplicate_key_is_said_with_both_places() {
        assert_eq!(
            said("a: 1\nb: {c: 1, c: 2}\na: 3\n"),
            [
                "p.yaml:2:11 duplicate key `c` (it was first written at p.yaml:2:5)",
                "p.yaml:3:1 duplicate key `a` (it was first written at p.yaml:1:1)",
            ]
        );
    }

    #[test]
    fn what_is_no_yaml_is_said_with_its_place() {
        for text in ["a: [1, 2\n", "a: *nobody\n", "a: &x [*x]\n", "a: 'open\n", "a:\n\t- b\n", "[1, 2]]\n"] {
            let said = said(text);
            assert!(said.len() == 1 && said[0].contains("not valid YAML: "), "{text:?}: {said:?}");
        }
        assert_eq!(said("a: 1\n---\nb: 2\n"), ["p.yaml:3:1 more than one YAML document in the file (-)"]);
        assert_eq!(said("[a]: 1\n"), ["p.yaml:1:1 a key must be text (-)"]);
        assert_eq!(said("a: !!int x\n").len(), 1);
    }

    #[test]
    fn hostile_nesting_is_refused_not_followed() {
        let deep = format!("a: {}{}", "[".repeat(5_000), "]".repeat(5_000));
        assert!(said(&deep)[0].contains("nested too deeply") || said(&deep)[0].contains("not valid YAML"));
        let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..9 {
            let below = format!("*a{}, ", level - 1).repeat(10);
            laughs.push_str(&format!("a{level}: &a{level} [{below}]\n"));
        }
        assert!(said(&laughs)[0].contains("too many values"));
    }

    #[test]
    fn an_empty_file_is_nothing() {
        assert_eq!(parse("").value, Value::Null);
        assert_eq!(parse("# only a comment\n").value, Value::Null);
    }
}
