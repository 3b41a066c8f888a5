//! Whether a search collapses: what is looked at after every epoch, beside the images that are
//! watched.
//!
//! Collapse is the name of what bilevel DARTS is known for: operations without weights take over,
//! and the cell that is derived falls behind the supernet that it was taken from. Nothing here
//! moves a search: with all of it and with none of it the same bits are trained.

mod benefit;
mod candidate_kind;
mod curvature;
mod derived;
mod gap;
mod stopping;
#[cfg(test)]
mod tests;

use super::{DiagnosisRecord, EpochRecord, Learner, TableRecord};
use crate::{
    space::{DeriveError, Genotype, Space, network::Network},
    tasks::{Batch, Score, Task, TaskError},
};
pub use benefit::Benefit;
use candidate_kind::CandidateKinds;
pub use derived::{CellCounts, mixing_weights};
use gap::Discretised;
use indexmap::IndexMap;
pub use stopping::{CountRule, EigenvalueRule, StopEarly, Stopped};

/// How closely a search is looked at, and when it ends before its last epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct DiagnosisConfig {
    /// Batches of each kind of images that the benefit of candidates is measured on after an epoch;
    /// none turns it off.
    pub benefit_batches: usize,
    /// The eigenvalue is measured after every so many epochs, where it is.
    pub eigenvalue_every: Option<usize>,
    /// Most products with the Hessian for one eigenvalue, two passes each.
    pub eigenvalue_iterations: usize,
    pub stop_early: StopEarly,
}

impl Default for DiagnosisConfig {
    /// The numbers are our choice. A batch on either side costs two passes an epoch, half a per
    /// cent of an epoch of 25,000 images in batches of 64. Twenty products are more than a spectrum
    /// with a dominant eigenvalue takes.
    fn default() -> Self {
        Self { benefit_batches: 1, eigenvalue_every: None, eigenvalue_iterations: 20, stop_early: StopEarly::default() }
    }
}

/// Looks at a supernet of `space`.
#[derive(Debug)]
pub struct Diagnosis<'a> {
    space: &'a Space,
    config: &'a DiagnosisConfig,
    /// Decides where the search for an eigenvalue starts.
    seed: u64,
    kinds: CandidateKinds,
}

/// A supernet that is being looked at after an epoch.
pub(super) struct Examination {
    derived: Genotype,
    counts: IndexMap<String, CellCounts>,
    discretised: Discretised,
    score: Score,
}

impl Examination {
    /// Adds a batch of watched images, in evaluation mode.
    pub fn watch(&mut self, learner: &Learner, batch: &Batch) {
        self.score.add(self.discretised.score(learner, batch));
    }
}

impl<'a> Diagnosis<'a> {
    /// `network` is the supernet of `space` that is searched.
    pub fn new(space: &'a Space, network: &Network, config: &'a DiagnosisConfig, seed: u64) -> Self {
        Self { space, config, seed, kinds: CandidateKinds::of(network) }
    }

    /// Begins with the cells that the rule takes from the mixing weights of `tables`.
    pub(super) fn examine(&self, learner: &Learner, tables: &[TableRecord]) -> Result<Examination, DeriveError> {
        let derived = self.space.derive(&mixing_weights(tables))?;
        let network = learner.model.network();
        let selection = derived::selection(&derived, self.space, network);
        Ok(Examination {
            counts: derived::counts(&derived, self.space, network, &selection, &self.kinds),
            discretised: Discretised::of(learner, &selection),
            derived,
            score: Score::default(),
        })
    }

    /// Measures what needs gradients after `epoch` (from 0). The learner is afterwards as it was,
    /// to the bit.
    pub(super) fn conclude(
        &self,
        examination: Examination,
        learner: &mut Learner,
        task: &dyn Task,
        epoch: usize,
    ) -> Result<DiagnosisRecord, TaskError> {
        let Examination { derived, counts, score, .. } = examination;
        let batches = self.config.benefit_batches;
        let benefit = |of: Option<Vec<Batch>>| of.map(|of| benefit::mean(learner, &self.kinds, &of));
        let fitted = if batches > 0 { Some(task.fitted_again(epoch, batches)?) } else { None };
        let others = if batches > 0 { task.independent(epoch, batches)? } else { None };
        let (benefit_fit, benefit_held_out) = (benefit(fitted), benefit(others));
        let eigenvalue = match self.config.eigenvalue_every {
            Some(every) if (epoch + 1).is_multiple_of(every) => {
                let batch = task.independent(epoch, 1)?.and_then(|batches| batches.into_iter().next());
                batch.and_then(|batch| {
                    curvature::largest_eigenvalue(learner, &batch, self.config.eigenvalue_iterations, self.seed)
                })
            }
            _ => None,
        };
        Ok(DiagnosisRecord {
            derived,
            counts,
            discretised: learner.objective.measures().first().and_then(|first| score.value(0, first)),
            benefit_fit,
            benefit_held_out,
            eigenvalue,
        })
    }

    /// Whether the search ends after the last of `records`.
    pub(super) fn stopped(&self, records: &[EpochRecord]) -> Option<Stopped> {
        self.config.stop_early.verdict(records)
    }
}
