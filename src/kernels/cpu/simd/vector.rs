//! Single vectors: unchecked reads and writes, and sums across lanes.

use pulp::{Simd, WithSimd};

use super::rows::LANES;

/// Runs `op` with the widest vectors of this machine; under test, see [`with_level`](levels::with_level).
#[inline]
pub(super) fn dispatch<Op: WithSimd>(op: Op) -> Op::Output {
    #[cfg(test)]
    return levels::dispatch(op);
    #[cfg(not(test))]
    pulp::Arch::new().dispatch(op)
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

/// Calls `give` with the sum across lanes of each vector, by index.
///
/// A vector's worth of them is summed at once by a tree of transposing additions: at step `s` lane `l` of the sum of two
/// vectors takes lanes `l` and `l + s` of the first or of the second, by the bit `s` of `l`, so that lane `l` ends with
/// the sum of vector `l`.
#[inline(always)]
pub(super) fn sum_lanes<S: Simd>(simd: S, vectors: &[S::f32s], mut give: impl FnMut(usize, f32)) {
    for (group, vectors) in vectors.chunks(S::F32_LANES).enumerate() {
        let mut tree = [simd.splat_f32s(0.0); LANES];
        tree[..vectors.len()].copy_from_slice(vectors);
        let (mut live, mut step) = (vectors.len(), 1);
        while step < S::F32_LANES {
            let odd = odd_lanes(simd, step);
            for pair in 0..live.div_ceil(2) {
                let (even_sum, odd_sum) = (tree[2 * pair], tree[(2 * pair + 1).min(live - 1)]);
                let kept = simd.select_f32s(odd, odd_sum, even_sum);
                let moved = simd.select_f32s(odd, even_sum, odd_sum);
                tree[pair] = simd.add_f32s(kept, simd.rotate_left_f32s(moved, step));
            }
            live = live.div_ceil(2);
            step *= 2;
        }
        let mut sums = [0.0; LANES];
        // SAFETY: no vector is longer than `LANES`.
        unsafe { store::<S>(sums.as_mut_ptr(), tree[0]) };
        for (index, sum) in sums[..vectors.len()].iter().enumerate() {
            give(group * S::F32_LANES + index, *sum);
        }
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

    struct SumEach(Vec<[f32; LANES]>);

    impl WithSimd for SumEach {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let expected: Vec<f32> = self.0.iter().map(|lanes| lanes[..S::F32_LANES].iter().sum()).collect();
            // SAFETY: no vector is longer than `LANES`.
            let vectors: Vec<S::f32s> = self.0.iter().map(|lanes| unsafe { load::<S>(lanes.as_ptr()) }).collect();
            let mut sums = vec![f32::NAN; vectors.len()];
            sum_lanes(simd, &vectors, |index, sum| sums[index] = sum);
            assert_eq!(sums, expected);
        }
    }

    #[test]
    fn lanes_are_summed_vector_by_vector() {
        for count in 1..40 {
            // Whole numbers, whose sums are exact in any order.
            let values = |vector: usize| std::array::from_fn(|lane| ((vector * 37 + lane * lane * 11) % 101) as f32);
            levels::each(|| dispatch(SumEach((0..count).map(values).collect())));
        }
    }
}
