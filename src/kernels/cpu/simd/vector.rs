//! Single vectors: unchecked reads and writes, and sums across lanes.

use pulp::{Simd, WithSimd};

use super::rows::LANES;

/// Says a block once for each of the first numbers, which is a constant in it:
/// `unrolled!(N, 4 => { … })`. A loop would do the same, but only what is unrolled early leaves
/// arrays of vectors in registers.
macro_rules! unrolled {
    ($name:ident, 4 => $body:block) => { unrolled!(@ $name $body 0 1 2 3) };
    ($name:ident, 6 => $body:block) => { unrolled!(@ $name $body 0 1 2 3 4 5) };
    ($name:ident, 14 => $body:block) => { unrolled!(@ $name $body 0 1 2 3 4 5 6 7 8 9 10 11 12 13) };
    (@ $name:ident $body:block $($number:literal)*) => {
        $({
            const $name: usize = $number;
            $body
        })*
    };
}
pub(super) use unrolled;

/// Runs `op` with the widest vectors of this machine; under test, see
/// [`with_level`](levels::with_level).
#[inline]
pub(super) fn dispatch<Op: WithSimd>(op: Op) -> Op::Output {
    #[cfg(test)]
    return levels::dispatch(op);
    #[cfg(not(test))]
    pulp::Arch::new().dispatch(op)
}

/// Runs a loop over values compiled for the widest vectors of this machine. It must be
/// `#[inline(always)]`.
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

/// The most vectors that [`sum_lanes`] sums.
pub(super) const MOST_SUMS: usize = 32;

/// The sum across lanes of each of the first `count` vectors, in the first `count` places.
///
/// As many as a vector has lanes are summed at once by a tree of transposing additions: at step `s`
/// lane `l` of the sum of two vectors takes lanes `l` and `l + s` of the first or of the second, by
/// the bit `s` of `l`, so that lane `l` ends with the sum of vector `l`.
#[inline(always)]
pub(super) fn sum_lanes<S: Simd, const N: usize>(simd: S, vectors: [S::f32s; N], count: usize) -> [f32; MOST_SUMS] {
    let mut sums = [0.0; MOST_SUMS];
    if S::F32_LANES < 8 {
        for n in 0..count {
            sums[n] = simd.reduce_sum_f32s(vectors[n]);
        }
        return sums;
    }
    unrolled!(GROUP, 4 => {
        let first = GROUP * S::F32_LANES;
        if first < count {
            let live = (count - first).min(S::F32_LANES);
            let mut tree = [simd.splat_f32s(0.0); LANES];
            tree[..live].copy_from_slice(&vectors[first..first + live]);
            // Step by step, not in a loop: with counts that are constants the tree stays in
            // registers.
            fold(simd, &mut tree, live, 1);
            fold(simd, &mut tree, live.div_ceil(2), 2);
            fold(simd, &mut tree, live.div_ceil(4), 4);
            fold(simd, &mut tree, live.div_ceil(8), 8);
            // SAFETY: the slice has room for a vector.
            unsafe { store::<S>(sums[first..first + S::F32_LANES].as_mut_ptr(), tree[0]) };
        }
    });
    sums
}

/// One step of [`sum_lanes`]: the first `live` vectors become half as many. An odd one is added to
/// itself, which puts its sums in lanes that nobody reads.
#[inline(always)]
fn fold<S: Simd>(simd: S, tree: &mut [S::f32s; LANES], live: usize, step: usize) {
    if step >= S::F32_LANES {
        return;
    }
    let odd = odd_lanes(simd, step);
    for pair in 0..live.div_ceil(2) {
        let (even_sum, odd_sum) = (tree[2 * pair], tree[(2 * pair + 1).min(live - 1)]);
        let kept = simd.select_f32s(odd, odd_sum, even_sum);
        let moved = simd.select_f32s(odd, even_sum, odd_sum);
        tree[pair] = simd.add_f32s(kept, simd.rotate_left_f32s(moved, step));
    }
}

/// The lanes whose number has the bit `step`.
#[inline(always)]
fn odd_lanes<S: Simd>(simd: S, step: usize) -> S::m32s {
    const fn bits(step: usize) -> [f32; LANES] {
        let mut bits = [0.0; LANES];
        let mut lane = 0;
        while lane < LANES {
            bits[lane] = if lane & step == 0 { 0.0 } else { 1.0 };
            lane += 1;
        }
        bits
    }
    static BITS: [[f32; LANES]; 4] = [bits(1), bits(2), bits(4), bits(8)];
    let bits = &BITS[step.trailing_zeros() as usize];
    // SAFETY: no vector is longer than `LANES`.
    simd.less_than_f32s(simd.splat_f32s(0.5), unsafe { load::<S>(bits.as_ptr()) })
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

#[cfg(test)]
mod tests {
    use super::*;

    struct SumEach<const N: usize>([[f32; LANES]; N]);

    impl<const N: usize> WithSimd for SumEach<N> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            // SAFETY: no vector is longer than `LANES`.
            let sums = sum_lanes(simd, self.0.map(|lanes| unsafe { load::<S>(lanes.as_ptr()) }), N);
            let expected = self.0.map(|lanes| lanes[..S::F32_LANES].iter().sum::<f32>());
            assert_eq!(sums[..N], expected);
        }
    }

    fn check<const N: usize>() {
        // Whole numbers, whose sums are exact in any order.
        let value = |vector: usize, lane: usize| ((vector * 37 + lane * lane * 11) % 101) as f32;
        let lanes = std::array::from_fn(|vector| std::array::from_fn(|lane| value(vector, lane)));
        levels::each(|| dispatch(SumEach::<N>(lanes)));
    }

    #[test]
    fn lanes_are_summed_vector_by_vector() {
        check::<1>();
        check::<2>();
        check::<3>();
        check::<5>();
        check::<6>();
        check::<7>();
        check::<8>();
        check::<11>();
        check::<16>();
        check::<25>();
        check::<32>();
    }
}
