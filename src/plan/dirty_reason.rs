//! Why a stage is not answered from the store, field by field.

use super::{InputDigest, Manifest};
use crate::store::Digest;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{collections::BTreeSet, fmt};

/// One difference between what was made and what is asked for. Reads as `params.epochs 2 → 3`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum DirtyReason {
    /// The store knows no result of this stage.
    NeverRun,
    /// The result is there, and is to be made again all the same.
    Wanted,
    /// The program writes manifests another way.
    SchemaVersion {
        old: u32,
        new: u32,
    },
    /// The stage kind means something else than it did.
    StageVersion {
        old: u32,
        new: u32,
    },
    /// The stage of this name was of another kind.
    Kind {
        old: String,
        new: String,
    },
    /// `alpha.rate`, or `nodes[2]` in a list.
    Param {
        path: String,
        old: Value,
        new: Value,
    },
    ParamAdded {
        path: String,
        new: Value,
    },
    ParamRemoved {
        path: String,
        old: Value,
    },
    /// What another stage gives: the reference key, then `[i]` where it names many members and
    /// `.output` where a member gives many. `None` where there was or is nothing.
    Input {
        name: String,
        old: Option<Digest>,
        new: Option<Digest>,
    },
    /// A member that a gathering stage names came to no result, then or now: the failure.
    Missing {
        member: String,
        old: Option<String>,
        new: Option<String>,
    },
    /// A file that no stage made.
    Resource {
        name: String,
        old: Option<Digest>,
        new: Option<Digest>,
    },
    /// `backend`
    Numerics {
        path: String,
        old: Option<Value>,
        new: Option<Value>,
    },
    /// The result was made, but a part of it is gone from the store.
    OutputMissing {
        name: String,
    },
}

/// All differences, in the order of [`DirtyReason`]'s variants; none where the manifests are equal.
pub fn diff(old: &Manifest, new: &Manifest) -> Vec<DirtyReason> {
    let mut reasons = Vec::new();
    if old.schema != new.schema {
        reasons.push(DirtyReason::SchemaVersion { old: old.schema, new: new.schema });
    }
    if old.kind != new.kind {
        // Versions and keys of different kinds cannot be compared.
        reasons.push(DirtyReason::Kind { old: old.kind.clone(), new: new.kind.clone() });
        return reasons;
    }
    if old.version != new.version {
        reasons.push(DirtyReason::StageVersion { old: old.version, new: new.version });
    }
    differences(String::new(), Some(&old.params), Some(&new.params), &mut |path, old, new| {
        reasons.push(match (old.cloned(), new.cloned()) {
            (Some(old), Some(new)) => DirtyReason::Param { path, old, new },
            (Some(old), None) => DirtyReason::ParamRemoved { path, old },
            (None, new) => DirtyReason::ParamAdded { path, new: new.unwrap_or_default() },
        });
    });
    for slot in union(old.inputs.keys(), new.inputs.keys()) {
        let members = |manifest: &Manifest| manifest.inputs.get(slot).cloned().unwrap_or_default();
        let (was, is) = (members(old), members(new));
        // A member more or less moves the others: that it came or went says enough.
        if was.len() == is.len() || old.missing == new.missing {
            inputs(slot, &was, &is, &mut reasons);
        }
    }
    for member in union(old.missing.keys(), new.missing.keys()) {
        let (old, new) = (old.missing.get(member).cloned(), new.missing.get(member).cloned());
        if old != new {
            reasons.push(DirtyReason::Missing { member: member.clone(), old, new });
        }
    }
    for name in union(old.resources.keys(), new.resources.keys()) {
        let (old, new) = (old.resources.get(name).copied(), new.resources.get(name).copied());
        if old != new {
            reasons.push(DirtyReason::Resource { name: name.clone(), old, new });
        }
    }
    differences(String::new(), old.numerics.as_ref(), new.numerics.as_ref(), &mut |path, old, new| {
        reasons.push(DirtyReason::Numerics { path, old: old.cloned(), new: new.cloned() });
    });
    reasons
}

/// Calls `differs` with each path where the two differ: down through maps and lists of one length.
pub fn differences<'a>(
    path: String,
    old: Option<&'a Value>,
    new: Option<&'a Value>,
    differs: &mut impl FnMut(String, Option<&'a Value>, Option<&'a Value>),
) {
    match (old, new) {
        (old, new) if old == new => {}
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            for key in union(old.keys(), new.keys()) {
                let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                differences(below, old.get(key), new.get(key), differs);
            }
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) if old.len() == new.len() => {
            for (at, (old, new)) in old.iter().zip(new).enumerate() {
                differences(format!("{path}[{at}]"), Some(old), Some(new), differs);
            }
        }
        (old, new) => differs(path, old, new),
    }
}

fn inputs(slot: &str, old: &[InputDigest], new: &[InputDigest], reasons: &mut Vec<DirtyReason>) {
    let count = old.len().max(new.len());
    for at in 0..count {
        let none = InputDigest::default();
        let (old, new) = (old.get(at).unwrap_or(&none), new.get(at).unwrap_or(&none));
        let outputs = union(old.0.keys(), new.0.keys());
        for output in &outputs {
            let (old, new) = (old.0.get(*output).copied(), new.0.get(*output).copied());
            if old == new {
                continue;
            }
            let member = if count > 1 { format!("[{at}]") } else { String::new() };
            let part = if outputs.len() > 1 { format!(".{output}") } else { String::new() };
            reasons.push(DirtyReason::Input { name: format!("{slot}{member}{part}"), old, new });
        }
    }
}

fn union<'a>(old: impl Iterator<Item = &'a String>, new: impl Iterator<Item = &'a String>) -> BTreeSet<&'a String> {
    old.chain(new).collect()
}

impl fmt::Display for DirtyReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeverRun => f.write_str("never run"),
            Self::Wanted => f.write_str("it is wanted again"),
            Self::SchemaVersion { old, new } => write!(f, "manifest schema {old} → {new}"),
            Self::StageVersion { old, new } => write!(f, "stage version {old} → {new}"),
            Self::Kind { old, new } => write!(f, "stage kind {old} → {new}"),
            Self::Param { path, old, new } => write!(f, "{} {} → {}", inside("params", path), short(old), short(new)),
            Self::ParamAdded { path, new } => write!(f, "{} added: {}", inside("params", path), short(new)),
            Self::ParamRemoved { path, old } => write!(f, "{} removed, was {}", inside("params", path), short(old)),
            Self::Input { name, old, new } => content(f, "input", name, *old, *new),
            Self::Missing { member, old: Some(_), new: None } => write!(f, "{member} was missing"),
            Self::Missing { member, old: None, .. } => write!(f, "{member} is missing"),
            Self::Missing { member, .. } => write!(f, "{member} is missing for another reason"),
            Self::Resource { name, old, new } => content(f, "resource", name, *old, *new),
            Self::Numerics { path, old, new } => {
                let shown = |value: &Option<Value>| value.as_ref().map_or_else(|| "none".to_owned(), short);
                write!(f, "{} {} → {}", inside("numerics", path), shown(old), shown(new))
            }
            Self::OutputMissing { name } => write!(f, "output {name} is missing from the store"),
        }
    }
}

fn inside(whole: &str, path: &str) -> String {
    if path.is_empty() || path.starts_with('[') { format!("{whole}{path}") } else { format!("{whole}.{path}") }
}

fn content(
    f: &mut fmt::Formatter<'_>,
    what: &str,
    name: &str,
    old: Option<Digest>,
    new: Option<Digest>,
) -> fmt::Result {
    match (old, new) {
        (Some(old), Some(new)) => write!(f, "{what} {name} changed ({} → {})", old.short(), new.short()),
        (Some(_), None) => write!(f, "{what} {name} removed"),
        (None, _) => write!(f, "{what} {name} added"),
    }
}

/// The value as JSON, cut where a line would get too long.
fn short(value: &Value) -> String {
    /// Two of these and a path fit one terminal line.
    const LONGEST: usize = 24;
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if text.chars().count() <= LONGEST { text } else { text.chars().take(LONGEST - 1).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::collections::BTreeMap;

    /// Output name and content, for each output of a member.
    type Outputs<'a> = &'a [(&'a str, &'a str)];

    fn manifest(params: Value, inputs: &[(&str, &[Outputs<'_>])]) -> Manifest {
        let outputs = |member: &Outputs<'_>| {
            InputDigest(member.iter().map(|(name, text)| (name.to_string(), Digest::of(text.as_bytes()))).collect())
        };
        let inputs = inputs.iter().map(|(slot, members)| (slot.to_string(), members.iter().map(outputs).collect()));
        Manifest {
            schema: 1,
            kind: "search".into(),
            version: 1,
            params,
            inputs: inputs.collect(),
            resources: BTreeMap::new(),
            missing: BTreeMap::new(),
            numerics: None,
        }
    }

    fn said(old: &Manifest, new: &Manifest) -> Vec<String> {
        diff(old, new).iter().map(DirtyReason::to_string).collect()
    }

    #[test]
    fn params_are_compared_leaf_by_leaf() {
        let old = json!({"epochs": 2, "alpha": {"rate": 0.0003, "mixing": "softmax"}, "cutout": 16, "nodes": [1, 2]});
        let new = json!({"epochs": 3, "alpha": {"rate": 0.001, "mixing": "softmax"}, "crop": true, "nodes": [1, 3]});
        let (old, new) = (manifest(old, &[]), manifest(new, &[]));
        assert_eq!(
            said(&old, &new),
            [
                "params.alpha.rate 0.0003 → 0.001",
                "params.crop added: true",
                "params.cutout removed, was 16",
                "params.epochs 2 → 3",
                "params.nodes[1] 2 → 3",
            ]
        );
        assert!(diff(&old, &old).is_empty());
    }

    #[test]
    fn long_values_are_shortened_and_lists_of_other_length_are_one_change() {
        let old = manifest(json!({"cell": "|nor_conv_3x3~0|+|skip_connect~0|none~1|", "seeds": [1]}), &[]);
        let new = manifest(json!({"cell": "|none~0|", "seeds": [1, 2]}), &[]);
        assert_eq!(said(&old, &new), ["params.cell |nor_conv_3x3~0|+|skip_… → |none~0|", "params.seeds [1] → [1,2]"]);
    }

    #[test]
    fn inputs_are_named_as_far_as_needed() {
        let old = manifest(
            json!({}),
            &[("data", &[&[("dataset", "a")]]), ("of", &[&[("x", "1"), ("y", "1")], &[("x", "2"), ("y", "2")]])],
        );
        let new = manifest(json!({}), &[("data", &[&[("dataset", "b")]]), ("of", &[&[("x", "1"), ("y", "9")]])]);
        assert_eq!(
            said(&old, &new),
            [
                "input data changed (ca978112ca1b → 3e23e8160039)",
                "input of[0].y changed (6b86b273ff34 → 19581e27de7c)",
                "input of[1].x removed",
                "input of[1].y removed",
            ]
        );
    }

    #[test]
    fn everything_else_has_its_reason_too() {
        let old = manifest(json!({}), &[]);
        let mut new = old.clone();
        new.schema = 2;
        new.version = 4;
        new.resources = [("space".to_owned(), Digest::of(b""))].into();
        new.numerics = Some(json!({"backend": "cuda"}));
        assert_eq!(
            said(&old, &new),
            [
                "manifest schema 1 → 2",
                "stage version 1 → 4",
                "resource space added",
                "numerics none → {\"backend\":\"cuda\"}",
            ]
        );
        let mut lacking = new.clone();
        lacking.missing = [("search[seed=2]".to_owned(), "it failed".to_owned())].into();
        let mut otherwise = lacking.clone();
        otherwise.missing = [("search[seed=2]".to_owned(), "it failed again".to_owned())].into();
        assert_eq!(said(&new, &lacking), ["search[seed=2] is missing"]);
        assert_eq!(said(&lacking, &new), ["search[seed=2] was missing"]);
        assert_eq!(said(&lacking, &otherwise), ["search[seed=2] is missing for another reason"]);
        let mut cpu = new.clone();
        cpu.numerics = Some(json!({"backend": "cpu"}));
        assert_eq!(said(&cpu, &new), ["numerics.backend cpu → cuda"]);
        new.kind = "derive".into();
        assert_eq!(said(&old, &new), ["manifest schema 1 → 2", "stage kind search → derive"]);
        assert_eq!(DirtyReason::NeverRun.to_string(), "never run");
        let missing = DirtyReason::OutputMissing { name: "genotype".into() };
        assert_eq!(missing.to_string(), "output genotype is missing from the store");
    }

    #[test]
    fn reasons_keep_their_form_on_disk() {
        let reasons = vec![
            DirtyReason::NeverRun,
            DirtyReason::StageVersion { old: 1, new: 2 },
            DirtyReason::Param { path: "epochs".into(), old: json!(2), new: json!(3) },
            DirtyReason::Input { name: "data".into(), old: None, new: Some(Digest::of(b"")) },
        ];
        insta::assert_json_snapshot!(reasons, @r#"
        [
          {
            "reason": "never_run"
          },
          {
            "reason": "stage_version",
            "old": 1,
            "new": 2
          },
          {
            "reason": "param",
            "path": "epochs",
            "old": 2,
            "new": 3
          },
          {
            "reason": "input",
            "name": "data",
            "old": null,
            "new": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
          }
        ]
        "#);
        let text = serde_json::to_string(&reasons).unwrap();
        assert_eq!(serde_json::from_str::<Vec<DirtyReason>>(&text).unwrap(), reasons);
    }
}
