//! Memory that a thread uses again for each picture, so that a batch asks the system for nothing.

use crate::{DataError, Picture, pictures::decode, pictures::view::Resampler};
use std::{cell::RefCell, fs::File, io::Read, path::Path};

/// What one thread needs to turn a file into a view.
#[derive(Debug, Default)]
pub(crate) struct Workbench {
    bytes: Vec<u8>,
    pub picture: Picture,
    pub resampler: Resampler,
}

thread_local! {
    static WORKBENCH: RefCell<Workbench> = RefCell::default();
}

/// A thread keeps no more than this for the next picture: a 16-megapixel one. What a larger one
/// takes is given back.
const KEPT_BYTES: usize = 48 << 20;

impl Workbench {
    /// Works with the thread's own. Work must not hand parts of itself to other threads: they might
    /// be given to this one.
    pub fn with<T>(work: impl FnOnce(&mut Self) -> T) -> T {
        WORKBENCH.with_borrow_mut(|bench| {
            let done = work(bench);
            if bench.picture.pixels.capacity() + bench.bytes.capacity() > KEPT_BYTES {
                (bench.picture, bench.bytes) = Default::default();
            }
            done
        })
    }

    /// Reads and decodes the file, which had `listed` bytes when it was listed.
    ///
    /// # Errors
    /// Where the file is gone, is not the one that was listed, or is no picture.
    pub fn open(&mut self, path: &Path, listed: u64) -> Result<(), DataError> {
        self.bytes.clear();
        // One byte more than expected tells a file that has grown, and no growth fills the memory.
        let read = File::open(path).and_then(|file| file.take(listed.saturating_add(1)).read_to_end(&mut self.bytes));
        read.map_err(DataError::read(path))?;
        if self.bytes.len() as u64 != listed {
            return Err(DataError::Changed { path: path.to_owned(), listed });
        }
        decode::decode(&self.bytes, &mut self.picture).map_err(|why| DataError::Picture { path: path.to_owned(), why })
    }
}
