//! Keys set from outside the file: `DARTS_RUN_…` variables and `--set KEY=VALUE`.
//!
//! | written | sets |
//! | --- | --- |
//! | `DARTS_RUN_DATA=/sets` | `data.root` |
//! | `DARTS_RUN_RUNTIME__DEVICE=cuda` | `runtime.device` (lower-cased, `__` splits) |
//! | `DARTS_RUN_STORE`, `DARTS_RUN_LOG` | nothing here: the command reads them |
//! | `DARTS_RUN_DATA=` | nothing, as if it were not there |
//! | `--set matrix.seed=[7]` | `matrix.seed` |
//! | `--set search.epochs=3` | `stages.search.search.epochs`: a stage's name means the keys of its kind |
//! | `--set search.runtime.threads=1` | `stages.search.runtime.threads` |
//!
//! A name that is both a stage and a key of the pipeline means the key. Values are YAML (`3`,
//! `1e-3`, `[1, 2]`, `{every_steps: 10}`); what is no YAML, as the text of a genotype may be, is
//! plain text.

use super::{Entry, Node, Origin, Problems, Value, layer::Layer, nearest};
use indexmap::IndexMap;

/// The variables with our prefix that are no settings of a pipeline.
const NOT_SETTINGS: [&str; 2] = ["STORE", "LOG"];

const PREFIX: &str = "DARTS_RUN_";

/// The keys at the top of a pipeline that may be set.
pub(super) const TOP_KEYS: [&str; 7] = ["name", "about", "data", "runtime", "matrix", "variants", "stages"];

/// One layer for each variable, by name, then one for each argument, as given. `base` are the
/// files, merged.
pub(super) fn layers(
    environment: impl Iterator<Item = (String, String)>,
    arguments: &[String],
    base: &Node,
    problems: &mut Problems,
) -> Vec<Layer> {
    let mut variables: Vec<(String, String)> = environment
        // What is empty says nothing: so a variable is switched off where it cannot be unset.
        .filter(|(_, value)| !value.is_empty())
        .filter(|(name, _)| name.strip_prefix(PREFIX).is_some_and(|name| !NOT_SETTINGS.contains(&name)))
        .collect();
    variables.sort();
    let mut settings: Vec<Setting> = variables.iter().filter_map(|(name, text)| variable(name, text)).collect();
    for text in arguments {
        let origin = Origin::Argument { text: text.clone() };
        match text.split_once('=') {
            Some((path, value)) => settings.push(Setting { path: path.trim().to_owned(), value, origin }),
            None => problems.add_with_hint(&origin, "a setting lacks its `=`", "write `--set KEY=VALUE`"),
        }
    }
    settings.iter().filter_map(|setting| setting.layer(base, problems)).collect()
}

struct Setting<'a> {
    /// `search.epochs`
    path: String,
    value: &'a str,
    origin: Origin,
}

fn variable<'a>(name: &str, value: &'a str) -> Option<Setting<'a>> {
    let path = match name.strip_prefix(PREFIX)? {
        "DATA" => "data.root".to_owned(),
        key => key.to_lowercase().replace("__", "."),
    };
    Some(Setting { path, value, origin: Origin::Environment { variable: name.to_owned() } })
}

impl Setting<'_> {
    fn layer(&self, base: &Node, problems: &mut Problems) -> Option<Layer> {
        let path = self.full_path(base, problems)?;
        if let Some(list) = (1..path.len()).find(|&depth| is_list(base, &path[..depth])) {
            let message = format!("`{}` is a list and cannot be set in part", path[..list].join("."));
            problems.add_with_hint(&self.origin, message, "set the whole list: `KEY=[a, b]`");
            return None;
        }
        let value = self.parsed(&path, problems)?;
        let wrap = |node, key: String| {
            let entry = Entry { key: self.origin.clone(), node };
            Node::new(Value::Map(IndexMap::from([(key, entry)])), self.origin.clone())
        };
        Some(Layer { node: path.into_iter().rev().fold(value, wrap) })
    }

    /// The path from the top of the pipeline; `None` after a complaint, or where the file's own
    /// fault hides it.
    fn full_path(&self, base: &Node, problems: &mut Problems) -> Option<Vec<String>> {
        let path: Vec<String> = self.path.split('.').map(|key| key.trim().to_owned()).collect();
        if path.iter().any(String::is_empty) {
            problems.add(&self.origin, format!("`{}` is no key", self.path));
            return None;
        }
        let stages = base.get("stages").and_then(Node::as_map);
        let names = || stages.into_iter().flatten().map(|(name, _)| name.as_str());
        match path[0].as_str() {
            "extends" => {
                problems.add(&self.origin, "`extends` can only be written in a file");
                None
            }
            "stages" => match path.get(1) {
                Some(name) if !names().any(|other| other == name) => {
                    self.unknown(name, "no stage", names(), "stages.", problems);
                    None
                }
                _ => Some(path),
            },
            key if TOP_KEYS.contains(&key) => Some(path),
            name => match stages.and_then(|stages| stages.get(name)) {
                Some(stage) => {
                    let kind = stage.node.as_map()?.keys().find(|key| *key != "runtime")?;
                    let mut full = vec!["stages".to_owned(), name.to_owned()];
                    if path.get(1).is_none_or(|key| key != "runtime") {
                        full.push(kind.clone());
                    }
                    full.extend_from_slice(&path[1..]);
                    Some(full)
                }
                None => {
                    if !self.of_some_stage(&path, stages, problems) {
                        let is = "no key of the pipeline and no stage";
                        self.unknown(name, is, names().chain(TOP_KEYS), "", problems);
                    }
                    None
                }
            },
        }
    }

    /// Complains where the path is a stage's key without the stage; `false` where something else is
    /// wrong.
    fn of_some_stage(
        &self,
        path: &[String],
        stages: Option<&IndexMap<String, Entry>>,
        problems: &mut Problems,
    ) -> bool {
        let (Some(stages), [key, ..]) = (stages, path) else { return false };
        let has_it = |entry: &Entry| {
            entry.node.as_map().is_some_and(|map| map.values().any(|kind| kind.node.get(key).is_some()))
        };
        let full = |stage: &String| match self.origin {
            Origin::Environment { .. } => {
                format!("{PREFIX}{}", format!("{stage}.{}", self.path).to_uppercase().replace('.', "__"))
            }
            _ => format!("{stage}.{}", self.path),
        };
        let named: Vec<String> =
            stages.iter().filter(|(_, entry)| has_it(entry)).map(|(stage, _)| format!("`{}`", full(stage))).collect();
        if named.is_empty() {
            return false;
        }
        problems.add_with_hint(
            &self.origin,
            format!("`{key}` is a key of a stage: say of which"),
            format!("as {}", named.join(", ")),
        );
        true
    }

    fn unknown<'a>(
        &self,
        name: &str,
        is: &str,
        candidates: impl Iterator<Item = &'a str>,
        before: &str,
        problems: &mut Problems,
    ) {
        let message = format!("`{name}` is {is}");
        let near = nearest(name, candidates).map(|near| {
            let rest = self.path.strip_prefix(before).and_then(|path| path.strip_prefix(name)).unwrap_or_default();
            let path = format!("{before}{near}{rest}");
            match self.origin {
                Origin::Environment { .. } => format!("{PREFIX}{}", path.to_uppercase().replace('.', "__")),
                _ => path,
            }
        });
        let special = match &self.origin {
            Origin::Environment { variable } => {
                nearest(variable, ["DARTS_RUN_DATA", "DARTS_RUN_STORE", "DARTS_RUN_LOG"])
                    // The prefix alone makes any two variables alike.
                    .filter(|known| nearest(&variable[PREFIX.len()..], [&known[PREFIX.len()..]]).is_some())
            }
            _ => None,
        };
        match special.map(str::to_owned).or(near) {
            Some(near) => problems.add_with_hint(&self.origin, message, format!("did you mean `{near}`?")),
            None => problems.add_with_hint(&self.origin, message, "a key of a stage is said as `STAGE.KEY`"),
        }
    }

    fn parsed(&self, path: &[String], problems: &mut Problems) -> Option<Node> {
        // A folder may be called `1` or `true`.
        let literal = || Some(Node::new(Value::Text(self.value.to_owned()), self.origin.clone()));
        if path == ["data", "root"] {
            return literal();
        }
        match Node::parse("", self.value) {
            Ok(node) => Some(node.with_origin(&self.origin)),
            Err(_) if !self.value.trim_start().starts_with(['[', '{', '"', '\'']) => literal(),
            Err(wrong) => {
                for problem in wrong.iter() {
                    problems.add(&self.origin, problem.message.clone());
                }
                None
            }
        }
    }
}

fn is_list(base: &Node, path: &[String]) -> bool {
    let node = path.iter().try_fold(base, |node, key| node.get(key));
    node.is_some_and(|node| matches!(node.value, Value::List(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::layer::merge;

    const FILE: &str =
        "stages:\n  search: {search: {epochs: 2}, runtime: {threads: 1}}\n  report: {report: {of: [a]}}\n";

    fn set(environment: &[(&str, &str)], arguments: &[&str]) -> (Node, Vec<String>) {
        let base = Node::parse("p.yaml", FILE).unwrap();
        let mut problems = Problems::new();
        let environment = environment.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        let arguments: Vec<String> = arguments.iter().map(|text| text.to_string()).collect();
        let layers = layers(environment, &arguments, &base, &mut problems);
        let said = problems.iter().map(|p| match &p.hint {
            Some(hint) => format!("{}: {} ({hint})", p.origin, p.message),
            None => format!("{}: {}", p.origin, p.message),
        });
        (merge(&layers), said.collect())
    }

    #[test]
    fn a_path_starts_at_the_top_or_at_a_stage() {
        let (node, said) = set(
            &[("DARTS_RUN_STORE", "x"), ("DARTS_RUN_LOG", "x"), ("HOME", "x"), ("DARTS_RUN_SEARCH__RATE", "1e-3")],
            &["search.epochs=3", "matrix.seed=[7]", "search.runtime.threads=4", "stages.report.report.title=a: b"],
        );
        assert!(said.is_empty(), "{said:?}");
        assert_eq!(
            node.to_json(),
            serde_json::json!({
                "matrix": {"seed": [7]},
                "stages": {
                    "search": {"search": {"rate": 0.001, "epochs": 3}, "runtime": {"threads": 4}},
                    "report": {"report": {"title": {"a": "b"}}},
                },
            })
        );
        let epochs = node.get("stages").unwrap().get("search").unwrap().get("search").unwrap().get("epochs").unwrap();
        assert_eq!(epochs.origin.to_string(), "--set search.epochs=3");
    }

    #[test]
    fn values_are_yaml_and_else_text() {
        let (node, said) = set(
            &[("DARTS_RUN_DATA", "7")],
            &["search.a=true", "search.b=|nor_conv_3x3~0|", "search.c=", "search.d=x=y", "search.e=@here"],
        );
        assert!(said.is_empty(), "{said:?}");
        assert_eq!(
            node.to_json(),
            serde_json::json!({
                "data": {"root": "7"},
                "stages": {"search": {"search": {
                    "a": true, "b": "|nor_conv_3x3~0|", "c": null, "d": "x=y", "e": "@here",
                }}},
            })
        );
    }

    #[test]
    fn what_sets_nothing_is_said() {
        let (_, said) = set(
            &[("DARTS_RUN_SERCH__EPOCHS", "3"), ("DARTS_RUN_STOER", "x"), ("DARTS_RUN_", "x")],
            &["epochs", "serch.epochs=3", "stages.serch.x=1", "=1", "report.of.0=b", "extends=x", "search.x=[1", "q=1"],
        );
        assert_eq!(
            said,
            [
                "--set epochs: a setting lacks its `=` (write `--set KEY=VALUE`)",
                "environment variable `DARTS_RUN_`: `` is no key",
                "environment variable `DARTS_RUN_SERCH__EPOCHS`: `serch` is no key of the pipeline and no stage (did you mean `DARTS_RUN_SEARCH__EPOCHS`?)",
                "environment variable `DARTS_RUN_STOER`: `stoer` is no key of the pipeline and no stage (did you mean `DARTS_RUN_STORE`?)",
                "--set serch.epochs=3: `serch` is no key of the pipeline and no stage (did you mean `search.epochs`?)",
                "--set stages.serch.x=1: `serch` is no stage (did you mean `stages.search.x`?)",
                "--set =1: `` is no key",
                "--set report.of.0=b: `stages.report.report.of` is a list and cannot be set in part (set the whole list: `KEY=[a, b]`)",
                "--set extends=x: `extends` can only be written in a file",
                "--set search.x=[1: not valid YAML: while parsing a flow sequence, expected ',' or ']'",
                "--set q=1: `q` is no key of the pipeline and no stage (a key of a stage is said as `STAGE.KEY`)",
            ]
        );
    }
}
