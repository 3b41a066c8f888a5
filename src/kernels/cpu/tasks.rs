//! A batch cut into tasks for threads.

use rayon::prelude::*;
use std::ops::Range;

/// Most tasks of one step's reverse. Each adds up weight gradients by itself, and what they found
/// is added in their order: the number depends on shapes alone, never on the threads.
const MOST: usize = 64;

/// Values that all tasks' sums may have where there are more than [`FEW`].
const ROOM: usize = 1 << 22;

/// Tasks that there may be whatever their sums take.
const FEW: usize = 16;

/// Multiply-adds of vectors below which a step is done by one thread: others would take longer to
/// begin.
const INLINE: usize = 1 << 16;

/// How many of things a thread takes at least that are so much work together, in multiply-adds of
/// vectors.
pub(super) fn least(work: usize) -> usize {
    if work < INLINE { usize::MAX } else { 1 }
}

/// Groups of images, cut into runs that are worked on at a time, and these into tasks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tasks {
    groups: usize,
    in_run: usize,
    in_task: usize,
    /// Multiply-adds of vectors of all groups.
    work: usize,
}

impl Tasks {
    /// For runs of `in_run` groups, of which each takes `work` multiply-adds of vectors, and tasks
    /// with `sums` sums each.
    pub fn new(groups: usize, in_run: usize, work: usize, sums: usize) -> Self {
        // A task is to have much more to do than to begin and to join its sums.
        let worth = (2 * work.saturating_mul(groups) / sums.max(1)).max(2);
        let most = (ROOM / sums.max(1)).clamp(FEW, MOST).min(worth);
        let in_task = groups.div_ceil(in_run).div_ceil(most) * in_run;
        Self { groups, in_run, in_task, work: work.saturating_mul(groups) }
    }

    pub fn count(&self) -> usize {
        self.groups.div_ceil(self.in_task)
    }

    /// Groups of a task at most.
    pub fn in_task(&self) -> usize {
        self.in_task
    }

    pub fn groups(&self, task: usize) -> Range<usize> {
        let first = task * self.in_task;
        first..self.groups.min(first + self.in_task)
    }

    /// The runs of a task.
    pub fn runs(&self, task: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        let (Range { start, end }, in_run) = (self.groups(task), self.in_run);
        (start..end).step_by(in_run).map(move |first| first..end.min(first + in_run))
    }

    /// Does something with each task's own, and with what a thread has at hand; in order, of what
    /// it gives.
    pub fn each<T: Send, H, R: Send>(
        &self,
        of_tasks: Vec<T>,
        hand: impl Fn() -> H + Sync + Send,
        work: impl Fn(&mut H, usize, T) -> R + Sync + Send,
    ) -> Vec<R> {
        if self.work < INLINE {
            let mut hand = hand();
            return of_tasks.into_iter().enumerate().map(|(task, own)| work(&mut hand, task, own)).collect();
        }
        let tasks = of_tasks.into_par_iter().enumerate().with_max_len(1);
        tasks.map_init(hand, |hand, (task, own)| work(hand, task, own)).collect()
    }
}

/// Each task's stretch of values, of which a group has `chunk`.
pub(super) fn stretches<'a, E>(tasks: &Tasks, values: &'a mut [E], chunk: usize) -> Vec<&'a mut [E]> {
    values.chunks_mut((chunk * tasks.in_task()).max(1)).collect()
}
