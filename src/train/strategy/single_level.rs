//! Single-level search: weights and alphas descend together, from one backward pass on one batch.
//!
//! `(α, w) ← (α, w) − ξ ∇_{(α, w)} L_train(α, w)` (Hou, Jin and Chen, "Single-DARTS", arXiv
//! 2108.08128). Bilevel DARTS judges alphas on a batch that the weights were not fitted on, where
//! half-trained convolutions look like noise and operations without weights get ahead; here both
//! see the same batch.

use super::{Rates, StepOutcome};
use crate::{tasks::Batch, train::Learner};

/// One step.
pub fn step(learner: &mut Learner, batch: &Batch, rates: Rates) -> StepOutcome {
    // One forward, one backward: both gradients belong to the same (w, α).
    let mixing = learner.mixing();
    let perturbed = learner.perturbed(batch);
    let pass = learner.pass_at(&learner.state.weights, perturbed.as_ref().unwrap_or(&mixing), batch);
    let alpha_gradient = rates.alphas.map(|_| match &perturbed {
        None => learner.alpha_gradient(&pass.mixing_gradient),
        // Weights that see moved mixing weights cost a second pass, at those of the alphas. It
        // leaves no trace but their gradient.
        Some(_) => learner.alpha_gradient(&learner.alpha_pass_at(&learner.state.weights, &mixing, batch).0),
    });

    let (weight_gradient, alpha_gradient, gradient_norm) = learner.clip(pass.weight_gradient, alpha_gradient);

    learner.state.step_weights(weight_gradient, rates.weights);
    if let (Some(rate), Some(gradient)) = (rates.alphas, alpha_gradient) {
        learner.step_alphas(gradient, rate);
    }
    learner.state.running.set(pass.running);

    StepOutcome { loss: pass.loss, outputs: vec![(pass.outputs, batch.targets.clone())], gradient_norm }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{Mixing, host},
        train::{AlphaConfig, Perturb, PerturbKind, tiny},
    };

    const RATES: Rates = Rates { weights: 0.1, alphas: Some(0.01) };

    fn wide(numbers: Vec<f32>) -> Vec<f64> {
        numbers.into_iter().map(f64::from).collect()
    }

    fn length(numbers: &[f64]) -> f64 {
        numbers.iter().map(|x| x * x).sum::<f64>().sqrt()
    }

    #[track_caller]
    fn near(found: Vec<f32>, expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.into_iter().zip(expected) {
            assert!((f64::from(found) - expected).abs() < 1e-6, "{found} is not {expected}");
        }
    }

    /// SGD with momentum and Adam written out in f64 beside the real steps. Each takes both
    /// gradients at the point where the step began: moving the weights first would show in the
    /// alphas' gradient, and the other way round.
    #[test]
    fn three_steps_are_sgd_and_adam_on_the_gradients_of_one_pass() {
        for mixing in [Mixing::Softmax, Mixing::Sigmoid, Mixing::GUMBEL, Mixing::SPARSESTMAX] {
            // So short a norm that every gradient is clipped.
            let config = crate::train::LearnerConfig { clip_norm: 0.05, ..tiny::config(mixing) };
            let mut learner = tiny::learner(tiny::SPACE, &config);
            let (mut w, mut a) = (wide(learner.state.weights.to_host()), wide(learner.state.alphas.to_host()));
            let (mut v, mut m, mut s) = (vec![0.0; w.len()], vec![0.0; a.len()], vec![0.0; a.len()]);
            for (t, batch) in tiny::batches().into_iter().enumerate() {
                let pass = learner.pass(&batch);
                let ga = wide(host(learner.alpha_gradient(&pass.mixing_gradient)));
                let gw = wide(host(pass.weight_gradient));
                let (norm_w, norm_a) = (length(&gw), length(&ga));
                assert!(norm_w > 0.05 && norm_a > 1e-4, "both learn: {norm_w}, {norm_a}");
                for (i, g) in gw.into_iter().enumerate() {
                    v[i] = 0.9 * v[i] + g * 0.05 / (norm_w + 1e-6) + 3e-4 * w[i];
                    w[i] -= 0.1 * v[i];
                }
                for (i, g) in ga.into_iter().enumerate() {
                    let g = g + 1e-3 * a[i];
                    m[i] = 0.5 * m[i] + 0.5 * g;
                    s[i] = 0.999 * s[i] + 0.001 * g * g;
                    let t = t as i32 + 1;
                    let (m, s) = (m[i] / (1.0 - 0.5_f64.powi(t)), s[i] / (1.0 - 0.999_f64.powi(t)));
                    a[i] -= 0.01 * m / (s.sqrt() + 1e-8);
                }
                let outcome = step(&mut learner, &batch, RATES);
                let norm = f64::from(outcome.gradient_norm.into_scalar::<f32>());
                assert!((norm - norm_w).abs() < 1e-5 * norm_w, "the norm is of the weights alone: {norm}, {norm_w}");
                near(learner.state.weights.to_host(), &w);
                near(learner.state.alphas.to_host(), &a);
                // Adam's step hides a scale of its gradient; its moment shows that nothing was
                // clipped.
                near(host(learner.state.alpha_optimiser.state().tensors.remove(0)), &m);
            }
        }
    }

    /// Weights move as if the moved mixing weights were all there is, alphas as if none were moved.
    #[test]
    fn perturbed_weights_leave_the_alphas_their_own_pass() {
        let perturb = Perturb { kind: PerturbKind::Random, radius: 3.0, from_epoch: 0 };
        let plain = tiny::config(Mixing::Softmax);
        let config = tiny::with(AlphaConfig { perturb: Some(perturb), ..AlphaConfig::default() });
        let batch = tiny::batches().remove(0);
        let mut perturbed = tiny::learner(tiny::SPACE, &config);
        let moved = perturbed.perturbed(&batch).unwrap();
        step(&mut perturbed, &batch, RATES);

        let mut alone = tiny::learner(tiny::SPACE, &plain);
        let pass = alone.pass_at(&alone.state.weights, &moved, &batch);
        let (gradient, ..) = alone.clip(pass.weight_gradient, None);
        alone.state.weights.update(|weights| alone.state.optimiser.step(weights, gradient, RATES.weights));
        assert_eq!(perturbed.state.weights.to_host(), alone.state.weights.to_host());
        let mut unmoved = tiny::learner(tiny::SPACE, &plain);
        step(&mut unmoved, &batch, RATES);
        assert_eq!(perturbed.state.alphas.to_host(), unmoved.state.alphas.to_host());
        assert_ne!(perturbed.state.weights.to_host(), unmoved.state.weights.to_host());
    }
}
