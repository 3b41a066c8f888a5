//! Mixing weights that become sparse while a radius grows.
//!
//! SparsestMax (Shao et al., "SSN: Learning Sparse Switchable Normalization via SparsestMax", CVPR
//! 2019): the alphas of an edge are projected to the simplex of weights that sum to 1 (sparsemax,
//! Martins and Astudillo, arXiv 1602.02068), and what lies nearer than the radius to the middle of
//! the face that it falls on is pushed out to that distance. Where the push leaves the simplex, a
//! candidate is dropped and the same is done on the smaller face. With a radius of 0 it is
//! sparsemax. One of 1 is beyond every corner, whose distance from the middle of `k` candidates is
//! `√(1 − 1/k)`, and leaves one candidate, the one of the largest alpha.

use super::host;
use crate::space::network::AlphaTable;
use burn::tensor::{Tensor, TensorData};

/// The weights of a table.
///
/// The gradient is that of the formulas at which the alphas arrive, with the candidates that are
/// dropped and their number held fixed, as automatic differentiation of the reference gives it. An
/// edge of one candidate that is left has none.
///
/// # Shapes
/// `[edges, candidates]` → the same; columns that a narrow edge does not use are 0.
pub(super) fn sparsestmax(table: &AlphaTable, alpha: Tensor<2>, radius: f64) -> Tensor<2> {
    let [rows, columns] = alpha.dims();
    let numbers = host(alpha.clone());
    let mut weights = vec![0.0; rows * columns];
    let mut jacobians = vec![0.0; rows * columns * columns];
    for (row, edge) in table.candidates.iter().enumerate() {
        let alphas = numbers[row * columns..][..edge.len()].iter().copied().map(f64::from);
        let Point { value, jacobian } = Point::mixed(alphas.collect(), radius);
        for (at, (weight, slopes)) in value.iter().zip(jacobian).enumerate() {
            let place = row * columns + at;
            weights[place] = *weight as f32;
            for (to, slope) in jacobians[place * columns..].iter_mut().zip(slopes) {
                *to = slope as f32;
            }
        }
    }
    let device = alpha.device();
    let weights = Tensor::from_data(TensorData::new(weights, [rows, columns]), &device);
    if !alpha.is_autodiff() {
        return weights;
    }
    // The tangent at the alphas: there its value is the weights, to the bit, and its gradient the
    // Jacobian's.
    let jacobians = Tensor::<3>::from_data(TensorData::new(jacobians, [rows, columns, columns]), &device);
    let moved = (alpha.clone() - alpha.detach()).reshape([rows, 1, columns]);
    weights + (jacobians * moved).sum_dim(2).reshape([rows, columns])
}

/// Alphas of one edge on their way to weights.
struct Point {
    value: Vec<f64>,
    /// Row `i` holds the derivatives of value `i` in all alphas.
    jacobian: Vec<Vec<f64>>,
}

/// Below this distance from the middle there is no direction to push in: the alphas are equal. The
/// weights stay equal then, with the gradient of sparsemax, so that the alphas can part (the guard
/// is ours; the reference divides by a tiny constant).
const TIE: f64 = 1e-12;

impl Point {
    fn mixed(alphas: Vec<f64>, radius: f64) -> Self {
        let count = alphas.len();
        let unit = |row: usize| (0..count).map(|column| f64::from(u8::from(row == column))).collect();
        let mut point = Self { value: alphas, jacobian: (0..count).map(unit).collect() };
        // Middle of the face before, and radius there.
        let mut outer: Option<(Vec<f64>, f64)> = None;
        // Each round drops a candidate at least.
        for _ in 0..count {
            let face = point.project();
            let middle: Vec<f64> = face.iter().map(|&on| if on { 1.0 / size(&face) } else { 0.0 }).collect();
            // The circle in which the face cuts the sphere before. Rounding may leave a hair
            // below 0.
            let radius = match &outer {
                None => radius,
                Some((centre, radius)) => (radius.powi(2) - distance(&middle, centre).powi(2)).max(0.0).sqrt(),
            };
            let reached = distance(&point.value, &middle);
            if size(&face) == 1.0 || reached >= radius || reached < TIE {
                break;
            }
            point.push(&middle, radius / reached);
            if point.value.iter().all(|&weight| weight >= 0.0) {
                point.value.iter_mut().for_each(|weight| *weight = weight.min(1.0));
                break;
            }
            outer = Some((middle, radius));
        }
        point
    }

    /// Sparsemax: the nearest point of the simplex, `max(z − τ, 0)` with the τ that makes the
    /// sum 1. Says which entries are above 0.
    fn project(&mut self) -> Vec<bool> {
        let mut falling = self.value.clone();
        falling.sort_by(|a, b| b.total_cmp(a));
        let (mut sum, mut threshold) = (0.0, f64::NEG_INFINITY);
        for (at, z) in falling.into_iter().enumerate() {
            sum += z;
            let candidate = (sum - 1.0) / (at + 1) as f64;
            if z > candidate {
                threshold = candidate;
            }
        }
        let face: Vec<bool> = self.value.iter().map(|&z| z > threshold).collect();
        let alone = size(&face) == 1.0;
        for (z, &on) in self.value.iter_mut().zip(&face) {
            *z = match on {
                true if alone => 1.0,
                true => *z - threshold,
                false => 0.0,
            };
        }
        // On the face `z − mean z`, up to a constant; off it nothing moves.
        for column in 0..face.len() {
            let on = self.jacobian.iter().zip(&face).filter(|(_, on)| **on);
            let mean = on.map(|(row, _)| row[column]).sum::<f64>() / size(&face);
            for (row, &on) in self.jacobian.iter_mut().zip(&face) {
                row[column] = if on { row[column] - mean } else { 0.0 };
            }
        }
        face
    }

    /// `u + s (p − u)` with `s = r / ‖p − u‖`: its derivative is `s (1 − v vᵀ)` with the direction
    /// `v = (p − u) / ‖p − u‖`.
    fn push(&mut self, middle: &[f64], scale: f64) {
        let reached = distance(&self.value, middle);
        let direction: Vec<f64> = self.value.iter().zip(middle).map(|(p, u)| (p - u) / reached).collect();
        for column in 0..direction.len() {
            let along: f64 = self.jacobian.iter().zip(&direction).map(|(row, v)| row[column] * v).sum();
            for (row, v) in self.jacobian.iter_mut().zip(&direction) {
                row[column] = scale * (row[column] - v * along);
            }
        }
        for (p, u) in self.value.iter_mut().zip(middle) {
            *p = u + scale * (*p - u);
        }
    }
}

fn size(face: &[bool]) -> f64 {
    face.iter().filter(|on| **on).count() as f64
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::super::{
        Relaxation,
        tiny::{alphas, table},
    };
    use super::*;
    use proptest::prelude::*;

    fn weights(alphas: &[f64], radius: f64) -> Vec<f64> {
        Point::mixed(alphas.to_vec(), radius).value
    }

    #[track_caller]
    fn near(found: &[f64], expected: &[f64]) {
        assert!(distance(found, expected) < 1e-9, "{found:?} is not {expected:?}");
    }

    /// By another way than the sorted one: the threshold by halving an interval.
    fn sparsemax(alphas: &[f64]) -> Vec<f64> {
        let most = alphas.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let (mut low, mut high) = (most - 1.0, most);
        for _ in 0..100 {
            let middle = (low + high) / 2.0;
            let sum: f64 = alphas.iter().map(|z| (z - middle).max(0.0)).sum();
            if sum > 1.0 { low = middle } else { high = middle }
        }
        alphas.iter().map(|z| (z - high).max(0.0)).collect()
    }

    /// Two candidates: the projection is (0.6, 0.4), 0.1·√2 from the middle. Three: the push along
    /// (1, 0, −1)/√2 by 0.5 leaves the simplex (0.33 + 0.35, 0.33, 0.33 − 0.35 < 0); on the face of
    /// the first two the circle has the radius √(0.25 − 1/6).
    #[test]
    fn small_cases_are_those_of_a_page() {
        near(&weights(&[0.2, 0.0], 0.0), &[0.6, 0.4]);
        near(&weights(&[0.2, 0.0], 0.1), &[0.6, 0.4]);
        let half = 0.3 / 2_f64.sqrt();
        near(&weights(&[0.2, 0.0], 0.3), &[0.5 + half, 0.5 - half]);
        let half = (0.25_f64 - 1.0 / 6.0).sqrt() / 2_f64.sqrt();
        near(&weights(&[0.1, 0.0, -0.1], 0.5), &[0.5 + half, 0.5 - half, 0.0]);
        assert_eq!(weights(&[0.3], 0.5), [1.0]);
    }

    #[test]
    fn ties_stay_finite_and_can_part() {
        for (alphas, expected) in [
            (vec![0.25; 4], vec![0.25; 4]),
            (vec![2.0, 2.0, 0.5], vec![0.5, 0.5, 0.0]),
            (vec![3.0, 0.0, 0.0], vec![1.0, 0.0, 0.0]),
        ] {
            let Point { value, jacobian } = Point::mixed(alphas, 1.0);
            near(&value, &expected);
            // The gradient of sparsemax, 1 − 1/k of itself, unless one is left.
            let left = expected.iter().filter(|weight| **weight > 0.0).count() as f64;
            assert!((jacobian[0][0] - (1.0 - 1.0 / left)).abs() < 1e-12, "{jacobian:?}");
        }
        // Equal only after the third was pushed out.
        let Point { value, jacobian } = Point::mixed(vec![1.0, 1.0, 0.9], 1.0);
        near(&value, &[0.5, 0.5, 0.0]);
        assert!(jacobian.iter().flatten().all(|slope| slope.is_finite()), "{jacobian:?}");
        assert!(jacobian[0][0] > 0.0 && jacobian[0][1] < 0.0, "{jacobian:?}");
    }

    #[test]
    fn a_narrow_edge_has_the_weights_and_the_gradient_of_its_own_candidates() {
        let group = alphas([2, 3], vec![0.1, -0.1, 0.0, 0.2, 0.0, 9.0]);
        let leaves = group.leaves();
        let found = Relaxation::Sparsestmax { radius: 0.3 }.weights(&[table(&[3, 2])], &leaves).remove(0);
        let numbers: Vec<f64> = host(found.clone()).into_iter().map(f64::from).collect();
        for (found, expected) in
            [(&numbers[..3], weights(&[0.1, -0.1, 0.0], 0.3)), (&numbers[3..5], weights(&[0.2, 0.0], 0.3))]
        {
            assert!(distance(found, &expected) < 1e-6, "{found:?} is not {expected:?}");
        }
        assert_eq!(numbers[5], 0.0);
        let by = [1.0, -2.0, 0.5];
        let benefit = Tensor::<2>::from_data([by.map(|b| b as f32), by.map(|b| b as f32)], &found.device());
        let gradient = host(group.gradient(&leaves, &(found * benefit).sum().backward()));
        let Point { jacobian, .. } = Point::mixed(vec![0.1_f32, -0.1, 0.0].into_iter().map(f64::from).collect(), 0.3);
        for (column, found) in gradient[..3].iter().enumerate() {
            let expected: f64 = jacobian.iter().zip(by).map(|(row, by)| row[column] * by).sum();
            assert!((f64::from(*found) - expected).abs() < 1e-5, "{found} is not {expected}");
        }
        assert!(gradient[..3].iter().any(|slope| slope.abs() > 1e-3), "{gradient:?}");
        // On a circle of two candidates only one place is as far out: the weights do not move.
        assert!(gradient[3..].iter().all(|slope| slope.abs() < 1e-5), "{gradient:?}");
    }

    fn row() -> impl Strategy<Value = Vec<f64>> {
        proptest::collection::vec(-1.0..1.0_f64, 1..9)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn always_on_the_simplex_and_in_the_order_of_the_alphas(alphas in row(), radius in 0.0..=1.0_f64, width in 1e-3..5.0_f64) {
            let alphas: Vec<f64> = alphas.iter().map(|alpha| alpha * width).collect();
            let found = weights(&alphas, radius);
            prop_assert!((found.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{found:?}");
            prop_assert!(found.iter().all(|weight| (0.0..=1.0).contains(weight)), "{found:?}");
            for (a, p) in alphas.iter().zip(&found) {
                for (b, q) in alphas.iter().zip(&found) {
                    prop_assert!(a < b || p + 1e-9 >= *q, "{alphas:?} {found:?}");
                }
            }
        }

        #[test]
        fn without_radius_it_is_sparsemax(alphas in row()) {
            prop_assert!(distance(&weights(&alphas, 0.0), &sparsemax(&alphas)) < 1e-9);
        }

        #[test]
        fn with_a_radius_of_one_the_largest_alone_is_left(alphas in row()) {
            let most = alphas.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            prop_assume!(alphas.iter().filter(|alpha| **alpha > most - 1e-6).count() == 1);
            for (alpha, weight) in alphas.iter().zip(weights(&alphas, 1.0)) {
                prop_assert_eq!(weight, f64::from(u8::from(*alpha == most)));
            }
        }

        /// Central differences, where no candidate is dropped or taken in between the two sides.
        #[test]
        fn the_jacobian_is_the_derivative(alphas in row(), radius in 0.0..=1.0_f64) {
            const STEP: f64 = 1e-6;
            let jacobian = Point::mixed(alphas.clone(), radius).jacobian;
            for column in 0..alphas.len() {
                let side = |step: f64| {
                    let mut alphas = alphas.clone();
                    alphas[column] += step;
                    Point::mixed(alphas, radius)
                };
                let (below, above) = (side(-STEP), side(STEP));
                let slopes = |point: &Point| point.jacobian.iter().map(|row| row[column]).collect::<Vec<f64>>();
                let steep = slopes(&below).iter().fold(1.0_f64, |most, slope| most.max(slope.abs()));
                // A kink lies between: the derivative jumps.
                prop_assume!(distance(&slopes(&below), &slopes(&above)) < 1e-3 * steep);
                for (row, (above, below)) in above.value.iter().zip(&below.value).enumerate() {
                    let (found, expected) = (jacobian[row][column], (above - below) / (2.0 * STEP));
                    prop_assert!((found - expected).abs() < 1e-3 * steep, "{}: {} is not {}", row, found, expected);
                }
            }
        }
    }
}
