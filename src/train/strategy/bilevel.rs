//! Bilevel search: weights descend on one batch, alphas on another that the weights are not fitted
//! on.
//!
//! `min_α L_val(w*(α), α)` with `w*(α) = argmin_w L_train(w, α)` (Liu, Simonyan and Yang, "DARTS",
//! arXiv 1806.09055, eq. 3 and 4). The first order takes the present weights for `w*`; the second a
//! step ahead, `w' = w − ξ ∇_w L_train(w, α)` (eq. 6 to 8).

use super::{Rates, StepOutcome};
use crate::{
    tasks::Batch,
    train::{Learner, norm},
};
use burn::tensor::Tensor;

/// How the two levels alternate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bilevel {
    pub order: Order,
    pub first: First,
}

/// What stands for the weights that alphas are judged with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The present weights.
    First,
    /// The weights after a step that is not taken.
    Second,
}

/// Which of the two moves first in a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum First {
    /// `train_search.py` of DARTS.
    Alphas,
    /// DARTS-V1 of NAS-Bench-201's code.
    Weights,
}

/// The finite difference moves all weights together so far: `ε = 0.01 / ‖∇_{w'} L_val‖` (section
/// 2.3 of the paper).
const REACH: f64 = 0.01;

impl Bilevel {
    /// One step: alphas on `validation`, unless they are frozen, weights on `fit`.
    pub fn step(self, learner: &mut Learner, fit: &Batch, validation: Option<&Batch>, rates: Rates) -> StepOutcome {
        // Each gradient is of the point that the other's step led to, and of mixing weights drawn
        // anew where they are drawn.
        let move_alphas = |learner: &mut Learner| {
            if let (Some(rate), Some(validation)) = (rates.alphas, validation) {
                let (gradient, running) = self.alpha_gradient(learner, fit, validation, rates.weights);
                learner.step_alphas(learner.clip_alphas(gradient), rate);
                learner.state.running.set(running);
            }
        };
        if self.first == First::Alphas {
            move_alphas(learner);
            learner.position.pass += 1;
        }
        let mixing = learner.perturbed(fit).unwrap_or_else(|| learner.mixing());
        let pass = learner.pass_at(&learner.state.weights, &mixing, fit);
        let (gradient, _, gradient_norm) = learner.clip(pass.weight_gradient, None);
        learner.state.step_weights(gradient, rates.weights);
        learner.state.running.set(pass.running);
        if self.first == First::Weights {
            learner.position.pass += 1;
            move_alphas(learner);
        }
        StepOutcome { loss: pass.loss, outputs: vec![(pass.outputs, fit.targets.clone())], gradient_norm }
    }

    /// ∇_α of the validation loss, and the running statistics after the pass at the present weights
    /// that it takes. Batch norm is in training mode in every pass, as in the reference; passes at
    /// weights that are not taken leave no trace, which is our choice.
    pub fn alpha_gradient(
        self,
        learner: &Learner,
        fit: &Batch,
        validation: &Batch,
        rate: f64,
    ) -> (Tensor<1>, Tensor<1>) {
        match self.order {
            Order::First => {
                let (gradient, running) = learner.alpha_pass_at(&learner.state.weights, &learner.mixing(), validation);
                (learner.alpha_gradient(&gradient), running)
            }
            Order::Second => second_order(learner, fit, validation, rate),
        }
    }
}

/// `∇_α L_val(w', α) − ξ ∇²_{α,w} L_train(w, α) · ∇_{w'} L_val(w', α)`, the product of the second
/// term by central differences: `(∇_α L_train(w⁺, α) − ∇_α L_train(w⁻, α)) / 2ε` with
/// `w± = w ± ε ∇_{w'} L_val(w', α)`.
fn second_order(learner: &Learner, fit: &Batch, validation: &Batch, rate: f64) -> (Tensor<1>, Tensor<1>) {
    let mixing = learner.mixing();
    let w = learner.state.weights.values();
    let ahead = learner.pass(fit);
    let virtual_weights = learner.state.optimiser.ahead(w.clone(), ahead.weight_gradient, rate);
    let judged = learner.pass_at(&learner.state.weights.with(virtual_weights), &mixing, validation);
    let direct = learner.alpha_gradient(&judged.mixing_gradient);

    let length = f64::from(norm(&judged.weight_gradient).into_scalar::<f32>());
    if length == 0.0 {
        // Weights that do not matter to the validation loss have nothing to pass on.
        return (direct, ahead.running);
    }
    let reach = REACH / length;
    let moved = |sign: f64| {
        let weights = w.clone() + judged.weight_gradient.clone().mul_scalar(sign * reach);
        learner.alpha_pass_at(&learner.state.weights.with(weights), &mixing, fit).0
    };
    let (plus, minus) = (moved(1.0), moved(-1.0));
    let difference = plus.into_iter().zip(minus).map(|(plus, minus)| plus - minus);
    let implicit = learner.alpha_gradient(&difference.collect::<Vec<_>>()).div_scalar(2.0 * reach);
    (direct - implicit.mul_scalar(rate), ahead.running)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        kernels::Kernels,
        model::{Model, host},
        space::{Build, EdgeOptions, network::FeatureMap},
        tasks::classification,
        train::{AlphaConfig, LearnerConfig, OptimiserConfig, OptimiserState, SgdConfig, tiny},
    };
    use burn::tensor::{Device, TensorData};

    /// One edge over maps of one pixel, without batch norm: a network that a page computes.
    const SPACE: &str = "
name: pixel
operations:
  skip: [identity]
  conv: {label: op, steps: [relu, {conv: {kernel: 1}}]}
cells:
  cell: {alphas: a, candidates: [skip, conv]}
cell: {inputs: [{same: []}], nodes: 1, edges: all, output: last}
derive: {edges: all}
labels: {cell: 'cells.{cell}', edge: '{source}-{target}', candidate: '{operation}', choice: '{choice}'}
skeletons:
  search:
    channels: 2
    size: 1
    stems: [{label: stem, steps: [{conv: {kernel: 1}}]}]
    body: {cell: cell, count: per_segment, segments: 1}
    head: [global_avg_pool, {linear: {label: head}}]
";
    const CLASSES: usize = 3;
    const RATE: f64 = 0.3;
    const MOMENTUM: f64 = 0.9;
    const DECAY: f64 = 0.1;

    type Images = (Vec<[f64; 2]>, Vec<usize>);

    fn learner() -> Learner {
        let input = FeatureMap { channels: 2, height: 1, width: 1 };
        let build = Build {
            skeleton: "search".to_owned(),
            channels: None,
            size: None,
            outputs: crate::space::network::OutputSpec::scores(CLASSES),
            input,
            auxiliary: false,
            edges: EdgeOptions::default(),
        };
        let network = tiny::space(SPACE).supernet(&build).unwrap();
        let sgd = SgdConfig { momentum: MOMENTUM, nesterov: false, weight_decay: DECAY };
        let alphas = AlphaConfig { deviation: 0.5, ..AlphaConfig::default() };
        let config = LearnerConfig { optimiser: OptimiserConfig::Sgd(sgd), ..tiny::with(alphas) };
        let mut learner =
            Learner::new(Model::new(network, Kernels::Native), tiny::objective(), &config, 3, &Device::flex());
        let velocity = host(learner.state.weights.values()).iter().map(|w| 0.5 * w + 0.1).collect::<Vec<f32>>();
        let velocity = Tensor::from_floats(velocity.as_slice(), &Device::flex());
        learner.state.optimiser.restore(OptimiserState { tensors: vec![velocity], steps: 0 });
        learner
    }

    fn images(seed: usize) -> Images {
        let value = |at: usize| ((at * 37 + seed * 11) % 19) as f64 / 9.0 - 1.0;
        (
            (0..5).map(|at| [value(2 * at), value(2 * at + 1)]).collect(),
            (0..5).map(|at| (at + seed) % CLASSES).collect(),
        )
    }

    fn batch((x, y): &Images) -> Batch {
        let numbers: Vec<f32> = x.iter().flatten().map(|&x| x as f32).collect();
        let labels: Vec<i64> = y.iter().map(|&y| y as i64).collect();
        classification::labelled(
            Tensor::from_data(TensorData::new(numbers, [x.len(), 2, 1, 1]), &Device::flex()),
            Tensor::from_data(TensorData::new(labels, [y.len()]), &Device::flex()),
        )
    }

    /// The network's loss in double precision; `names` says where its tensors begin.
    fn loss(w: &[f64], alpha: &[f64], (x, y): &Images, start: &dyn Fn(&str) -> usize) -> f64 {
        let product = |name: &str, x: &[f64], rows: usize| -> Vec<f64> {
            let at = start(name);
            (0..rows).map(|row| (0..x.len()).map(|column| w[at + row * x.len() + column] * x[column]).sum()).collect()
        };
        let log_sum = |x: &[f64]| x.iter().map(|x| x.exp()).sum::<f64>().ln();
        let of_image = |(x, &y): (&[f64; 2], &usize)| {
            let state = product("stem.0.weight", x, 2);
            let relu: Vec<f64> = state.iter().map(|x| x.max(0.0)).collect();
            let conv = product("cells.0.0-1.conv.op.1.weight", &relu, 2);
            let p = alpha.iter().map(|a| (a - log_sum(alpha)).exp()).collect::<Vec<f64>>();
            let node: Vec<f64> = state.iter().zip(conv).map(|(skip, conv)| p[0] * skip + p[1] * conv).collect();
            let mut logits = product("head.weight", &node, CLASSES);
            logits.iter_mut().zip(&w[start("head.bias")..]).for_each(|(logit, bias)| *logit += bias);
            log_sum(&logits) - logits[y]
        };
        x.iter().zip(y).map(of_image).sum::<f64>() / x.len() as f64
    }

    /// Central differences in double precision: exact to about `step²`.
    fn derivative(of: &dyn Fn(&[f64]) -> f64, at: &[f64], step: f64) -> Vec<f64> {
        let moved = |place: usize, by: f64| {
            let mut at = at.to_vec();
            at[place] += by;
            of(&at)
        };
        (0..at.len()).map(|place| (moved(place, step) - moved(place, -step)) / (2.0 * step)).collect()
    }

    /// The second order is the derivative of `L_val(w − ξ (μv + ∇_w L_train(w, α) + λw), α)` in α,
    /// taken here through the step and not along it; the first order is that of `L_val(w, α)`.
    #[test]
    fn alpha_gradients_are_direct_derivatives_in_double_precision() {
        let learner = learner();
        let layout = learner.state.weights.layout().clone();
        let start =
            |name: &str| layout.iter().find(|(found, ..)| *found == name).map(|(.., range)| range.start).unwrap();
        let wide = |numbers: Vec<f32>| numbers.into_iter().map(f64::from).collect::<Vec<f64>>();
        let (w, alpha) = (wide(learner.state.weights.to_host()), wide(learner.state.alphas.to_host()));
        let velocity = wide(host(learner.state.optimiser.state().tensors.remove(0)));
        let (fit, validation) = (images(1), images(2));

        let first = |alpha: &[f64]| loss(&w, alpha, &validation, &start);
        let second = |alpha: &[f64]| {
            let gradient = derivative(&|w| loss(w, alpha, &fit, &start), &w, 1e-5);
            let ahead: Vec<f64> = (0..w.len())
                .map(|at| w[at] - RATE * (MOMENTUM * velocity[at] + gradient[at] + DECAY * w[at]))
                .collect();
            loss(&ahead, alpha, &validation, &start)
        };
        let expected =
            [(Order::First, derivative(&first, &alpha, 1e-5)), (Order::Second, derivative(&second, &alpha, 1e-4))];
        let apart = (expected[0].1[0] - expected[1].1[0]).abs() / expected[0].1[0].abs();
        assert!(apart > 0.1, "the orders differ: {expected:?}");
        for (order, expected) in expected {
            let bilevel = Bilevel { order, first: First::Alphas };
            let before = learner.state.weights.to_host();
            let (found, _) = bilevel.alpha_gradient(&learner, &batch(&fit), &batch(&validation), RATE);
            assert_eq!(learner.state.weights.to_host(), before, "the weights are where they were, to the bit");
            for (found, expected) in host(found).into_iter().zip(expected) {
                let error = (f64::from(found) - expected).abs() / expected.abs();
                assert!(error < 1e-3, "{order:?}: {found} is not {expected}");
            }
        }
    }

    /// Each of the two moves from where the other has got to.
    #[test]
    fn the_order_of_the_two_steps_is_what_is_asked_for() {
        let (fit, validation) = (batch(&images(1)), batch(&images(2)));
        let rates = Rates { weights: RATE, alphas: Some(0.1) };
        for first in [First::Alphas, First::Weights] {
            let (mut stepped, mut by_hand) = (learner(), learner());
            Bilevel { order: Order::First, first }.step(&mut stepped, &fit, Some(&validation), rates);
            let move_alphas = |learner: &mut Learner| {
                let gradient = learner.alpha_gradient(&learner.pass(&validation).mixing_gradient);
                learner.state.alphas.update(|alphas| learner.state.alpha_optimiser.step(alphas, gradient, 0.1));
            };
            if first == First::Alphas {
                move_alphas(&mut by_hand);
            }
            let pass = by_hand.pass(&fit);
            let (gradient, ..) = by_hand.clip(pass.weight_gradient, None);
            by_hand.state.weights.update(|weights| by_hand.state.optimiser.step(weights, gradient, RATE));
            if first == First::Weights {
                move_alphas(&mut by_hand);
            }
            assert_eq!(stepped.state.weights.to_host(), by_hand.state.weights.to_host());
            assert_eq!(stepped.state.alphas.to_host(), by_hand.state.alphas.to_host());
        }
        let mut frozen = learner();
        let before = frozen.state.alphas.to_host();
        let bilevel = Bilevel { order: Order::Second, first: First::Alphas };
        bilevel.step(&mut frozen, &fit, None, Rates { alphas: None, ..rates });
        assert_eq!(frozen.state.alphas.to_host(), before);
    }
}
