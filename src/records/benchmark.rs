//! The output `benchmark`: a cell in the table of a benchmark.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BenchmarkCell {
    /// As a cell string.
    pub cell: String,
    pub index: usize,
    /// How many the table has.
    pub cells: usize,
    pub accuracies: Vec<CellAccuracy>,
}

/// What the cell came to, trained alone.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CellAccuracy {
    /// Data and images that it was measured on: `cifar10_test`.
    pub name: String,
    pub percent: f64,
    /// Of the cell among `of`, from 1.
    pub rank: usize,
    pub of: usize,
    /// The best cell's.
    pub best_percent: f64,
}
