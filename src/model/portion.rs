//! What of a supernet a pass computes.

use super::Computed;

/// All of it, unless it says otherwise.
#[derive(Debug, Clone, Copy, Default)]
pub struct Portion<'a> {
    /// The candidates.
    pub computed: Option<&'a Computed>,
    /// Of each node that chooses its width, the number of its choice; all of its channels where absent.
    pub widths: Option<&'a [usize]>,
    /// Whether what an edge gives is multiplied with the scores of the widths at its ends. They are 1, and
    /// their gradient is that of the choice.
    pub scored: bool,
}
