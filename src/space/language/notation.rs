//! How other programs write a space's cells: read, never written.
//!
//! ```yaml
//! notation:
//!   names: {conv_1x1: nor_conv_1x1}   # their word, ours
//!   numbers:                          # whose: what each number means, the edges in their order
//!     NASLib: {operations: [skip_connect, none], edges: [[0, 1], [0, 2], [1, 2]]}
//! ```

use super::hint::did_you_mean;
use super::operation::Operation;
use crate::config::{Fields, Node, Problems, Value};
use indexmap::IndexMap;

#[derive(Debug, Clone, Default)]
pub struct Notation {
    /// Their name of an operation → the space's.
    names: IndexMap<String, String>,
    /// Whose → how.
    pub numbers: IndexMap<String, Numbering>,
}

/// What a list of numbers means, one an edge.
#[derive(Debug, Clone, Default)]
pub struct Numbering {
    pub operations: Vec<String>,
    /// Source and target.
    pub edges: Vec<(usize, usize)>,
}

impl Notation {
    pub fn read(node: &Node, operations: &IndexMap<String, Operation>, problems: &mut Problems) -> Self {
        let mut fields = Fields::open(node, "`notation`", problems);
        let mut notation = Self::default();
        for (name, entry) in fields.node("names").and_then(Node::as_map).into_iter().flatten() {
            match entry.node.as_text() {
                Some(ours) => {
                    check(ours, &entry.node, operations, fields.problems());
                    notation.names.insert(name.clone(), ours.to_owned());
                }
                None => fields.wrong(name, &entry.node, "the name of an operation"),
            }
        }
        for (whose, entry) in fields.node("numbers").and_then(Node::as_map).into_iter().flatten() {
            notation.numbers.insert(whose.clone(), Numbering::read(&entry.node, operations, fields.problems()));
        }
        fields.close();
        notation
    }

    /// The space's name of what another program calls `word`, where the space has no such name
    /// itself.
    pub fn known_as(&self, word: &str, operations: &IndexMap<String, Operation>) -> Option<&str> {
        self.names.get(word).filter(|_| !operations.contains_key(word)).map(String::as_str)
    }
}

impl Numbering {
    fn read(node: &Node, operations: &IndexMap<String, Operation>, problems: &mut Problems) -> Self {
        let mut fields = Fields::open(node, "a numbering", problems);
        fields.required_node("operations");
        let names = fields.texts("operations").unwrap_or_default();
        for name in &names {
            check(name, node, operations, fields.problems());
        }
        let pair = |item: &Node| match &item.value {
            Value::List(ends) => match ends.as_slice() {
                [Node { value: Value::Integer(source), .. }, Node { value: Value::Integer(target), .. }] => {
                    Some((usize::try_from(*source).ok()?, usize::try_from(*target).ok()?))
                }
                _ => None,
            },
            _ => None,
        };
        let mut edges = Vec::new();
        if let Some(written) = fields.required_node("edges") {
            let items = if let Value::List(items) = &written.value { items.as_slice() } else { &[] };
            match items.iter().map(pair).collect::<Option<Vec<_>>>().filter(|edges| !edges.is_empty()) {
                Some(read) => edges = read,
                None => fields.wrong("edges", written, "a list of edges, `[source, target]`"),
            }
        }
        fields.close();
        Self { operations: names, edges }
    }
}

fn check(name: &str, place: &Node, operations: &IndexMap<String, Operation>, problems: &mut Problems) {
    if !operations.contains_key(name) {
        let hint = did_you_mean(name, operations.keys().map(String::as_str), "the operations are");
        problems.add_with_hint(&place.origin, format!("unknown operation `{name}` in `notation`"), hint);
    }
}

#[cfg(test)]
mod tests {
    use crate::edited::edited;
    use crate::space::{Space, shipped};

    #[test]
    fn a_notation_names_operations_that_there_are_and_changes_no_digest() {
        let text = std::fs::read_to_string(shipped::path("nas_bench_201.yaml")).unwrap();
        let read = |text: &str| Space::parse(&shipped::path("nas_bench_201.yaml"), text);
        let wrong = edited(&text, &[("conv_3x3: nor_conv_3x3", "conv_3x3: nor_conv3x3")]);
        let problems = read(&wrong).unwrap_err();
        let said: Vec<String> = problems.iter().map(|problem| problem.message.clone()).collect();
        assert_eq!(said, ["unknown operation `nor_conv3x3` in `notation`"]);
        let wrong = edited(&text, &[("[[0, 1], ", "[0, ")]);
        let problems = read(&wrong).unwrap_err();
        assert!(problems.iter().next().unwrap().message.contains("a list of edges, `[source, target]`"));
        let without = edited(&text, &[("names: {conv_1x1", "names: {convolution: none, conv_1x1")]);
        assert_eq!(read(&without).unwrap().digest(), read(&text).unwrap().digest(), "what is searched is the same");
    }
}
