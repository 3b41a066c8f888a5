//! How a run goes about its members.

use rayon::ThreadPool;
use std::collections::BTreeSet;

/// How to go about the members of a pipeline. Nothing of it changes a result.
#[derive(Debug, Default)]
pub struct Manner {
    /// Members that are made again although their results are there.
    pub again: BTreeSet<usize>,
    /// The only members that may be made, where not all may: what they read is in the store, or has
    /// failed.
    pub alone: Option<BTreeSet<usize>>,
    /// Nothing more starts once a member failed.
    pub fail_fast: bool,
    /// The threads of each lane. So many members run side by side; where there are no lanes, one
    /// after the other on the threads of the whole process.
    pub lanes: Vec<ThreadPool>,
}

impl Manner {
    /// Whether a member may be made.
    pub fn may_make(&self, at: usize) -> bool {
        self.alone.as_ref().is_none_or(|made| made.contains(&at))
    }
}
