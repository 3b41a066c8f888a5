//! What the keys of a map turned out to be, defaults filled in: noted as they are read.

use serde_json::{Map, Value as Json};

/// The keys of a map with the values that hold. What was read and what is hashed are noted
/// together, so that a key cannot be in one and be forgotten in the other.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Effective {
    /// As a pipeline file spells them: read again, they mean the same.
    pub written: Map<String, Json>,
    /// What of them decides a result, in the form that results are known by: a few names and forms
    /// are older than those of the keys.
    pub hashed: Map<String, Json>,
}

impl Effective {
    pub(super) fn insert(&mut self, key: &str, written: Json, hashed: Json) {
        self.written.insert(key.to_owned(), written);
        self.hashed.insert(key.to_owned(), hashed);
    }
}
