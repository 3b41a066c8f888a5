//! `variants`: named sets of keys. A stage that says `with: NAME` has that set laid over its own
//! keys; with `with: ${matrix.method}` an axis goes through several. What methods share stands in
//! the stage once, and what makes each of them stands beside its name.

use super::{
    Entry, KindSlots, Node, Problems, Value,
    matrix::{MOST_MEMBERS, Matrix, Point, is_coordinate},
    nearest, template,
};
use indexmap::IndexMap;
use std::collections::BTreeSet;

/// The key of a stage that names its variant.
pub(super) const WITH: &str = "with";

/// The section `variants` of a pipeline.
#[derive(Debug, Default)]
pub(super) struct Variants<'a> {
    sets: IndexMap<&'a str, &'a Node>,
}

impl<'a> Variants<'a> {
    pub fn read(node: Option<&'a Node>, problems: &mut Problems) -> Self {
        let mut variants = Self::default();
        let Some(node) = node else { return variants };
        let Some(map) = node.as_map() else {
            problems.add(&node.origin, format!("`variants` must be a map of maps, found {}", node.value.type_name()));
            return variants;
        };
        for (name, Entry { key, node }) in map {
            // A variant may be called as any value of an axis is.
            if !is_coordinate(name) {
                let hint = "the name of a variant is not empty and holds none of `,`, `=`, `[`, `]`";
                problems.add_with_hint(key, format!("`{name}` cannot name a variant"), hint);
            }
            if node.as_map().is_none() && node.value != Value::Null {
                let found = node.value.type_name();
                problems.add(&node.origin, format!("variant `{name}` must be a map of a stage's keys, found {found}"));
            }
            variants.sets.insert(name, node);
        }
        variants
    }

    /// The axes that the variants of a stage with the keys `params` mention. A variant that is not
    /// there, or that names what the stage reads, is a problem.
    pub fn axes(&self, params: &Node, kind: &KindSlots, matrix: &Matrix, problems: &mut Problems) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        let Some(with) = params.get(WITH) else { return found };
        let Some(text) = with.as_text() else {
            problems.add(&with.origin, format!("`{WITH}` must name a variant, found {}", with.value.type_name()));
            return found;
        };
        // `axes` of the stage has complained of what cannot be filled in.
        let own = template::axes(with, matrix, &mut Problems::new());
        if matrix.count(&own) > MOST_MEMBERS {
            // Complained of where the stage is multiplied.
            return found;
        }
        let names = matrix.points(&own).map(|point| template::fill_text(text, matrix, &point));
        for name in names.collect::<BTreeSet<String>>() {
            let Some(set) = self.sets.get(name.as_str()) else {
                self.unknown(&name, with, problems);
                continue;
            };
            found.extend(template::axes(set, matrix, problems));
            for slot in kind.slots {
                if let Some(entry) = slot.of(set) {
                    let message = format!("variant `{name}` cannot say `{}`: it names a stage", slot.key);
                    problems.add_with_hint(&entry.key, message, "say it in the stage itself");
                }
            }
        }
        found
    }

    fn unknown(&self, name: &str, with: &Node, problems: &mut Problems) {
        let message = format!("there is no variant `{name}`");
        let names = || self.sets.keys().copied();
        let hint = match nearest(name, names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if self.sets.is_empty() => format!("add it: `variants: {{{name}: {{…}}}}`"),
            None => {
                format!("the variants are {}", names().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "))
            }
        };
        problems.add_with_hint(&with.origin, message, hint);
    }

    /// A stage's keys at a point, its variant's laid over them, and over these what a person set for this
    /// run: maps are merged, all else is replaced.
    pub fn fill(&self, params: &Node, matrix: &Matrix, point: &Point) -> Node {
        let mut filled = template::fill(params, matrix, point);
        let Value::Map(map) = &mut filled.value else { return filled };
        if map.shift_remove(WITH).is_none() {
            return filled;
        }
        let name = params.get(WITH).and_then(Node::as_text).map(|text| template::fill_text(text, matrix, point));
        // Complained of by `axes`, where there is none. A set without keys changes nothing.
        match name.and_then(|name| self.sets.get(name.as_str())) {
            Some(set) if set.as_map().is_some() => {
                // Complaints about the stage as a whole stay where the stage is.
                let stage = filled.origin.clone();
                let set_for_the_run = filled.of_settings();
                let laid = filled.overlaid(template::fill(set, matrix, point));
                let laid = set_for_the_run.into_iter().fold(laid, Node::overlaid);
                Node { origin: stage, ..laid }
            }
            _ => filled,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Origin;

    const KIND: KindSlots = KindSlots {
        kind: "search",
        slots: &[super::super::Slot { key: "data", accepts: &["prepare"], many: false, required: true }],
    };

    fn said(variants: &str, params: &str) -> Vec<String> {
        let mut problems = Problems::new();
        let node = Node::parse("v.yaml", variants).unwrap();
        let matrix = Node::parse("m.yaml", "method: [one, two]\nseed: [1, 2]\n").unwrap();
        let matrix = Matrix::read(Some(&matrix), &mut problems);
        let variants = Variants::read(Some(&node), &mut problems);
        variants.axes(&Node::parse("p.yaml", params).unwrap(), &KIND, &matrix, &mut problems);
        let line =
            |p: &super::super::Problem| format!("{} {} ({})", p.origin, p.message, p.hint.as_deref().unwrap_or("-"));
        problems.iter().map(line).collect()
    }

    /// `--set` is for one run, whoever says the key in the file.
    #[test]
    fn what_is_set_for_a_run_lies_over_a_variants_keys() {
        let mut problems = Problems::new();
        let matrix = Matrix::read(None, &mut problems);
        let node = Node::parse("v.yaml", "one: {a: {x: 9, z: 3}, b: 4}\n").unwrap();
        let variants = Variants::read(Some(&node), &mut problems);
        let mut params = Node::parse("p.yaml", "a: {x: 1, y: 2}\nwith: one\nb: 2\n").unwrap();
        let argument = || Origin::Argument { text: "search.a.x=7".to_owned() };
        if let Value::Map(map) = &mut params.value
            && let Value::Map(a) = &mut map["a"].node.value
        {
            a["x"].node = Node::new(Value::Integer(7), argument());
        }
        let filled = variants.fill(&params, &matrix, &Point::default());
        assert_eq!(filled.to_json(), serde_json::json!({"a": {"x": 7, "y": 2, "z": 3}, "b": 4}));
    }

    #[test]
    fn a_variants_keys_lie_over_the_stages_and_maps_are_merged() {
        let mut problems = Problems::new();
        let matrix = Node::parse("m.yaml", "method: [one, two, three]\nseed: [1, 2]\n").unwrap();
        let matrix = Matrix::read(Some(&matrix), &mut problems);
        let node = Node::parse("v.yaml", "one: {a: {x: 9, z: 3}, b: '${matrix.seed}'}\ntwo: {a: 5}\nthree:\n").unwrap();
        let variants = Variants::read(Some(&node), &mut problems);
        let params = Node::parse("p.yaml", "a: {x: 1, y: 2}\nwith: ${matrix.method}\nc: ${matrix.method}\n").unwrap();
        assert_eq!(variants.axes(&params, &KIND, &matrix, &mut problems), BTreeSet::from([1]));
        assert!(problems.is_empty());
        let at = |method, seed| variants.fill(&params, &matrix, &Point::from([(0, method), (1, seed)])).to_json();
        assert_eq!(at(0, 1), serde_json::json!({"a": {"x": 9, "y": 2, "z": 3}, "c": "one", "b": 2}));
        assert_eq!(at(1, 0), serde_json::json!({"a": 5, "c": "two"}));
        assert_eq!(at(2, 0), serde_json::json!({"a": {"x": 1, "y": 2}, "c": "three"}));
    }

    #[test]
    fn what_is_no_variant_is_said_at_its_place() {
        assert_eq!(
            said("one: {a: 1}\ntow: {a: 2}\n", "with: ${matrix.method}\n"),
            ["p.yaml:1:7 there is no variant `two` (the variants are `one`, `tow`)"]
        );
        assert_eq!(said("{}", "with: a"), ["p.yaml:1:7 there is no variant `a` (add it: `variants: {a: {…}}`)"]);
        assert_eq!(said("{}", "with: [a]"), ["p.yaml:1:7 `with` must name a variant, found a list (-)"]);
        assert_eq!(
            said("one: {data: cifar}\ntwo: 3\n", "with: one\n"),
            [
                "v.yaml:2:6 variant `two` must be a map of a stage's keys, found a whole number (-)",
                "v.yaml:1:7 variant `one` cannot say `data`: it names a stage (say it in the stage itself)"
            ]
        );
    }
}
