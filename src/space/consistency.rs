//! Whether what a space's file says in one place fits what it says in another.

use super::cell::CellKind;
use super::derive::Derivation;
use super::hint::did_you_mean;
use super::operation::Operation;
use crate::config::{Node, Origin, Problems};
use indexmap::IndexMap;

/// Derivation excludes operations that there are.
pub(super) fn excluded(
    node: &Node,
    derivation: &Derivation,
    operations: &IndexMap<String, Operation>,
    problems: &mut Problems,
) {
    let origin = &node.get("exclude").unwrap_or(node).origin;
    for name in derivation.exclude.iter().filter(|name| !operations.contains_key(*name)) {
        let hint = did_you_mean(name, operations.keys().map(String::as_str), "the operations are");
        problems.add_with_hint(origin, format!("unknown operation `{name}` in `exclude`"), hint);
    }
}

/// An auxiliary skip connection stands where a candidate may stand.
pub(super) fn skip(
    name: &str,
    place: &Origin,
    kinds: &IndexMap<String, CellKind>,
    operations: &IndexMap<String, Operation>,
    problems: &mut Problems,
) {
    let Some(operation) = operations.get(name) else {
        let hint = did_you_mean(name, operations.keys().map(String::as_str), "the operations are");
        problems.add_with_hint(place, format!("unknown operation `{name}` in `skip`"), hint);
        return;
    };
    let mut strides = kinds.values().map(|kind| kind.input_stride).chain([1]);
    if let Some(fault) = strides.find_map(|stride| operation.fault(stride)) {
        problems.add(place, format!("operation `{name}` {fault}"));
    }
}

/// Each kind has a table of its own, and betas of its own.
pub(super) fn tables(node: &Node, kinds: &IndexMap<String, CellKind>, problems: &mut Problems) {
    let mut known: Vec<(&str, &str)> = Vec::new();
    for kind in kinds.values() {
        for (key, label) in [("alphas", &kind.alphas), ("betas", &kind.betas)] {
            match known.iter().find(|(earlier, _)| earlier == label) {
                Some((_, owner)) if !label.is_empty() => {
                    let written = node.get("cells").and_then(|cells| cells.get(&kind.name));
                    let place = written.and_then(|kind| kind.get(key).or(Some(kind))).unwrap_or(node);
                    problems.add(&place.origin, format!("`{label}` is the table of cell kind `{owner}` already"));
                }
                _ => known.push((label, &kind.name)),
            }
        }
    }
}
