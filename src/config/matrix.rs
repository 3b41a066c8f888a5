//! The axes that multiply stages, and the points they span.

use super::{Node, Origin, Problems, Value, fields::quote};
use indexmap::{IndexMap, map};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};

/// `matrix: {seed: [1, 2, 3]}`: axes in the order in which they were written.
#[derive(Debug, Default)]
pub(super) struct Matrix {
    axes: IndexMap<String, Axis>,
}

#[derive(Debug)]
struct Axis {
    key: Origin,
    /// By their texts.
    values: IndexMap<String, Node>,
}

/// Members of all stages together: a week of them at a minute each.
pub(super) const MOST_MEMBERS: usize = 10_000;

/// What members hold together, in values of their keys and in members that they name: some hundred
/// megabytes.
const MOST_PARTS: usize = 1_000_000;

/// Where a member stands: axis → index of its value, both by number.
pub(super) type Point = BTreeMap<usize, usize>;

impl Matrix {
    /// Reads the `matrix` section: each axis a list of different scalars, a single scalar being a
    /// list of one.
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

    /// The values of an axis.
    pub fn values(&self, axis: usize) -> &IndexMap<String, Node> {
        &self.axes[axis].values
    }

    /// The axes with their values, without places.
    pub fn to_json(&self) -> IndexMap<String, Vec<Json>> {
        let axis = |(name, axis): (&String, &Axis)| (name.clone(), axis.values.values().map(Node::to_json).collect());
        self.axes.iter().map(axis).collect()
    }

    /// How many points some axes span.
    pub fn count(&self, axes: &BTreeSet<usize>) -> usize {
        axes.iter().map(|&axis| self.values(axis).len()).fold(1, usize::saturating_mul)
    }

    /// All points of some axes, the first axis slowest; one empty point where there are none. Made
    /// one by one: there may be more than anyone can hold.
    pub fn points<'a>(&'a self, axes: &'a BTreeSet<usize>) -> impl Iterator<Item = Point> + 'a {
        (0..self.count(axes)).map(move |mut number| {
            let digit = |&axis: &usize| {
                let values = self.values(axis).len();
                let value = number % values;
                number /= values;
                (axis, value)
            };
            axes.iter().rev().map(digit).collect()
        })
    }

    /// Whether there can be as many members as `axes` span, each with so many `parts`, beside those
    /// `before`. What is too much is a problem at the first of the axes.
    pub fn allows(&self, axes: &BTreeSet<usize>, parts: usize, before: usize, problems: &mut Problems) -> bool {
        let count = self.count(axes);
        let (all, in_all) = (count.saturating_add(before), count.saturating_mul(parts));
        let message = if all > MOST_MEMBERS {
            format!("the matrix makes {} members, {} are the limit", grouped(all), grouped(MOST_MEMBERS))
        } else if in_all > MOST_PARTS && count > 1 {
            let (in_all, most) = (grouped(in_all), grouped(MOST_PARTS));
            format!("the matrix makes {} members with {in_all} values, {most} are the limit", grouped(count))
        } else {
            return true;
        };
        let Some(&first) = axes.first() else { return true };
        let names = axes.iter().map(|&axis| format!("`{}`", self.described(axis).0)).collect::<Vec<_>>().join(", ");
        problems.add_with_hint(self.described(first).1, message, format!("one stage is multiplied by {names}"));
        false
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

/// What is wrong with the length of a name, if anything is:
/// ``the name of the pipeline is 300 bytes long, 200 are the limit``.
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

/// `1,000,000`; what is too large to be counted is no more than said to be so.
fn grouped(count: usize) -> String {
    if count == usize::MAX {
        return "uncountably many".to_owned();
    }
    let digits = count.to_string();
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().filter_map(|group| str::from_utf8(group).ok()).collect();
    groups.join(",")
}

/// Whether a text can stand in a member's name, as the value of an axis.
pub(super) fn is_coordinate(text: &str) -> bool {
    !text.is_empty() && !text.contains([',', '[', ']', '='])
}

fn values(axis: &str, node: &Node, problems: &mut Problems) -> IndexMap<String, Node> {
    let items = match &node.value {
        Value::List(items) => items.as_slice(),
        _ => std::slice::from_ref(node),
    };
    if items.is_empty() {
        problems.add(&node.origin, format!("the axis `{axis}` has no values"));
    }
    let mut values: IndexMap<String, Node> = IndexMap::with_capacity(items.len());
    for item in items {
        match &item.value {
            Value::Null | Value::List(_) | Value::Map(_) => {
                let found = item.value.type_name();
                problems.add(&item.origin, format!("a value of the axis `{axis}` must be a scalar, found {found}"));
            }
            Value::Float(value) if !value.is_finite() => {
                let found = quote(item);
                problems.add(&item.origin, format!("a value of the axis `{axis}` must be finite, found {found}"));
            }
            Value::Text(text) if !is_coordinate(text) => problems.add(
                &item.origin,
                format!("a value of the axis `{axis}` must not be empty or hold `,`, `=`, `[`, `]`, found `{text}`"),
            ),
            // By its text: members with values `1` and `1.0` would have one name.
            _ => match values.entry(shown(item)) {
                map::Entry::Vacant(place) => {
                    place.insert(item.clone());
                }
                map::Entry::Occupied(known) => {
                    problems.add(&item.origin, format!("the axis `{axis}` has the value `{}` twice", known.key()));
                }
            },
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
        let labels: Vec<String> = matrix.points(&axes).map(|point| matrix.label(&point)).collect();
        assert_eq!(labels, ["[seed=1,rate=0.1]", "[seed=1,rate=0.001]", "[seed=2,rate=0.1]", "[seed=2,rate=0.001]"]);
        assert_eq!(matrix.points(&BTreeSet::new()).map(|p| matrix.label(&p)).collect::<Vec<_>>(), [""]);
    }

    #[test]
    fn more_members_than_anyone_runs_are_counted_and_not_made() {
        let values = (1..=1000).map(|value| value.to_string()).collect::<Vec<_>>().join(", ");
        let (matrix, said) = read(&format!("a: [{values}]\nb: [{values}]\nc: [{values}]\nd: [1, 2]\n"));
        assert!(said.is_empty());
        let refused = |axes: &[usize], parts| {
            let mut problems = Problems::new();
            let allowed = matrix.allows(&axes.iter().copied().collect(), parts, 0, &mut problems);
            let said = problems.iter().map(|p| format!("{} {}", p.origin, p.message)).next();
            assert_eq!(allowed, said.is_none());
            said
        };
        assert_eq!(refused(&[0, 3], 10), None);
        assert_eq!(refused(&[1, 2], 1).unwrap(), "p.yaml:2:1 the matrix makes 1,000,000 members, 10,000 are the limit");
        assert_eq!(
            refused(&[0, 3], 1000).unwrap(),
            "p.yaml:1:1 the matrix makes 2,000 members with 2,000,000 values, 1,000,000 are the limit"
        );
        assert_eq!(refused(&[], usize::MAX), None, "a stage without an axis is as long as its file");
        let all = BTreeSet::from([0, 1, 2]);
        assert_eq!(matrix.label(&matrix.points(&all).next().unwrap()), "[a=1,b=1,c=1]");
    }

    #[test]
    fn forty_thousand_values_are_read_at_once() {
        let values: String = (0..40_000).map(|value| format!("{value}, ")).collect();
        let began = std::time::Instant::now();
        let (matrix, said) = read(&format!("a: [{values}]\nb: [{values}]\n"));
        assert!(said.is_empty() && matrix.values(1).len() == 40_000);
        assert!(began.elapsed().as_secs() < 10, "reading is linear: {:?}", began.elapsed());
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
