//! Prepares batches ahead of the step that takes them.

use crate::{Batch, DataError, Loader};
use std::{
    panic,
    sync::{
        Arc,
        mpsc::{Receiver, sync_channel},
    },
    thread::{Builder, JoinHandle},
};

/// An iterator over a loader's batches, the next few of which a thread prepares while the step
/// computes. Yields what [`Loader::batch`] gives, without end but for an error, after which there
/// is nothing more. The thread ends when this is dropped.
#[derive(Debug)]
pub struct Prefetch {
    /// Both are there until the iterator is dropped or its thread has failed.
    batches: Option<Receiver<Result<Batch, DataError>>>,
    worker: Option<JoinHandle<()>>,
}

/// Batches that wait to be taken; one more is in the making.
const AHEAD: usize = 2;

impl Loader {
    /// All batches from a step on, epoch after epoch without end, prepared ahead on a thread of
    /// their own.
    ///
    /// # Errors
    /// Where the system starts no thread.
    pub fn from(self: &Arc<Self>, epoch: usize, step: usize) -> Result<Prefetch, DataError> {
        Prefetch::new(Arc::clone(self), epoch, step)
    }
}

impl Prefetch {
    fn new(loader: Arc<Loader>, epoch: usize, step: usize) -> Result<Self, DataError> {
        let (sender, batches) = sync_channel(AHEAD);
        let work = move || {
            for batch in (step..).map(|step| loader.batch(epoch, step)) {
                let failed = batch.is_err();
                // Sending fails once nobody listens any more.
                if sender.send(batch).is_err() || failed {
                    break;
                }
            }
        };
        let worker = Builder::new().name("prefetch".to_owned()).spawn(work);
        let worker = worker.map_err(|source| DataError::Thread { source })?;
        Ok(Self { batches: Some(batches), worker: Some(worker) })
    }

    /// Ends the thread and waits for it.
    fn join(&mut self) -> std::thread::Result<()> {
        // Without a receiver the thread's next send fails.
        drop(self.batches.take());
        self.worker.take().map_or(Ok(()), JoinHandle::join)
    }
}

impl Iterator for Prefetch {
    type Item = Result<Batch, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Ok(batch) = self.batches.as_ref()?.recv() {
            return Some(batch);
        }
        // An error ended the thread, or a panic: go on with that here, where it is seen.
        if let Err(payload) = self.join() {
            panic::resume_unwind(payload);
        }
        None
    }
}

impl Drop for Prefetch {
    fn drop(&mut self) {
        // A panic of the thread is `next`'s to report; here one may be under way already.
        let _ended = self.join();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loading::loader::tests::shuffled;

    #[test]
    fn prefetched_batches_are_those_of_random_access_from_any_step_on() {
        let loader = Arc::new(shuffled(50, 8, false));
        for (epoch, step) in [(0, 0), (1, 5), (2, 6)] {
            let batches = loader.from(epoch, step).unwrap();
            for (at, batch) in batches.take(17).enumerate() {
                assert_eq!(batch.unwrap(), shuffled(50, 8, false).batch(epoch, step + at).unwrap());
            }
        }
    }

    #[test]
    fn dropping_ends_the_thread_and_so_does_a_panic_of_the_taker() {
        let loader = Arc::new(shuffled(50, 8, false));
        let mut batches = loader.from(0, 0).unwrap();
        assert!(batches.next().is_some());
        drop(batches);
        assert_eq!(Arc::strong_count(&loader), 1, "the thread has let go of the loader");

        let batches = loader.from(0, 0).unwrap();
        let taker = std::thread::spawn(move || {
            for batch in batches {
                assert!(batch.unwrap().n > 8, "as intended");
            }
        });
        assert!(taker.join().is_err());
        assert_eq!(Arc::strong_count(&loader), 1);
    }

    #[test]
    fn a_panic_of_the_thread_reaches_the_taker() {
        let (sender, batches) = sync_channel(AHEAD);
        let worker = std::thread::spawn(move || {
            let _sender = sender;
            panic!("as intended");
        });
        let mut prefetch = Prefetch { batches: Some(batches), worker: Some(worker) };
        let seen = panic::catch_unwind(panic::AssertUnwindSafe(|| prefetch.next()));
        assert_eq!(seen.unwrap_err().downcast_ref::<&str>(), Some(&"as intended"));
        assert!(prefetch.next().is_none());
    }
}
