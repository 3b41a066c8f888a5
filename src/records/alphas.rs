//! The output `alphas`: the alphas of a search and the mixing weights by edge, epoch by epoch.

use crate::{
    model::Mixings,
    train::{EpochRecord, TableRecord, diagnosis::mixing_weights},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AlphaHistory {
    /// Name of the search space.
    pub space: String,
    /// As at the end of the search.
    pub mixing: Mixings,
    /// In order.
    pub epochs: Vec<EpochAlphas>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EpochAlphas {
    /// From 1.
    pub epoch: usize,
    pub tables: Vec<TableRecord>,
}

impl EpochAlphas {
    pub fn of(record: &EpochRecord) -> Self {
        Self { epoch: record.epoch, tables: record.tables.clone() }
    }

    /// Mixing weights by table, as the derivation rule reads them.
    pub fn weights(&self) -> BTreeMap<String, Vec<Vec<f64>>> {
        mixing_weights(&self.tables)
    }
}
