//! The sums before and after the products of Winograd's F(4, 3), of four rows at a time; [`winograd`](super::super::winograd)
//! says what they are.

#![expect(
    clippy::needless_range_loop,
    reason = "tiles are indexed by several numbers at once, whose bounds are constants"
)]

use pulp::{Simd, WithSimd};

use super::vector::{dispatch, load, store};

/// Outputs of a tile.
pub(in crate::kernels) const ROWS: usize = 4;
/// Products of a tile, and inputs.
pub(in crate::kernels) const PRODUCTS: usize = 6;

/// The points at which the polynomials are taken: 0, ±p, ±q and infinity, with `p² = 1/2`, `q² = 2`.
pub(in crate::kernels) const P: f32 = std::f32::consts::FRAC_1_SQRT_2;
pub(in crate::kernels) const Q: f32 = std::f32::consts::SQRT_2;

/// Rows of a plane, and where windows begin in it.
#[derive(Debug, Clone, Copy)]
pub(in crate::kernels) struct Plane<'a> {
    pub values: &'a [f32],
    /// Values of a row.
    pub width: usize,
    /// The row of the plane that the first window begins with; rows that are not there are zeros.
    pub start: isize,
    /// What part of a row is taken.
    pub from: usize,
    pub count: usize,
}

impl<'a> Plane<'a> {
    /// Row `at` as windows count them.
    #[inline(always)]
    fn row(&self, at: usize) -> Option<&'a [f32]> {
        let row = usize::try_from(at as isize + self.start).ok()?;
        self.values.get(row * self.width + self.from..)?.get(..self.count)
    }
}

/// What becomes of a value first: `max(x · scale + shift, least)`.
#[derive(Debug, Clone, Copy)]
pub(in crate::kernels) struct Before {
    pub scale: f32,
    pub shift: f32,
    pub least: f32,
}

/// The inputs `t` of the products of the tiles of `rows` rows. In each of `out`, rows of tiles are `pitch` apart, and what is
/// written of each begins after `left` values. `zeros` are as many as a row takes.
///
/// # Panics
/// When the rows do not fit.
#[expect(clippy::too_many_arguments, reason = "what is read, what is written, and how both lie")]
pub(in crate::kernels) fn inputs(
    plane: Plane<'_>,
    before: Before,
    zeros: &[f32],
    out: [&mut [f32]; PRODUCTS],
    rows: usize,
    pitch: usize,
    left: usize,
) {
    dispatch(Inputs { plane, before, zeros: &zeros[..plane.count], out, rows, pitch, left });
}

struct Inputs<'a> {
    plane: Plane<'a>,
    before: Before,
    zeros: &'a [f32],
    out: [&'a mut [f32]; PRODUCTS],
    rows: usize,
    pitch: usize,
    left: usize,
}

impl WithSimd for Inputs<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { plane, before, zeros, mut out, rows, pitch, left } = self;
        let (scale, least) = (simd.splat_f32s(before.scale), simd.splat_f32s(before.least));
        for tile in 0..rows.div_ceil(ROWS) {
            let mut from = [zeros; PRODUCTS];
            let mut shift = [simd.splat_f32s(0.0); PRODUCTS];
            for row in 0..PRODUCTS {
                if let Some(found) = plane.row(ROWS * tile + row) {
                    from[row] = found;
                    shift[row] = simd.splat_f32s(before.shift);
                }
            }
            let mut to: [&mut [f32]; PRODUCTS] = Default::default();
            for (to, out) in to.iter_mut().zip(&mut out) {
                *to = &mut out[tile * pitch + left..][..plane.count];
            }
            lanewise(
                simd,
                from,
                to,
                #[inline(always)]
                |mut d, _| {
                    for row in 0..PRODUCTS {
                        let value = simd.mul_add_e_f32s(d[row], scale, shift[row]);
                        d[row] = simd.select_f32s(simd.less_than_f32s(value, least), least, value);
                    }
                    inputs_of(simd, d)
                },
            );
        }
    }
}

/// How rows of outputs lie.
#[derive(Debug, Clone, Copy)]
pub(in crate::kernels) struct Lines {
    pub rows: usize,
    pub width: usize,
    /// Distance of two rows.
    pub pitch: usize,
}

/// The outputs of the products `m`, whose rows of tiles are `pitch` apart, added to what is there where `accumulate`. What
/// `spare` holds is lost.
///
/// # Panics
/// When the rows do not fit.
pub(in crate::kernels) fn outputs(
    m: [&[f32]; PRODUCTS],
    pitch: usize,
    bias: f32,
    out: &mut [f32],
    lines: Lines,
    accumulate: bool,
    spare: &mut Vec<f32>,
) {
    spare.resize(spare.len().max(ROWS * lines.width), 0.0);
    dispatch(Outputs { m, pitch, bias, out, lines, accumulate, spare });
}

struct Outputs<'a> {
    m: [&'a [f32]; PRODUCTS],
    pitch: usize,
    bias: f32,
    out: &'a mut [f32],
    lines: Lines,
    accumulate: bool,
    /// Rows of a tile that reach beyond the last are nobody's.
    spare: &'a mut [f32],
}

impl WithSimd for Outputs<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Lines { rows, width, pitch } = self.lines;
        let bias = simd.splat_f32s(self.bias);
        for (tile, out) in self.out.chunks_mut(ROWS * pitch).take(rows.div_ceil(ROWS)).enumerate() {
            let mut from: [&[f32]; PRODUCTS] = Default::default();
            for (from, m) in from.iter_mut().zip(&self.m) {
                *from = &m[tile * self.pitch..][..width];
            }
            let left = (rows - ROWS * tile).min(ROWS);
            let mut to: [&mut [f32]; ROWS] = Default::default();
            let lines = out.chunks_mut(pitch).take(left).chain(self.spare.chunks_exact_mut(width));
            for (to, line) in to.iter_mut().zip(lines) {
                *to = &mut line[..width];
            }
            if self.accumulate {
                lanewise(
                    simd,
                    from,
                    to,
                    #[inline(always)]
                    |m, y| outputs_of(simd, m, y),
                );
            } else {
                lanewise(
                    simd,
                    from,
                    to,
                    #[inline(always)]
                    |m, _| outputs_of(simd, m, [bias; ROWS]),
                );
            }
        }
    }
}

/// The gradients of the products of every tile, from the outputs' gradient `y`, of which rows that are not there are zeros. In
/// each of `out`, rows of tiles are `pitch` apart, with zeros behind what `y` has. `zeros` are as many as a row has.
///
/// # Panics
/// When the rows do not fit.
pub(in crate::kernels) fn adjoints(y: &[f32], lines: Lines, zeros: &[f32], out: [&mut [f32]; PRODUCTS], pitch: usize) {
    dispatch(Adjoints { y, lines, zeros: &zeros[..lines.width], out, pitch });
}

struct Adjoints<'a> {
    y: &'a [f32],
    lines: Lines,
    zeros: &'a [f32],
    out: [&'a mut [f32]; PRODUCTS],
    pitch: usize,
}

impl WithSimd for Adjoints<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { y, lines: Lines { rows, width, pitch: apart }, zeros, mut out, pitch } = self;
        for tile in 0..rows.div_ceil(ROWS) {
            let mut from = [zeros; ROWS];
            for (row, from) in (ROWS * tile..rows).zip(&mut from) {
                *from = &y[row * apart..][..width];
            }
            let mut to: [&mut [f32]; PRODUCTS] = Default::default();
            for (to, out) in to.iter_mut().zip(&mut out) {
                let (row, padding) = out[tile * pitch..][..pitch].split_at_mut(width);
                if !padding.is_empty() {
                    padding.fill(0.0);
                }
                *to = row;
            }
            lanewise(
                simd,
                from,
                to,
                #[inline(always)]
                |y, _| adjoints_of(simd, y),
            );
        }
    }
}

/// One lane of the inputs of a tile: `t` of `d`.
#[inline(always)]
fn inputs_of<S: Simd>(simd: S, [d0, d1, d2, d3, d4, d5]: [S::f32s; PRODUCTS]) -> [S::f32s; PRODUCTS] {
    let (p, q) = (simd.splat_f32s(P), simd.splat_f32s(Q));
    let (half, two, sum) = (simd.splat_f32s(-0.5), simd.splat_f32s(-2.0), simd.splat_f32s(-2.5));
    let (near, of_near) = (simd.mul_add_e_f32s(d2, two, d4), simd.mul_add_e_f32s(d1, two, d3));
    let (far, of_far) = (simd.mul_add_e_f32s(d2, half, d4), simd.mul_add_e_f32s(d1, half, d3));
    let (of_near, of_far) = (simd.mul_f32s(p, of_near), simd.mul_f32s(q, of_far));
    [
        simd.mul_add_e_f32s(d2, sum, simd.add_f32s(d0, d4)),
        simd.add_f32s(near, of_near),
        simd.sub_f32s(near, of_near),
        simd.add_f32s(far, of_far),
        simd.sub_f32s(far, of_far),
        simd.mul_add_e_f32s(d3, sum, simd.add_f32s(d1, d5)),
    ]
}

/// One lane of the outputs of a tile, added to `start`: `y` of `m`.
#[inline(always)]
fn outputs_of<S: Simd>(simd: S, m: [S::f32s; PRODUCTS], start: [S::f32s; ROWS]) -> [S::f32s; ROWS] {
    let [m0, m1, m2, m3, m4, m5] = m;
    let (p, q) = (simd.splat_f32s(P), simd.splat_f32s(Q));
    let (half_p, twice_q) = (simd.splat_f32s(P / 2.0), simd.splat_f32s(2.0 * Q));
    let (half, two) = (simd.splat_f32s(0.5), simd.splat_f32s(2.0));
    let (near, of_near) = (simd.add_f32s(m1, m2), simd.sub_f32s(m1, m2));
    let (far, of_far) = (simd.add_f32s(m3, m4), simd.sub_f32s(m3, m4));
    [
        simd.add_f32s(simd.add_f32s(start[0], m0), simd.add_f32s(near, far)),
        simd.mul_add_e_f32s(of_near, p, simd.mul_add_e_f32s(of_far, q, start[1])),
        simd.mul_add_e_f32s(near, half, simd.mul_add_e_f32s(far, two, start[2])),
        simd.mul_add_e_f32s(of_near, half_p, simd.mul_add_e_f32s(of_far, twice_q, simd.add_f32s(start[3], m5))),
    ]
}

/// One lane of the gradient of a tile's products, of that of its outputs.
#[inline(always)]
fn adjoints_of<S: Simd>(simd: S, [y0, y1, y2, y3]: [S::f32s; ROWS]) -> [S::f32s; PRODUCTS] {
    let (p, q) = (simd.splat_f32s(P), simd.splat_f32s(Q));
    let (half, two) = (simd.splat_f32s(0.5), simd.splat_f32s(2.0));
    let (near, of_near) = (simd.mul_add_e_f32s(y2, half, y0), simd.mul_add_e_f32s(y3, half, y1));
    let (far, of_far) = (simd.mul_add_e_f32s(y2, two, y0), simd.mul_add_e_f32s(y3, two, y1));
    let (of_near, of_far) = (simd.mul_f32s(p, of_near), simd.mul_f32s(q, of_far));
    [
        y0,
        simd.add_f32s(near, of_near),
        simd.sub_f32s(near, of_near),
        simd.add_f32s(far, of_far),
        simd.sub_f32s(far, of_far),
        y3,
    ]
}

/// Maps what stands at each place of `from` and `to` to what shall stand in `to`.
///
/// # Panics
/// When the lengths differ.
#[inline(always)]
fn lanewise<S: Simd, const I: usize, const O: usize>(
    simd: S,
    from: [&[f32]; I],
    mut to: [&mut [f32]; O],
    value: impl Fn([S::f32s; I], [S::f32s; O]) -> [S::f32s; O],
) {
    let len = from[0].len();
    let (mut sources, mut targets) = ([std::ptr::null(); I], [std::ptr::null_mut(); O]);
    for (source, from) in sources.iter_mut().zip(&from) {
        assert_eq!(from.len(), len, "rows of one length");
        *source = from.as_ptr();
    }
    for (target, to) in targets.iter_mut().zip(&mut to) {
        assert_eq!(to.len(), len, "rows of one length");
        *target = to.as_mut_ptr();
    }
    let whole = len - len % S::F32_LANES;
    let zero = simd.splat_f32s(0.0);
    let (mut x, mut y) = ([zero; I], [zero; O]);
    for at in (0..whole).step_by(S::F32_LANES) {
        // SAFETY: each slice has `len` values, and a vector from `at` on ends before `whole`.
        unsafe {
            for n in 0..I {
                x[n] = load::<S>(sources[n].add(at));
            }
            for n in 0..O {
                y[n] = load::<S>(targets[n].add(at));
            }
            y = value(x, y);
            for n in 0..O {
                store::<S>(targets[n].add(at), y[n]);
            }
        }
    }
    if whole < len {
        for n in 0..I {
            x[n] = simd.partial_load_f32s(&from[n][whole..]);
        }
        for n in 0..O {
            y[n] = simd.partial_load_f32s(&to[n][whole..]);
        }
        y = value(x, y);
        for n in 0..O {
            simd.partial_store_f32s(&mut to[n][whole..], y[n]);
        }
    }
}
