//! Single vectors: unchecked reads and writes, and the vectors of this machine.

use pulp::{Simd, WithSimd};

use super::LANES;
use crate::cpu::layout::NARROW;

/// Runs `op` with the widest vectors of this machine; under test, see
/// [`each`](levels::each).
#[inline]
pub(super) fn dispatch<Op: WithSimd>(op: Op) -> Op::Output {
    #[cfg(test)]
    return levels::dispatch(op);
    #[cfg(not(test))]
    pulp::Arch::new().dispatch(op)
}

/// Says a block once for each channel of an image that shares its vector, which is a constant in it.
/// A loop would do the same, but only what is unrolled early leaves arrays of vectors in registers.
macro_rules! each_channel {
    ($name:ident => $body:block) => { each_channel!(@ $name $body 0 1 2 3) };
    (@ $name:ident $body:block $($number:literal)*) => {
        $({
            const $name: usize = $number;
            $body
        })*
    };
}
pub(super) use each_channel;

/// Of images that share a pixel, one channel of each, in all its lanes: those of a vector from
/// lane `part` on.
///
/// # Safety
/// A pixel of initialised values stands at `pixel`, and `part` is where a vector of it begins.
#[inline(always)]
pub(super) unsafe fn of_images<S: Simd, const CHANNEL: usize>(pixel: *const f32, part: usize) -> S::f32s {
    // SAFETY: as asked of the caller. An array has as many values as a vector of all lanes; of a
    // shorter one, it is the first that are read.
    unsafe {
        if S::F32_LANES < LANES {
            let mut lanes = [0.0; LANES];
            for (lane, value) in lanes.iter_mut().enumerate().take(S::F32_LANES) {
                *value = *pixel.add((part + lane) / NARROW * NARROW + CHANNEL);
            }
            return load::<S>(lanes.as_ptr());
        }
        let values = std::mem::transmute_copy::<S::f32s, [f32; LANES]>(&load::<S>(pixel));
        let lanes: [f32; LANES] = std::array::from_fn(|lane| values[lane - lane % NARROW + CHANNEL]);
        std::mem::transmute_copy::<[f32; LANES], S::f32s>(&lanes)
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
