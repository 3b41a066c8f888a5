//! What is read is noted: each of the ways to read a key notes what it turned out to be, and a map
//! inside a map is noted under its key.

use super::{Effective, Fields, Node, Problems, Value};
use serde_json::Value as Json;
use std::sync::LazyLock;

static NOTHING: LazyLock<Node> = LazyLock::new(Node::empty_map);

impl<'a> Fields<'a> {
    /// What `read` makes of the keys of `node`, and what they turned out to be.
    pub fn read_all<T>(
        node: &'a Node,
        what: impl Into<String>,
        problems: &'a mut Problems,
        read: impl FnOnce(&mut Self) -> T,
    ) -> (T, Effective) {
        let mut fields = Self::open(node, what, problems);
        let value = read(&mut fields);
        (value, fields.finish())
    }

    /// Notes what `key` turned out to be, where that takes more than to read it: a default that
    /// depends on other keys, a value of a form of its own.
    pub fn note(&mut self, key: &str, value: impl Into<Json>) {
        let value = value.into();
        self.effective.insert(key, value.clone(), value);
    }

    /// Leaves `key` out of what is hashed: it decides no result, or a result's key has it in
    /// another form, as the digest of a file.
    pub fn exclude_from_hash(&mut self, key: &'static str) {
        self.hashed_as.insert(key, None);
    }

    /// Hashes `value` as `key`, which is not written so.
    pub fn hash(&mut self, key: &'static str, value: impl Into<Json>) {
        self.hashed_as.insert(key, Some(value.into()));
    }

    /// What is hashed of `key`, as far as it was noted.
    pub fn hashed(&self, key: &str) -> Json {
        self.effective.hashed.get(key).cloned().unwrap_or_default()
    }

    /// As [`close`](Self::close), and gives what the keys turned out to be. One that is there and
    /// of which nothing was noted is what is written.
    fn finish(mut self) -> Effective {
        let noted = |key: &&str| self.effective.written.contains_key(*key);
        let missing: Vec<&str> = self.asked.iter().copied().filter(|key| !noted(key)).collect();
        for key in missing {
            match self.map.get(key) {
                Some(entry) => self.note(key, entry.node.to_json()),
                None => debug_assert!(
                    !self.read.contains(key) || !self.problems.is_empty(),
                    "`{key}` of {} has a default that nobody noted",
                    self.what
                ),
            }
        }
        for (key, value) in std::mem::take(&mut self.hashed_as) {
            match value {
                Some(value) => self.effective.hashed.insert(key.to_owned(), value),
                None => self.effective.hashed.remove(key),
            };
        }
        let effective = std::mem::take(&mut self.effective);
        self.close();
        effective
    }

    /// What `read` makes of the map under `key`; an absent one is empty.
    pub fn map<T>(&mut self, key: &'static str, read: impl FnOnce(&mut Fields<'_>) -> T) -> T {
        self.map_called(key, format!("`{key}`"), read)
    }

    /// As [`map`](Self::map), where the map has another name in messages.
    pub fn map_called<T>(
        &mut self,
        key: &'static str,
        what: impl Into<String>,
        read: impl FnOnce(&mut Fields<'_>) -> T,
    ) -> T {
        let node = self.node(key).unwrap_or(&NOTHING);
        self.map_of(node, key, what, read)
    }

    fn map_of<T>(
        &mut self,
        node: &Node,
        key: &'static str,
        what: impl Into<String>,
        read: impl FnOnce(&mut Fields<'_>) -> T,
    ) -> T {
        let (value, Effective { written, hashed }) = Fields::read_all(node, what, self.problems, read);
        self.effective.insert(key, written.into(), hashed.into());
        value
    }

    /// As [`map`](Self::map), of what is on or off: `true` is an empty map, `false` or nothing is
    /// none, and `on` says which of the two an absent key is.
    pub fn switched_map<T>(
        &mut self,
        key: &'static str,
        on: bool,
        read: impl FnOnce(&mut Fields<'_>) -> T,
    ) -> Option<T> {
        let node = match self.written(key) {
            None if on => &NOTHING,
            Some(Node { value: Value::Bool(true), .. }) => &NOTHING,
            None | Some(Node { value: Value::Bool(false) | Value::Null, .. }) => {
                self.note(key, false);
                return None;
            }
            Some(node) => node,
        };
        Some(self.map_of(node, key, format!("`{key}`"), read))
    }

    /// As [`map`](Self::map), of a map that may be left out and then says that nothing is wanted.
    pub fn optional_map<T>(&mut self, key: &'static str, read: impl FnOnce(&mut Fields<'_>) -> T) -> Option<T> {
        if self.node(key).is_none() {
            self.note(key, Json::Null);
            return None;
        }
        Some(self.map(key, read))
    }

    /// What `read` makes of each map of a list, `what` being one of them; an absent list is empty.
    pub fn maps<T>(
        &mut self,
        key: &'static str,
        (what, expected): (&str, &str),
        read: impl Fn(&mut Fields<'_>) -> T,
    ) -> Vec<T> {
        let items = match self.node(key).map(|node| (node, &node.value)) {
            None => &[],
            Some((_, Value::List(items))) => items.as_slice(),
            Some((node, _)) => {
                self.wrong(key, node, expected);
                &[]
            }
        };
        let read = items.iter().map(|item| Fields::read_all(item, what, self.problems, &read));
        let (values, effective): (Vec<T>, Vec<Effective>) = read.collect();
        let (written, hashed): (Vec<Json>, Vec<Json>) =
            effective.into_iter().map(|of| (of.written.into(), of.hashed.into())).collect();
        self.effective.insert(key, written.into(), hashed.into());
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_read_is_noted_as_it_is_read() {
        let text = "{batch: 8, raw: [1, x], inner: {rate: 1}, list: [{a: 1}], digest: file.txt, old: 3}";
        let node = Node::parse("p.yaml", text).unwrap();
        let mut problems = Problems::new();
        let ((), Effective { written, hashed }) = Fields::read_all(&node, "a stage", &mut problems, |fields| {
            fields.integer("batch", 64, 1.., "a whole number");
            fields.integer("epochs", 50, 1.., "a whole number");
            fields.node("raw");
            fields.map("inner", |keys| keys.number("rate", 0.5, 0.0.., "a number"));
            fields.map("absent", |keys| keys.choice("by", 1, &[("epoch", 1), ("step", 2)]));
            fields.optional_map("off", |keys| keys.boolean("never", true));
            fields.switched_map("on", true, |keys| keys.pair("betas", [0.5, 0.9], |_| true, "two numbers"));
            fields.maps("list", ("an item", "a list"), |keys| keys.integer("a", 0, 0.., "a whole number"));
            fields.required_text("digest");
            fields.exclude_from_hash("digest");
            let old = fields.integer("old", 1, 0.., "a whole number");
            fields.exclude_from_hash("old");
            fields.hash("older", old * 2);
            assert!(!fields.has("maybe"));
        });
        assert!(problems.is_empty());
        let both = json!({
            "batch": 8, "epochs": 50, "raw": [1, "x"], "inner": {"rate": 1.0}, "absent": {"by": "epoch"},
            "off": null, "on": {"betas": [0.5, 0.9]}, "list": [{"a": 1}],
        });
        let with = |more: Json| both.as_object().unwrap().clone().into_iter().chain(more.as_object().unwrap().clone());
        assert_eq!(Json::from_iter(with(json!({"digest": "file.txt", "old": 3}))), Json::from(written));
        assert_eq!(Json::from_iter(with(json!({"older": 6}))), Json::from(hashed));
    }

    #[test]
    #[should_panic(expected = "`depth` of a stage has a default that nobody noted")]
    fn a_default_that_is_not_noted_is_a_fault_of_the_program() {
        let node = Node::empty_map();
        Fields::read_all(&node, "a stage", &mut Problems::new(), |fields| fields.node("depth").map_or(3, |_| 4));
    }
}
