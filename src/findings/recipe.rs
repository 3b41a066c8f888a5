//! Where the recipes of rows differ: figures of trainings that differ in more than their seed
//! compare only so far.

use super::groups::Group;
use crate::{
    report::{Cell, Column, Table},
    run::{
        Input,
        coordinates::{agrees, shown},
    },
};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};

/// As many keys as a table has columns for.
const KEYS: usize = 5;

/// A row a group, a column for each key whose values differ among the trainings. `of` finds the
/// training that a member is about. Nothing where none differs, or where a member's training is not
/// known.
pub(super) fn differences<'a>(groups: &[Group<'a>], of: impl Fn(&'a Input) -> Option<&'a Input>) -> Option<Table> {
    let mut rows: Vec<(&str, BTreeMap<String, BTreeSet<String>>)> = Vec::new();
    for group in groups {
        let mut values: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for &member in &group.members {
            leaves(String::new(), &of(member)?.params, &mut |key, value| {
                values.entry(key).or_default().insert(value);
            });
        }
        rows.push((&group.name, values));
    }
    let keys: BTreeSet<&String> = rows.iter().flat_map(|(_, values)| values.keys()).collect();
    let first = &rows.first()?.1;
    let differing: Vec<&String> = keys
        .into_iter()
        .filter(|key| *key != "seed" && rows.iter().any(|(_, values)| values.get(*key) != first.get(*key)))
        .collect();
    if differing.is_empty() {
        return None;
    }
    let (listed, rest) = differing.split_at(differing.len().min(KEYS));
    let mut caption = "The trainings' recipes differ, and so do more than methods.".to_owned();
    if !rest.is_empty() {
        let names: Vec<String> = rest.iter().map(|key| format!("`{key}`")).collect();
        caption += &format!(" They differ in {} as well.", names.join(", "));
    }
    let columns =
        std::iter::once(Column::text("trained with")).chain(listed.iter().map(|key| Column::text(words(key))));
    let mut table = Table::new(caption, columns.collect());
    for (name, values) in &rows {
        let cells = listed.iter().map(|key| match values.get(*key) {
            Some(values) => Cell::Text(values.iter().cloned().collect::<Vec<_>>().join("; ")),
            None => Cell::Missing,
        });
        table.push(std::iter::once(Cell::from(*name)).chain(cells));
    }
    Some(table)
}

/// The one of `all` that a member is about; nothing where there is none or there are several.
pub(super) fn only<'a>(member: &Input, mut all: impl Iterator<Item = &'a Input>) -> Option<&'a Input> {
    let found = all.by_ref().find(|other| agrees(&member.point, &other.point))?;
    all.all(|other| !agrees(&member.point, &other.point)).then_some(found)
}

/// `weights.learning_rate` folds where it is too long.
fn words(key: &str) -> String {
    key.replace(['.', '_'], " ")
}

/// Parameters leaf by leaf: `weights.learning_rate` → `0.025`.
pub(super) fn flat(params: &Json) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    leaves(String::new(), params, &mut |key, value| drop(all.insert(key, value)));
    all
}

fn leaves(path: String, value: &Json, found: &mut impl FnMut(String, String)) {
    match value {
        Json::Object(map) => {
            for (key, value) in map {
                leaves(if path.is_empty() { key.clone() } else { format!("{path}.{key}") }, value, found);
            }
        }
        other => found(path, shown(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::groups::{groups, tests::member};
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_differs_beside_the_seed_has_a_column() {
        let training = |method: &str, seed: u64, epochs: u64| {
            let params = json!({"epochs": epochs, "images": "all", "seed": seed, "weights": {"learning_rate": 0.025}});
            member("network", "retrain", &[("method", json!(method)), ("seed", json!(seed))], params)
        };
        let all = [training("a", 0, 600), training("a", 1, 600), training("b", 0, 100), training("b", 1, 100)];
        let all: Vec<&Input> = all.iter().collect();
        let table = differences(&groups(&all, &[]), Some).unwrap();
        let names: Vec<&str> = table.columns().iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names, ["trained with", "epochs"]);
        assert_eq!(table.rows(), [vec![Cell::from("a"), Cell::from("600")], vec![Cell::from("b"), Cell::from("100")]]);
        assert!(differences(&groups(&all[..2], &[]), Some).is_none());
        assert!(differences(&groups(&all, &[]), |_| None).is_none());
    }
}
