//! The output `evaluation`: what the task tells of a test, and what the network costs.

use crate::tasks::{MeasuredEvaluation, classification::ClassEvaluation};
use serde::{Deserialize, Serialize};

/// What the task tells is of the task's own type, which stands beside the task.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Evaluation<T> {
    #[serde(flatten)]
    pub of: T,
    pub parameters: u64,
    /// Of an image as the network was trained on.
    pub multiply_adds: u64,
    /// The same at the size at which networks of the task are customarily compared, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_size: Option<CostAtSize>,
}

/// What a network costs for a picture of a size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CostAtSize {
    /// `1280x720`
    pub size: String,
    pub multiply_adds: u64,
}

/// What a task may tell. A task of its own may tell more than is read here.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "neither an evaluation by class nor one by measures")]
pub(crate) enum Tested {
    Classes(ClassEvaluation),
    Measures(MeasuredEvaluation),
}
