//! Layers of configuration, later wins: files, environment, `--set`, merged by figment.
//!
//! figment merges bare values: maps deeply, lists and scalars whole. It tags each with the layer
//! that won, and through the tag the value gets its place back. A map has parts from many layers:
//! its place, and that of its keys, is the last file that has it, for that is where a person looks.

use super::{Entry, Node, Origin, Value};
use figment::{
    Figment, Metadata, Profile, Provider,
    value::{Dict, Empty, Map, Tag, Value as Plain},
};
use indexmap::{IndexMap, IndexSet};

/// One layer: a map with places.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    pub node: Node,
}

impl Provider for Layer {
    /// The layer's place, unique to it: what finds a winning layer again.
    fn metadata(&self) -> Metadata {
        match &self.node.origin {
            Origin::File { source, .. } => Metadata::from("pipeline file", source.path.as_path()),
            Origin::Environment { variable } => Metadata::from("environment variable", variable.clone()),
            Origin::Argument { text } => Metadata::from("argument", text.clone()),
            Origin::Default => Metadata::named("built-in default"),
        }
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let top = plain(&self.node).into_dict().unwrap_or_default();
        Ok(Map::from([(Profile::Default, top)]))
    }
}

/// All layers as one map, each value with the place that set it.
pub(super) fn merge(layers: &[Layer]) -> Node {
    let figment = layers.iter().fold(Figment::new(), |merged, layer| merged.merge(layer));
    let merged = figment.find_value("").expect("no layer fails to give its data");
    let names: Vec<Metadata> = layers.iter().map(Provider::metadata).collect();
    let winner = |tag: Tag| names.iter().rposition(|name| Some(name) == figment.get_metadata(tag));
    let nodes: Vec<Option<&Node>> = layers.iter().map(|layer| Some(&layer.node)).collect();
    with_places(&merged, &nodes, &winner)
}

/// `merged` with the places it had in `layers`, each the node of one layer at the same path.
fn with_places(merged: &Plain, layers: &[Option<&Node>], winner: &impl Fn(Tag) -> Option<usize>) -> Node {
    let Plain::Dict(_, dict) = merged else {
        let node = winner(merged.tag()).and_then(|layer| layers[layer]);
        return node.cloned().unwrap_or_else(|| Node::new(Value::Null, Origin::Default));
    };
    let maps = || layers.iter().flatten().filter_map(|node| Some((node.as_map()?, &node.origin)));
    let keys: IndexSet<&String> =
        maps().flat_map(|(map, _)| map.keys()).filter(|key| dict.contains_key(*key)).collect();
    let mut map = IndexMap::new();
    for key in keys {
        let below: Vec<Option<&Node>> = layers.iter().map(|node| node.and_then(|node| node.get(key))).collect();
        let place = shown_place(maps().filter_map(|(map, _)| Some(&map.get(key)?.key)));
        map.insert(key.clone(), Entry { key: place, node: with_places(&dict[key], &below, winner) });
    }
    Node::new(Value::Map(map), shown_place(maps().map(|(_, origin)| origin)))
}

/// The last place in a file, else the last at all.
fn shown_place<'a>(origins: impl Iterator<Item = &'a Origin> + Clone) -> Origin {
    let in_file = origins.clone().filter(|origin| matches!(origin, Origin::File { .. })).last();
    in_file.or_else(|| origins.last()).cloned().unwrap_or(Origin::Default)
}

fn plain(node: &Node) -> Plain {
    match &node.value {
        Value::Null => Plain::from(Empty::Unit),
        Value::Bool(value) => Plain::from(*value),
        Value::Integer(value) => Plain::from(*value),
        Value::Float(value) => Plain::from(*value),
        Value::Text(value) => Plain::from(value.clone()),
        Value::List(items) => Plain::from(items.iter().map(plain).collect::<Vec<_>>()),
        Value::Map(map) => {
            let dict: Dict = map.iter().map(|(key, entry)| (key.clone(), plain(&entry.node))).collect();
            Plain::from(dict)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> Layer {
        Layer { node: Node::parse(path, text).unwrap() }
    }

    fn argument(text: &str, yaml: &str) -> Layer {
        let origin = Origin::Argument { text: text.to_owned() };
        Layer { node: Node::parse("", yaml).unwrap().with_origin(&origin) }
    }

    #[test]
    fn the_later_layer_wins_and_each_value_keeps_the_place_that_set_it() {
        let merged = merge(&[
            file("base.yaml", "z: {p: 1, q: [1, 2]}\na: base\n"),
            file("top.yaml", "z: {q: [3], r: 5}\nm: null\n"),
            argument("z.p=9", "z: {p: 9}"),
        ]);
        let z = merged.get("z").unwrap();
        let place = |key| z.get(key).unwrap().origin.to_string();
        assert_eq!(merged.to_json(), serde_json::json!({"z": {"p": 9, "q": [3], "r": 5}, "a": "base", "m": null}));
        assert_eq!([place("p"), place("q"), place("r")], ["--set z.p=9", "top.yaml:1:8", "top.yaml:1:16"]);
        assert_eq!(z.origin.to_string(), "top.yaml:1:4");
        assert_eq!(z.as_map().unwrap()["p"].key.to_string(), "base.yaml:1:5");
        let keys: Vec<&String> = merged.as_map().unwrap().keys().collect();
        assert_eq!(keys, ["z", "a", "m"], "keys keep the order in which they were first written");
    }

    #[test]
    fn a_map_that_replaces_a_scalar_brings_only_its_own_keys() {
        let merged = merge(&[file("a", "k: {x: 1}"), file("b", "k: 3"), file("c", "k: {y: 2}")]);
        assert_eq!(merged.to_json(), serde_json::json!({"k": {"y": 2}}));
    }
}
