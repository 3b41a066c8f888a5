//! Which of a stage kind's keys name other stages.

use super::{Entry, Node, Value};
use indexmap::IndexMap;
use serde_json::{Map, Value as Json};

/// What `config` must know of a stage kind to find its references.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KindSlots {
    /// `search`
    pub kind: &'static str,
    pub slots: &'static [Slot],
}

/// One key of a stage kind that holds references to stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// `data`; `random.like` is the key `like` of the map `random`.
    pub key: &'static str,
    /// The stage kinds that fit, all where empty.
    pub accepts: &'static [&'static str],
    /// Takes a list, and `stage[*]` (all members of a matrix).
    pub many: bool,
    pub required: bool,
}

impl Slot {
    /// What a stage's keys have under this one.
    pub(super) fn of<'a>(&self, params: &'a Node) -> Option<&'a Entry> {
        let (maps, last) = self.path();
        maps.iter().try_fold(params, |node, key| node.get(key))?.as_map()?.get(last)
    }

    /// Takes it out of a stage's keys; the maps around it stay.
    pub(super) fn remove(&self, params: &mut Node) {
        let (maps, last) = self.path();
        let inside = maps.iter().try_fold(params, |node, key| Some(&mut entries(node)?.get_mut(*key)?.node));
        if let Some(map) = inside.and_then(entries) {
            map.shift_remove(last);
        }
    }

    /// Puts it into keys that lack it.
    pub(super) fn insert(&self, value: Json, keys: &mut Map<String, Json>) {
        let (maps, last) = self.path();
        let empty = || Json::from(Map::new());
        let inside = maps.iter().try_fold(keys, |keys, key| keys.entry(*key).or_insert_with(empty).as_object_mut());
        if let Some(keys) = inside {
            keys.insert(last.to_owned(), value);
        }
    }

    /// The keys of the maps around it, and its own.
    fn path(&self) -> (Vec<&'static str>, &'static str) {
        let mut keys: Vec<&str> = self.key.split('.').collect();
        let last = keys.pop().unwrap_or(self.key);
        (keys, last)
    }
}

fn entries(node: &mut Node) -> Option<&mut IndexMap<String, Entry>> {
    match &mut node.value {
        Value::Map(map) => Some(map),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_key_of_a_map_is_found_taken_out_and_put_back() {
        let slot = Slot { key: "random.like", accepts: &[], many: false, required: false };
        let mut params = Node::parse("p.yaml", "space: darts\nrandom: {seed: 1, like: cell}\n").unwrap();
        assert_eq!(slot.of(&params).and_then(|entry| entry.node.as_text()), Some("cell"));
        slot.remove(&mut params);
        assert!(slot.of(&params).is_none());
        assert_eq!(params.to_json(), json!({"space": "darts", "random": {"seed": 1}}));
        let mut keys = Map::new();
        slot.insert("cell".into(), &mut keys);
        assert_eq!(Json::from(keys), json!({"random": {"like": "cell"}}));
        for other in ["random: x", "random:", "{}"] {
            let mut params = Node::parse("p.yaml", other).unwrap();
            slot.remove(&mut params);
            assert!(slot.of(&params).is_none(), "{other}");
        }
    }
}
