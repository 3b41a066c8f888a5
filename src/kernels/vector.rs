//! Arithmetic on vectors as long as all weights, in one pass over memory, on the CPU.
//!
//! An optimiser is a handful of operations a weight, and millions of weights do not fit a cache:
//! written with tensor operations, each of which reads all from memory and takes new memory for its
//! result, it costs several times what it must. On other devices tensor operations it is: a backend
//! there fuses them.

use std::array;

use burn::backend::{DispatchDevice, Flex};
use burn::tensor::{DType, Tensor};
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::operator::values;

/// Values that a thread takes at a time: 64 KiB of each vector, so that what it holds of all stays
/// in its cache.
const PIECE: usize = 1 << 14;
/// Values that are computed side by side.
const LANES: usize = 64;
/// Values that are summed in `f32`, [`SUMS`] sums side by side, before the sum goes on in `f64`.
const BLOCK: usize = 1024;
const SUMS: usize = 16;

/// Whether the functions of this file are for `vector`: untracked, of `f32`, on the CPU.
pub fn is_on_cpu(vector: &Tensor<1>) -> bool {
    vector.dtype() == DType::F32 && matches!(vector.device().as_dispatch(), DispatchDevice::Flex(_))
}

/// Maps what stands at each place of the vectors `changed` and `read` to what shall stand in
/// `changed` there. A vector that nobody else holds is changed where it is; of others a copy is.
///
/// # Shapes
/// all `[len]`
///
/// # Panics
/// Where lengths differ, or a vector is none that [`is_on_cpu`].
pub fn update<const N: usize, const R: usize>(
    changed: [Tensor<1>; N],
    read: [Tensor<1>; R],
    next: impl Fn([f32; N], [f32; R]) -> [f32; N] + Sync,
) -> [Tensor<1>; N] {
    let (mut changed, read) = (changed.map(flex), read.map(flex));
    let sources = read.each_ref().map(values);
    let targets = changed.each_mut().map(|vector| vector.storage_mut::<f32>());
    let len = targets.first().map_or(0, |target| target.len());
    assert!(targets.iter().all(|target| target.len() == len), "vectors of one length are updated");
    let mut targets = targets.map(|target| target.chunks_mut(PIECE));
    let pieces: Vec<_> = (0..len)
        .step_by(PIECE)
        .map(|start| {
            let targets = targets.each_mut().map(|pieces| pieces.next().unwrap_or_default());
            (targets, sources.map(|source| &source[start..len.min(start + PIECE)]))
        })
        .collect();
    pieces.into_par_iter().for_each(|(targets, sources)| map(targets, sources, &next));
    changed.map(Tensor::from_primitive::<Flex>)
}

/// `Σ v²`, summed in an order that depends on the length alone.
///
/// # Shapes
/// `[len]`
///
/// # Panics
/// Where the vector is none that [`is_on_cpu`].
pub fn sum_of_squares(vector: Tensor<1>) -> f64 {
    let vector = flex(vector);
    let of_piece = |piece: &[f32]| piece.chunks(BLOCK).map(squares).sum::<f64>();
    values(&vector).par_chunks(PIECE).map(of_piece).collect::<Vec<_>>().into_iter().sum()
}

fn flex(vector: Tensor<1>) -> FlexTensor {
    vector.try_into_primitive::<Flex>().expect("a vector on the CPU").to_contiguous()
}

/// One piece of each vector, all of one length.
fn map<const N: usize, const R: usize>(
    mut targets: [&mut [f32]; N],
    sources: [&[f32]; R],
    next: impl Fn([f32; N], [f32; R]) -> [f32; N],
) {
    let len = targets.first().map_or(0, |target| target.len());
    for start in (0..len).step_by(LANES) {
        let range = start..len.min(start + LANES);
        // Arrays of a known length, apart from each other: the loop over them becomes vector
        // instructions.
        let (mut now, mut seen) = ([[0.0; LANES]; N], [[0.0; LANES]; R]);
        for (lanes, target) in now.iter_mut().zip(&targets) {
            lanes[..range.len()].copy_from_slice(&target[range.clone()]);
        }
        for (lanes, source) in seen.iter_mut().zip(&sources) {
            lanes[..range.len()].copy_from_slice(&source[range.clone()]);
        }
        for lane in 0..LANES {
            let then = next(array::from_fn(|of| now[of][lane]), array::from_fn(|of| seen[of][lane]));
            for (lanes, value) in now.iter_mut().zip(then) {
                lanes[lane] = value;
            }
        }
        for (lanes, target) in now.iter().zip(&mut targets) {
            target[range.clone()].copy_from_slice(&lanes[..range.len()]);
        }
    }
}

fn squares(block: &[f32]) -> f64 {
    let (whole, rest) = block.as_chunks::<SUMS>();
    let mut sums = [0.0_f32; SUMS];
    for values in whole {
        for (sum, value) in sums.iter_mut().zip(values) {
            *sum += value * value;
        }
    }
    sums.iter().chain([&rest.iter().map(|value| value * value).sum()]).map(|&sum| f64::from(sum)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};

    fn vector(values: Vec<f32>) -> Tensor<1> {
        let len = values.len();
        Tensor::from_data(TensorData::new(values, [len]), &Device::flex())
    }

    fn numbers(vector: Tensor<1>) -> Vec<f32> {
        vector.into_data().try_into_vec().unwrap()
    }

    /// Lengths around a lane, a piece, and several pieces.
    const LENGTHS: [usize; 7] = [0, 1, LANES - 1, LANES + 1, PIECE, PIECE + 1, 3 * PIECE + 77];

    #[test]
    fn every_place_is_mapped_once_and_what_others_hold_stays() {
        for len in LENGTHS {
            let numbered = |factor: f32| vector((0..len).map(|at| factor * at as f32).collect());
            let (first, second, held) = (numbered(1.0), numbered(2.0), numbered(3.0));
            let [first, second] = update([first, held.clone()], [second], |[a, held], [b]| [a + b, held + 1.0]);
            assert_eq!(numbers(first), (0..len).map(|at| 3.0 * at as f32).collect::<Vec<_>>());
            assert_eq!(numbers(second), (0..len).map(|at| 3.0 * at as f32 + 1.0).collect::<Vec<_>>());
            assert_eq!(numbers(held), (0..len).map(|at| 3.0 * at as f32).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_slice_is_mapped_and_the_vector_that_it_is_of_stays() {
        let whole = vector((0..10).map(|at| at as f32).collect());
        let [part] = update([whole.clone().slice_dim(0, 2..5)], [], |[a], []| [-a]);
        assert_eq!(numbers(part), [-2.0, -3.0, -4.0]);
        assert_eq!(numbers(whole)[2..5], [2.0, 3.0, 4.0]);
    }

    #[test]
    fn squares_are_summed_as_exactly_as_in_f64_and_alike_on_any_number_of_threads() {
        for len in LENGTHS {
            let values: Vec<f32> = (0..len).map(|at| (at as f32 * 0.37).sin() + 0.5).collect();
            let exact: f64 = values.iter().map(|&value| f64::from(value).powi(2)).sum();
            let on = |threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| sum_of_squares(vector(values.clone())))
            };
            let found = on(1);
            assert!((found - exact).abs() <= 2e-7 * exact, "{len}: {found} is not {exact}");
            assert_eq!(found.to_bits(), on(3).to_bits());
        }
    }
}
