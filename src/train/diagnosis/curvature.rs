//! The largest eigenvalue of the Hessian of the validation loss in the alphas.
//!
//! Where it grows, the valley that the alphas found is sharp, and a step to a one-hot choice leaves
//! it (Zela et al., "Understanding and Robustifying Differentiable Architecture Search", arXiv
//! 1909.09656). The reference builds the whole matrix on one batch; here it is Lanczos' iteration
//! on products `H v`, each the central difference `(∇_α L(α + εv) − ∇_α L(α − εv)) / 2ε`.
//!
//! Batch norm is in training mode: this is the loss that alphas descend on in a bilevel search, and
//! running statistics lag behind the weights. The statistics that the passes come to are dropped.

use crate::{
    model::{host, initial_alphas},
    tasks::Batch,
    train::Learner,
};
use burn::tensor::Tensor;

/// How far a difference moves the alphas, all together. Our choice: a softmax bends over distances
/// of about 1, so the error that grows with ε² stays at some 1e-4 of the product, well above the
/// rounding of gradients in single precision. Over the kinks of a ReLU it averages.
const REACH: f64 = 0.05;

/// An iteration that changes the eigenvalue by less than this share is the last. Our choice: the
/// curve is read, not computed with.
const SETTLED: f64 = 1e-3;

/// Tells the direction that an iteration starts in from the first alphas.
const START: u64 = 0x6375_7276_6174_7572;

/// On one batch of held-out images, by at most `iterations` products. `None` where it is no number.
/// The alphas are afterwards where they were, to the bit.
pub(super) fn largest_eigenvalue(learner: &mut Learner, batch: &Batch, iterations: usize, seed: u64) -> Option<f64> {
    let device = learner.state.alphas.values().device();
    let start = initial_alphas(learner.model.network(), 1.0, seed ^ START, &device).to_host();
    let start = start.into_iter().map(f64::from).collect();
    largest(|direction| product(learner, batch, direction), start, iterations)
}

/// The largest eigenvalue of the symmetric matrix that `product` multiplies a vector with, by
/// Lanczos' iteration from `start`: that of the matrix on the space of the directions seen so far,
/// which grows towards it however large others are below zero.
fn largest(mut product: impl FnMut(&[f64]) -> Vec<f64>, start: Vec<f64>, iterations: usize) -> Option<f64> {
    let mut basis = vec![normalised(start)?];
    let (mut diagonal, mut beside, mut eigenvalue) = (Vec::new(), Vec::new(), f64::NEG_INFINITY);
    while diagonal.len() < iterations {
        let direction = basis.last()?;
        let mut moved = product(direction);
        let bend = dot(&moved, direction);
        if !bend.is_finite() {
            return None;
        }
        diagonal.push(bend);
        let found = largest_of_tridiagonal(&diagonal, &beside);
        let settled = (found - eigenvalue).abs() <= SETTLED * found.abs();
        eigenvalue = found;
        // Against every direction and twice, or rounding lets those that were found come back.
        for seen in basis.iter().chain(&basis) {
            let along = dot(&moved, seen);
            moved.iter_mut().zip(seen).for_each(|(moved, seen)| *moved -= along * seen);
        }
        let rest = dot(&moved, &moved).sqrt();
        let scale = diagonal.iter().fold(0.0_f64, |most, bend| most.max(bend.abs()));
        if settled || basis.len() == basis[0].len() || rest <= SETTLED * scale {
            break;
        }
        beside.push(rest);
        basis.push(normalised(moved)?);
    }
    Some(eigenvalue)
}

/// Of the symmetric matrix with `diagonal` and, to either side, `beside`: bisection by the number
/// of eigenvalues below a point, which is the number of negative pivots of the matrix less that
/// point.
fn largest_of_tridiagonal(diagonal: &[f64], beside: &[f64]) -> f64 {
    let is_above_all = |point: f64| {
        let (mut pivot, mut off) = (f64::INFINITY, 0.0);
        diagonal.iter().enumerate().all(|(at, bend)| {
            pivot = bend - point - off * off / pivot;
            off = beside.get(at).copied().unwrap_or(0.0);
            pivot < 0.0
        })
    };
    let reach = diagonal.iter().chain(beside).chain(beside).fold(0.0, |sum, x| sum + x.abs());
    let (mut below, mut above) = (-reach, reach);
    for _ in 0..f64::MANTISSA_DIGITS {
        let middle = 0.5 * (below + above);
        *if is_above_all(middle) { &mut above } else { &mut below } = middle;
    }
    0.5 * (below + above)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// `None` where it has no length.
fn normalised(vector: Vec<f64>) -> Option<Vec<f64>> {
    let length = dot(&vector, &vector).sqrt();
    (length > 0.0 && length.is_finite()).then(|| vector.into_iter().map(|x| x / length).collect())
}

/// `H v` of a direction of length 1.
fn product(learner: &mut Learner, batch: &Batch, direction: &[f64]) -> Vec<f64> {
    let here = learner.state.alphas.values();
    let along: Vec<f32> = direction.iter().map(|&x| (x * REACH) as f32).collect();
    let along = Tensor::<1>::from_floats(along.as_slice(), &here.device());
    let mut gradient = |alphas: Tensor<1>| {
        learner.state.alphas.set(alphas);
        host(learner.alpha_gradient(&learner.own_mixing_gradient(batch)))
    };
    let (plus, minus) = (gradient(here.clone() + along.clone()), gradient(here.clone() - along));
    learner.state.alphas.set(here);
    plus.into_iter().zip(minus).map(|(plus, minus)| (f64::from(plus) - f64::from(minus)) / (2.0 * REACH)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        edited::edited,
        model::Mixing,
        train::{AlphaConfig, tiny},
    };

    /// The Hessian entry by entry from second differences of the loss.
    fn hessian(learner: &mut Learner, batch: &Batch) -> Vec<Vec<f64>> {
        let here = learner.state.alphas.to_host();
        let device = learner.state.alphas.values().device();
        let n = here.len();
        let h = 0.1_f32;
        let mut loss = |moves: &[(usize, f32)]| {
            let mut alphas = here.clone();
            moves.iter().for_each(|&(at, step)| alphas[at] += step);
            learner.state.alphas.set(Tensor::from_floats(alphas.as_slice(), &device));
            f64::from(learner.pass(batch).loss.into_scalar::<f32>())
        };
        let mut entry = |i: usize, j: usize| {
            let [far, mixed, other, near] = [(h, h), (h, -h), (-h, h), (-h, -h)].map(|(a, b)| loss(&[(i, a), (j, b)]));
            (far - mixed - other + near) / f64::from(4.0 * h * h)
        };
        let matrix = (0..n).map(|i| (0..n).map(|j| entry(i, j)).collect()).collect();
        learner.state.alphas.set(Tensor::from_floats(here.as_slice(), &device));
        matrix
    }

    /// The spectrum of a symmetric matrix by Jacobi rotations.
    fn eigenvalues(mut a: Vec<Vec<f64>>) -> Vec<f64> {
        let n = a.len();
        for _ in 0..100 {
            for p in 0..n {
                for q in p + 1..n {
                    if a[p][q].abs() < 1e-15 {
                        continue;
                    }
                    let angle = 0.5 * (2.0 * a[p][q]).atan2(a[q][q] - a[p][p]);
                    let (s, c) = angle.sin_cos();
                    for row in &mut a {
                        (row[p], row[q]) = (c * row[p] - s * row[q], s * row[p] + c * row[q]);
                    }
                    let [upper, lower] = a.get_disjoint_mut([p, q]).unwrap();
                    for (up, low) in upper.iter_mut().zip(lower) {
                        (*up, *low) = (c * *up - s * *low, s * *up + c * *low);
                    }
                }
            }
        }
        (0..n).map(|at| a[at][at]).collect()
    }

    #[test]
    fn on_a_learner_it_is_the_largest_of_the_brute_force_hessian() {
        for mixing in [Mixing::Softmax, Mixing::Sigmoid] {
            let config = tiny::with(AlphaConfig { deviation: 1.0, mixing: mixing.into(), ..AlphaConfig::default() });
            // Without a ReLU, whose kinks have no curvature that two differences of another reach
            // could agree on.
            let mut learner = tiny::learner(&edited(tiny::SPACE, &[("relu, ", "")]), &config);
            for batch in tiny::batches() {
                let before = learner.state.alphas.to_host();
                let hessian = hessian(&mut learner, &batch);
                let spectrum = eigenvalues(hessian.clone());
                let radius = spectrum.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
                assert!(radius > 1e-3, "the loss bends: {spectrum:?}");
                for (at, column) in hessian.iter().enumerate() {
                    let along: Vec<f64> = (0..hessian.len()).map(|i| f64::from(u8::from(i == at))).collect();
                    let found = product(&mut learner, &batch, &along);
                    let near = |(a, b): (&f64, &f64)| (a - b).abs() < 0.03 * radius;
                    assert!(found.iter().zip(column).all(near), "{mixing:?}: {found:?} is not {column:?}");
                }
                let largest = spectrum.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let found = largest_eigenvalue(&mut learner, &batch, 20, 7).unwrap();
                assert!((found - largest).abs() < 0.03 * radius, "{mixing:?}: {found} in {spectrum:?}");
                assert_eq!(learner.state.alphas.to_host(), before, "the alphas are where they were, to the bit");
                assert_eq!(largest_eigenvalue(&mut learner, &batch, 20, 7).unwrap().to_bits(), found.to_bits());
            }
        }
    }

    #[test]
    fn the_largest_is_found_beside_one_that_is_larger_in_size_and_negative() {
        let largest = |matrix: [[f64; 3]; 3]| {
            let product = |v: &[f64]| matrix.iter().map(|row| row.iter().zip(v).map(|(a, b)| a * b).sum()).collect();
            largest(product, vec![0.6, 0.1, 0.8], 20).unwrap()
        };
        for (matrix, expected) in [
            ([[2.0, 1.0, 0.0], [1.0, 2.0, 0.0], [0.0, 0.0, 0.5]], 3.0),
            ([[2.0, 1.0, 0.0], [1.0, 2.0, 0.0], [0.0, 0.0, -5.0]], 3.0),
            ([[-2.0, 0.0, 0.0], [0.0, -3.0, 0.0], [0.0, 0.0, -1.0]], -1.0),
            ([[0.0; 3]; 3], 0.0),
        ] {
            let found = largest(matrix);
            assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
        }
    }

    #[test]
    fn rotations_find_the_spectrum() {
        let mut found = eigenvalues(vec![vec![2.0, 1.0, 0.0], vec![1.0, 2.0, 0.0], vec![0.0, 0.0, -5.0]]);
        found.sort_by(f64::total_cmp);
        assert!(found.iter().zip([-5.0, 1.0, 3.0]).all(|(a, b)| (a - b).abs() < 1e-9), "{found:?}");
    }
}
