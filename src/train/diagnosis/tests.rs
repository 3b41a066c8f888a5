//! Looking leaves no trace.

use super::*;
use crate::{
    model::Mixing,
    train::{
        Ended, Rate, Strategy, Training, TrainingConfig,
        strategy::{Bilevel, First, Order},
        tiny::{self, StopAt, bits},
    },
};
use burn::tensor::{Device, Tensor};
use std::path::Path;

fn config(strategy: Strategy, epochs: usize) -> TrainingConfig {
    TrainingConfig {
        epochs,
        strategy,
        rate: Rate::constant(0.2),
        alpha_rate: Rate::constant(0.3),
        warmup_epochs: 0,
        accumulate: 1,
        drop_path: 0.0,
        seed: 0,
        watch_every: 1,
    }
}

fn all() -> DiagnosisConfig {
    DiagnosisConfig { benefit_batches: 2, eigenvalue_every: Some(2), eigenvalue_iterations: 3, ..Default::default() }
}

type Found = (Vec<Vec<u32>>, Vec<EpochRecord>, Option<Stopped>);

/// A whole search, or one that was stopped at the question of a number and resumed.
fn search(config: &TrainingConfig, diagnosis: Option<&DiagnosisConfig>, stop: Option<usize>) -> Found {
    search_from(config, diagnosis, stop, None)
}

/// The first edge begins with a preference for the candidate of that column.
fn search_from(
    config: &TrainingConfig,
    diagnosis: Option<&DiagnosisConfig>,
    stop: Option<usize>,
    preferred: Option<usize>,
) -> Found {
    let (task, space) = (tiny::task(), tiny::space(tiny::SPACE));
    let fresh = || {
        let mut learner = tiny::learner(tiny::SPACE, &tiny::config(Mixing::Softmax));
        if let Some(column) = preferred {
            let mut alphas = learner.state.alphas.to_host();
            alphas[column] += 0.1;
            learner.state.alphas.set(Tensor::from_floats(alphas.as_slice(), &Device::flex()));
        }
        let network = learner.model.network().clone();
        let training = Training::new(learner, &task, config);
        match diagnosis {
            Some(diagnosis) => training.diagnosing(Diagnosis::new(&space, &network, diagnosis, 3)),
            None => training,
        }
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint");
    if let Some(question) = stop {
        assert_eq!(fresh().run(&path, &mut StopAt::question(question)).unwrap(), Ended::Stopped, "{question}");
    }
    let mut training = fresh();
    assert_eq!(training.resume(&path, &Device::flex()).unwrap().is_some(), stop.is_some());
    let ended = training.run(Path::new("/no/checkpoint"), &mut StopAt::never()).unwrap();
    assert_eq!(ended, Ended::Completed);
    (bits(&training.learner), training.records().to_vec(), training.stopped_early())
}

#[test]
fn with_all_diagnostics_and_with_none_the_same_bits_are_trained() {
    let bilevel = Bilevel { order: Order::First, first: First::Alphas };
    for strategy in [Strategy::SingleLevel, Strategy::Bilevel(bilevel)] {
        let config = config(strategy, 3);
        let (plain, plain_records, _) = search(&config, None, None);
        let (looked_at, records, _) = search(&config, Some(&all()), None);
        assert_eq!(plain, looked_at);
        let without = |record: &EpochRecord| EpochRecord { diagnosis: None, ..record.clone() };
        assert_eq!(plain_records, records.iter().map(without).collect::<Vec<_>>());
        for record in &records {
            let found = record.diagnosis.as_ref().unwrap();
            assert!(found.discretised.is_some());
            assert_eq!(found.eigenvalue.is_some(), record.epoch == 2);
            let benefit = [found.benefit_fit.unwrap(), found.benefit_held_out.unwrap()];
            assert!(benefit.iter().all(|benefit| benefit.learnable.is_some() && benefit.parameter_free.is_some()));
            assert_ne!(benefit[0], benefit[1]);
            let counts = &found.counts["cell"];
            assert_eq!((counts.operations.values().sum::<usize>(), counts.learnable + counts.parameter_free), (3, 3));
        }
        let off = DiagnosisConfig { benefit_batches: 0, ..Default::default() };
        let (_, records, _) = search(&config, Some(&off), None);
        assert!(records.iter().all(|record| record.diagnosis.as_ref().unwrap().benefit_fit.is_none()));
    }
}

#[test]
fn between_two_looks_at_the_watched_images_cells_are_derived_all_the_same() {
    let config = TrainingConfig { watch_every: 2, ..config(Strategy::SingleLevel, 3) };
    let (_, records, _) = search(&config, Some(&all()), None);
    let looked_at = |record: &EpochRecord| {
        let gap = record.diagnosis.as_ref().unwrap().discretised;
        assert_eq!(gap.is_some(), record.watched.is_some());
        gap.is_some()
    };
    assert_eq!(records.iter().map(looked_at).collect::<Vec<_>>(), [false, true, true]);
}

#[test]
fn a_resumed_search_has_the_diagnoses_of_a_whole_one_to_the_bit() {
    let config = config(Strategy::SingleLevel, 2);
    let whole = search(&config, Some(&all()), None);
    // Three steps an epoch, three batches that are watched, and once before gradients are asked
    // for.
    for question in 1..=14 {
        assert_eq!(search(&config, Some(&all()), Some(question)), whole, "stopped at question {question}");
    }
}

/// An edge that begins with a preference loses it again unless it is for the best; a rule on what
/// the cell then has more of ends the search there, and where it was interrupted before makes no
/// difference.
#[test]
fn a_search_that_ends_early_is_the_beginning_of_a_longer_one_wherever_it_was_interrupted() {
    let config = TrainingConfig { alpha_rate: Rate::constant(0.01), ..config(Strategy::SingleLevel, 8) };
    let counts = |record: &EpochRecord| record.diagnosis.as_ref().unwrap().counts["cell"].operations.clone();
    let risen = |preferred: usize| {
        let (_, full, ended) = search_from(&config, Some(&all()), None, Some(preferred));
        assert_eq!(ended, None);
        let (at, operation, before) = full.windows(2).find_map(|pair| {
            let [earlier, later] = [counts(&pair[0]), counts(&pair[1])];
            let risen = later.iter().find(|(operation, count)| **count > earlier[*operation])?;
            Some((pair[1].epoch, risen.0.clone(), earlier[risen.0]))
        })?;
        Some((preferred, full, at, operation, before))
    };
    let (preferred, full, at, operation, before) = (0..3).find_map(risen).expect("a count rises");
    assert!(at < 8, "before the last epoch");
    let count = Some(CountRule { operation, more_than: before });
    let rules = DiagnosisConfig { stop_early: StopEarly { count, eigenvalue: None }, ..all() };
    let stopped = search_from(&config, Some(&rules), None, Some(preferred));
    let verdict = stopped.2.clone().unwrap();
    assert_eq!((verdict.at, verdict.kept), (at, at - 1));
    assert_eq!(stopped.1, full[..at]);
    assert_eq!(search_from(&config, Some(&rules), Some(7 * (at - 1) + 3), Some(preferred)), stopped);
}
