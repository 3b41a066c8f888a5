//! A YAML value that remembers where each part of it was written.

use super::{Origin, Problems, SourceFile};
use indexmap::IndexMap;
use saphyr::{LoadableYamlNode, MarkedYaml, Scalar, YamlData};
use std::{path::PathBuf, sync::Arc};

/// A value and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub value: Value,
    pub origin: Origin,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(IndexMap<String, Entry>),
}

/// A map's value with the place of its key.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub key: Origin,
    pub node: Node,
}

impl Value {
    /// The word for this type in messages: `a list`.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "true or false",
            Self::Integer(_) => "a whole number",
            Self::Float(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}

impl Node {
    pub fn new(value: Value, origin: Origin) -> Self {
        Self { value, origin }
    }

    /// An empty map from nowhere: what an omitted section reads as.
    pub fn empty_map() -> Self {
        Self::new(Value::Map(IndexMap::new()), Origin::Default)
    }

    /// Reads YAML text of one document. Syntax errors, duplicate keys and keys that are no text become problems.
    pub fn parse(path: impl Into<PathBuf>, text: impl Into<String>) -> Result<Self, Problems> {
        let source = Arc::new(SourceFile { path: path.into(), text: text.into() });
        // The parser counts characters, an Origin counts bytes.
        let offsets: Vec<usize> = source.text.char_indices().map(|(at, _)| at).chain([source.text.len()]).collect();
        let byte = |character: usize| offsets[character.min(offsets.len() - 1)];
        let mut problems = Problems::new();
        let whole = Origin::File { source: source.clone(), span: 0..0 };
        let documents = match MarkedYaml::load_from_str(&source.text) {
            Ok(documents) => documents,
            Err(error) => {
                let at = byte(error.marker().index());
                let origin = Origin::File { source: source.clone(), span: at..at };
                problems.add(&origin, format!("not valid YAML: {}", error.info()));
                return Err(problems);
            }
        };
        let node = match documents.as_slice() {
            [] => Node::new(Value::Null, whole),
            [document] => convert(document, &source, &byte, &mut problems),
            _ => {
                problems.add(&whole, "more than one YAML document in the file");
                return Err(problems);
            }
        };
        problems.into_result(node)
    }

    pub fn as_map(&self) -> Option<&IndexMap<String, Entry>> {
        match &self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    pub fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The member `key` of a map.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.as_map()?.get(key).map(|entry| &entry.node)
    }

    /// The value without places, as canonical JSON: what is hashed and shown.
    pub fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Integer(value) => (*value).into(),
            Value::Float(value) => (*value).into(),
            Value::Text(value) => value.clone().into(),
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Map(map) => map.iter().map(|(key, entry)| (key.clone(), entry.node.to_json())).collect(),
        }
    }
}

fn convert(
    yaml: &MarkedYaml<'_>,
    source: &Arc<SourceFile>,
    byte: &impl Fn(usize) -> usize,
    problems: &mut Problems,
) -> Node {
    let place = |yaml: &MarkedYaml<'_>| {
        let start = byte(yaml.span.start.index());
        let end = byte(yaml.span.end.index()).max(start);
        Origin::File { source: source.clone(), span: start..end }
    };
    let origin = place(yaml);
    let value = match &yaml.data {
        YamlData::Value(Scalar::Null) => Value::Null,
        YamlData::Value(Scalar::Boolean(value)) => Value::Bool(*value),
        YamlData::Value(Scalar::Integer(value)) => Value::Integer(*value),
        YamlData::Value(Scalar::FloatingPoint(value)) => Value::Float(value.into_inner()),
        YamlData::Value(Scalar::String(value)) => Value::Text(value.to_string()),
        YamlData::Sequence(items) => {
            Value::List(items.iter().map(|item| convert(item, source, byte, problems)).collect())
        }
        YamlData::Mapping(pairs) => {
            let mut map = IndexMap::new();
            for (key, item) in pairs {
                let name = match &key.data {
                    YamlData::Value(Scalar::String(name)) => name.to_string(),
                    YamlData::Value(Scalar::Integer(number)) => number.to_string(),
                    _ => {
                        problems.add(&place(key), "a key must be text");
                        continue;
                    }
                };
                map.insert(name, Entry { key: place(key), node: convert(item, source, byte, problems) });
            }
            Value::Map(map)
        }
        _ => {
            problems.add(&origin, "a YAML feature that is not used here (tag or unresolved alias)");
            Value::Null
        }
    };
    Node { value, origin }
}
