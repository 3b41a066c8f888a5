//! The output `genotypes`: how a `derive` stage came to its cell.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// Which cell goes on and why, beside what every epoch of every search derives to by the rule of the
/// space. Cells are in the text form that is customary for it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Derivation {
    /// As the key has it.
    pub rule: Json,
    /// `the last of 50 epochs`
    pub why: String,
    /// The search that the cell is from; absent where it is from several, or there is only one.
    pub search: Option<String>,
    /// The epoch, from 1; absent where the cell is from several searches.
    pub epoch: Option<usize>,
    pub genotype: String,
    pub searches: Vec<DerivedSearch>,
    /// What was to be gathered and did not come.
    #[serde(default)]
    pub missing: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DerivedSearch {
    pub search: Option<String>,
    pub epochs: Vec<DerivedEpoch>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DerivedEpoch {
    pub epoch: usize,
    pub genotype: String,
}
