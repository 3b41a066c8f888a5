//! A space's file by what it says: its digest, and the whole of it as text.

use crate::config::{Node, Value};
use crate::store::Digest;
use serde::{Serialize, Serializer};

/// Keys of a file that say nothing of what is searched.
const UNSEARCHED: [&str; 2] = ["about", "notation"];

/// The digest of what a file says: comments, layout and the keys of [`UNSEARCHED`] do not count,
/// the order of the others does.
pub(super) fn digest(node: &Node) -> Digest {
    let mut canonical = String::new();
    write_canonical(node, true, &mut canonical);
    Digest::of(canonical.as_bytes())
}

/// Compact JSON with the keys in the order of the file, whatever order a JSON library would give
/// them.
fn write_canonical(node: &Node, top: bool, text: &mut String) {
    match &node.value {
        Value::Map(map) => {
            text.push('{');
            let mut comma = "";
            for (key, entry) in map.iter().filter(|(key, _)| !(top && UNSEARCHED.contains(&key.as_str()))) {
                text.push_str(comma);
                text.push_str(&serde_json::Value::from(key.as_str()).to_string());
                text.push(':');
                write_canonical(&entry.node, false, text);
                comma = ",";
            }
            text.push('}');
        }
        Value::List(items) => {
            text.push('[');
            for (position, item) in items.iter().enumerate() {
                if position > 0 {
                    text.push(',');
                }
                write_canonical(item, false, text);
            }
            text.push(']');
        }
        _ => text.push_str(&node.to_json().to_string()),
    }
}

/// A whole file, in the order of its keys.
pub(super) fn text(node: &Node) -> String {
    serde_yaml::to_string(&Written(node)).expect("values of a file can be written to one")
}

/// A value without its places.
struct Written<'a>(&'a Node);

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0.value {
            Value::Map(map) => serializer.collect_map(map.iter().map(|(key, entry)| (key, Written(&entry.node)))),
            Value::List(items) => serializer.collect_seq(items.iter().map(Written)),
            _ => self.0.to_json().serialize(serializer),
        }
    }
}
