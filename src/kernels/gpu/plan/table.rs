//! The table of a plan: records, one after another.

use crate::gpu::kernel::record::{Record, Records};

#[derive(Debug, Default)]
pub(super) struct Table {
    pub words: Vec<u32>,
}

impl Table {
    pub fn put<R: Record>(&mut self, records: impl IntoIterator<Item = R>) -> Records<R> {
        let first = self.words.len();
        let count = records.into_iter().map(|record| record.write(&mut self.words)).count();
        Records::new(first, count)
    }
}
