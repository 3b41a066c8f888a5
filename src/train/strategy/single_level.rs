//! Single-level search: weights and alphas descend together, from one backward pass on one batch.
//!
//! `(α, w) ← (α, w) − ξ ∇_{(α, w)} L_train(α, w)` (Hou, Jin and Chen, "Single-DARTS", arXiv 2108.08128).
//! Bilevel DARTS judges alphas on a batch that the weights were not fitted on, where half-trained convolutions
//! look like noise and operations without weights get ahead; here both see the same batch.

use super::{Rates, StepOutcome};
use crate::{
    tasks::Batch,
    train::{Learner, clip_norm},
};

/// One step.
pub fn step(learner: &mut Learner, batch: &Batch, rates: Rates) -> StepOutcome {
    // One forward, one backward: both gradients belong to the same (w, α).
    let pass = learner.pass(batch);

    // Only the weights' gradient is clipped: DARTS' clip covers the network's weights, and α is no part of them.
    let (weight_gradient, gradient_norm) = clip_norm(pass.weight_gradient, learner.clip);

    let weights = learner.sgd.step(learner.weights.values(), weight_gradient, rates.weights);
    let alphas = learner.adam.step(learner.alphas.values(), pass.alpha_gradient, rates.alphas);
    learner.weights.set(weights);
    learner.alphas.set(alphas);
    learner.running.set(pass.running);

    StepOutcome { loss: pass.loss, logits: pass.logits, gradient_norm }
}
