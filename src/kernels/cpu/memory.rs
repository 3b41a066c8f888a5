//! Buffers that outlive the pass that filled them.
//!
//! A pass over a supernet writes hundreds of megabytes, and the operating system clears every page that it hands out: at
//! the speed of a fresh page, memory would cost as much as the arithmetic. Buffers therefore go back to a pool, and the next
//! pass, which asks for the same sizes, takes them out again.

use std::ops::{Deref, DerefMut};
use std::sync::Mutex;

/// Values that hold whatever the buffer's last user left there.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    /// Those in use, and a few more where a buffer a little too large was found.
    values: Vec<f32>,
    length: usize,
}

/// What waits to be used again.
#[derive(Debug)]
struct Pool {
    waiting: Vec<Vec<f32>>,
    /// Values in use, and the most that ever were: more than that is not worth keeping.
    used: usize,
    most_used: usize,
    kept: usize,
}

static POOL: Mutex<Pool> = Mutex::new(Pool { waiting: Vec::new(), used: 0, most_used: 0, kept: 0 });

/// The pool is plain data: a thread that panicked with it in hand left it whole.
fn pool() -> std::sync::MutexGuard<'static, Pool> {
    POOL.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Buffer {
    /// `length` values, not cleared.
    pub fn take(length: usize) -> Self {
        let mut pool = pool();
        pool.used += length;
        pool.most_used = pool.most_used.max(pool.used);
        // A little too large will do; the smallest that will do leaves the larger ones to others.
        let fits = |buffer: &&Vec<f32>| buffer.len() >= length && buffer.len() <= length + length / 8;
        let found = pool.waiting.iter().filter(fits).map(Vec::len).min();
        let Some(found) = found.and_then(|found| pool.waiting.iter().position(|buffer| buffer.len() == found)) else {
            drop(pool);
            return Self { values: vec![0.0; length], length };
        };
        let values = pool.waiting.swap_remove(found);
        pool.kept -= values.len();
        Self { values, length }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let values = std::mem::take(&mut self.values);
        let mut pool = pool();
        pool.used -= self.length;
        if !values.is_empty() && pool.used + pool.kept + values.len() <= pool.most_used {
            pool.kept += values.len();
            pool.waiting.push(values);
        }
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.values[..self.length]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.values[..self.length]
    }
}

/// Memory of one thread's work on one block: areas that keep their size from block to block.
#[derive(Debug, Default)]
pub(super) struct Area(Vec<f32>);

impl Area {
    /// `length` values that hold whatever was left there; zeros where nothing was.
    pub fn of(&mut self, length: usize) -> &mut [f32] {
        if self.0.len() < length {
            self.0.resize(length, 0.0);
        }
        &mut self.0[..length]
    }

    /// All that is there.
    pub fn all(&self) -> &[f32] {
        &self.0
    }
}
