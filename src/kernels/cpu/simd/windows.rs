//! Maxima of windows, and who had them.

use pulp::{Simd, WithSimd};

use super::depthwise::Window;
use super::vector::{dispatch, load, store};
use super::{LANES, Walk};
use crate::cpu::element::Element;

/// For every pixel the largest of its taps; what is no number wins, and stays.
///
/// # Panics
/// When the pixels do not fit the slices.
pub(crate) fn maximum(input: &[f32], window: &Window, walk: Walk, out: &mut [f32]) {
    if walk.is_empty() {
        return;
    }
    walk.check_from(window.tap(window.taps() - 1), input.len());
    walk.check_to(0, out.len());
    dispatch(Maximum { input: input.as_ptr(), window, walk, out: out.as_mut_ptr() });
}

struct Maximum<'a> {
    /// Every tap of the walk can be read from here.
    input: *const f32,
    window: &'a Window,
    walk: Walk,
    /// The walk can be written from here.
    out: *mut f32,
}

impl WithSimd for Maximum<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Walk { rows, width, from, to, .. } = self.walk;
        for (row, x) in (0..rows).flat_map(|row| (0..width).map(move |x| (row, x))) {
            for part in (0..LANES).step_by(S::F32_LANES) {
                // SAFETY: `maximum` has checked that every tap can be read, every pixel written.
                unsafe {
                    let input = self.input.add((row * from.pitch + x * from.step) * LANES + part);
                    let mut most = simd.splat_f32s(f32::NEG_INFINITY);
                    for ky in 0..self.window.kernel[0] {
                        let first = self.window.first + ky * self.window.apart[0];
                        for kx in 0..self.window.kernel[1] {
                            let value = load::<S>(input.add((first + kx * self.window.apart[1]) * LANES));
                            let kept = simd.select_f32s(simd.equal_f32s(most, most), value, most);
                            most = simd.select_f32s(simd.less_than_or_equal_f32s(value, most), most, kept);
                        }
                    }
                    store::<S>(self.out.add((row * to.pitch + x * to.step) * LANES + part), most);
                }
            }
        }
    }
}

/// For every pixel the first tap, in reading order, that has the maximum `most`, takes its
/// gradient: it is added to `out`, which lies as the input does. Gradients and maxima are walked over as what
/// is written.
///
/// # Panics
/// When the pixels do not fit the slices.
pub(crate) fn add_to_first<E: Element>(
    gradient: &[f32],
    most: &[E],
    input: &[f32],
    window: &Window,
    walk: Walk,
    out: &mut [f32],
) {
    if walk.is_empty() {
        return;
    }
    walk.check_from(window.tap(window.taps() - 1), input.len().min(out.len()));
    walk.check_to(0, gradient.len().min(most.len()));
    let (gradient, most, input) = (gradient.as_ptr(), most.as_ptr(), input.as_ptr());
    dispatch(AddToFirst { gradient, most, input, window, walk, out: out.as_mut_ptr() });
}

struct AddToFirst<'a, E> {
    /// The walk can be read from these.
    gradient: *const f32,
    most: *const E,
    /// Every tap of the walk can be read from here.
    input: *const f32,
    window: &'a Window,
    walk: Walk,
    /// Every tap of the walk can be read and written from here.
    out: *mut f32,
}

impl<E: Element> WithSimd for AddToFirst<'_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Walk { rows, width, from, to, .. } = self.walk;
        let zero = simd.splat_f32s(0.0);
        for (row, x) in (0..rows).flat_map(|row| (0..width).map(move |x| (row, x))) {
            for part in (0..LANES).step_by(S::F32_LANES) {
                // SAFETY: `add_to_first` has checked that every tap can be read and written, and
                // every pixel read.
                unsafe {
                    let at = (row * to.pitch + x * to.step) * LANES + part;
                    let (mut left, most) = (load::<S>(self.gradient.add(at)), E::load::<S>(self.most.add(at)));
                    let first = (row * from.pitch + x * from.step + self.window.first) * LANES + part;
                    for ky in 0..self.window.kernel[0] {
                        for kx in 0..self.window.kernel[1] {
                            let at = first + (ky * self.window.apart[0] + kx * self.window.apart[1]) * LANES;
                            let here = simd.equal_f32s(load::<S>(self.input.add(at)), most);
                            let out = self.out.add(at);
                            let sum = simd.add_f32s(load::<S>(out), simd.select_f32s(here, left, zero));
                            store::<S>(out, sum);
                            // What has been taken is zero for the taps that follow.
                            left = simd.select_f32s(here, zero, left);
                        }
                    }
                }
            }
        }
    }
}
