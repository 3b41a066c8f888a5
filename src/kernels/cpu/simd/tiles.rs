//! The sums before and after the products of Winograd's F(4x4, 3x3), tile by tile;
//! [`winograd`](super::super::winograd) says what they are.

#![expect(clippy::needless_range_loop, reason = "tiles are indexed by two numbers at once, whose bounds are constants")]

use pulp::{Simd, WithSimd};

use super::vector::{dispatch, load, store};
use super::{LANES, Lanes};
use crate::cpu::element::Element;

/// Outputs of a tile along a side.
pub(crate) const SIDE: usize = 4;
/// Inputs of a tile along a side, and products.
pub(crate) const REACH: usize = 6;
/// Products of a tile.
pub(crate) const PRODUCTS: usize = REACH * REACH;

/// The points at which the polynomials are taken: 0, ±p, ±q and infinity, with `p² = 1/2` and
/// `q² = 2`.
pub(crate) const P: f32 = std::f32::consts::FRAC_1_SQRT_2;
pub(crate) const Q: f32 = std::f32::consts::SQRT_2;

/// A block of a map's pixels, and where a tile's first pixel stands in it; outside of it are zeros.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub sides: [usize; 2],
    /// Pixels from one row to the next, and to the first.
    pub pitch: usize,
    pub first: usize,
    /// `[row, column]` of the first pixel of each tile.
    pub tiles: &'a [[isize; 2]],
}

impl Place<'_> {
    /// Values up to the last pixel.
    fn reach(&self) -> usize {
        (self.first + (self.sides[0] - 1) * self.pitch + self.sides[1]) * LANES
    }

    /// Where a pixel stands, if it is one.
    #[inline(always)]
    fn pixel(&self, tile: [isize; 2], y: usize, x: usize) -> Option<usize> {
        let (y, x) = ((tile[0] + y as isize) as usize, (tile[1] + x as isize) as usize);
        (y < self.sides[0] && x < self.sides[1]).then(|| (self.first + y * self.pitch + x) * LANES)
    }

    /// Whether all of a tile's pixels are there.
    #[inline(always)]
    fn is_whole(&self, tile: [isize; 2], reach: usize) -> bool {
        (0..2).all(|axis| tile[axis] >= 0 && tile[axis] as usize + reach <= self.sides[axis])
    }

    /// # Safety
    /// The pixels are among the values from `from` on.
    #[inline(always)]
    unsafe fn load<S: Simd, const N: usize>(&self, simd: S, from: *const f32, tile: [isize; 2]) -> [[S::f32s; N]; N] {
        let mut values = [[simd.splat_f32s(0.0); N]; N];
        // SAFETY: of a whole tile all pixels are there, else those that are asked for one by one.
        unsafe {
            if self.is_whole(tile, N) {
                let from = from.add((self.first + tile[0] as usize * self.pitch + tile[1] as usize) * LANES);
                for y in 0..N {
                    let row = from.add(y * self.pitch * LANES);
                    for x in 0..N {
                        values[y][x] = load::<S>(row.add(x * LANES));
                    }
                }
            } else {
                for y in 0..N {
                    for x in 0..N {
                        if let Some(at) = self.pixel(tile, y, x) {
                            values[y][x] = load::<S>(from.add(at));
                        }
                    }
                }
            }
        }
        values
    }
}

/// What a side of a tile becomes.
trait Side<const FROM: usize, const TO: usize> {
    fn apply<S: Simd>(simd: S, from: [S::f32s; FROM]) -> [S::f32s; TO];

    /// Columns first, then rows.
    #[inline(always)]
    fn both<S: Simd>(simd: S, from: &[[S::f32s; FROM]; FROM]) -> [[S::f32s; TO]; TO] {
        let zero = simd.splat_f32s(0.0);
        let mut half = [[zero; FROM]; TO];
        for x in 0..FROM {
            let mut column = [zero; FROM];
            for y in 0..FROM {
                column[y] = from[y][x];
            }
            let column = Self::apply(simd, column);
            for y in 0..TO {
                half[y][x] = column[y];
            }
        }
        let mut to = [[zero; TO]; TO];
        for y in 0..TO {
            to[y] = Self::apply(simd, half[y]);
        }
        to
    }
}

/// The inputs `t` of products.
struct Inputs;

impl Side<REACH, REACH> for Inputs {
    #[inline(always)]
    fn apply<S: Simd>(simd: S, d: [S::f32s; REACH]) -> [S::f32s; REACH] {
        let [half, two, more] = [-0.5, -2.0, -2.5].map(|x| simd.splat_f32s(x));
        let add = |factor, x, y| simd.mul_add_e_f32s(factor, x, y);
        let (near, of_near) = (add(two, d[2], d[4]), add(two, d[1], d[3]));
        let (far, of_far) = (add(half, d[2], d[4]), add(half, d[1], d[3]));
        let ([p, minus_p], [q, minus_q]) = ([P, -P].map(|x| simd.splat_f32s(x)), [Q, -Q].map(|x| simd.splat_f32s(x)));
        [
            add(more, d[2], simd.add_f32s(d[0], d[4])),
            add(p, of_near, near),
            add(minus_p, of_near, near),
            add(q, of_far, far),
            add(minus_q, of_far, far),
            add(more, d[3], simd.add_f32s(d[1], d[5])),
        ]
    }
}

/// The outputs `y` of products.
struct Outputs;

impl Side<REACH, SIDE> for Outputs {
    #[inline(always)]
    fn apply<S: Simd>(simd: S, m: [S::f32s; REACH]) -> [S::f32s; SIDE] {
        let [half, two] = [0.5, 2.0].map(|x| simd.splat_f32s(x));
        let [p, q] = [P, Q].map(|x| simd.splat_f32s(x));
        let (near, of_near) = (simd.add_f32s(m[1], m[2]), simd.mul_f32s(p, simd.sub_f32s(m[1], m[2])));
        let (far, of_far) = (simd.add_f32s(m[3], m[4]), simd.mul_f32s(q, simd.sub_f32s(m[3], m[4])));
        [
            simd.add_f32s(m[0], simd.add_f32s(near, far)),
            simd.add_f32s(of_near, of_far),
            simd.mul_add_e_f32s(half, near, simd.mul_f32s(two, far)),
            simd.mul_add_e_f32s(half, of_near, simd.mul_add_e_f32s(two, of_far, m[5])),
        ]
    }
}

/// The gradients of products, of those of their outputs.
struct Adjoints;

impl Side<SIDE, REACH> for Adjoints {
    #[inline(always)]
    fn apply<S: Simd>(simd: S, y: [S::f32s; SIDE]) -> [S::f32s; REACH] {
        let [half, two] = [0.5, 2.0].map(|x| simd.splat_f32s(x));
        let [p, q] = [P, Q].map(|x| simd.splat_f32s(x));
        let (near, far) = (simd.mul_add_e_f32s(half, y[2], y[0]), simd.mul_add_e_f32s(two, y[2], y[0]));
        let of_near = simd.mul_f32s(p, simd.mul_add_e_f32s(half, y[3], y[1]));
        let of_far = simd.mul_f32s(q, simd.mul_add_e_f32s(two, y[3], y[1]));
        [
            y[0],
            simd.add_f32s(near, of_near),
            simd.sub_f32s(near, of_near),
            simd.add_f32s(far, of_far),
            simd.sub_f32s(far, of_far),
            y[3],
        ]
    }
}

/// The products' inputs of the tiles of a block: product `k` of tile `t` is written to
/// `out[k · layer + t · 16]`.
///
/// # Panics
/// When the pixels do not fit the slices.
pub(crate) fn inputs(from: &[f32], place: Place<'_>, out: &mut [f32], layer: usize) {
    check(from.len(), &place, out.len(), layer);
    dispatch(Spread::<REACH, Inputs> { from: from.as_ptr(), place, out: out.as_mut_ptr(), layer, side: Inputs });
}

/// The gradients of the products of the tiles of a block of gradients, written as
/// [`inputs`] are.
///
/// # Panics
/// When the pixels do not fit the slices.
pub(crate) fn adjoints(from: &[f32], place: Place<'_>, out: &mut [f32], layer: usize) {
    check(from.len(), &place, out.len(), layer);
    dispatch(Spread::<SIDE, Adjoints> { from: from.as_ptr(), place, out: out.as_mut_ptr(), layer, side: Adjoints });
}

fn check(map: usize, place: &Place<'_>, products: usize, layer: usize) {
    assert!(place.reach() <= map, "{place:?} in {map} values");
    assert!((PRODUCTS - 1) * layer + place.tiles.len() * LANES <= products, "room for the products of a tile");
}

struct Spread<'a, const N: usize, F> {
    /// The place's pixels can be read from here.
    from: *const f32,
    place: Place<'a>,
    /// All products can be written from here.
    out: *mut f32,
    layer: usize,
    #[expect(dead_code, reason = "names the sums")]
    side: F,
}

impl<const N: usize, F: Side<N, REACH>> WithSimd for Spread<'_, N, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for (at, &tile) in self.place.tiles.iter().enumerate() {
            for part in (0..LANES).step_by(S::F32_LANES) {
                // SAFETY: `check` has seen that all pixels can be read and all products written.
                unsafe {
                    let values = self.place.load::<S, N>(simd, self.from.add(part), tile);
                    let products = F::both(simd, &values);
                    let out = self.out.add(at * LANES + part);
                    for y in 0..REACH {
                        for x in 0..REACH {
                            store::<S>(out.add((y * REACH + x) * self.layer), products[y][x]);
                        }
                    }
                }
            }
        }
    }
}

/// The outputs of the tiles of a block, added to what is there where `accumulate`. Products lie as
/// [`inputs`] writes them.
///
/// # Panics
/// When the pixels do not fit the slices.
pub(crate) fn outputs<E: Element>(
    products: &[f32],
    layer: usize,
    bias: &Lanes,
    place: Place<'_>,
    out: &mut [E],
    accumulate: bool,
) {
    check(out.len(), &place, products.len(), layer);
    dispatch(Gather { products: products.as_ptr(), layer, bias, place, out: out.as_mut_ptr(), accumulate });
}

struct Gather<'a, E> {
    /// All products can be read from here.
    products: *const f32,
    layer: usize,
    bias: &'a Lanes,
    place: Place<'a>,
    /// The place's pixels can be read and written from here.
    out: *mut E,
    accumulate: bool,
}

impl<E: Element> WithSimd for Gather<'_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for (at, &tile) in self.place.tiles.iter().enumerate() {
            for part in (0..LANES).step_by(S::F32_LANES) {
                // SAFETY: `check` has seen that all products can be read and all pixels written.
                unsafe {
                    let bias = load::<S>(self.bias.0.as_ptr().add(part));
                    let from = self.products.add(at * LANES + part);
                    let mut products = [[bias; REACH]; REACH];
                    for y in 0..REACH {
                        for x in 0..REACH {
                            products[y][x] = load::<S>(from.add((y * REACH + x) * self.layer));
                        }
                    }
                    let values = Outputs::both(simd, &products);
                    for y in 0..SIDE {
                        for x in 0..SIDE {
                            let Some(at) = self.place.pixel(tile, y, x) else { continue };
                            let out = self.out.add(at + part);
                            let value = simd.add_f32s(values[y][x], bias);
                            let value = if self.accumulate { simd.add_f32s(value, E::load::<S>(out)) } else { value };
                            E::store::<S>(out, value);
                        }
                    }
                }
            }
        }
    }
}
