//! A supernet and images that are searched in a blink, for tests.

use super::{AlphaConfig, Clipped, EpochRecord, Learner, LearnerConfig, Observer, OptimiserConfig, SgdConfig};
use crate::{
    data::{Augment, Loader, LoaderOptions, Order, Part, Source, SplitRule, Synthetic},
    kernels::Kernels,
    model::{Mixing, Model, host},
    space::{Build, EdgeOptions, Space, network::FeatureMap},
    tasks::{
        Batch, Objective, Score, Supervised, Task,
        classification::{Classes, Classification},
    },
};
use burn::tensor::Device;
use std::{cell::Cell, path::Path, sync::Arc, time::Duration};

/// Each edge has candidates of its own, and not equally many.
pub(super) const SPACE: &str = "
name: ragged
operations:
  none: [zero]
  skip: [identity]
  conv: {label: op, steps: [relu, {conv: {kernel: 3, bias: search}}, {batch_norm: {affine: final}}]}
cells:
  cell: {alphas: a, candidates: [[none, skip, conv], [skip], [conv, none]]}
cell: {inputs: [{same: []}], nodes: 2, edges: all, output: last}
derive: {edges: all}
labels: {cell: 'cells.{cell}', edge: '{source}-{target}', candidate: '{operation}', choice: '{choice}'}
skeletons:
  search:
    channels: 2
    size: 1
    stems: [{label: stem, steps: [{conv: {kernel: 3}}, batch_norm]}]
    body: {cell: cell, count: per_segment, segments: 1}
    head: [global_avg_pool, {linear: {label: head}}]
";

pub(super) fn space(text: &str) -> Space {
    Space::parse(Path::new("ragged.yaml"), text).unwrap_or_else(|problems| panic!("{problems:?}"))
}

pub(super) fn config(mixing: Mixing) -> LearnerConfig {
    with(AlphaConfig { mixing: mixing.into(), ..AlphaConfig::default() })
}

/// The same for alphas of any kind.
pub(super) fn with(alphas: AlphaConfig) -> LearnerConfig {
    LearnerConfig {
        optimiser: OptimiserConfig::Sgd(SgdConfig { momentum: 0.9, nesterov: false, weight_decay: 3e-4 }),
        clip_norm: 5.0,
        clipped: Clipped::Weights,
        average: None,
        alphas: Some(alphas),
    }
}

/// A learner of the space `text` before its first step.
pub(super) fn learner(text: &str, config: &LearnerConfig) -> Learner {
    let input = FeatureMap { channels: 1, height: 4, width: 4 };
    let (skeleton, edges) = ("search".to_owned(), EdgeOptions::default());
    let build = Build {
        skeleton,
        channels: None,
        size: None,
        outputs: crate::space::network::OutputSpec::scores(3),
        input,
        auxiliary: false,
        edges,
    };
    let network = space(text).supernet(&build).unwrap();
    Learner::new(Model::new(network, Kernels::Native), objective(), config, 5, &Device::flex())
}

/// Ten images to fit and ten held out, three steps an epoch, the last of two images. Alphas are
/// judged on the held-out ones, four a batch in another order, the odd two left out.
pub(super) fn task() -> Supervised {
    let source = Source::Synthetic(Synthetic { train: 20, test: 2, classes: 3, size: 4, ..Synthetic::default() });
    let raw = source.locate(Path::new("")).unwrap().read().unwrap();
    let dataset = Arc::new(raw.finish(&source.default_normalise(), &SplitRule::Halves).unwrap());
    let augment = Some(Augment { crop_padding: 1, flip: true, ..Augment::default() });
    let fit = LoaderOptions { batch: 4, order: Order::Shuffled, seed: 1, augment, drop_last: false };
    let loader = |indices: &Vec<u32>, options| Loader::new(dataset.clone(), Part::Train, indices.clone(), options);
    let held_out = loader(&dataset.split.held_out, LoaderOptions::evaluation(4)).unwrap();
    let validation = loader(&dataset.split.held_out, LoaderOptions { seed: 2, drop_last: true, ..fit }).unwrap();
    let fit = loader(&dataset.split.fit, fit).unwrap();
    Supervised::new(Arc::new(classes()), fit, Some(held_out), Device::flex()).validating(validation)
}

/// Those of the first epoch.
pub(super) fn batches() -> Vec<Batch> {
    task().batches(0, 0).unwrap().map(Result::unwrap).collect()
}

/// Of three classes.
fn classes() -> Classes {
    Classes::new(Classification::default(), ["a", "b", "c"].map(str::to_owned).to_vec())
}

pub(super) fn objective() -> Arc<dyn Objective> {
    Arc::new(classes())
}

/// All that a learner holds, to the bit.
pub(super) fn bits(learner: &Learner) -> Vec<Vec<u32>> {
    let mut tensors =
        vec![learner.state.weights.values(), learner.state.alphas.values(), learner.state.running.values()];
    tensors.extend(learner.state.optimiser.state().tensors);
    tensors.extend(learner.state.alpha_optimiser.state().tensors);
    tensors.into_iter().map(|tensor| host(tensor).into_iter().map(f32::to_bits).collect()).collect()
}

/// Asks to stop at a question of a number, and watches nothing.
pub(super) struct StopAt(Cell<usize>);

impl StopAt {
    pub fn never() -> Self {
        Self(Cell::new(usize::MAX))
    }

    /// From 1.
    pub fn question(number: usize) -> Self {
        Self(Cell::new(number))
    }
}

impl Observer for StopAt {
    fn step(&mut self, _epoch: usize, _step: usize, _steps: usize, _score: &Score) {}
    fn epoch(&mut self, _record: &EpochRecord) {}
    fn checkpoint_due(&self) -> bool {
        false
    }
    fn checkpoint_saved(&mut self, _step: u64, _took: Duration) {}
    fn spent(&self) -> Duration {
        Duration::from_secs(7)
    }
    fn stop_requested(&self) -> bool {
        self.0.set(self.0.get().saturating_sub(1));
        self.0.get() == 0
    }
}
