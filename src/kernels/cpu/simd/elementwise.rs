//! Sums and maps over slices of equal length.

#![expect(
    clippy::needless_range_loop,
    reason = "several arrays are indexed at once, by numbers whose bounds are constants"
)]

use pulp::{Simd, WithSimd};

use super::vector::dispatch;

/// Values that are summed in `f32`, several sums side by side, before the sum goes on in `f64`:
/// with AVX-512 64 sums of 16 values, so that rounding stays near one part in 10⁷ whatever the
/// length.
const BLOCK: usize = 1024;

/// Sums side by side: enough to hide the latency of an addition.
const SUMS: usize = 4;

/// Count, mean, and sum of squares about the mean.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Moments {
    pub count: f64,
    pub mean: f64,
    pub squares: f64,
}

impl Moments {
    /// The moments of both sets of values (Chan, Golub & LeVeque 1983, equation 2.1).
    #[must_use]
    pub(crate) fn join(self, other: Self) -> Self {
        let count = self.count + other.count;
        if count == 0.0 {
            return self;
        }
        let difference = other.mean - self.mean;
        Self {
            count,
            mean: self.mean + difference * (other.count / count),
            squares: self.squares + other.squares + difference * difference * (self.count * other.count / count),
        }
    }
}

/// The moments of `x`, exact to a few parts in 10⁷ of the squares however far the mean is from
/// zero. Each block is summed, and summed again about its own mean while it is in the nearest
/// cache.
pub(crate) fn moments(x: &[f32]) -> Moments {
    x.chunks(BLOCK).fold(Moments::default(), |moments, block| {
        let count = block.len() as f64;
        let about = (f64::from(dispatch(Sum(block))) / count) as f32;
        let (first, [squares]) = dispatch(ProductSums { a: block, a0: about, b: [(block, about)] });
        let [first, squares] = [first, squares].map(f64::from);
        // The rounding of `about` to `f32` is made good: `first` would be zero about the exact
        // mean.
        let shift = first / count;
        moments.join(Moments { count, mean: f64::from(about) + shift, squares: squares - shift * shift * count })
    })
}

/// `Σ g` and `Σ g * (z - mean)`.
///
/// # Panics
/// When the lengths differ.
pub(crate) fn weighted_sums(g: &[f32], z: &[f32], mean: f32) -> (f64, f64) {
    let (first, [product]) = weighted_sums_of(g, [(z, mean)]);
    (first, product)
}

/// `Σ g`, and `Σ g * (z - mean)` of each `(z, mean)`.
///
/// # Panics
/// When the lengths differ.
pub(crate) fn weighted_sums_of<const N: usize>(g: &[f32], of: [(&[f32], f32); N]) -> (f64, [f64; N]) {
    assert!(of.iter().all(|(z, _)| z.len() == g.len()), "pairs");
    let (mut first, mut products) = (0.0, [0.0; N]);
    for start in (0..g.len()).step_by(BLOCK) {
        let part = start..g.len().min(start + BLOCK);
        let mut b = of;
        b.iter_mut().for_each(|(z, _)| *z = &z[part.clone()]);
        let (sum, of_part) = dispatch(ProductSums { a: &g[part], a0: 0.0, b });
        first += f64::from(sum);
        products.iter_mut().zip(of_part).for_each(|(product, sum)| *product += f64::from(sum));
    }
    (first, products)
}

/// `Σ x`
pub(crate) fn sum(x: &[f32]) -> f64 {
    x.chunks(BLOCK).map(|block| f64::from(dispatch(Sum(block)))).sum()
}

/// `out = max(x * scale + shift, floor)`; not a number stays so.
///
/// # Panics
/// When the lengths differ.
pub(crate) fn affine_floor(x: &[f32], scale: f32, shift: f32, floor: f32, out: &mut [f32]) {
    dispatch(Map { map: AffineFloor { scale, shift, floor }, from: [x], out });
}

/// `out += a * x`
///
/// # Panics
/// When the lengths differ.
pub(crate) fn axpy(a: f32, x: &[f32], out: &mut [f32]) {
    dispatch(Map { map: Axpy { a }, from: [x], out });
}

/// `out *= x`
///
/// # Panics
/// When the lengths differ.
pub(crate) fn multiply(x: &[f32], out: &mut [f32]) {
    dispatch(Map { map: Multiply, from: [x], out });
}

/// Slices that are read side by side: it takes a while until memory answers, for several as for
/// one.
pub(crate) const BESIDE: usize = 4;

/// `out = shift + Σ a · x`, a few of the slices `x` at a time.
#[derive(Debug)]
pub(crate) struct WeightedSum<'a> {
    from: [(f32, &'a [f32]); BESIDE],
    waiting: usize,
    shift: f32,
    fresh: bool,
}

impl<'a> WeightedSum<'a> {
    pub(crate) fn new(shift: f32) -> Self {
        Self { from: [(0.0, &[]); BESIDE], waiting: 0, shift, fresh: true }
    }

    /// # Panics
    /// When the lengths differ.
    pub(crate) fn add(&mut self, a: f32, x: &'a [f32], out: &mut [f32]) {
        if self.waiting == BESIDE {
            self.flush(out);
        }
        self.from[self.waiting] = (a, x);
        self.waiting += 1;
    }

    /// Adds to the constant.
    pub(crate) fn add_shift(&mut self, shift: f32) {
        self.shift += shift;
    }

    /// All that was added is in `out` afterwards.
    ///
    /// # Panics
    /// When the lengths differ.
    pub(crate) fn flush(&mut self, out: &mut [f32]) {
        match self.waiting {
            0 if self.fresh => out.fill(self.shift),
            0 if self.shift != 0.0 => dispatch(Map { map: Sums { a: [], shift: self.shift }, from: [], out }),
            0 => {}
            1 => self.sum::<1>(out),
            2 => self.sum::<2>(out),
            3 => self.sum::<3>(out),
            _ => self.sum::<BESIDE>(out),
        }
        (self.waiting, self.shift, self.fresh) = (0, 0.0, false);
    }

    fn sum<const N: usize>(&self, out: &mut [f32]) {
        let (mut a, mut from) = ([0.0; N], [[].as_slice(); N]);
        for n in 0..N {
            (a[n], from[n]) = self.from[n];
        }
        let sums = Sums { a, shift: self.shift };
        if self.fresh {
            dispatch(Map { map: FreshSums(sums), from, out });
        } else {
            dispatch(Map { map: sums, from, out });
        }
    }
}

/// `Σ x` in `f32`
struct Sum<'a>(&'a [f32]);

impl WithSimd for Sum<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        let (vectors, rest) = S::as_simd_f32s(self.0);
        let (groups, vectors) = vectors.as_chunks::<SUMS>();
        let mut sums = [simd.splat_f32s(0.0); SUMS];
        for group in groups {
            for (sum, &x) in sums.iter_mut().zip(group) {
                *sum = simd.add_f32s(*sum, x);
            }
        }
        for (sum, &x) in sums.iter_mut().zip(vectors) {
            *sum = simd.add_f32s(*sum, x);
        }
        sums[SUMS - 1] = simd.add_f32s(sums[SUMS - 1], simd.partial_load_f32s(rest));
        join(simd, sums)
    }
}

/// `Σ (a - a0)`, and `Σ (a - a0) * (b - b0)` of each `(b, b0)`, in `f32`; all of one length
struct ProductSums<'a, const N: usize> {
    a: &'a [f32],
    a0: f32,
    b: [(&'a [f32], f32); N],
}

impl<const N: usize> WithSimd for ProductSums<'_, N> {
    type Output = (f32, [f32; N]);

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> (f32, [f32; N]) {
        let zero = simd.splat_f32s(0.0);
        let (a0, mut b0) = (simd.splat_f32s(self.a0), [zero; N]);
        let (a, a_rest) = S::as_simd_f32s(self.a);
        let (whole, mut b, mut b_rests) = (a.len(), [[].as_slice(); N], [[].as_slice(); N]);
        for n in 0..N {
            let (vectors, rest) = S::as_simd_f32s(self.b[n].0);
            (b[n], b_rests[n], b0[n]) = (&vectors[..whole], rest, simd.splat_f32s(self.b[n].1));
        }
        let (mut first, mut products) = ([zero; SUMS], [[zero; SUMS]; N]);
        let groups = whole - whole % SUMS;
        for at in (0..groups).step_by(SUMS) {
            for i in 0..SUMS {
                let a = simd.sub_f32s(a[at + i], a0);
                first[i] = simd.add_f32s(first[i], a);
                for n in 0..N {
                    products[n][i] = simd.mul_add_e_f32s(a, simd.sub_f32s(b[n][at + i], b0[n]), products[n][i]);
                }
            }
        }
        for at in groups..whole {
            let i = at - groups;
            let a = simd.sub_f32s(a[at], a0);
            first[i] = simd.add_f32s(first[i], a);
            for n in 0..N {
                products[n][i] = simd.mul_add_e_f32s(a, simd.sub_f32s(b[n][at], b0[n]), products[n][i]);
            }
        }
        let mut first = join(simd, first);
        let mut sums = [0.0; N];
        for n in 0..N {
            sums[n] = join(simd, products[n]);
        }
        for (at, a) in a_rest.iter().enumerate() {
            first += a - self.a0;
            for n in 0..N {
                sums[n] += (a - self.a0) * (b_rests[n][at] - self.b[n].1);
            }
        }
        (first, sums)
    }
}

#[inline(always)]
fn join<S: Simd>(simd: S, sums: [S::f32s; SUMS]) -> f32 {
    let halves = [simd.add_f32s(sums[0], sums[1]), simd.add_f32s(sums[2], sums[3])];
    simd.reduce_sum_f32s(simd.add_f32s(halves[0], halves[1]))
}

/// What becomes of each value of an output, from itself and `N` inputs.
trait Lanewise<const N: usize>: Copy {
    fn apply<S: Simd>(self, simd: S, out: S::f32s, from: [S::f32s; N]) -> S::f32s;
}

struct Map<'a, M, const N: usize> {
    map: M,
    from: [&'a [f32]; N],
    out: &'a mut [f32],
}

impl<M: Lanewise<N>, const N: usize> WithSimd for Map<'_, M, N> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let len = self.out.len();
        assert!(self.from.iter().all(|from| from.len() == len), "slices of equal length");
        let whole = len / S::F32_LANES;
        let (out, out_rest) = S::as_mut_simd_f32s(self.out);
        let mut vectors: [&[S::f32s]; N] = [&[]; N];
        let mut rests: [&[f32]; N] = [&[]; N];
        for (n, from) in self.from.into_iter().enumerate() {
            let (from, rest) = S::as_simd_f32s(from);
            (vectors[n], rests[n]) = (&from[..whole], rest);
        }
        for (at, out) in out[..whole].iter_mut().enumerate() {
            let mut from = [simd.splat_f32s(0.0); N];
            for n in 0..N {
                from[n] = vectors[n][at];
            }
            *out = self.map.apply(simd, *out, from);
        }
        if !out_rest.is_empty() {
            let mut from = [simd.splat_f32s(0.0); N];
            for n in 0..N {
                from[n] = simd.partial_load_f32s(rests[n]);
            }
            let value = self.map.apply(simd, simd.partial_load_f32s(out_rest), from);
            simd.partial_store_f32s(out_rest, value);
        }
    }
}

#[derive(Clone, Copy)]
struct AffineFloor {
    scale: f32,
    shift: f32,
    floor: f32,
}

impl Lanewise<1> for AffineFloor {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, _: S::f32s, [x]: [S::f32s; 1]) -> S::f32s {
        let value = simd.mul_add_e_f32s(x, simd.splat_f32s(self.scale), simd.splat_f32s(self.shift));
        let floor = simd.splat_f32s(self.floor);
        // A maximum would turn not-a-number into the floor on some machines.
        simd.select_f32s(simd.less_than_f32s(value, floor), floor, value)
    }
}

#[derive(Clone, Copy)]
struct Axpy {
    a: f32,
}

impl Lanewise<1> for Axpy {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, out: S::f32s, [x]: [S::f32s; 1]) -> S::f32s {
        simd.mul_add_e_f32s(x, simd.splat_f32s(self.a), out)
    }
}

#[derive(Clone, Copy)]
struct Multiply;

impl Lanewise<1> for Multiply {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, out: S::f32s, [x]: [S::f32s; 1]) -> S::f32s {
        simd.mul_f32s(out, x)
    }
}

/// Added to what is there.
#[derive(Clone, Copy)]
struct Sums<const N: usize> {
    a: [f32; N],
    shift: f32,
}

impl<const N: usize> Lanewise<N> for Sums<N> {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, out: S::f32s, from: [S::f32s; N]) -> S::f32s {
        let mut sum = simd.add_f32s(out, simd.splat_f32s(self.shift));
        for n in 0..N {
            sum = simd.mul_add_e_f32s(from[n], simd.splat_f32s(self.a[n]), sum);
        }
        sum
    }
}

/// In the place of what is there.
#[derive(Clone, Copy)]
struct FreshSums<const N: usize>(Sums<N>);

impl<const N: usize> Lanewise<N> for FreshSums<N> {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, _: S::f32s, from: [S::f32s; N]) -> S::f32s {
        self.0.apply(simd, simd.splat_f32s(0.0), from)
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{assert_close, values};
    use super::super::vector::levels;
    use super::*;

    const LENGTHS: [usize; 9] = [0, 1, 7, 16, 48, 63, 1024, 1030, 5000];

    #[test]
    fn moments_are_exact_far_from_zero() {
        levels::each(|| {
            for len in LENGTHS.into_iter().skip(1) {
                for centre in [0.0, 3.0, -5000.0] {
                    let x: Vec<f32> = values(len as u64, len).iter().map(|x| x + centre).collect();
                    let mean = x.iter().map(|&x| f64::from(x)).sum::<f64>() / len as f64;
                    let squares: f64 = x.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum();
                    let moments = moments(&x);
                    assert_eq!(moments.count, len as f64);
                    assert!(
                        (moments.mean - mean).abs() <= 1e-7 * mean.abs().max(1.0),
                        "{len} {centre} {moments:?} {mean}"
                    );
                    assert!(
                        (moments.squares - squares).abs() <= 1e-5 * squares + 1e-9,
                        "{len} {centre} {moments:?} {squares}"
                    );
                }
            }
            assert_eq!(moments(&[]), Moments::default());
        });
    }

    #[test]
    fn sums_are_those_of_scalar_loops() {
        levels::each(|| {
            for len in LENGTHS {
                let (g, z) = (values(1, len), values(2, len));
                let first: f64 = g.iter().map(|&g| f64::from(g)).sum();
                let product: f64 = g.iter().zip(&z).map(|(&g, &z)| f64::from(g) * (f64::from(z) - 0.25)).sum();
                let sums = weighted_sums(&g, &z, 0.25);
                let scale = 1e-6 * (len as f64 + 1.0);
                assert!((sums.0 - first).abs() <= scale && (sums.1 - product).abs() <= scale, "{len} {sums:?}");
                let squares: f64 = g.iter().map(|&g| f64::from(g) * f64::from(g)).sum();
                let several = weighted_sums_of(&g, [(&z, 0.25), (&g, 0.0), (&z, 0.25)]);
                assert!((several.1[1] - squares).abs() <= scale, "{len} {several:?}");
                assert_eq!((several.0, several.1[0], several.1[2]), (sums.0, sums.1, sums.1));
                assert!((sum(&g) - first).abs() <= scale, "{len}");
            }
        });
    }

    #[test]
    fn maps_are_those_of_scalar_loops() {
        levels::each(|| {
            for len in LENGTHS {
                let (g, z, start) = (values(3, len), values(4, len), values(5, len));
                let check = |run: &dyn Fn(&mut [f32]), scalar: &dyn Fn(usize) -> f32| {
                    let mut out = start.clone();
                    run(&mut out);
                    assert_close(&out, &(0..len).map(scalar).collect::<Vec<_>>(), 1.0);
                };
                check(&|out| affine_floor(&g, -1.5, 0.2, 0.0, out), &|i| (g[i] * -1.5 + 0.2).max(0.0));
                check(&|out| affine_floor(&g, -1.5, 0.2, f32::NEG_INFINITY, out), &|i| g[i] * -1.5 + 0.2);
                check(&|out| multiply(&g, out), &|i| start[i] * g[i]);
                check(&|out| axpy(0.7, &g, out), &|i| start[i] + 0.7 * g[i]);
                for count in 0..=2 * BESIDE + 1 {
                    let of = |n: usize| (0.3 - 0.1 * n as f32, if n.is_multiple_of(2) { &g } else { &z });
                    let run = |out: &mut [f32]| {
                        let mut sum = WeightedSum::new(0.1);
                        (0..count).map(of).for_each(|(a, x)| sum.add(a, x, out));
                        sum.add_shift(0.2);
                        sum.flush(out);
                    };
                    check(&run, &|i| 0.3 + (0..count).map(of).map(|(a, x)| a * x[i]).sum::<f32>());
                }
            }
        });
    }

    #[test]
    fn not_a_number_goes_through() {
        levels::each(|| {
            let mut out = [1.0; 19];
            affine_floor(&[f32::NAN; 19], 1.0, 0.0, 0.0, &mut out);
            assert!(out.iter().all(|out| out.is_nan()));
        });
    }
}
