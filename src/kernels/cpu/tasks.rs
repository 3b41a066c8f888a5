//! A batch cut into tasks for threads.

use super::layout::Blocks;
use std::ops::Range;

/// Most tasks of one step's reverse. Each adds up weight gradients by itself, and what they found
/// is added in their order: the number depends on the batch alone, never on the threads.
const MOST: usize = 16;

/// Runs of images, each of whole blocks of every map that takes part.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tasks {
    images: usize,
    in_task: usize,
}

impl Tasks {
    /// `together` are the blocks' sizes, each a power of two.
    pub fn new(images: usize, together: impl Iterator<Item = usize>) -> Self {
        let unit = together.max().unwrap_or(1);
        Self { images, in_task: images.div_ceil(unit).div_ceil(MOST) * unit }
    }

    pub fn images(&self, task: usize) -> Range<usize> {
        let first = task * self.in_task;
        first..self.images.min(first + self.in_task)
    }

    /// The blocks of a task, of maps whose blocks have `together` images.
    pub fn blocks(&self, task: usize, together: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        let Range { start, end } = self.images(task);
        (start..end).step_by(together).map(move |first| first..end.min(first + together))
    }
}

/// Each task's stretch of each buffer.
pub(super) fn slots_by_task<'a>(
    tasks: &Tasks,
    buffers: impl Iterator<Item = (&'a Blocks, &'a mut [f32])>,
) -> Vec<Vec<&'a mut [f32]>> {
    let count = tasks.images.div_ceil(tasks.in_task);
    let mut by_task: Vec<Vec<&mut [f32]>> = std::iter::repeat_with(Vec::new).take(count).collect();
    for (blocks, values) in buffers {
        for (task, chunk) in by_task.iter_mut().zip(values.chunks_mut(blocks.chunk(tasks.in_task))) {
            task.push(chunk);
        }
    }
    by_task
}
