//! JSON in the one form whose digest is a key.

use serde_json::Value as Json;
use std::collections::BTreeMap;

/// UTF-8 without white space, the keys of every object in byte order, text escaped only as JSON
/// demands; a whole number without a point, any other as the shortest decimal that reads back to
/// the same `f64`.
pub fn canonical_json(value: &Json) -> String {
    let mut text = String::new();
    write(value, &mut text);
    text
}

/// Sorts by itself: serde_json's own order depends on a feature that any dependency may turn on.
fn write(value: &Json, text: &mut String) {
    match value {
        Json::Object(map) => {
            let sorted: BTreeMap<_, _> = map.iter().collect();
            text.push('{');
            for (at, (key, value)) in sorted.into_iter().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                text.push_str(&Json::from(key.as_str()).to_string());
                text.push(':');
                write(value, text);
            }
            text.push('}');
        }
        Json::Array(items) => {
            text.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                write(item, text);
            }
            text.push(']');
        }
        scalar => text.push_str(&scalar.to_string()),
    }
}
