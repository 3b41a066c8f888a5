//! Members of a matrix as rows of a comparison: those that differ in their seed or draw
//! alone are one.

use crate::run::{
    Input, Missing,
    coordinates::{Coordinates, shown},
};
use indexmap::IndexMap;
use serde_json::Value as Json;

/// The axes whose values are repetitions of one thing, and not things to compare: seeds, and draws of
/// what is left to chance.
const REPETITIONS: [&str; 2] = ["seed", "draw"];

/// One row.
pub(super) struct Group<'a> {
    /// `single_level`, `rate 0.1`, `table single_level`: the axes but for repetitions, the stage where
    /// that is not enough.
    pub name: String,
    pub members: Vec<&'a Input>,
    /// Members that the matrix has, those included that did not run.
    pub planned: usize,
}

/// In the order in which they first come. Of `missing`, those count that are of a stage of
/// `members`.
pub(super) fn groups<'a>(members: &[&'a Input], missing: &[Missing]) -> Vec<Group<'a>> {
    let mut groups: IndexMap<String, (&str, Coordinates, Group<'a>)> = IndexMap::new();
    let mut at = |stage: &'a str, point: &Coordinates| {
        let axes: Coordinates = point
            .iter()
            .filter(|(axis, _)| !REPETITIONS.contains(&axis.as_str()))
            .map(|(a, v)| (a.clone(), v.clone()))
            .collect();
        let key = format!("{stage} {axes:?}");
        let new = || (stage, axes, Group { name: String::new(), members: Vec::new(), planned: 0 });
        groups.entry(key.clone()).or_insert_with(new);
        key
    };
    let keys: Vec<String> = members.iter().map(|member| at(&member.stage, &member.point)).collect();
    let stages: Vec<&'a str> = members.iter().map(|member| member.stage.as_str()).collect();
    let of_stages = missing.iter().filter_map(|missing| {
        let stage = stages.iter().find(|stage| **stage == missing.stage)?;
        Some((*stage, &missing.point))
    });
    let lacking: Vec<String> = of_stages.map(|(stage, point)| at(stage, point)).collect();
    for (key, &member) in keys.iter().zip(members) {
        groups[key].2.members.push(member);
    }
    for key in keys.iter().chain(&lacking) {
        groups[key].2.planned += 1;
    }
    let several = stages.iter().any(|stage| *stage != stages[0]);
    groups
        .into_values()
        .map(|(stage, axes, group)| {
            let name = called(several.then_some(stage), &axes).unwrap_or_else(|| stage.to_owned());
            Group { name, ..group }
        })
        .collect()
}

/// `` n differs among the rows: `a` has 4, `b` 3 of 4. ``; nothing where all have as many and all
/// ran.
pub(super) fn unequal(groups: &[Group<'_>]) -> Option<String> {
    let complete = groups.iter().all(|group| group.members.len() == group.planned);
    let equal = groups.iter().all(|group| group.members.len() == groups[0].members.len());
    if complete && equal {
        return None;
    }
    let each = groups.iter().map(|group| match (group.members.len(), group.planned) {
        (n, planned) if n == planned => format!("`{}` {n}", group.name),
        (n, planned) => format!("`{}` {n} of {planned} planned", group.name),
    });
    let each = each.collect::<Vec<_>>().join(", ");
    Some(if equal { format!("Not all ran: {each}.") } else { format!("n differs among the rows: {each}.") })
}

/// `softmax, rate 0.1`, behind the stage where that must be said; `None` without axes. A word
/// speaks for itself, a number does not.
pub(super) fn called<'a>(
    stage: Option<&str>,
    axes: impl IntoIterator<Item = (&'a String, &'a Json)>,
) -> Option<String> {
    let place = |(axis, value): (&String, &Json)| match value {
        Json::String(text) => text.clone(),
        other => format!("{axis} {}", shown(other)),
    };
    let places = axes.into_iter().map(place).collect::<Vec<_>>().join(", ");
    (!places.is_empty()).then(|| stage.map_or_else(|| places.clone(), |stage| format!("{stage} {places}")))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{plan::Key, run::Failure};
    use serde_json::{Value as Json, json};

    /// A member at a point, with a params and nothing else.
    pub fn member(stage: &str, kind: &str, point: &[(&str, Json)], params: Json) -> Input {
        let point: Coordinates = point.iter().map(|(axis, value)| ((*axis).to_owned(), value.clone())).collect();
        let label: Vec<String> = point.iter().map(|(axis, value)| format!("{axis}={}", shown(value))).collect();
        let key: Key = serde_json::from_value(json!("0".repeat(64))).unwrap();
        Input {
            member: if label.is_empty() { stage.to_owned() } else { format!("{stage}[{}]", label.join(",")) },
            stage: stage.to_owned(),
            kind: kind.to_owned(),
            point,
            outputs: Default::default(),
            metrics: IndexMap::new(),
            summary: None,
            notes: Default::default(),
            params,
            key,
        }
    }

    pub fn missing(stage: &str, point: &[(&str, Json)]) -> Missing {
        let Input { member, stage, kind, point, .. } = member(stage, "benchmark", point, Json::Null);
        let failures = vec![Failure { member: member.clone(), message: "the loss became NaN".to_owned() }];
        Missing { member, stage, kind, point, failures }
    }

    fn told(groups: &[Group<'_>]) -> Vec<String> {
        groups.iter().map(|group| format!("{} {}/{}", group.name, group.members.len(), group.planned)).collect()
    }

    #[test]
    fn seeds_are_one_row_and_other_axes_make_rows() {
        let at = |method: &str, seed: u64| {
            member("table", "benchmark", &[("method", json!(method)), ("seed", json!(seed))], Json::Null)
        };
        let all = [at("single", 0), at("single", 1), at("bilevel", 0)];
        let lacks = [missing("table", &[("method", json!("bilevel")), ("seed", json!(1))]), missing("search", &[])];
        let groups = groups(&all.iter().collect::<Vec<_>>(), &lacks);
        assert_eq!(told(&groups), ["single 2/2", "bilevel 1/2"]);
        assert_eq!(unequal(&groups).unwrap(), "n differs among the rows: `single` 2, `bilevel` 1 of 2 planned.");
        assert_eq!(unequal(&groups[..1]), None);
    }

    #[test]
    fn without_a_seed_each_member_is_a_row_and_stages_are_told_apart() {
        let all = [
            member("table", "benchmark", &[("rate", json!(0.1))], Json::Null),
            member("table", "benchmark", &[("rate", json!(1.0))], Json::Null),
        ];
        let all: Vec<&Input> = all.iter().collect();
        assert_eq!(told(&groups(&all, &[])), ["rate 0.1 1/1", "rate 1 1/1"]);
        let other = member("published", "benchmark", &[], Json::Null);
        let all = [all[0], all[1], &other];
        assert_eq!(told(&groups(&all, &[])), ["table rate 0.1 1/1", "table rate 1 1/1", "published 1/1"]);
    }
}
