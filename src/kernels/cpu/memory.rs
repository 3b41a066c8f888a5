//! Buffers that outlive the pass that filled them.
//!
//! A pass over a supernet writes hundreds of megabytes, and the operating system clears every page
//! that it hands out: at the speed of a fresh page, memory would cost as much as the arithmetic.
//! Buffers therefore are cut from slabs that are kept. A pass forwards takes large maps, its
//! reverse many small ones while it gives the large back: what is given back is joined with what is
//! free beside it, and cut anew.

use super::element::Element;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::{Mutex, PoisonError};

/// Values of a cache line, and of the widest vector. Buffers begin with one: no two threads write
/// to the same, and no vector lies in two.
const LINE: usize = 16;

/// Values before the first that begins a line.
fn unaligned(values: *const f32) -> usize {
    let bytes = LINE * size_of::<f32>();
    (bytes - values.addr() % bytes) % bytes / size_of::<f32>()
}

/// Values that hold whatever the memory's last user left there.
#[derive(Debug)]
pub(super) struct Buffer<E: Element = f32> {
    values: NonNull<E>,
    length: usize,
    piece: Piece,
}

/// A part of a slab, in values of `f32`.
#[derive(Debug, Clone, Copy, Default)]
struct Piece {
    slab: usize,
    start: usize,
    length: usize,
}

// SAFETY: a buffer is the only one that reads or writes its piece of a slab.
unsafe impl<E: Element> Send for Buffer<E> {}
// SAFETY: as above; a shared buffer is only read.
unsafe impl<E: Element> Sync for Buffer<E> {}

/// Memory that was asked of the system at one time.
#[derive(Debug)]
struct Slab {
    /// Never read or written as a whole: buffers are.
    values: *mut [f32],
    /// Values that begin with a line and are cut into pieces.
    length: usize,
    /// Starts and lengths of what nobody has, in order, no two of them adjacent.
    free: Vec<(usize, usize)>,
}

// SAFETY: the pool only frees the memory, when no buffer has a piece of it.
unsafe impl Send for Slab {}

/// All slabs.
#[derive(Debug)]
struct Pool {
    /// A slab that was given back leaves its place to the next.
    slabs: Vec<Option<Slab>>,
    /// Values in use, and the most that ever were: much more than that is not worth keeping.
    used: usize,
    most_used: usize,
    /// Values of all slabs.
    held: usize,
}

static POOL: Mutex<Pool> = Mutex::new(Pool { slabs: Vec::new(), used: 0, most_used: 0, held: 0 });

/// The pool is plain data: a thread that panicked with it in hand left it whole.
fn pool() -> std::sync::MutexGuard<'static, Pool> {
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Slab {
    fn is_free(&self) -> bool {
        self.free == [(0, self.length)]
    }

    /// Takes a piece back.
    fn join(&mut self, Piece { mut start, mut length, .. }: Piece) {
        let at = self.free.partition_point(|&(first, _)| first < start);
        if let Some(&(next, more)) = self.free.get(at).filter(|(next, _)| *next == start + length) {
            length += more;
            debug_assert!(next > start, "pieces are taken back once");
            self.free.remove(at);
        }
        if let Some(before) = at.checked_sub(1).map(|at| self.free[at]).filter(|(first, more)| first + more == start) {
            (start, length) = (before.0, before.1 + length);
            self.free[at - 1] = (start, length);
        } else {
            self.free.insert(at, (start, length));
        }
    }
}

impl Pool {
    /// A piece of at least `length` values: of the smallest free part that will do, so that the
    /// larger ones stay whole.
    fn cut(&mut self, length: usize) -> Piece {
        let free = self.slabs.iter().enumerate().flat_map(|(slab, found)| {
            found.iter().flat_map(move |found| found.free.iter().enumerate().map(move |(at, free)| (free.1, slab, at)))
        });
        let found = free.filter(|(free, ..)| *free >= length).min();
        let (slab, at) = match found {
            Some((_, slab, at)) => (slab, at),
            None => (self.grow(length), 0),
        };
        let free = &mut self.slabs[slab].as_mut().expect("a slab with a free part").free;
        let start = free[at].0;
        free[at] = (start + length, free[at].1 - length);
        if free[at].1 == 0 {
            free.remove(at);
        }
        Piece { slab, start, length }
    }

    /// A new slab.
    fn grow(&mut self, length: usize) -> usize {
        let values = Box::into_raw(vec![0.0_f32; length + LINE].into_boxed_slice());
        self.held += length;
        let place = self.slabs.iter().position(Option::is_none).unwrap_or_else(|| {
            self.slabs.push(None);
            self.slabs.len() - 1
        });
        self.slabs[place] = Some(Slab { values, length, free: vec![(0, length)] });
        place
    }

    /// Takes a piece back, and gives its slab to the system where more is held than a pass has ever
    /// needed.
    fn join(&mut self, piece: Piece) {
        let place = &mut self.slabs[piece.slab];
        let slab = place.as_mut().expect("a slab with a piece in use");
        slab.join(piece);
        let most = self.most_used + self.most_used / SPARE;
        if slab.is_free() && self.held > most {
            self.held -= slab.length;
            // SAFETY: the slab was made of a box, and nobody has a piece of it.
            drop(unsafe { Box::from_raw(slab.values) });
            *place = None;
        }
    }
}

/// One part in so many of what a pass needs may be held beyond that: the gaps between pieces.
const SPARE: usize = 16;

impl<E: Element> Buffer<E> {
    /// `length` values, not cleared.
    pub fn take(length: usize) -> Self {
        if length == 0 {
            return Self::default();
        }
        let mut pool = pool();
        let piece = pool.cut((length * size_of::<E>()).div_ceil(size_of::<f32>()).next_multiple_of(LINE));
        pool.used += piece.length;
        pool.most_used = pool.most_used.max(pool.used);
        let slab = pool.slabs[piece.slab].as_ref().expect("a slab that a piece was cut from");
        let first = slab.values.cast::<f32>();
        // SAFETY: the slab has a line more than all its pieces, so that the piece lies in it.
        let values = unsafe { NonNull::new_unchecked(first.add(unaligned(first) + piece.start)) };
        Self { values: values.cast(), length, piece }
    }
}

#[cfg(test)]
impl<E: Element> Buffer<E> {
    /// What it takes of the memory that is kept.
    pub fn bytes(&self) -> usize {
        self.piece.length * size_of::<f32>()
    }
}

impl<E: Element> Default for Buffer<E> {
    fn default() -> Self {
        Self { values: NonNull::dangling(), length: 0, piece: Piece::default() }
    }
}

impl<E: Element> Drop for Buffer<E> {
    fn drop(&mut self) {
        if self.length > 0 {
            let mut pool = pool();
            pool.used -= self.piece.length;
            pool.join(self.piece);
        }
    }
}

impl<E: Element> Deref for Buffer<E> {
    type Target = [E];

    fn deref(&self) -> &[E] {
        // SAFETY: the piece is this buffer's alone, as long as this and begins a line; all of a
        // slab was initialised when it was made, and any bits are an element.
        unsafe { std::slice::from_raw_parts(self.values.as_ptr(), self.length) }
    }
}

impl<E: Element> DerefMut for Buffer<E> {
    fn deref_mut(&mut self) -> &mut [E] {
        // SAFETY: as above, and whoever has the buffer to write has nobody beside it.
        unsafe { std::slice::from_raw_parts_mut(self.values.as_ptr(), self.length) }
    }
}

/// What threads work with, kept from one use to the next: it would be memory that the operating
/// system clears anew.
#[derive(Debug)]
pub(super) struct ScratchPool<T>(Mutex<Vec<T>>);

impl<T: Default> ScratchPool<T> {
    pub const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// One that nobody else has, as its last user left it.
    pub fn take(&'static self) -> ScratchGuard<T> {
        let found = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        ScratchGuard { value: found.unwrap_or_default(), of: self }
    }
}

/// Goes back when it is dropped.
#[derive(Debug)]
pub(super) struct ScratchGuard<T: Default + 'static> {
    value: T,
    of: &'static ScratchPool<T>,
}

impl<T: Default> Deref for ScratchGuard<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Default> DerefMut for ScratchGuard<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T: Default> Drop for ScratchGuard<T> {
    fn drop(&mut self) {
        let value = std::mem::take(&mut self.value);
        self.of.0.lock().unwrap_or_else(PoisonError::into_inner).push(value);
    }
}

/// Memory of one thread's work on one block: areas that keep their size from block to block.
#[derive(Debug, Default)]
pub(super) struct Area(Vec<f32>);

impl Area {
    /// `length` values that begin a line and hold anything.
    pub fn of(&mut self, length: usize) -> &mut [f32] {
        if self.0.len() < length + LINE {
            self.0.resize(length + LINE, 0.0);
        }
        let first = unaligned(self.0.as_ptr());
        &mut self.0[first..][..length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_cut_joined_and_cut_anew() {
        let mut pool = Pool { slabs: Vec::new(), used: 0, most_used: 1000, held: 0 };
        let whole = pool.cut(96);
        pool.join(whole);
        let parts = [32, 16, 48].map(|length| pool.cut(length));
        assert_eq!(parts.map(|part| (part.slab, part.start)), [(0, 0), (0, 32), (0, 48)]);
        // What is free is never enough for 64, until the middle is free too.
        pool.join(parts[0]);
        pool.join(parts[2]);
        let other = pool.cut(64);
        assert_eq!((other.slab, pool.held), (1, 160));
        // The smallest part that will do.
        let small = pool.cut(32);
        assert_eq!((small.slab, small.start), (0, 0));
        pool.join(small);
        pool.join(parts[1]);
        assert!(pool.slabs[0].as_ref().is_some_and(Slab::is_free));
        // More than was ever needed is given back as soon as nobody has a part of it.
        pool.most_used = 100;
        pool.join(other);
        assert_eq!((pool.held, pool.slabs[1].is_none()), (96, true));
        pool.most_used = 0;
        let whole = pool.cut(96);
        pool.join(whole);
        assert_eq!(pool.held, 0);
    }

    #[test]
    fn buffers_do_not_overlap() {
        let mut buffers: Vec<Buffer<f32>> = (1..40).map(|n| Buffer::take(n * 7)).collect();
        for (n, buffer) in buffers.iter_mut().enumerate() {
            assert_eq!(buffer.len(), (n + 1) * 7);
            buffer.fill(n as f32);
        }
        for (n, buffer) in buffers.iter().enumerate() {
            assert!(buffer.iter().all(|value| *value == n as f32));
        }
        assert!(Buffer::<f32>::take(0).is_empty());
    }
}
