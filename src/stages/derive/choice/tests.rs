//! Each rule on searches of NAS-Bench-201 that are written by hand.

use super::*;
use crate::{
    model::Mixing,
    records::{EpochAlphas, Size, Watched},
    space::shipped,
    train::TableRecord,
};
use serde_json::json;

/// An epoch in which the same candidate leads on all edges, by `lead`: none, skip, conv 1x1, conv
/// 3x3, pooling.
fn epoch(number: usize, leader: usize, lead: f32) -> EpochAlphas {
    let mut row = vec![(1.0 - lead) / 4.0; 5];
    row[leader] = lead;
    let weights = vec![row; 6];
    let label = "arch_parameters".to_owned();
    EpochAlphas {
        epoch: number,
        tables: vec![TableRecord { label, alphas: weights.clone(), betas: None, weights, entropy: Vec::new() }],
    }
}

/// A search whose epochs have these leaders and held-out accuracies.
fn search(seed: u64, epochs: &[(usize, f64)]) -> Searched {
    let space = shipped::space("nas_bench_201");
    let figures = epochs.iter().enumerate().map(|(at, (_, accuracy))| Epoch {
        epoch: at + 1,
        train: [("loss".to_owned(), Some(2.0 - accuracy / 100.0))].into(),
        watched: [(Watched::HeldOut, [("accuracy_percent".to_owned(), Some(*accuracy))].into())].into(),
        ..Epoch::default()
    });
    let figures = figures.collect();
    let epochs: Vec<EpochAlphas> =
        epochs.iter().enumerate().map(|(at, (leader, _))| epoch(at + 1, *leader, 0.6)).collect();
    let genotypes = epochs.iter().map(|epoch| space.derive(&epoch.weights()).unwrap()).collect();
    Searched {
        member: format!("search[seed={seed}]"),
        point: [("seed".to_owned(), json!(seed))].into_iter().collect(),
        space,
        space_text: String::new(),
        mixing: Mixing::Softmax.into(),
        epochs,
        genotypes,
        lattice: None,
        figures,
    }
}

fn best(figure: &str, direction: Direction) -> Rule {
    Rule::Best { figure: figure.to_owned(), direction }
}

/// Search, epoch, the operation of the cell's first edge, and why.
fn told(rule: &Rule, searches: &[Searched], judges: &[Judge]) -> (Option<usize>, Option<usize>, String, String) {
    let Choice { genotype, search, epoch, why } = choose(rule, searches, judges).unwrap();
    (search, epoch, genotype.cells["cell"].nodes[0][0].operation.clone(), why)
}

fn failed(rule: &Rule, searches: &[Searched]) -> (String, Option<String>) {
    match choose(rule, searches, &[]).unwrap_err() {
        StageError::Input { message, hint } => (message, hint),
        other => panic!("{other}"),
    }
}

#[test]
fn the_last_epoch_or_the_one_that_is_named() {
    let searches = [search(0, &[(3, 50.0), (2, 80.0), (1, 60.0)])];
    let (_, epoch, cell, why) = told(&Rule::Last, &searches, &[]);
    assert_eq!((epoch, cell.as_str(), why.as_str()), (Some(3), "skip_connect", "the last of 3 epochs"));
    let (_, epoch, cell, _) = told(&Rule::Epoch(2), &searches, &[]);
    assert_eq!((epoch, cell.as_str()), (Some(2), "nor_conv_1x1"));
    assert_eq!(failed(&Rule::Epoch(9), &searches).0, "the search has 3 epochs and not epoch 9");
}

#[test]
fn the_best_epoch_of_all_searches_and_of_equals_the_earlier() {
    let searches = [search(0, &[(3, 50.0), (2, 80.0), (1, 60.0)]), search(1, &[(4, 80.0), (1, 70.0), (0, 80.0)])];
    let (search, epoch, cell, why) = told(&best("held_out_accuracy_percent", Direction::Highest), &searches, &[]);
    assert_eq!((search, epoch, cell.as_str()), (Some(1), Some(1), "avg_pool_3x3"));
    assert_eq!(why, "its `held_out_accuracy_percent`, 80, is the highest of 6 epochs of 2 searches");
    let (search, epoch, ..) = told(&best("held_out_accuracy_percent", Direction::Highest), &searches[..1], &[]);
    assert_eq!((search, epoch), (Some(0), Some(2)));
    let (search, epoch, _, why) = told(&best("train_loss", Direction::Lowest), &searches, &[]);
    assert_eq!((search, epoch), (Some(1), Some(1)), "{why}");
}

#[test]
fn a_figure_that_is_not_there_or_no_number_is_no_candidate() {
    let mut searches = [search(0, &[(3, 50.0), (2, 80.0)])];
    searches[0].figures[1].watched.clear();
    let (_, epoch, ..) = told(&best("held_out_accuracy_percent", Direction::Highest), &searches, &[]);
    assert_eq!(epoch, Some(1));
    let (message, hint) = failed(&best("held_out_acuracy_percent", Direction::Highest), &searches);
    assert_eq!(
        message,
        "no epoch has a figure `held_out_acuracy_percent`; there is `held_out_accuracy_percent`, `learning_rate`, `train_loss`"
    );
    assert_eq!(hint.as_deref(), Some("did you mean `held_out_accuracy_percent`?"));
}

#[test]
fn the_cell_whose_training_ended_best_goes_on() {
    let searches = [search(0, &[(3, 90.0)]), search(1, &[(2, 10.0), (4, 20.0)]), search(2, &[(1, 50.0)])];
    let judge = |seed: usize, accuracy: f64| Judge {
        member: format!("short[seed={seed}]"),
        point: searches[seed].point.clone(),
        genotype: searches[seed].genotypes[0].clone(),
        figures: [("held_out_accuracy_percent".to_owned(), accuracy)].into(),
    };
    // The training of search 2's cell failed.
    let judges = [judge(0, 61.5), judge(1, 72.25)];
    let rule = best("held_out_accuracy_percent", Direction::Highest);
    let (search, epoch, cell, why) = told(&rule, &searches, &judges);
    assert_eq!((search, epoch, cell.as_str()), (Some(1), Some(1), "nor_conv_1x1"), "the cell that was trained");
    assert_eq!(
        why,
        "`held_out_accuracy_percent` of `short[seed=1]`, 72.25, is the highest of 2 trainings (61.5, 72.25)"
    );
}

#[test]
fn limits_say_what_was_struck() {
    let limits = |count| Rule::AtMost(vec![Limit { kind: "cell".into(), operation: "skip_connect".into(), count }]);
    let searches = [search(0, &[(3, 0.0), (1, 0.0)])];
    let (_, epoch, cell, why) = told(&limits(5), &searches, &[]);
    assert_eq!((epoch, cell.as_str()), (Some(2), "skip_connect"));
    assert_eq!(why, "the last of 2 epochs, derived without skip_connect 2→3 (0.600)");
    assert!(told(&limits(6), &searches, &[]).3.ends_with("which is within the limits as it is"));
}

fn budget(parameters: Option<u64>, multiply_adds: Option<u64>) -> Rule {
    let size = Size { skeleton: "final".into(), channels: 16, size: 5 };
    Rule::Within {
        budget: Budget { parameters, multiply_adds },
        build: size.build(crate::space::network::OutputSpec::scores(10), [3, 32, 32], false),
    }
}

#[test]
fn the_latest_epoch_within_the_budget_counts_what_its_network_has() {
    // Cells of skips only have 73,306 parameters, those of 3x3 convolutions most.
    let searches = [search(0, &[(3, 0.0), (1, 0.0), (2, 0.0), (3, 0.0)])];
    let (_, epoch, cell, why) = told(&budget(Some(300_000), None), &searches, &[]);
    assert_eq!((epoch, cell.as_str()), (Some(3), "nor_conv_1x1"), "{why}");
    let (_, epoch, cell, why) = told(&budget(Some(73_306), None), &searches, &[]);
    assert_eq!((epoch, cell.as_str()), (Some(2), "skip_connect"));
    assert!(why.starts_with("the latest of 4 epochs within 73306 parameters: it has 73306 parameters and "), "{why}");
    let (message, _) = failed(&budget(Some(73_305), Some(1_000_000_000)), &searches);
    assert!(
        message.starts_with("no epoch's network is within 73305 parameters and 1000000000 multiply-adds; nearest comes that of epoch 2 with 73306 parameters"),
        "{message}"
    );
    // Both must hold.
    let (message, _) = failed(&budget(Some(10_000_000), Some(1)), &searches);
    assert!(message.contains("nearest comes that of epoch 2"), "{message}");
}

#[test]
fn a_consensus_is_what_the_mean_of_the_weights_derives_to() {
    // Two narrow leads of the 3x3 convolution against a wide one of pooling: the mean sides with
    // pooling.
    let mut searches = [search(0, &[(0, 0.0)]), search(1, &[(0, 0.0)]), search(2, &[(0, 0.0)])];
    for (search, (leader, lead)) in searches.iter_mut().zip([(3, 0.3), (3, 0.3), (4, 0.9)]) {
        search.epochs = vec![epoch(1, leader, lead)];
        search.genotypes = vec![search.space.derive(&search.epochs[0].weights()).unwrap()];
    }
    let (search, epoch, cell, why) = told(&Rule::Consensus, &searches, &[]);
    assert_eq!((search, epoch, cell.as_str()), (None, None, "avg_pool_3x3"));
    assert_eq!(
        why,
        "the mean of the mixing weights of 3 searches, each after its last epoch; 1 of them derive to it by themselves"
    );
    searches[1].mixing = Mixing::Sigmoid.into();
    assert!(failed(&Rule::Consensus, &searches).0.contains("different relaxations"));
}
