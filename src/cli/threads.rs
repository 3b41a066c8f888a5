//! The threads that kernels run on, started before a command computes.

use super::{Complaint, ExitClass, complaint};
use rayon::{ThreadBuilder, ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};
use std::{
    io,
    num::NonZeroUsize,
    sync::mpsc::{Sender, channel},
    thread::{Builder, JoinHandle, available_parallelism},
};

/// What is left to others where the system starts fewer threads than are wanted: to those that
/// prepare batches and draw progress.
const SPARE: usize = 4;

/// Starts as many threads as are wanted, one a core unless said. Where the system starts fewer, the
/// command goes on with those: no result depends on their number.
pub(super) fn start(wanted: Option<usize>) -> Result<(), Complaint> {
    let wanted = wanted.unwrap_or_else(cores);
    let idle = idle(wanted)?;
    let pool = ThreadPoolBuilder::new().num_threads(idle.len()).spawn_handler(handing_over(idle));
    pool.build_global().map_err(|error| no_pool(wanted, &error))
}

/// Threads for so many stages side by side, which share those that are wanted; for one stage none,
/// which has those of the whole process.
pub(super) fn lanes(jobs: NonZeroUsize, wanted: Option<usize>) -> Result<Vec<ThreadPool>, Complaint> {
    let jobs = jobs.get();
    if jobs == 1 {
        return Ok(Vec::new());
    }
    let wanted = wanted.unwrap_or_else(cores);
    // What is left over goes to the first ones.
    let shares = (0..jobs).map(|lane| (wanted / jobs + usize::from(lane < wanted % jobs)).max(1));
    let pool = |share| {
        let idle = idle(share)?;
        let pool = ThreadPoolBuilder::new().num_threads(idle.len()).spawn_handler(handing_over(idle));
        pool.build().map_err(|error| no_pool(share, &error))
    };
    shares.map(pool).collect()
}

fn cores() -> usize {
    available_parallelism().map_or(1, NonZeroUsize::get)
}

fn no_pool(threads: usize, error: &ThreadPoolBuildError) -> Complaint {
    Complaint::new(ExitClass::Failed, format!("failed to make a pool of {threads} threads: {error}"))
}

/// Threads that wait for a pool; fewer than wanted where the system refuses one.
fn idle(wanted: usize) -> Result<Vec<Idle>, Complaint> {
    let spawn = |work: Work| Builder::new().name("kernels".to_owned()).spawn(work);
    let (idle, refused) = Idle::start(wanted, spawn);
    if let Some(error) = refused {
        if idle.is_empty() {
            return Err(Complaint::new(ExitClass::Failed, format!("no thread could be started: {error}"))
                .hint("raise the limit on threads (`ulimit -u`, a container's `pids.max`)"));
        }
        let count = idle.len();
        complaint::warn(&format!("{wanted} threads could not be started, going on with {count}: {error}"));
    }
    Ok(idle)
}

type Work = Box<dyn FnOnce() + Send>;

/// A thread that waits to be told what it is to run. rayon's own way of starting threads gives up,
/// for good and for the whole process, where the system refuses one of them.
struct Idle {
    tell: Sender<ThreadBuilder>,
    thread: JoinHandle<()>,
}

impl Idle {
    /// As many as are wanted; fewer where the system refuses one, with why.
    fn start(
        wanted: usize,
        mut spawn: impl FnMut(Work) -> io::Result<JoinHandle<()>>,
    ) -> (Vec<Self>, Option<io::Error>) {
        let mut idle = Vec::new();
        while idle.len() < wanted {
            let (tell, told) = channel::<ThreadBuilder>();
            let wait = move || {
                // Untold, it ends.
                if let Ok(work) = told.recv() {
                    work.run();
                }
            };
            match spawn(Box::new(wait)) {
                Ok(thread) => idle.push(Self { tell, thread }),
                Err(error) => {
                    let kept = idle.len().saturating_sub(SPARE).max(1).min(idle.len());
                    idle.drain(kept..).for_each(Self::end);
                    return (idle, Some(error));
                }
            }
        }
        (idle, None)
    }

    fn end(self) {
        drop(self.tell);
        // It did nothing that could fail.
        let _ = self.thread.join();
    }
}

/// Gives each thread of a pool one that waits.
fn handing_over(idle: Vec<Idle>) -> impl FnMut(ThreadBuilder) -> io::Result<()> {
    let mut idle = idle.into_iter();
    move |work| {
        let gone = || io::Error::other("a waiting thread has ended");
        let next = idle.next().ok_or_else(gone)?;
        next.tell.send(work).map_err(|_| gone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rayon::prelude::*;
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    /// Starts threads until there are `most` at once, as a limit of the system does.
    fn limited(most: usize, alive: &Arc<AtomicUsize>) -> impl FnMut(Work) -> io::Result<JoinHandle<()>> {
        let alive = alive.clone();
        move |work| {
            if alive.load(Ordering::SeqCst) == most {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            alive.fetch_add(1, Ordering::SeqCst);
            let alive = alive.clone();
            Builder::new().spawn(move || {
                work();
                alive.fetch_sub(1, Ordering::SeqCst);
            })
        }
    }

    #[test]
    fn what_the_system_refuses_leaves_fewer_threads_and_room_for_others() {
        for (most, wanted, kept) in [(8, 3, 3), (8, 8, 8), (8, 9, 4), (5, 9, 1), (3, 9, 1), (1, 2, 1), (0, 2, 0)] {
            let alive = Arc::new(AtomicUsize::new(0));
            let (idle, refused) = Idle::start(wanted, limited(most, &alive));
            assert_eq!((idle.len(), refused.is_some()), (kept, wanted > most), "{most} of {wanted}");
            assert_eq!(alive.load(Ordering::SeqCst), kept, "those that are not needed have ended");
            if kept > 0 {
                let pool =
                    ThreadPoolBuilder::new().num_threads(kept).spawn_handler(handing_over(idle)).build().unwrap();
                assert_eq!(pool.current_num_threads(), kept);
                let sum: usize = pool.install(|| (0..1000_usize).into_par_iter().sum());
                assert_eq!(sum, 499_500);
            }
        }
    }
}
