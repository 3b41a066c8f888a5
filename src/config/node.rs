//! A YAML value that remembers where each part of it was written.

use super::Origin;
use indexmap::IndexMap;

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

    /// A finite number, whole or not.
    pub fn number(&self) -> Option<f64> {
        match self.value {
            Value::Float(value) => Some(value).filter(|value| value.is_finite()),
            Value::Integer(value) => Some(value as f64),
            _ => None,
        }
    }

    /// The member `key` of a map.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.as_map()?.get(key).map(|entry| &entry.node)
    }

    /// The same value as if all of it came from `origin`.
    pub fn with_origin(self, origin: &Origin) -> Self {
        let value = match self.value {
            Value::List(items) => Value::List(items.into_iter().map(|item| item.with_origin(origin)).collect()),
            Value::Map(map) => {
                let moved = |(name, entry): (String, Entry)| {
                    (name, Entry { key: origin.clone(), node: entry.node.with_origin(origin) })
                };
                Value::Map(map.into_iter().map(moved).collect())
            }
            scalar => scalar,
        };
        Self::new(value, origin.clone())
    }

    /// `over` laid over this: maps key by key, anything else as a whole.
    #[must_use]
    pub fn overlaid(self, over: Self) -> Self {
        match (self.value, over.value) {
            (Value::Map(mut map), Value::Map(over_map)) => {
                for (key, mut entry) in over_map {
                    if let Some(known) = map.get_mut(&key) {
                        let below = std::mem::replace(&mut known.node, Self::empty_map());
                        entry.node = below.overlaid(entry.node);
                    }
                    map.insert(key, entry);
                }
                Self::new(Value::Map(map), over.origin)
            }
            (_, value) => Self::new(value, over.origin),
        }
    }

    /// What of it was set for a run, by an argument or in the environment; `None` where nothing was.
    pub(super) fn of_settings(&self) -> Option<Self> {
        if matches!(self.origin, Origin::Argument { .. } | Origin::Environment { .. }) {
            return Some(self.clone());
        }
        let Value::Map(map) = &self.value else { return None };
        let entry = |(key, entry): (&String, &Entry)| {
            let node = entry.node.of_settings()?;
            Some((key.clone(), Entry { key: entry.key.clone(), node }))
        };
        let set: IndexMap<String, Entry> = map.iter().filter_map(entry).collect();
        (!set.is_empty()).then(|| Self::new(Value::Map(set), self.origin.clone()))
    }

    /// How many values it is made of, itself among them.
    pub(super) fn size(&self) -> usize {
        match &self.value {
            Value::List(items) => 1 + items.iter().map(Self::size).sum::<usize>(),
            Value::Map(map) => 1 + map.values().map(|entry| entry.node.size()).sum::<usize>(),
            _ => 1,
        }
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
