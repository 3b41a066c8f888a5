//! Patterns of tensor names.

use crate::config::{Fields, Node, Problems};

/// How blocks, edges and candidates are called. `{…}` stand for numbers and names; an empty pattern adds
/// nothing to a name.
#[derive(Debug, Clone, Default)]
pub struct Labels {
    /// `{cell}`: the block's position in the body; of a lattice, the position among its cells.
    /// `{segment}`, and `{place}` among the segment's cells.
    pub cell: String,
    /// `{block}`: the position among a lattice's fixed blocks, or among the transitions. `{segment}`. A
    /// transition is called as a cell where this is not said.
    pub block: Option<String>,
    /// What stands before a node's own steps: `{node}`.
    pub node: String,
    /// `{edge}`, `{source}`, `{target}`, `{node}` as the target's number among the nodes; supernets only.
    pub edge: String,
    /// `{candidate}`, `{operation}`; supernets only.
    pub candidate: String,
    /// `{choice}`: the position in the genotype's list; `{source}`, `{target}`, `{operation}`;
    /// discrete networks only.
    pub choice: String,
}

impl Labels {
    pub fn read(node: &Node, problems: &mut Problems) -> Self {
        let mut fields = Fields::open(node, "`labels`", problems);
        let labels = Self {
            cell: read_pattern(&mut fields, "cell", &["cell", "segment", "place"]),
            block: fields.has("block").then(|| read_pattern(&mut fields, "block", &["block", "segment"])),
            node: match fields.has("node") {
                true => read_pattern(&mut fields, "node", &["node"]),
                false => "nodes.{node}".to_owned(),
            },
            edge: read_pattern(&mut fields, "edge", &["edge", "source", "target", "node"]),
            candidate: read_pattern(&mut fields, "candidate", &["candidate", "operation"]),
            choice: read_pattern(&mut fields, "choice", &["choice", "source", "target", "operation"]),
        };
        fields.close();
        labels
    }
}

fn read_pattern(fields: &mut Fields<'_>, key: &'static str, names: &[&str]) -> String {
    fields.required_node(key);
    let pattern = fields.text(key).unwrap_or_default();
    let mut rest = pattern.as_str();
    while let Some((_, after)) = rest.split_once('{') {
        let name = after.split_once('}').map(|(name, _)| name);
        if !name.is_some_and(|name| names.contains(&name)) {
            let origin = fields.origin_of(key).clone();
            let allowed = names.iter().map(|name| format!("`{{{name}}}`")).collect::<Vec<_>>().join(", ");
            let found = name.map_or_else(|| "an open brace".to_owned(), |name| format!("`{{{name}}}`"));
            fields.problems().add_with_hint(
                &origin,
                format!("label pattern `{key}` has {found}"),
                format!("it can have {allowed}"),
            );
            break;
        }
        rest = after;
    }
    pattern
}

/// `pattern` with each `{name}` replaced.
pub fn fill(pattern: &str, values: &[(&str, &dyn std::fmt::Display)]) -> String {
    use std::fmt::Write as _;
    let mut filled = String::with_capacity(pattern.len() + 8);
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        if let Some((_, value)) = values.iter().find(|(known, _)| *known == name) {
            write!(filled, "{value}").expect("writing to a string cannot fail");
        }
        rest = after;
    }
    filled.push_str(rest);
    filled
}

/// Two parts of a name with a dot between; an empty part adds nothing.
pub fn join(prefix: &str, label: &str) -> String {
    match (prefix.is_empty(), label.is_empty()) {
        (true, _) => label.to_owned(),
        (_, true) => prefix.to_owned(),
        _ => format!("{prefix}.{label}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fill_and_labels_join() {
        assert_eq!(fill("edges.{target}<-{source}", &[("source", &0), ("target", &12)]), "edges.12<-0");
        assert_eq!(fill("{candidate}", &[("candidate", &3)]), "3");
        assert_eq!(join("cells.0", &join("", "op")), "cells.0.op");
        assert_eq!(join("cells.0", ""), "cells.0");
    }
}
