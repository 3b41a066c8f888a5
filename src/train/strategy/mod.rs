//! In what order weights and alphas move, and on which images. One file a strategy, so that the
//! difference between two is what one sees.

pub mod bilevel;
pub mod single_level;
pub mod weights_only;

use super::Learner;
use crate::{
    model::Outputs,
    tasks::{Batch, Targets},
};
pub use bilevel::{Bilevel, First, Order};
use burn::tensor::Tensor;

/// What moves in a step, and on what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// A search: weights and alphas, from one backward pass.
    SingleLevel,
    /// A search: weights on images to fit, alphas on images that the weights are not fitted on.
    Bilevel(Bilevel),
    /// Training of a network whose cells are chosen.
    WeightsOnly,
}

/// The learning rates of one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    pub weights: f64,
    /// `None` while the alphas are frozen.
    pub alphas: Option<f64>,
}

/// What a step leaves to be looked at.
pub struct StepOutcome {
    /// `[1]`
    pub loss: Tensor<1>,
    /// Of each batch, with what they ought to be.
    pub outputs: Vec<(Outputs, Targets)>,
    /// Norm of the weights' gradient before clipping, `[1]`.
    pub gradient_norm: Tensor<1>,
}

impl Strategy {
    /// Whether a step at `rates` takes a batch of validation images.
    pub fn validates(self, rates: Rates) -> bool {
        matches!(self, Self::Bilevel(_)) && rates.alphas.is_some()
    }

    /// One step on the next of `fit`, on `accumulate` of them where only weights descend; alphas
    /// that are judged on other images are so on the next of `validation`. `None` where there are
    /// no more.
    ///
    /// # Errors
    /// The first error of a batch; nothing has moved then but running statistics.
    pub fn step<E>(
        self,
        learner: &mut Learner,
        fit: &mut impl Iterator<Item = Result<Batch, E>>,
        validation: &mut impl Iterator<Item = Result<Batch, E>>,
        accumulate: usize,
        rates: Rates,
    ) -> Result<Option<StepOutcome>, E> {
        let outcome = match self {
            Self::SingleLevel => fit.next().transpose()?.map(|batch| single_level::step(learner, &batch, rates)),
            Self::Bilevel(bilevel) => match fit.next().transpose()? {
                None => None,
                Some(batch) => {
                    let judged = if self.validates(rates) { validation.next().transpose()? } else { None };
                    Some(bilevel.step(learner, &batch, judged.as_ref(), rates))
                }
            },
            Self::WeightsOnly => weights_only::step(learner, fit.take(accumulate), rates.weights)?,
        };
        if let (Some(average), Some(_)) = (&mut learner.state.average, &outcome) {
            average.add(learner.state.weights.values(), learner.state.running.values());
        }
        Ok(outcome)
    }
}
