//! Training a network whose cells are chosen: there are no alphas, only weights descend.
//!
//! A step may be made of several batches (gradient accumulation), where one of the wanted size does
//! not fit in memory. Its gradient is the mean over all their images; batch norm sees each batch by
//! itself, as data-parallel training does.

use super::StepOutcome;
use crate::{
    model::Outputs,
    tasks::{Batch, Targets},
    train::Learner,
};
use burn::tensor::Tensor;

/// What the batches of a step add up to.
struct Sum {
    images: usize,
    loss: Tensor<1>,
    gradient: Tensor<1>,
    outputs: Vec<(Outputs, Targets)>,
}

/// One step on all images of `batches`; `None` where there is no batch.
///
/// # Errors
/// The first error of a batch; the weights are then where they were.
pub fn step<E>(
    learner: &mut Learner,
    batches: impl IntoIterator<Item = Result<Batch, E>>,
    rate: f64,
) -> Result<Option<StepOutcome>, E> {
    let mut sum: Option<Sum> = None;
    for batch in batches {
        let batch = batch?;
        let pass = learner.pass(&batch);
        learner.state.running.set(pass.running);
        if let Some(drop_path) = &mut learner.drop_path {
            drop_path.pass += 1;
        }
        let images = batch.size();
        sum = Some(match sum {
            // A single batch keeps its gradient to the bit.
            None => Sum {
                images,
                loss: pass.loss,
                gradient: pass.weight_gradient,
                outputs: vec![(pass.outputs, batch.targets)],
            },
            Some(mut sum) => {
                let (before, after) = (sum.images as f64, (sum.images + images) as f64);
                let mean =
                    |a: Tensor<1>, b: Tensor<1>| a.mul_scalar(before / after) + b.mul_scalar(images as f64 / after);
                sum.outputs.push((pass.outputs, batch.targets));
                Sum {
                    images: sum.images + images,
                    loss: mean(sum.loss, pass.loss),
                    gradient: mean(sum.gradient, pass.weight_gradient),
                    ..sum
                }
            }
        });
    }
    let Some(sum) = sum else { return Ok(None) };
    let (gradient, _, gradient_norm) = learner.clip(sum.gradient, None);
    learner.state.step_weights(gradient, rate);
    Ok(Some(StepOutcome { loss: sum.loss, outputs: sum.outputs, gradient_norm }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{Mixing, OUTPUT},
        train::tiny,
    };

    /// Without batch norm in training mode the mean of two halves' gradients is the whole's; with
    /// it, the halves are normalised by themselves. So the check is on the arithmetic: a step on
    /// [a, b] moves by the weighted mean of the gradients of a and b, b seeing the running
    /// statistics but not the weights that a left.
    #[test]
    fn a_step_of_two_batches_moves_along_the_mean_over_their_images() {
        let batches: Vec<Batch> = tiny::batches().split_off(1);
        assert_eq!(batches.iter().map(Batch::size).collect::<Vec<_>>(), [4, 2]);
        let fresh = || tiny::learner(tiny::SPACE, &tiny::config(Mixing::Softmax));
        let mut learner = fresh();
        let before = learner.state.weights.to_host();
        let gradients: Vec<Vec<f32>> =
            batches.iter().map(|batch| crate::model::host(fresh().pass(batch).weight_gradient)).collect();
        let outcome = step(&mut learner, batches.into_iter().map(Ok::<_, ()>), 0.1).unwrap().unwrap();
        let sizes = outcome.outputs.iter().map(|(outputs, _)| outputs.scores(OUTPUT).dims()[0]);
        assert_eq!(sizes.collect::<Vec<_>>(), [4, 2]);
        for (at, (after, before)) in learner.state.weights.to_host().into_iter().zip(before).enumerate() {
            let mean = (4.0 * gradients[0][at] + 2.0 * gradients[1][at]) / 6.0 + 3e-4 * before;
            assert!((after - (before - 0.1 * mean)).abs() < 1e-6, "{at}: {before} to {after} along {mean}");
        }
        let none: [Result<Batch, ()>; 0] = [];
        assert!(step(&mut learner, none, 0.1).unwrap().is_none());
    }
}
