//! The sums before and after the products of Winograd's F(4, 3), of four rows at a time;
//! [`winograd`](super::super::winograd) says what they are.

use pulp::{Simd, WithSimd};

use super::vector::{dispatch, load, store};

/// Outputs of a tile.
pub(crate) const ROWS: usize = 4;
/// Products of a tile, and inputs.
pub(crate) const PRODUCTS: usize = 6;

/// The points at which the polynomials are taken: 0, ±p, ±q and infinity, with `p² = 1/2` and
/// `q² = 2`.
pub(crate) const P: f32 = std::f32::consts::FRAC_1_SQRT_2;
pub(crate) const Q: f32 = std::f32::consts::SQRT_2;

/// Rows of a plane, and where windows begin in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plane<'a> {
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
pub(crate) struct Before {
    pub scale: f32,
    pub shift: f32,
    pub least: f32,
}

/// The inputs `t` of the products of the tiles of `rows` rows. In each of `out`, rows of tiles are
/// `pitch` apart, and what is written of each begins after `left` values. `zeros` are as many as a
/// row takes.
///
/// # Panics
/// When the rows do not fit.
pub(crate) fn inputs(
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
pub(crate) struct Lines {
    pub rows: usize,
    pub width: usize,
    /// Distance of two rows.
    pub pitch: usize,
}

/// The outputs of the products `m`, whose rows of tiles are `pitch` apart, added to what is there
/// where `accumulate`. What `spare` holds is lost.
///
/// # Panics
/// When the rows do not fit.
pub(crate) fn outputs(
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

/// The gradients of the products of every tile, from the outputs' gradient `y`, of which rows that
/// are not there are zeros. In each of `out`, rows of tiles are `pitch` apart, with zeros behind
/// what `y` has. `zeros` are as many as a row has.
///
/// # Panics
/// When the rows do not fit.
pub(crate) fn adjoints(y: &[f32], lines: Lines, zeros: &[f32], out: [&mut [f32]; PRODUCTS], pitch: usize) {
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

#[cfg(test)]
mod tests {
    use super::super::sample::{assert_close, values};
    use super::super::vector::levels;
    use super::*;

    /// Calls `test` with numbers of rows and widths, whole vectors and tiles or not.
    fn each_shape(mut test: impl FnMut(usize, usize)) {
        levels::each(|| {
            for rows in 1..=9 {
                for width in [1, 5, 16, 21, 48] {
                    test(rows, width);
                }
            }
        });
    }

    /// Six planes of tiles, rows `pitch` apart.
    fn planes(tiles: usize, pitch: usize) -> Vec<Vec<f32>> {
        vec![vec![f32::NAN; tiles * pitch]; PRODUCTS]
    }

    fn slices(planes: &mut [Vec<f32>]) -> [&mut [f32]; PRODUCTS] {
        let mut planes = planes.iter_mut();
        [(); PRODUCTS].map(|()| planes.next().unwrap().as_mut_slice())
    }

    #[test]
    fn products_of_tiles_are_windows_of_three_rows() {
        let [first, middle, last] = [0.7_f32, -0.4, 0.9];
        let (near, of_near) = ((first + last / 2.0) / -1.5, P * middle / -1.5);
        let (far, of_far) = ((first + 2.0 * last) / 6.0, Q * middle / 6.0);
        let u = [first, near + of_near, near - of_near, far + of_far, far - of_far, last];
        each_shape(|rows, width| {
            let (tiles, pitch, left) = (rows.div_ceil(ROWS), width + 7, 3);
            let d = values(1, rows * (width + 2));
            let plane = Plane { values: &d, width: width + 2, start: -1, from: 1, count: width };
            let before = Before { scale: -1.5, shift: 0.2, least: 0.0 };
            let mut t = planes(tiles, pitch);
            inputs(plane, before, &vec![0.0; width], slices(&mut t), rows, pitch, left);
            let m: Vec<Vec<f32>> = t
                .iter()
                .zip(u)
                .map(|(t, u)| (0..tiles * width).map(|at| t[at / width * pitch + left + at % width] * u).collect())
                .collect();
            let start = values(2, rows * (width + 1));
            let value = |row: usize, lane: usize| (d[row * (width + 2) + 1 + lane] * -1.5 + 0.2).max(0.0);
            for accumulate in [false, true] {
                let mut expected = start.clone();
                for row in 0..rows {
                    for lane in 0..width {
                        let at = |row: Option<usize>| row.filter(|row| *row < rows).map_or(0.0, |row| value(row, lane));
                        let window = [row.checked_sub(1), Some(row), Some(row + 1)].map(at);
                        let sum = first * window[0] + middle * window[1] + last * window[2];
                        let out = &mut expected[row * (width + 1) + lane];
                        *out = if accumulate { *out + sum } else { 0.25 + sum };
                    }
                }
                let mut out = start.clone();
                let lines = Lines { rows, width, pitch: width + 1 };
                let m: [&[f32]; PRODUCTS] = std::array::from_fn(|at| m[at].as_slice());
                outputs(m, width, 0.25, &mut out, lines, accumulate, &mut Vec::new());
                assert_close(&out, &expected, 1.0);
            }
        });
    }

    /// `⟨y, outputs(m)⟩ = ⟨adjoints(y), m⟩`
    #[test]
    fn gradients_of_products_are_the_adjoint_of_outputs() {
        each_shape(|rows, width| {
            let (tiles, pitch) = (rows.div_ceil(ROWS), width + 2);
            let y = values(1, rows * width);
            let lines = Lines { rows, width, pitch: width };
            let m: Vec<Vec<f32>> = (0..PRODUCTS as u64).map(|at| values(2 + at, tiles * width)).collect();
            let mut out = vec![0.0; rows * width];
            let of_m: [&[f32]; PRODUCTS] = std::array::from_fn(|at| m[at].as_slice());
            outputs(of_m, width, 0.0, &mut out, lines, false, &mut Vec::new());
            let mut adjoint = planes(tiles, pitch);
            adjoints(&y, lines, &vec![0.0; width], slices(&mut adjoint), pitch);
            let left: f64 = y.iter().zip(&out).map(|(y, out)| f64::from(*y) * f64::from(*out)).sum();
            let mut right = 0.0;
            for (adjoint, m) in adjoint.iter().zip(&m) {
                for (adjoint, m) in adjoint.chunks_exact(pitch).zip(m.chunks_exact(width)) {
                    let (adjoint, padding) = adjoint.split_at(width);
                    right += adjoint.iter().zip(m).map(|(a, m)| f64::from(*a) * f64::from(*m)).sum::<f64>();
                    assert!(padding.iter().all(|value| *value == 0.0));
                }
            }
            assert!((left - right).abs() <= 1e-5 * (rows * width) as f64, "{rows} {width}: {left}, not {right}");
        });
    }
}
