//! `${matrix.seed}` inside a stage's keys.

use super::{
    Entry, Node, Problems, Value,
    matrix::{Matrix, Point, shown},
    nearest,
};
use std::collections::BTreeSet;

/// A piece of a text that may hold `${…}`.
#[derive(Debug, PartialEq)]
enum Part<'a> {
    Text(&'a str),
    /// `${matrix.seed}`: the axis, as written.
    Axis(&'a str),
    /// `${…}` of another kind: what stands inside.
    Unknown(&'a str),
    /// `${` without an end.
    Open,
}

/// The axes that `node` mentions. What cannot be filled in is a problem.
pub(super) fn axes(node: &Node, matrix: &Matrix, problems: &mut Problems) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    match &node.value {
        Value::Text(text) => {
            for part in parts(text) {
                match part {
                    Part::Text(_) => {}
                    Part::Axis(name) => match matrix.axis(name) {
                        Some(axis) => {
                            found.insert(axis);
                        }
                        None => unknown_axis(name, node, matrix, problems),
                    },
                    Part::Unknown(inside) => unknown(inside, node, matrix, problems),
                    Part::Open => {
                        let place = node.origin.narrowed_to("${");
                        problems.add_with_hint(&place, "`${` is never closed", "write `${matrix.AXIS}`");
                    }
                }
            }
        }
        Value::List(items) => items.iter().for_each(|item| found.extend(axes(item, matrix, problems))),
        Value::Map(map) => map.values().for_each(|entry| found.extend(axes(&entry.node, matrix, problems))),
        _ => {}
    }
    found
}

/// `node` at a point. A value that is nothing but `${matrix.seed}` becomes the axis's value, with
/// its type and place.
pub(super) fn fill(node: &Node, matrix: &Matrix, point: &Point) -> Node {
    let value = match &node.value {
        Value::Text(text) => match parts(text).as_slice() {
            [Part::Axis(name)] => match value_at(name, matrix, point) {
                Some(value) => return value.clone(),
                None => node.value.clone(),
            },
            _ => Value::Text(fill_text(text, matrix, point)),
        },
        Value::List(items) => Value::List(items.iter().map(|item| fill(item, matrix, point)).collect()),
        Value::Map(map) => {
            let filled = |(name, entry): (&String, &Entry)| {
                (name.clone(), Entry { key: entry.key.clone(), node: fill(&entry.node, matrix, point) })
            };
            Value::Map(map.iter().map(filled).collect())
        }
        scalar => scalar.clone(),
    };
    Node::new(value, node.origin.clone())
}

/// A text at a point.
pub(super) fn fill_text(text: &str, matrix: &Matrix, point: &Point) -> String {
    let piece = |part| match part {
        Part::Text(text) => text.to_owned(),
        Part::Axis(name) => value_at(name, matrix, point).map(shown).unwrap_or_default(),
        // Complained of by `axes`; never reaches a stage.
        Part::Unknown(_) | Part::Open => String::new(),
    };
    parts(text).into_iter().map(piece).collect()
}

fn value_at<'a>(axis: &str, matrix: &'a Matrix, point: &Point) -> Option<&'a Node> {
    let axis = matrix.axis(axis)?;
    matrix.values(axis).get_index(*point.get(&axis)?).map(|(_, value)| value)
}

fn parts(mut text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    while let Some((before, rest)) = text.split_once("${") {
        if !before.is_empty() {
            parts.push(Part::Text(before));
        }
        let Some((inside, after)) = rest.split_once('}') else {
            parts.push(Part::Open);
            return parts;
        };
        let inside = inside.trim();
        parts.push(inside.strip_prefix("matrix.").map_or(Part::Unknown(inside), Part::Axis));
        text = after;
    }
    if !text.is_empty() {
        parts.push(Part::Text(text));
    }
    parts
}

fn unknown_axis(name: &str, node: &Node, matrix: &Matrix, problems: &mut Problems) {
    let place = node.origin.narrowed_to(&format!("${{matrix.{name}}}"));
    let message = format!("the matrix has no axis `{name}`");
    if let Some(near) = nearest(name, matrix.names()) {
        problems.add_with_hint(&place, message, format!("did you mean `${{matrix.{near}}}`?"));
        return;
    }
    let all = matrix.names().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let hint =
        if all.is_empty() { format!("add it: `matrix: {{{name}: […]}}`") } else { format!("the axes are {all}") };
    problems.add_with_hint(&place, message, hint);
}

fn unknown(inside: &str, node: &Node, matrix: &Matrix, problems: &mut Problems) {
    let place = node.origin.narrowed_to(&format!("${{{inside}}}"));
    let names: Vec<String> = matrix.names().map(|name| format!("matrix.{name}")).collect();
    let candidates = names.iter().map(String::as_str).chain(matrix.names());
    let hint = match nearest(inside, candidates) {
        Some(near) => format!("did you mean `${{matrix.{}}}`?", near.trim_start_matches("matrix.")),
        None => "only axes of the matrix can be filled in: `${matrix.AXIS}`".to_owned(),
    };
    problems.add_with_hint(&place, format!("`${{{inside}}}` names nothing"), hint);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix() -> Matrix {
        let node = Node::parse("m.yaml", "seed: [1, 2]\nrate: [0.5]\n").unwrap();
        Matrix::read(Some(&node), &mut Problems::new())
    }

    #[test]
    fn a_lone_axis_keeps_its_type_and_a_text_takes_it_in() {
        let matrix = matrix();
        let node = Node::parse("p.yaml", "a: '${matrix.seed}'\nb: ['run ${ matrix.seed } at ${matrix.rate}']\nc: $x}")
            .unwrap();
        let mut problems = Problems::new();
        assert_eq!(axes(&node, &matrix, &mut problems), BTreeSet::from([0, 1]));
        assert!(problems.is_empty());
        let filled = fill(&node, &matrix, &Point::from([(0, 1), (1, 0)]));
        assert_eq!(filled.to_json(), serde_json::json!({"a": 2, "b": ["run 2 at 0.5"], "c": "$x}"}));
        assert_eq!(filled.get("a").unwrap().origin.to_string(), "m.yaml:1:11");
    }

    #[test]
    fn what_names_nothing_is_said_at_its_place() {
        let node = Node::parse(
            "p.yaml",
            "a: run ${matrix.sed}\nb: ${seed}\nc: ${matrx.seed}\nd: ${epochs}\ne: ${matrix.seed\nf: ${matrix.q}\n",
        )
        .unwrap();
        let mut problems = Problems::new();
        axes(&node, &matrix(), &mut problems);
        let said: Vec<String> =
            problems.iter().map(|p| format!("{} {} ({})", p.origin, p.message, p.hint.as_deref().unwrap())).collect();
        assert_eq!(
            said,
            [
                "p.yaml:1:8 the matrix has no axis `sed` (did you mean `${matrix.seed}`?)",
                "p.yaml:2:4 `${seed}` names nothing (did you mean `${matrix.seed}`?)",
                "p.yaml:3:4 `${matrx.seed}` names nothing (did you mean `${matrix.seed}`?)",
                "p.yaml:4:4 `${epochs}` names nothing (only axes of the matrix can be filled in: `${matrix.AXIS}`)",
                "p.yaml:5:4 `${` is never closed (write `${matrix.AXIS}`)",
                "p.yaml:6:4 the matrix has no axis `q` (the axes are `seed`, `rate`)",
            ]
        );
    }
}
