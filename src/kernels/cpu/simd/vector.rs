//! Single vectors: unchecked reads and writes, and the vectors of this machine.

use pulp::{Simd, WithSimd};

use super::LANES;

/// Runs `op` with the widest vectors of this machine; under test, see
/// [`each`](levels::each).
#[inline]
pub(super) fn dispatch<Op: WithSimd>(op: Op) -> Op::Output {
    #[cfg(test)]
    return levels::dispatch(op);
    #[cfg(not(test))]
    pulp::Arch::new().dispatch(op)
}

/// Runs a loop over values compiled for the widest vectors of this machine.
#[inline]
pub(crate) fn vectorised(op: impl FnMut()) {
    dispatch(Loop(op));
}

struct Loop<F>(F);

impl<F: FnMut()> WithSimd for Loop<F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, _: S) {
        // Called by reference: what calls a closure by value is a function of its own, which
        // nothing makes the compiler inline, and which is compiled for no vectors in particular.
        (self.0)();
    }
}

/// Where a column of lanes begins in its block: always at 0, where a vector is a block.
#[inline(always)]
pub(super) fn part<S: Simd>(column: usize) -> usize {
    if S::F32_LANES == LANES { 0 } else { column % LANES }
}

/// # Safety
/// A vector of initialised values stands at `from`; it need not be aligned.
#[inline(always)]
pub(super) unsafe fn load<S: Simd>(from: *const f32) -> S::f32s {
    // SAFETY: as asked of the caller; any bits are a vector (`Pod`).
    unsafe { from.cast::<S::f32s>().read_unaligned() }
}

/// # Safety
/// A vector may be written at `to`; it need not be aligned.
#[inline(always)]
pub(super) unsafe fn store<S: Simd>(to: *mut f32, vector: S::f32s) {
    // SAFETY: as asked of the caller.
    unsafe { to.cast::<S::f32s>().write_unaligned(vector) }
}

/// `max(x · factor + offset, least)`; what is no number stays so, where a maximum would turn it
/// into the least on some machines.
#[inline(always)]
pub(super) fn prologue<S: Simd>(simd: S, x: S::f32s, [factor, offset, least]: [S::f32s; 3]) -> S::f32s {
    let value = simd.mul_add_e_f32s(x, factor, offset);
    simd.select_f32s(simd.less_than_f32s(value, least), least, value)
}

/// Tests run every loop with every kind of vector that the machine has.
#[cfg(test)]
pub(super) mod levels {
    use std::cell::Cell;

    use pulp::{Arch, Scalar, Simd, WithSimd};

    #[derive(Debug, Clone, Copy, PartialEq)]
    pub(in super::super) enum Level {
        Widest,
        #[cfg(target_arch = "x86_64")]
        Avx2,
        Scalar,
    }

    thread_local! {
        static LEVEL: Cell<Level> = const { Cell::new(Level::Widest) };
    }

    /// Calls `test` once with each kind of vector.
    pub(in super::super) fn each(mut test: impl FnMut()) {
        let levels = [
            Level::Widest,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2,
            Level::Scalar,
        ];
        for level in levels {
            LEVEL.set(level);
            test();
        }
        LEVEL.set(Level::Widest);
    }

    pub(super) fn dispatch<Op: WithSimd>(op: Op) -> Op::Output {
        match LEVEL.get() {
            Level::Widest => Arch::new().dispatch(op),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => match pulp::x86::V3::try_new() {
                Some(simd) => Simd::vectorize(simd, op),
                None => Arch::new().dispatch(op),
            },
            Level::Scalar => Scalar.vectorize(op),
        }
    }
}
