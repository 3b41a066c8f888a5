use super::*;
use crate::{
    edited::edited,
    model::{Mixing, OUTPUT, Outputs, host},
    tasks::{Batches, Objective, Supervised},
    train::{
        AdamConfig, AlphaConfig, By, Clipped, LearnerConfig, MeanShift, OptimiserConfig, Perturb, PerturbKind,
        Regulariser, Schedule,
        strategy::{Bilevel, First, Order, single_level},
        tiny::{self, StopAt, bits},
    },
};
use burn::tensor::Tensor;
use std::{cell::Cell, fs, sync::Arc};

fn config(by: By) -> TrainingConfig {
    let schedule = Schedule::Cosine { minimum: 0.01, by };
    TrainingConfig {
        epochs: 2,
        strategy: Strategy::SingleLevel,
        rate: Rate { first: 0.2, schedule, warmup: 0, warmup_by: By::Epoch },
        alpha_rate: Rate::constant(0.05),
        warmup_epochs: 0,
        accumulate: 1,
        drop_path: 0.0,
        seed: 0,
        watch_every: 1,
    }
}

fn searched(learner: &LearnerConfig, config: &TrainingConfig) -> (Vec<Vec<u32>>, Vec<EpochRecord>) {
    searched_in(tiny::SPACE, learner, config)
}

fn searched_in(space: &str, learner: &LearnerConfig, config: &TrainingConfig) -> (Vec<Vec<u32>>, Vec<EpochRecord>) {
    let task = tiny::task();
    let mut search = Training::new(tiny::learner(space, learner), &task, config);
    let ended = search.run(Path::new("/no/checkpoint"), &mut StopAt::never()).unwrap();
    assert_eq!(ended, Ended::Completed);
    (bits(&search.learner), search.records().to_vec())
}

#[test]
fn stopped_at_any_moment_and_resumed_a_search_comes_to_the_same_bits() {
    let bilevel = |order, first| Strategy::Bilevel(Bilevel { order, first });
    let strategies = [
        (Strategy::SingleLevel, 0),
        (bilevel(Order::First, First::Weights), 0),
        (bilevel(Order::Second, First::Alphas), 0),
        // The stream of validation images begins in the second epoch.
        (bilevel(Order::First, First::Alphas), 1),
    ];
    let mut results = Vec::new();
    for (strategy, warmup_epochs) in strategies {
        let config = TrainingConfig { strategy, warmup_epochs, ..config(By::Step) };
        results.push(stopped_and_resumed(tiny::SPACE, &tiny::config(Mixing::Softmax), &config));
    }
    let kind = PerturbKind::MeanShift(MeanShift { samples: 2, rounds: 1, bandwidth: 1.0 });
    let mixed = [Mixing::Sigmoid, Mixing::GUMBEL, Mixing::SPARSESTMAX].map(tiny::config);
    let moved = [PerturbKind::Random, kind].map(|kind| {
        tiny::with(AlphaConfig {
            mixing: Mixing::GUMBEL.into(),
            perturb: Some(Perturb { kind, radius: 0.3, from_epoch: 1 }),
            regulariser: Regulariser { beta_decay: 1.0, zero_one: 1.0, multiply_adds: 1.0, order: 0.0 },
            ..AlphaConfig::default()
        })
    });
    let adam = LearnerConfig {
        optimiser: OptimiserConfig::Adam(AdamConfig { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-8, weight_decay: 1e-3 }),
        clip_norm: 0.5,
        clipped: Clipped::All,
        ..tiny::config(Mixing::Softmax)
    };
    for learner in mixed.iter().chain(&moved).chain([&adam]) {
        for strategy in [strategies[0].0, strategies[1].0] {
            results.push(stopped_and_resumed(tiny::SPACE, learner, &TrainingConfig { strategy, ..config(By::Step) }));
        }
    }
    for (at, result) in results.iter().enumerate() {
        assert!(results[..at].iter().all(|other| other != result), "strategies differ: {at}");
    }
}

/// What is drawn is so in steps and in looks at the watched images.
#[test]
fn a_resumed_search_draws_the_noise_that_an_uninterrupted_one_draws() {
    let noisy = edited(tiny::SPACE, &[("none: [zero]", "none: [noise]")]);
    let (learner, config) = (tiny::config(Mixing::Softmax), config(By::Step));
    assert_ne!(stopped_and_resumed(&noisy, &learner, &config), searched(&learner, &config).0);
}

/// The bits of a whole search, held against those of searches that were stopped at every moment.
fn stopped_and_resumed(space: &str, learner: &LearnerConfig, config: &TrainingConfig) -> Vec<Vec<u32>> {
    let (device, task) = (Device::flex(), tiny::task());
    let whole = searched_in(space, learner, config);
    let folder = tempfile::tempdir().unwrap();
    // An epoch asks after each of its three steps and before each of three batches that it is
    // judged on.
    let mut places = Vec::new();
    for question in 1..=12 {
        let path = folder.path().join(question.to_string());
        let fresh = || Training::new(tiny::learner(space, learner), &task, config);
        assert_eq!(fresh().run(&path, &mut StopAt::question(question)).unwrap(), Ended::Stopped);
        let mut search = fresh();
        places.push(search.resume(&path, &device).unwrap().unwrap());
        assert_eq!(search.spent(), tiny::StopAt::never().spent(), "what it took up to there");
        assert_eq!(search.run(&path, &mut StopAt::never()).unwrap(), Ended::Completed);
        assert_eq!((bits(&search.learner), search.records().to_vec()), whole, "stopped at question {question}");
    }
    let end = "the end of epoch 1";
    assert_eq!(places[..7], ["epoch 1, step 2", "epoch 1, step 3", end, end, end, end, "epoch 2, step 2"]);
    assert_eq!(places[8], "the end of epoch 2");
    whole.0
}

#[test]
fn a_checkpoint_of_something_else_is_refused_and_the_search_begins_at_its_beginning() {
    let (config, device, task) = (config(By::Epoch), Device::flex(), tiny::task());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint");
    let search = |text: &str| Training::new(tiny::learner(text, &tiny::config(Mixing::Softmax)), &task, &config);
    assert_eq!(search(tiny::SPACE).resume(&path, &device).unwrap(), None);
    search(tiny::SPACE).run(&path, &mut StopAt::question(2)).unwrap();
    let saved = fs::read(&path).unwrap();

    let refused = |text: &str, bytes: &[u8], reason: &str| {
        fs::write(&path, bytes).unwrap();
        let mut search = search(text);
        let before = bits(&search.learner);
        let error = search.resume(&path, &device).unwrap_err().to_string();
        assert!(error.contains("does not fit this training") && error.contains(reason), "{error}");
        assert_eq!((bits(&search.learner), &search.progress), (before, &Progress::default()));
    };
    // As many numbers, other names: another version of the program may order them otherwise.
    let renamed = edited(tiny::SPACE, &[("label: op", "label: po")]);
    refused(&renamed, &saved, "its tensors are laid out for another network");
    refused(tiny::SPACE, &saved[..saved.len() / 2], "");
    refused(tiny::SPACE, b"", "");
    let text = String::from_utf8_lossy(&saved[..]);
    let at = text.find("taken").unwrap();
    let mut unreadable = saved.clone();
    unreadable[at] = b'x';
    refused(tiny::SPACE, &unreadable, "it is damaged");
}

#[test]
fn the_rate_follows_the_schedule_step_by_step_or_epoch_by_epoch() {
    let by_step = searched(&tiny::config(Mixing::Softmax), &config(By::Step)).0;
    let by_epoch = searched(&tiny::config(Mixing::Softmax), &config(By::Epoch)).0;
    assert_ne!(by_step, by_epoch);
    for (within, expected) in [(1.0 / 3.0, by_step), (0.0, by_epoch)] {
        let mut learner = tiny::learner(tiny::SPACE, &tiny::config(Mixing::Softmax));
        for epoch in 0..2 {
            for (step, batch) in tiny::task().batches(epoch, 0).unwrap().enumerate() {
                let progress = (epoch as f64 + step as f64 * within) / 2.0;
                let weights = 0.01 + 0.5 * 0.19 * (1.0 + (std::f64::consts::PI * progress).cos());
                single_level::step(&mut learner, &batch.unwrap(), Rates { weights, alphas: Some(0.05) });
            }
        }
        let near = |a: &u32, b: &u32| (f32::from_bits(*a) - f32::from_bits(*b)).abs() < 1e-6;
        let found = bits(&learner);
        assert!(found.iter().flatten().zip(expected.iter().flatten()).all(|(a, b)| near(a, b)));
    }
}

#[test]
fn every_mixing_mixes_a_ragged_space_through_the_whole_search_and_a_cell_is_derived() {
    let space = tiny::space(tiny::SPACE);
    let edges = &space.cell_kinds()[0].candidates;
    for mixing in [Mixing::Softmax, Mixing::Sigmoid, Mixing::GUMBEL, Mixing::SPARSESTMAX] {
        let (_, records) = searched(&tiny::config(mixing), &config(By::Epoch));
        assert_ne!(records[0].tables, records[1].tables, "alphas move");
        let table = &records[1].tables[0];
        for ((alphas, weights), candidates) in table.alphas.iter().zip(&table.weights).zip(edges) {
            let used = &alphas[..candidates.len()];
            let total: f32 = used.iter().map(|alpha| alpha.exp()).sum();
            for (alpha, weight) in used.iter().zip(weights) {
                let expected = match mixing {
                    // What is drawn is compared by its probability.
                    Mixing::Softmax | Mixing::Gumbel { .. } => alpha.exp() / total,
                    Mixing::Sigmoid => 1.0 / (1.0 + (-alpha).exp()),
                    // The radius has come to 1.
                    Mixing::Sparsestmax { .. } => f32::from(u8::from(used.iter().all(|other| other <= alpha))),
                };
                assert!((weight - expected).abs() < 1e-6, "{mixing:?}: {weight} is not {expected}");
            }
            assert!(weights[candidates.len()..].iter().all(|&weight| weight == 0.0), "{weights:?}");
        }
        let wide = table.weights.iter().map(|row| row.iter().copied().map(f64::from).collect()).collect();
        let genotype = space.derive(&[(table.label.clone(), wide)].into()).unwrap();
        for (choice, candidates) in genotype.cells["cell"].nodes.iter().flatten().zip(edges) {
            assert!(candidates.contains(&choice.operation), "{choice:?} is of {candidates:?}");
        }
    }
}

#[test]
fn a_loss_on_held_out_images_that_is_no_number_ends_the_search() {
    let (config, task) = (config(By::Epoch), tiny::task());
    let mut learner = tiny::learner(tiny::SPACE, &tiny::config(Mixing::Softmax));
    // Training does not look at the running variance; its root is no number in evaluation.
    learner.state.running.set(learner.state.running.values().sub_scalar(1e6));
    let mut search = Training::new(learner, &task, &config);
    let error = search.run(Path::new("/no/checkpoint"), &mut StopAt::never()).unwrap_err();
    assert!(matches!(error, TrainingError::WatchedDiverged { epoch: 1, .. }), "{error}");
}

/// A task whose epochs depend on what it gathered, which is too much to keep.
struct Gathering {
    inner: Supervised,
    /// What its state is: the sum of the network's outputs when epochs began, in whole numbers.
    gathered: Cell<u64>,
}

impl Gathering {
    /// What it gathered cannot be said any more.
    const LOST: u64 = u64::MAX;
}

impl Task for Gathering {
    fn objective(&self) -> &Arc<dyn Objective> {
        self.inner.objective()
    }
    fn batches_per_epoch(&self) -> usize {
        self.inner.batches_per_epoch()
    }
    fn batches(&self, _: usize, first: usize) -> Result<Batches<'_>, TaskError> {
        self.inner.batches(self.gathered.get() as usize, first)
    }
    fn validation(&self, first: u64) -> Result<Batches<'_>, TaskError> {
        self.inner.validation(first)
    }
    fn fitted_again(&self, epoch: usize, count: usize) -> Result<Vec<Batch>, TaskError> {
        self.inner.fitted_again(epoch, count)
    }
    fn independent(&self, epoch: usize, count: usize) -> Result<Option<Vec<Batch>>, TaskError> {
        self.inner.independent(epoch, count)
    }
    fn watched(&self) -> Result<Option<Batches<'_>>, TaskError> {
        self.inner.watched()
    }
    fn begin_epoch(
        &self,
        epoch: usize,
        network: &dyn Fn(Tensor<4>) -> Outputs,
        _: &mut dyn FnMut(usize, usize) -> bool,
    ) -> Result<bool, TaskError> {
        let batch = self.inner.batches(epoch, 0)?.next().transpose()?.unwrap();
        let scores: f32 = host(network(batch.inputs).scores(OUTPUT)).iter().map(|score| score.abs()).sum();
        self.gathered.set(self.gathered.get() + 1 + (scores * 1e3) as u64);
        Ok(true)
    }
    fn state(&self) -> Result<Json, TaskError> {
        match self.gathered.get() {
            Self::LOST => Err(crate::data::DataError::Stopped.into()),
            gathered => Ok(gathered.into()),
        }
    }
    fn restore(&self, state: &Json) -> Result<(), String> {
        self.gathered.set(state.as_u64().ok_or("it has no count")?);
        Ok(())
    }
    fn may_checkpoint(&self, step: usize) -> bool {
        step == 0
    }
}

/// Saves whenever it may, and asks to stop after so many questions.
struct Eager(StopAt, usize);

impl Observer for Eager {
    fn step(&mut self, _: usize, _: usize, _: usize, _: &Score) {}
    fn epoch(&mut self, _: &EpochRecord) {}
    fn checkpoint_due(&self) -> bool {
        true
    }
    fn checkpoint_saved(&mut self, _: u64, _: Duration) {
        self.1 += 1;
    }
    fn spent(&self) -> Duration {
        Duration::ZERO
    }
    fn stop_requested(&self) -> bool {
        self.0.stop_requested()
    }
}

#[test]
fn what_a_task_gathers_begins_each_epoch_once_and_is_saved_between_two() {
    let (device, config) = (Device::flex(), TrainingConfig { epochs: 3, ..config(By::Step) });
    let fresh_task = || Gathering { inner: tiny::task(), gathered: Cell::new(0) };
    let learner = || tiny::learner(tiny::SPACE, &tiny::config(Mixing::Softmax));
    let folder = tempfile::tempdir().unwrap();
    let (task, path) = (fresh_task(), folder.path().join("whole"));
    let mut whole = Training::new(learner(), &task, &config);
    let mut eager = Eager(StopAt::never(), 0);
    assert_eq!(whole.run(&path, &mut eager).unwrap(), Ended::Completed);
    assert_eq!(eager.1, 3, "once after each epoch, and at no step");
    // An epoch asks six times. Where it is to stop, the beginning of the epoch is saved, whenever
    // the last checkpoint was.
    for (question, resumed) in [(3, "epoch 1, step 1"), (8, "epoch 2, step 1"), (16, "epoch 3, step 1")] {
        let path = folder.path().join(question.to_string());
        let task = fresh_task();
        let mut stopped = Training::new(learner(), &task, &config);
        assert_eq!(stopped.run(&path, &mut StopAt::question(question)).unwrap(), Ended::Stopped);
        let task = fresh_task();
        let mut search = Training::new(learner(), &task, &config);
        assert_eq!(search.resume(&path, &device).unwrap().as_deref(), Some(resumed));
        assert_eq!(search.run(&path, &mut Eager(StopAt::never(), 0)).unwrap(), Ended::Completed);
        assert_eq!(bits(&search.learner), bits(&whole.learner), "stopped at question {question}");
    }
}

/// A state that cannot be had must not take the place of the checkpoint that was: all since would be lost
/// with it.
#[test]
fn a_task_that_cannot_say_its_state_leaves_the_checkpoint_as_it_was() {
    let (device, config) = (Device::flex(), TrainingConfig { epochs: 3, ..config(By::Step) });
    let task = Gathering { inner: tiny::task(), gathered: Cell::new(0) };
    let learner = || tiny::learner(tiny::SPACE, &tiny::config(Mixing::Softmax));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint");
    let mut stopped = Training::new(learner(), &task, &config);
    assert_eq!(stopped.run(&path, &mut Eager(StopAt::question(8), 0)).unwrap(), Ended::Stopped);
    let saved = std::fs::read(&path).unwrap();
    task.gathered.set(Gathering::LOST);
    let error = stopped.save(&path, &mut Eager(StopAt::never(), 0)).unwrap_err();
    assert!(matches!(error, TrainingError::Task(_)), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), saved);
    let task = Gathering { inner: tiny::task(), gathered: Cell::new(0) };
    let mut search = Training::new(learner(), &task, &config);
    assert_eq!(search.resume(&path, &device).unwrap().as_deref(), Some("epoch 2, step 1"));
}
