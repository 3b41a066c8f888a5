//! The axes that multiply stages, and the points they span.

use super::{Node, Origin, Problems, Value};
use indexmap::IndexMap;
use std::collections::{BTreeMap, BTreeSet};

/// `matrix: {seed: [1, 2, 3]}`: axes in the order in which they were written.
#[derive(Debug, Default)]
pub(super) struct Matrix {
    axes: IndexMap<String, Axis>,
}

#[derive(Debug)]
struct Axis {
    key: Origin,
    values: Vec<Node>,
}

/// Where a member stands: axis → index of its value, both by number.
pub(super) type Point = BTreeMap<usize, usize>;

impl Matrix {
    /// Reads the `matrix` section: each axis a list of different scalars, a single scalar being a list of one.
    pub fn read(node: Option<&Node>, problems: &mut Problems) -> Self {
        let mut matrix = Self::default();
        let Some(node) = node else { return matrix };
        let Some(map) = node.as_map() else {
            problems.add(&node.origin, format!("`matrix` must be a map of lists, found {}", node.value.type_name()));
            return matrix;
        };
        for (name, entry) in map {
            if !is_name(name) {
                problems.add_with_hint(&entry.key, format!("`{name}` cannot name an axis"), NAME_RULE);
            }
            let values = values(name, &entry.node, problems);
            matrix.axes.insert(name.clone(), Axis { key: entry.key.clone(), values });
        }
        matrix
    }

    pub fn axis(&self, name: &str) -> Option<usize> {
        self.axes.get_index_of(name)
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.axes.keys().map(String::as_str)
    }

    /// Name and place of the axis.
    pub fn described(&self, axis: usize) -> (&str, &Origin) {
        let (name, axis) = self.axes.get_index(axis).expect("axes are numbered by this matrix");
        (name, &axis.key)
    }

    pub fn values(&self, axis: usize) -> &[Node] {
        &self.axes[axis].values
    }

    /// All points of some axes, the first axis slowest; one empty point where there are none.
    pub fn points(&self, axes: &BTreeSet<usize>) -> Vec<Point> {
        let mut points = vec![Point::new()];
        for &axis in axes {
            let with = |point: &Point, value| point.iter().map(|(&a, &v)| (a, v)).chain([(axis, value)]).collect();
            points = points
                .iter()
                .flat_map(|point| (0..self.values(axis).len()).map(move |value| with(point, value)))
                .collect();
        }
        points
    }

    /// What a point adds to a stage's name: `[seed=1,rate=0.1]`, nothing for the empty one.
    pub fn label(&self, point: &Point) -> String {
        let parts: Vec<String> = point
            .iter()
            .map(|(&axis, &value)| format!("{}={}", self.described(axis).0, shown(&self.values(axis)[value])))
            .collect();
        if parts.is_empty() { String::new() } else { format!("[{}]", parts.join(",")) }
    }
}

/// The rule for names of stages and axes, as a hint.
pub(super) const NAME_RULE: &str = "a name is made of letters, digits, `_` and `-`";

pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-')
}

/// A longer name is a slip: a value or a text in a name's place.
const LONGEST_NAME: usize = 200;

/// What is wrong with the length of a name, if anything is: ``the name of the pipeline is 300 bytes long, 200 are the limit``.
pub(super) fn too_long(whose: &str, name: &str) -> Option<String> {
    let length = name.len();
    (length > LONGEST_NAME).then(|| format!("the name of {whose} is {length} bytes long, {LONGEST_NAME} are the limit"))
}

/// A scalar as it stands in a member's name and inside longer text.
pub(super) fn shown(value: &Node) -> String {
    match &value.value {
        Value::Bool(value) => value.to_string(),
        Value::Integer(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        Value::Text(value) => value.clone(),
        other => other.type_name().to_owned(),
    }
}

fn values(axis: &str, node: &Node, problems: &mut Problems) -> Vec<Node> {
    let items = match &node.value {
        Value::List(items) => items.as_slice(),
        _ => std::slice::from_ref(node),
    };
    if items.is_empty() {
        problems.add(&node.origin, format!("the axis `{axis}` has no values"));
    }
    let mut values: Vec<Node> = Vec::new();
    for item in items {
        match &item.value {
            Value::Null | Value::List(_) | Value::Map(_) => {
                let found = item.value.type_name();
                problems.add(&item.origin, format!("a value of the axis `{axis}` must be a scalar, found {found}"));
            }
            Value::Float(value) if !value.is_finite() => {
                problems.add(&item.origin, format!("a value of the axis `{axis}` must be finite, found `{value}`"));
            }
            // Such a text could not stand in a member's name.
            Value::Text(text) if text.is_empty() || text.contains([',', '[', ']', '=']) => problems.add(
                &item.origin,
                format!("a value of the axis `{axis}` must not be empty or hold `,`, `=`, `[`, `]`, found `{text}`"),
            ),
            // By its text: members with values `1` and `1.0` would have one name.
            _ if values.iter().any(|value| shown(value) == shown(item)) => {
                problems.add(&item.origin, format!("the axis `{axis}` has the value `{}` twice", shown(item)));
            }
            _ => values.push(item.clone()),
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Matrix, Vec<String>) {
        let mut problems = Problems::new();
        let matrix = Matrix::read(Some(&Node::parse("p.yaml", text).unwrap()), &mut problems);
        (matrix, problems.iter().map(|p| format!("{} {}", p.origin, p.message)).collect())
    }

    #[test]
    fn points_run_through_the_last_axis_first() {
        let (matrix, said) = read("seed: [1, 2]\nother: [x]\nrate: [0.1, 1e-3]\n");
        assert!(said.is_empty());
        let axes = BTreeSet::from([matrix.axis("seed").unwrap(), matrix.axis("rate").unwrap()]);
        let labels: Vec<String> = matrix.points(&axes).iter().map(|point| matrix.label(point)).collect();
        assert_eq!(labels, ["[seed=1,rate=0.1]", "[seed=1,rate=0.001]", "[seed=2,rate=0.1]", "[seed=2,rate=0.001]"]);
        assert_eq!(matrix.points(&BTreeSet::new()).iter().map(|p| matrix.label(p)).collect::<Vec<_>>(), [""]);
    }

    #[test]
    fn a_scalar_is_a_list_of_one() {
        let (matrix, said) = read("seed: 7\n");
        assert!(said.is_empty());
        assert_eq!(matrix.values(0).len(), 1);
    }

    #[test]
    fn what_cannot_be_a_value_is_said() {
        let (_, said) = read("a: []\nb: [1, 2, 1.0]\nc: [[1], {x: 1}, ~]\nd: [.nan, 'x,y']\n'e f': [1]\n");
        assert_eq!(
            said,
            [
                "p.yaml:1:4 the axis `a` has no values",
                "p.yaml:2:11 the axis `b` has the value `1` twice",
                "p.yaml:3:5 a value of the axis `c` must be a scalar, found a list",
                "p.yaml:3:10 a value of the axis `c` must be a scalar, found a map",
                "p.yaml:3:18 a value of the axis `c` must be a scalar, found nothing",
                "p.yaml:4:5 a value of the axis `d` must be finite, found `NaN`",
                "p.yaml:4:11 a value of the axis `d` must not be empty or hold `,`, `=`, `[`, `]`, found `x,y`",
                "p.yaml:5:1 `e f` cannot name an axis",
            ]
        );
        let (_, said) = read("[1]\n");
        assert_eq!(said, ["p.yaml:1:1 `matrix` must be a map of lists, found a list"]);
    }
}
