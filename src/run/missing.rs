//! What a stage that gathers does not see.

use super::coordinates::Coordinates;

/// A member that a gathering stage names and that came to no result, because it failed or what it
/// reads did.
#[derive(Debug, Clone, PartialEq)]
pub struct Missing {
    /// `search[seed=2]`
    pub member: String,
    /// `search`
    pub stage: String,
    pub kind: String,
    /// The point of the matrix; empty for a plain stage.
    pub point: Coordinates,
    /// The member itself, or those that it would have read, in the pipeline's order.
    pub failures: Vec<Failure>,
}

/// A member that failed, and what it said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub member: String,
    pub message: String,
}

impl Missing {
    /// `` `search[seed=2]` failed: the loss became NaN ``
    pub fn why(&self) -> String {
        let each = self.failures.iter().map(|failure| format!("`{}` failed: {}", failure.member, failure.message));
        each.collect::<Vec<_>>().join("; ")
    }
}
