//! Sums over the pixels of a plane, lane by lane.

use pulp::{Simd, WithSimd};

use super::vector::{dispatch, load, store};
use super::{LANES, Lanes};
use crate::cpu::element::Element;

/// Pixels that are summed in `f32`, several sums side by side, before the sum goes on in `f64`:
/// rounding stays near one part in 10⁷ whatever the length.
const BLOCK: usize = 256;

/// Sums side by side: enough to hide the latency of an addition.
const SUMS: usize = 4;

/// Count, means, and sums of squares about the means.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Moments {
    pub count: f64,
    pub mean: [f64; LANES],
    pub squares: [f64; LANES],
}

impl Moments {
    /// The moments of both sets of values (Chan, Golub & LeVeque 1983, equation 2.1).
    #[must_use]
    pub(crate) fn join(mut self, other: &Self) -> Self {
        let count = self.count + other.count;
        if self.count == 0.0 {
            return *other;
        }
        let (part, between) = (other.count / count, self.count * other.count / count);
        for lane in 0..LANES {
            let difference = other.mean[lane] - self.mean[lane];
            self.mean[lane] += difference * part;
            self.squares[lane] += other.squares[lane] + difference * difference * between;
        }
        Self { count, ..self }
    }

    /// Count, mean and squares of a lane.
    pub(crate) fn lane(&self, lane: usize) -> [f64; 3] {
        [self.count, self.mean[lane], self.squares[lane]]
    }
}

/// The moments of `x`, exact to a few parts in 10⁷ of the squares however far the mean is from
/// zero. Each block is summed, and summed again about its own mean while it is in the nearest
/// cache.
pub(crate) fn moments<E: Element>(x: &[E]) -> Moments {
    x.chunks(BLOCK * LANES).fold(Moments::default(), |moments, block| {
        let count = (block.len() / LANES) as f64;
        let (sum, []) = dispatch(ProductSums::<E, E, 0> { a: block, a0: &Lanes::ZERO, b: [] });
        let about = Lanes(sum.0.map(|sum| (f64::from(sum) / count) as f32));
        let (first, [squares]) = dispatch(ProductSums { a: block, a0: &about, b: [(block, &about)] });
        let mut of_block = Moments { count, ..Moments::default() };
        for lane in 0..LANES {
            // The rounding of `about` to `f32` is made good: `first` would be zero about the exact
            // mean.
            let shift = f64::from(first.0[lane]) / count;
            of_block.mean[lane] = f64::from(about.0[lane]) + shift;
            of_block.squares[lane] = f64::from(squares.0[lane]) - shift * shift * count;
        }
        moments.join(&of_block)
    })
}

/// Sums of lanes.
pub(crate) type Sums = [f64; LANES];

/// `Σ g`, and `Σ g · (z − mean)` of each `(z, mean)`.
///
/// # Panics
/// When the lengths differ.
pub(crate) fn weighted_sums<G: Element, E: Element, const N: usize>(
    g: &[G],
    of: [(&[E], &Lanes); N],
) -> (Sums, [Sums; N]) {
    assert!(of.iter().all(|(z, _)| z.len() == g.len()), "pairs");
    let (mut first, mut products) = ([0.0; LANES], [[0.0; LANES]; N]);
    let add = |sums: &mut Sums, lanes: Lanes| sums.iter_mut().zip(lanes.0).for_each(|(sum, x)| *sum += f64::from(x));
    for start in (0..g.len()).step_by(BLOCK * LANES) {
        let part = start..g.len().min(start + BLOCK * LANES);
        let b = of.map(|(z, mean)| (&z[part.clone()], mean));
        let (sum, of_part) = dispatch(ProductSums { a: &g[part], a0: &Lanes::ZERO, b });
        add(&mut first, sum);
        products.iter_mut().zip(of_part).for_each(|(product, sum)| add(product, sum));
    }
    (first, products)
}

/// `Σ (a − a0)`, and `Σ (a − a0) · (b − b0)` of each `(b, b0)`, in `f32`; all of one length.
struct ProductSums<'a, A, B, const N: usize> {
    a: &'a [A],
    a0: &'a Lanes,
    b: [(&'a [B], &'a Lanes); N],
}

impl<A: Element, B: Element, const N: usize> WithSimd for ProductSums<'_, A, B, N> {
    type Output = (Lanes, [Lanes; N]);

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> (Lanes, [Lanes; N]) {
        let pixels = self.a.len() / LANES;
        assert!(self.b.iter().all(|(b, _)| b.len() >= pixels * LANES), "planes of equal length");
        let zero = simd.splat_f32s(0.0);
        let (mut of_a, mut of_b) = (Lanes::ZERO, [Lanes::ZERO; N]);
        for part in (0..LANES).step_by(S::F32_LANES) {
            // SAFETY: `part` is within a pixel, and all planes have `pixels` of them.
            unsafe {
                let a0 = load::<S>(self.a0.0.as_ptr().add(part));
                let a = self.a.as_ptr().add(part);
                let (mut b, mut b0) = ([std::ptr::null::<B>(); N], [a0; N]);
                for n in 0..N {
                    b[n] = self.b[n].0.as_ptr().add(part);
                    b0[n] = load::<S>(self.b[n].1.0.as_ptr().add(part));
                }
                let (mut first, mut products) = ([zero; SUMS], [[zero; SUMS]; N]);
                let groups = pixels - pixels % SUMS;
                for at in (0..groups).step_by(SUMS) {
                    for i in 0..SUMS {
                        let at = (at + i) * LANES;
                        let a = simd.sub_f32s(A::load::<S>(a.add(at)), a0);
                        first[i] = simd.add_f32s(first[i], a);
                        for n in 0..N {
                            let b = simd.sub_f32s(B::load::<S>(b[n].add(at)), b0[n]);
                            products[n][i] = simd.mul_add_e_f32s(a, b, products[n][i]);
                        }
                    }
                }
                for at in groups..pixels {
                    let a = simd.sub_f32s(A::load::<S>(a.add(at * LANES)), a0);
                    first[0] = simd.add_f32s(first[0], a);
                    for n in 0..N {
                        let b = simd.sub_f32s(B::load::<S>(b[n].add(at * LANES)), b0[n]);
                        products[n][0] = simd.mul_add_e_f32s(a, b, products[n][0]);
                    }
                }
                let join = |sums: [S::f32s; SUMS]| {
                    simd.add_f32s(simd.add_f32s(sums[0], sums[1]), simd.add_f32s(sums[2], sums[3]))
                };
                store::<S>(of_a.0.as_mut_ptr().add(part), join(first));
                for n in 0..N {
                    store::<S>(of_b[n].0.as_mut_ptr().add(part), join(products[n]));
                }
            }
        }
        (of_a, of_b)
    }
}
