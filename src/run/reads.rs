//! What a member reads of others.

use super::{Input, Missing};
use crate::{plan::InputDigest, store::Digest};
use indexmap::IndexMap;
use std::collections::BTreeMap;

/// The name, among an input's outputs, of what its record says: no stage can publish one of this
/// name by accident.
const RECORD: &str = "(record)";

/// By reference key, in the pipeline's order: what came to a result, and what did not.
pub(super) struct Reads {
    pub inputs: IndexMap<String, Vec<Input>>,
    pub missing: IndexMap<String, Vec<Missing>>,
}

impl Reads {
    /// What of it enters a key.
    pub fn digests(&self, with_records: bool) -> BTreeMap<String, Vec<InputDigest>> {
        let digest = |input: &Input| {
            let mut content: BTreeMap<String, Digest> =
                input.outputs.iter().map(|(name, output)| (name.clone(), output.object.digest)).collect();
            if with_records {
                content.insert(RECORD.to_owned(), Digest::of(input.to_json().to_string().as_bytes()));
            }
            InputDigest(content)
        };
        self.inputs.iter().map(|(slot, inputs)| (slot.clone(), inputs.iter().map(digest).collect())).collect()
    }
}
