//! Sums of maps, and values through a prologue.

use pulp::{Simd, WithSimd};

use super::vector::{dispatch, load, prologue, store};
use super::{LANES, Lanes, Walk};
use crate::cpu::{element::Element, prologue::Prologue};

/// Planes that are read side by side: it takes a while until memory answers, for several as for
/// one.
const BESIDE: usize = 4;

/// Pixels of a sum of more planes that are summed in `f32` before they are written in another
/// format.
const PIECE: usize = 128;

/// `out = shift + Σ factor · x`, summed in `f32` and rounded once.
///
/// # Panics
/// When the lengths differ.
pub(crate) fn weighted_sum<E: Element, O: Element>(shift: &Lanes, terms: &[(Lanes, &[E])], out: &mut [O]) {
    assert!(out.len().is_multiple_of(LANES), "whole pixels");
    assert!(terms.iter().all(|(_, x)| x.len() == out.len()), "planes of equal length");
    if terms.len() <= BESIDE {
        return beside(shift, terms, out, false);
    }
    if let Some(out) = O::floats(out) {
        return several(shift, terms, out);
    }
    let mut sum = [0.0; PIECE * LANES];
    for (at, out) in out.chunks_mut(sum.len()).enumerate() {
        let (first, sum) = (at * sum.len(), &mut sum[..out.len()]);
        let pieces: Vec<_> = terms.iter().map(|(factor, x)| (*factor, &x[first..][..out.len()])).collect();
        several(shift, &pieces, sum);
        write(sum, out, false);
    }
}

/// More than [`BESIDE`] planes: some, then the next.
fn several<E: Element>(shift: &Lanes, terms: &[(Lanes, &[E])], out: &mut [f32]) {
    let (first, rest) = terms.split_at(BESIDE);
    beside(shift, first, out, false);
    rest.chunks(BESIDE).for_each(|terms| beside(&Lanes::ZERO, terms, out, true));
}

/// At most [`BESIDE`] planes, which are added to `out` or written in its place: all are as long.
fn beside<E: Element, O: Element>(shift: &Lanes, terms: &[(Lanes, &[E])], out: &mut [O], add: bool) {
    let (at, pixels) = (out.as_mut_ptr(), out.len() / LANES);
    match *terms {
        [] => dispatch(WeightedSum::<E, O, 0> { shift, terms: [], out: at, pixels, add }),
        [ref a] => dispatch(WeightedSum { shift, terms: [a], out: at, pixels, add }),
        [ref a, ref b] => dispatch(WeightedSum { shift, terms: [a, b], out: at, pixels, add }),
        [ref a, ref b, ref c] => dispatch(WeightedSum { shift, terms: [a, b, c], out: at, pixels, add }),
        [ref a, ref b, ref c, ref d, ..] => dispatch(WeightedSum { shift, terms: [a, b, c, d], out: at, pixels, add }),
    }
}

struct WeightedSum<'a, E, O, const N: usize> {
    shift: &'a Lanes,
    /// Of as many pixels as are written.
    terms: [&'a (Lanes, &'a [E]); N],
    out: *mut O,
    pixels: usize,
    add: bool,
}

impl<E: Element, O: Element, const N: usize> WithSimd for WeightedSum<'_, E, O, N> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if self.add { self.run::<S, true>(simd) } else { self.run::<S, false>(simd) }
    }
}

impl<E: Element, O: Element, const N: usize> WeightedSum<'_, E, O, N> {
    #[inline(always)]
    fn run<S: Simd, const ADD: bool>(self, simd: S) {
        // SAFETY: `weighted_sum` and `write` have checked that all planes have as many pixels as are
        // written.
        unsafe {
            for part in (0..LANES).step_by(S::F32_LANES) {
                let shift = load::<S>(self.shift.0.as_ptr().add(part));
                let (mut factors, mut from) = ([shift; N], [std::ptr::null(); N]);
                for n in 0..N {
                    factors[n] = load::<S>(self.terms[n].0.0.as_ptr().add(part));
                    from[n] = self.terms[n].1.as_ptr().add(part);
                }
                let out = self.out.add(part);
                for at in (0..self.pixels * LANES).step_by(LANES) {
                    let mut sum = if ADD { simd.add_f32s(O::load::<S>(out.add(at)), shift) } else { shift };
                    for n in 0..N {
                        sum = simd.mul_add_e_f32s(E::load::<S>(from[n].add(at)), factors[n], sum);
                    }
                    O::store::<S>(out.add(at), sum);
                }
            }
        }
    }
}

/// `out = out + scale · prologue(x)`, or in its place.
///
/// # Panics
/// When the pixels do not fit the slices.
pub(crate) fn through<E: Element>(x: &[E], before: &Prologue, scale: &Lanes, walk: Walk, out: &mut [f32], add: bool) {
    if walk.is_empty() {
        return;
    }
    walk.check_from(0, x.len());
    walk.check_to(0, out.len());
    dispatch(Through { x: x.as_ptr(), before, scale, walk: walk.flat(), out: out.as_mut_ptr(), add });
}

struct Through<'a, E> {
    x: *const E,
    before: &'a Prologue,
    scale: &'a Lanes,
    walk: Walk,
    out: *mut f32,
    add: bool,
}

impl<E: Element> WithSimd for Through<'_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Walk { rows, width, from, to, .. } = self.walk;
        let least = simd.splat_f32s(self.before.least);
        // SAFETY: `through` has checked that the walk can be read and written.
        unsafe {
            for part in (0..LANES).step_by(S::F32_LANES) {
                let [factor, offset, scale] = [&self.before.factor, &self.before.offset, self.scale]
                    .map(|lanes| load::<S>(lanes.0.as_ptr().add(part)));
                for row in 0..rows {
                    let x = self.x.add(row * from.pitch * LANES + part);
                    let out = self.out.add(row * to.pitch * LANES + part);
                    for at in 0..width {
                        let y = prologue(simd, E::load::<S>(x.add(at * from.step * LANES)), [factor, offset, least]);
                        let out = out.add(at * to.step * LANES);
                        let value = if self.add {
                            simd.mul_add_e_f32s(y, scale, load::<S>(out))
                        } else {
                            simd.mul_f32s(y, scale)
                        };
                        store::<S>(out, value);
                    }
                }
            }
        }
    }
}

/// `out = out + scale · gradient` where the prologue of `x` is open, else nothing is added; or in
/// its place. The gradient is walked over as what is read, `x` and `out` as what is written.
///
/// # Panics
/// When the pixels do not fit the slices.
pub(crate) fn pass<G: Element, E: Element, O: Element>(
    gradient: &[G],
    x: &[E],
    before: &Prologue,
    scale: &Lanes,
    walk: Walk,
    out: &mut [O],
    add: bool,
) {
    if walk.is_empty() {
        return;
    }
    walk.check_from(0, gradient.len());
    walk.check_to(0, x.len().min(out.len()));
    let (gradient, x, out) = (gradient.as_ptr(), x.as_ptr(), out.as_mut_ptr());
    dispatch(Pass { gradient, x, before, scale, walk: walk.flat(), out, add });
}

struct Pass<'a, G, E, O> {
    gradient: *const G,
    x: *const E,
    before: &'a Prologue,
    scale: &'a Lanes,
    walk: Walk,
    out: *mut O,
    add: bool,
}

impl<G: Element, E: Element, O: Element> WithSimd for Pass<'_, G, E, O> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // Without a least value everything passes, whatever the values are.
        if self.before.least == f32::NEG_INFINITY { self.run::<S, false>(simd) } else { self.run::<S, true>(simd) }
    }
}

impl<G: Element, E: Element, O: Element> Pass<'_, G, E, O> {
    #[inline(always)]
    fn run<S: Simd, const SHUTS: bool>(self, simd: S) {
        let Walk { rows, width, from, to, .. } = self.walk;
        let (least, zero) = (simd.splat_f32s(self.before.least), simd.splat_f32s(0.0));
        // SAFETY: `pass` has checked that the walk can be read and written.
        unsafe {
            for part in (0..LANES).step_by(S::F32_LANES) {
                let [factor, offset, scale] = [&self.before.factor, &self.before.offset, self.scale]
                    .map(|lanes| load::<S>(lanes.0.as_ptr().add(part)));
                for row in 0..rows {
                    let gradient = self.gradient.add(row * from.pitch * LANES + part);
                    let start = row * to.pitch * LANES + part;
                    for at in 0..width {
                        let place = start + at * to.step * LANES;
                        let mut value = simd.mul_f32s(G::load::<S>(gradient.add(at * from.step * LANES)), scale);
                        if SHUTS {
                            let y = simd.mul_add_e_f32s(E::load::<S>(self.x.add(place)), factor, offset);
                            value = simd.select_f32s(simd.greater_than_f32s(y, least), value, zero);
                        }
                        let out = self.out.add(place);
                        if self.add {
                            value = simd.add_f32s(value, O::load::<S>(out));
                        }
                        O::store::<S>(out, value);
                    }
                }
            }
        }
    }
}

/// Rounds values to the format of a map, or their sums with what is there.
///
/// # Panics
/// When the lengths differ.
pub(crate) fn write<E: Element>(x: &[f32], out: &mut [E], add: bool) {
    assert!(x.len() == out.len() && x.len().is_multiple_of(LANES), "whole pixels of equal planes");
    beside(&Lanes::ZERO, &[(Lanes::ONE, x)], out, add);
}

/// `out = x · factors[pixel]`
///
/// # Panics
/// When the lengths differ.
pub(crate) fn times_of_pixels(factors: &[f32], out: &mut [f32]) {
    assert_eq!(factors.len() * LANES, out.len(), "a factor a pixel");
    for (out, factor) in out.as_chunks_mut::<LANES>().0.iter_mut().zip(factors) {
        out.iter_mut().for_each(|out| *out *= factor);
    }
}
