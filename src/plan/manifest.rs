//! Everything that decides a stage's result, and the key it makes.
//!
//! # Encoding
//! The key of a manifest is the SHA-256 of its [canonical JSON](canonical_json): UTF-8, no white
//! space, the keys of every object in byte order, digests as 64 hexadecimal digits, `missing` and
//! `numerics` left out where there is none, text escaped only as JSON demands. A whole number is
//! written without a point and any other number as the shortest decimal that reads back to the same
//! `f64`. `1` and `1.0` are therefore different: a stage fills in its parameters from typed fields,
//! so that `rate: 1` in a file arrives here as `1.0` like every other rate.
//!
//! # What is in it
//! | value | in the key | because |
//! | --- | --- | --- |
//! | stage kind, its version, the schema | yes | they say what the rest means |
//! | params with all defaults | yes | they decide the result |
//! | outputs of other stages that are read | by content | two ways to one content are one input |
//! | a search space, a table | by content (`resources`) | the file's name does not matter |
//! | which members a gathering stage lacks | by name, with the failure | the result tells of it |
//! | backend and precision | as `numerics` | they decide the bits |
//! | the stage's name and file, device index, threads, checkpoints | no | the result is the same |
//!
//! A change of this encoding must raise [`SCHEMA`].

use crate::store::{Digest, canonical_json};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// The version of the encoding above.
pub const SCHEMA: u32 = 1;

/// All that decides the result of a stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`SCHEMA`] when it was written.
    pub schema: u32,
    /// `search`
    pub kind: String,
    /// The stage kind's version, raised by hand when its meaning changes.
    pub version: u32,
    pub params: serde_json::Value,
    /// Reference key → the members that it names, in their order.
    pub inputs: BTreeMap<String, Vec<InputDigest>>,
    /// What is read that no stage made: name → content.
    pub resources: BTreeMap<String, Digest>,
    /// Members that a gathering stage names and that came to no result: name → why.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub missing: BTreeMap<String, String>,
    /// Backend and precision, where they decide the bits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numerics: Option<serde_json::Value>,
}

/// What one member gives: output name → content.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InputDigest(pub BTreeMap<String, Digest>);

/// The name of a stage's result: the digest of its manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key(Digest);

impl Manifest {
    pub fn key(&self) -> Key {
        Key(Digest::of(self.canonical_json().as_bytes()))
    }

    /// The text that is hashed.
    pub fn canonical_json(&self) -> String {
        let value = serde_json::to_value(self).expect("a manifest holds only what JSON can say");
        canonical_json(&value)
    }
}

impl Key {
    pub fn digest(self) -> Digest {
        self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn manifest() -> Manifest {
        let digest = Digest::of(b"data");
        Manifest {
            schema: 1,
            kind: "search".into(),
            version: 3,
            params: json!({"rate": 0.025, "epochs": 2, "alpha": {"b": [1, 1.0], "a": "é\"\n"}}),
            inputs: BTreeMap::from([("data".into(), vec![InputDigest([("dataset".into(), digest)].into())])]),
            resources: BTreeMap::from([("space".into(), Digest::of(b"space"))]),
            missing: BTreeMap::new(),
            numerics: Some(json!({"precision": "f32", "backend": "cpu"})),
        }
    }

    #[test]
    fn the_encoding_is_this_one() {
        assert_eq!(
            manifest().canonical_json(),
            concat!(
                r#"{"inputs":{"data":[{"dataset":"3a6eb0790f39ac87c94f3856b2dd2c5d110e6811602261a9a923d3bb23adc8b7"}]},"#,
                r#""kind":"search","numerics":{"backend":"cpu","precision":"f32"},"#,
                r#""params":{"alpha":{"a":"é\"\n","b":[1,1.0]},"epochs":2,"rate":0.025},"#,
                r#""resources":{"space":"3f49dbbfe051cb20cc038923424fedf8d18307cc805e1520e4168e9360e2eb38"},"schema":1,"version":3}"#,
            )
        );
        insta::assert_snapshot!(manifest().key(), @"a990c0391d9b7b397158d014917b8af801599328a341444d5c484373260490b9");
    }

    #[test]
    fn the_order_in_which_keys_were_given_does_not_matter() {
        let mut other = manifest();
        other.params =
            serde_json::from_str(r#"{"alpha": {"a": "é\"\n", "b": [1, 1.0]}, "epochs": 2, "rate": 25e-3}"#).unwrap();
        assert_eq!(other.key(), manifest().key());
    }

    #[test]
    fn any_change_changes_the_key() {
        type Change = fn(&mut Manifest);
        let changes: [Change; 14] = [
            |m| m.schema += 1,
            |m| m.version += 1,
            |m| m.kind = "derive".into(),
            |m| m.params["epochs"] = json!(3),
            |m| m.params["epochs"] = json!(2.0),
            |m| m.params["epochs"] = json!("2"),
            |m| m.params["alpha"]["b"] = json!([1.0, 1]),
            |m| m.inputs.clear(),
            |m| m.inputs.values_mut().for_each(|members| members.push(InputDigest::default())),
            |m| m.inputs.values_mut().for_each(|members| members[0].0 = [("split".into(), Digest::of(b"data"))].into()),
            |m| m.resources.values_mut().for_each(|digest| *digest = Digest::of(b"")),
            |m| m.missing = [("search[seed=2]".into(), "the loss is NaN".into())].into(),
            |m| m.missing = [("search[seed=2]".into(), "the disk is full".into())].into(),
            |m| m.numerics = None,
        ];
        let mut keys = vec![manifest().key()];
        for change in changes {
            let mut changed = manifest();
            change(&mut changed);
            assert!(!keys.contains(&changed.key()), "change {} left a key", keys.len());
            keys.push(changed.key());
        }
    }

    #[test]
    fn a_manifest_reads_back_to_the_same_key() {
        let read: Manifest = serde_json::from_str(&manifest().canonical_json()).unwrap();
        assert_eq!(read, manifest());
        let plain = Manifest { numerics: None, ..manifest() };
        assert!(!plain.canonical_json().contains("numerics"));
        assert_eq!(serde_json::from_str::<Manifest>(&plain.canonical_json()).unwrap().key(), plain.key());
    }
}
