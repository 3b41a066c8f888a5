//! Places in a buffer that is allocated once.

use crate::gpu::kernel::REGION;

/// Hands out stretches of a buffer whose length is not known yet; what was given back is handed out
/// again.
#[derive(Debug, Default)]
pub(super) struct Space {
    /// Start and end of what is free below `end`, in order, none touching another.
    free: Vec<[usize; 2]>,
    end: usize,
}

/// A stretch of a buffer: start and end, multiples of [`REGION`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    pub start: usize,
    end: usize,
}

impl Space {
    /// The first gap that is large enough, or the end.
    pub fn take(&mut self, numbers: usize) -> Stretch {
        let length = numbers.max(1).next_multiple_of(REGION);
        let start = match self.free.iter().position(|[start, end]| end - start >= length) {
            Some(at) => {
                let start = self.free[at][0];
                self.free[at][0] += length;
                self.free.retain(|[start, end]| start < end);
                start
            }
            // A gap at the end grows.
            None => match self.free.pop_if(|[_, end]| *end == self.end) {
                Some([start, _]) => start,
                None => self.end,
            },
        };
        self.end = self.end.max(start + length);
        Stretch { start, end: start + length }
    }

    pub fn give(&mut self, Stretch { mut start, mut end }: Stretch) {
        let at = self.free.partition_point(|[other, _]| *other < start);
        if let Some([next, last]) = self.free.get(at).copied()
            && next == end
        {
            end = last;
            self.free.remove(at);
        }
        if let Some([first, last]) = at.checked_sub(1).and_then(|at| self.free.get(at)).copied()
            && last == start
        {
            start = first;
            self.free.remove(at - 1);
        }
        let at = self.free.partition_point(|[other, _]| *other < start);
        self.free.insert(at, [start, end]);
    }

    /// Numbers that the buffer must hold.
    pub fn length(&self) -> usize {
        self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn what_is_held_does_not_overlap_and_what_is_given_back_is_used_again() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let (mut space, mut held) = (Space::default(), Vec::<Stretch>::new());
        for _ in 0..2000 {
            if held.len() > 20 || (!held.is_empty() && rng.random_range(0..2) == 0) {
                space.give(held.swap_remove(rng.random_range(0..held.len())));
            } else {
                let taken = space.take(rng.random_range(0..1000));
                assert!(held.iter().all(|other| other.end <= taken.start || taken.end <= other.start));
                held.push(taken);
            }
        }
        held.drain(..).for_each(|stretch| space.give(stretch));
        assert_eq!(space.free, [[0, space.end]], "everything is one gap again");
        assert!(space.length() <= 22 * 1024 * 2, "{} numbers for 21 stretches", space.length());
    }
}
