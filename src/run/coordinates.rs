//! Coordinates of a member in the matrix of its pipeline, compared and told.

use indexmap::IndexMap;
use serde_json::Value as Json;

/// Axis → value, in the order of the matrix.
pub(crate) type Coordinates = IndexMap<String, Json>;

/// Whether what is at `point` is about what is at `other`: they agree on the axes of `other`.
pub(crate) fn agrees(point: &Coordinates, other: &Coordinates) -> bool {
    other.iter().all(|(axis, value)| point.get(axis) == Some(value))
}

/// `seed 2`; `method darts, seed 2`.
pub(crate) fn place(point: &Coordinates) -> String {
    point.iter().map(|(axis, value)| format!("{axis} {}", shown(value))).collect::<Vec<_>>().join(", ")
}

/// A value as it stands in a member's name: `1` for 1.0, text without quotes.
pub(crate) fn shown(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        Json::Number(number) if number.is_f64() => number.as_f64().map_or_else(String::new, |value| value.to_string()),
        other => other.to_string(),
    }
}
