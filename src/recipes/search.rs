//! The keys of training a supernet.

use super::{
    COUNT, NOT_NEGATIVE,
    mixing::mixing,
    never_reached,
    perturb::perturb,
    rate::{RateDefaults, rate},
    regularise::regularise,
    weights::{Moving, WeightDefaults, Weights, adam, weights},
};
use crate::{
    config::Fields,
    model::Mixing,
    space::EdgeOptions,
    space::network::Level,
    train::{
        AdamConfig, AlphaConfig, LearnerConfig, Rate, Strategy, TrainingConfig,
        strategy::{Bilevel, First, Order},
    },
};

/// `architect.py` of DARTS: Adam at one rate.
const ALPHA_RATE: RateDefaults = RateDefaults { rate: 3e-4, schedule: "constant", minimum: 0.0, factor: 0.97 };

/// `partial_channels: 4` and `edge_normalisation: true` are PC-DARTS' on CIFAR-10 (arXiv
/// 1907.05737), `auxiliary_skip: true` is DARTS-'s (arXiv 2009.01027); left out, edges are DARTS'.
pub fn edges(fields: &mut Fields<'_>) -> EdgeOptions {
    let usual = EdgeOptions::default();
    EdgeOptions {
        partial_channels: fields.integer("partial_channels", usual.partial_channels, 1.., COUNT),
        edge_normalisation: fields.boolean("edge_normalisation", usual.edge_normalisation),
        auxiliary_skip: fields.boolean("auxiliary_skip", usual.auxiliary_skip),
    }
}

/// `strategy: single_level`, or `strategy: bilevel` with `order` and `moves_first`. The defaults of
/// the latter are those of DARTS.
fn strategy(fields: &mut Fields<'_>) -> Strategy {
    match fields.choice("strategy", "single_level", &["single_level", "bilevel"].map(|name| (name, name))) {
        "bilevel" => Strategy::Bilevel(Bilevel {
            order: fields.choice("order", Order::First, &[("first", Order::First), ("second", Order::Second)]),
            first: fields.choice(
                "moves_first",
                First::Alphas,
                &[("alphas", First::Alphas), ("weights", First::Weights)],
            ),
        }),
        _ => Strategy::SingleLevel,
    }
}

/// `strategy`, `epochs`, `warmup_epochs`, `mixing`, `perturb`, `regularise`, `weights: {…}`,
/// `alphas: {…}` and `watch_every`: how a supernet learns, and for how long. `seed` decides what it
/// draws on the way.
pub fn search(fields: &mut Fields<'_>, seed: u64) -> (LearnerConfig, TrainingConfig) {
    let strategy = strategy(fields);
    let epochs = fields.integer("epochs", 50, 1.., COUNT);
    let warmup_epochs = fields.integer("warmup_epochs", 0, 0.., "a whole number from 0");
    if warmup_epochs > epochs {
        never_reached(fields, "warmup_epochs", warmup_epochs, epochs);
    }
    let (mixing, width_passes) = mixing(fields);
    let of_operations = mixing.of(Level::Operations);
    let skip_zero_weights = skip_zero_weights(fields, of_operations);
    let perturb = perturb(fields, epochs);
    let regulariser = regularise(fields, of_operations);
    let weights = weights(fields, &WeightDefaults::SEARCH, epochs, Moving::WeightsAndAlphas);
    let (alpha_rate, adam, deviation) = fields.map("alphas", |keys| alphas(keys, epochs));
    let watch_every = fields.integer("watch_every", 1, 1.., COUNT);

    let Weights { rate, optimiser, clip_norm, clipped } = weights;
    let alphas = AlphaConfig { mixing, width_passes, perturb, regulariser, adam, skip_zero_weights, deviation };
    let learner = LearnerConfig { optimiser, clip_norm, clipped, average: None, alphas: Some(alphas) };
    let training = TrainingConfig {
        epochs,
        strategy,
        rate,
        alpha_rate,
        warmup_epochs,
        accumulate: 1,
        drop_path: 0.0,
        seed,
        watch_every,
    };
    (learner, training)
}

/// `skip_zero_weights: true`: as GDAS' code computes one candidate of an edge. Results are older than
/// the key: off, it is not hashed.
fn skip_zero_weights(fields: &mut Fields<'_>, mixing: Mixing) -> bool {
    let skips = fields.boolean("skip_zero_weights", false);
    if !skips {
        fields.exclude_from_hash("skip_zero_weights");
    } else if matches!(mixing, Mixing::Softmax | Mixing::Sigmoid) {
        let place = fields.origin_of("skip_zero_weights").clone();
        let message =
            "`skip_zero_weights` is for `mixing: gumbel` and `sparsestmax`: no other weight is ever exactly 0";
        fields.problems().add(&place, message);
    }
    skips
}

/// `alphas: {learning_rate, warmup_epochs, schedule, …, betas, epsilon, weight_decay, deviation}`
fn alphas(keys: &mut Fields<'_>, epochs: usize) -> (Rate, AdamConfig, f64) {
    let rate = rate(keys, &ALPHA_RATE, epochs);
    let weight_decay = keys.number("weight_decay", 1e-3, 0.0.., NOT_NEGATIVE);
    let adam = adam(keys, [0.5, 0.999], weight_decay);
    (rate, adam, keys.number("deviation", 1e-3, 0.0.., NOT_NEGATIVE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::{Node, Problems},
        train::{
            By, Clipped, MeanShift, OptimiserConfig, Perturb, PerturbKind, Regulariser, Schedule, SgdConfig,
            WidthPasses,
        },
    };

    fn read(text: &str) -> Result<(LearnerConfig, TrainingConfig), Vec<String>> {
        let node = Node::parse("test", text).unwrap();
        let mut problems = Problems::new();
        let mut fields = Fields::open(&node, "a search", &mut problems);
        let configs = search(&mut fields, 7);
        fields.close();
        problems.into_result(configs).map_err(|problems| problems.iter().map(|p| p.message.clone()).collect())
    }

    fn alphas(learner: &LearnerConfig) -> AlphaConfig {
        learner.alphas.clone().expect("a search has alphas")
    }

    /// The numbers of `train_search.py`, `architect.py` and `model_search.py`: a silent change
    /// would change every search.
    #[test]
    fn what_is_left_out_is_darts() {
        let (learner, search) = read("{}").unwrap();
        let sgd = SgdConfig { momentum: 0.9, nesterov: false, weight_decay: 3e-4 };
        let adam = AdamConfig { beta_1: 0.5, beta_2: 0.999, epsilon: 1e-8, weight_decay: 1e-3 };
        let alphas = AlphaConfig {
            mixing: Mixing::Softmax.into(),
            width_passes: WidthPasses::default(),
            perturb: None,
            regulariser: Regulariser::default(),
            adam,
            skip_zero_weights: false,
            deviation: 1e-3,
        };
        let expected = LearnerConfig {
            optimiser: OptimiserConfig::Sgd(sgd),
            clip_norm: 5.0,
            clipped: Clipped::Weights,
            average: None,
            alphas: Some(alphas),
        };
        assert_eq!(learner, expected);
        let schedule = Schedule::Cosine { minimum: 0.001, by: By::Epoch };
        assert_eq!(search.rate, Rate { first: 0.025, schedule, warmup: 0, warmup_by: By::Epoch });
        assert_eq!((search.epochs, search.strategy, search.warmup_epochs), (50, Strategy::SingleLevel, 0));
        assert_eq!(search.alpha_rate, Rate::constant(3e-4));
    }

    #[test]
    fn what_is_given_is_taken_and_what_cannot_be_is_named() {
        let (learner, search) =
            read("{mixing: sigmoid, weights: {schedule: constant, learning_rate: 1e-4}, alphas: {betas: [0, 0.9]}}")
                .unwrap();
        assert_eq!((alphas(&learner).mixing, search.rate.schedule), (Mixing::Sigmoid.into(), Schedule::Constant));
        assert_eq!((alphas(&learner).adam.beta_1, alphas(&learner).adam.beta_2), (0.0, 0.9));
        let (_, bilevel) =
            read("{strategy: bilevel, moves_first: weights, warmup_epochs: 15, alphas: {schedule: cosine}}").unwrap();
        let expected = Strategy::Bilevel(Bilevel { order: Order::First, first: First::Weights });
        assert_eq!((bilevel.strategy, bilevel.warmup_epochs), (expected, 15));
        assert_eq!(bilevel.alpha_rate.schedule, Schedule::Cosine { minimum: 0.0, by: By::Epoch });
        let (gumbel, search) = read("{mixing: gumbel, final_temperature: 1}").unwrap();
        assert_eq!(alphas(&gumbel).mixing, Mixing::Gumbel { temperature: 10.0, final_temperature: 1.0 }.into());
        assert_eq!(search.seed, 7);
        let (sparse, _) = read("{mixing: sparsestmax, final_radius: 0.5}").unwrap();
        assert_eq!(alphas(&sparse).mixing, Mixing::Sparsestmax { radius: 0.0, final_radius: 0.5 }.into());
        assert!(read("{temperature: 3}").unwrap_err()[0].contains("unknown key `temperature`"), "of another mixing");
        assert!(alphas(&read("{mixing: gumbel, skip_zero_weights: true}").unwrap().0).skip_zero_weights);
        let said = read("{skip_zero_weights: true}").unwrap_err().join("\n");
        assert!(said.contains("`skip_zero_weights` is for `mixing: gumbel` and `sparsestmax`"), "{said}");
        let said = read("{mixing: gumbel, temperature: 0, radius: 1}").unwrap_err().join("\n");
        assert!(
            said.contains("`temperature` must be a number above 0") && said.contains("unknown key `radius`"),
            "{said}"
        );
        let said = read("{mixing: sparsestmax, radius: -0.5, final_radius: 2}").unwrap_err().join("\n");
        assert!(said.contains("`radius` must be a number from 0 to 1, found `-0.5`"), "{said}");
        assert!(said.contains("`final_radius` must be a number from 0 to 1, found `2`"), "{said}");
        let (moved, _) = read("{perturb: {kind: random}, regularise: {beta_decay: 25}}").unwrap();
        assert_eq!(alphas(&moved).perturb, Some(Perturb { kind: PerturbKind::Random, radius: 0.3, from_epoch: 0 }));
        assert_eq!(alphas(&moved).regulariser, Regulariser { beta_decay: 25.0, ..Regulariser::default() });
        let (shifted, _) = read("{perturb: {kind: mean_shift, rounds: 1, from_epoch: 5}}").unwrap();
        let shift = MeanShift { samples: 3, rounds: 1, bandwidth: 1.0 };
        assert_eq!(
            alphas(&shifted).perturb,
            Some(Perturb { kind: PerturbKind::MeanShift(shift), radius: 0.25, from_epoch: 5 })
        );
        let (fair, _) = read("{mixing: sigmoid, regularise: {zero_one: 10}}").unwrap();
        assert_eq!(alphas(&fair).regulariser.zero_one, 10.0);
        let (learner, training) = read(
            "{weights: {optimiser: adam, betas: [0.9, 0.99], weight_decay: 0, clip: all, warmup_steps: 7, schedule: milestones, \
             milestones: [2, 4], factor: 0.5}}",
        )
        .unwrap();
        let adam = AdamConfig { beta_1: 0.9, beta_2: 0.99, epsilon: 1e-8, weight_decay: 0.0 };
        assert_eq!((learner.optimiser, learner.clipped), (OptimiserConfig::Adam(adam), Clipped::All));
        let schedule = Schedule::Milestones { at: vec![2, 4], factor: 0.5, by: By::Epoch };
        assert_eq!(training.rate, Rate { first: 0.025, schedule, warmup: 7, warmup_by: By::Step });
        let said = read(
            "{weights: {optimiser: adam, momentum: 0.9, warmup_epochs: 1, warmup_steps: 2, schedule: milestones, milestones: [4, 4]}}",
        );
        let said = said.unwrap_err().join("\n");
        for words in [
            "unknown key `momentum`",
            "unknown key `warmup_epochs`",
            "`milestones` must be a list of whole numbers from 1, each above the one before",
        ] {
            assert!(said.contains(words), "`{words}` is said:\n{said}");
        }
        let said =
            read("{perturb: {radius: 0, rounds: 1}, regularise: {zero_one: 1, beta: 2}}").unwrap_err().join("\n");
        for words in [
            "`perturb` lacks the key `kind`",
            "`radius` must be a number above 0, found `0`",
            "unknown key `rounds` in `perturb`",
            "`zero_one` drives the sigmoid of each alpha to 0 or 1",
            "unknown key `beta` in `regularise`",
        ] {
            assert!(said.contains(words), "`{words}` is said:\n{said}");
        }
        assert!(read("{order: second}").unwrap_err()[0].contains("unknown key `order`"), "of another strategy");
        let said = read("{weights: {learning_rate: 1e-4, decay: 1}, alphas: {betas: [0.5, 1], learning_rate: .nan}}");
        let said = said.unwrap_err().join("\n");
        for words in [
            "a cosine cannot fall from `learning_rate` 0.0001 to `minimum_learning_rate` 0.001",
            "unknown key `decay`",
            "`betas` must be two numbers from 0 to below 1",
            "`learning_rate` must be a number above 0",
        ] {
            assert!(said.contains(words), "`{words}` is said:\n{said}");
        }
    }

    #[test]
    fn what_would_mean_nothing_is_named() {
        let never =
            |key: &str, epoch: usize| format!("a training of `epochs: 5` does not come to what `{key}` names, {epoch}");
        for (keys, said) in [
            ("warmup_epochs: 6", never("warmup_epochs", 6)),
            ("weights: {warmup_epochs: 6}", never("warmup_epochs", 6)),
            ("alphas: {warmup_epochs: 6}", never("warmup_epochs", 6)),
            ("alphas: {schedule: milestones, milestones: [2, 5]}", never("milestones", 5)),
            ("perturb: {kind: random, from_epoch: 5}", never("from_epoch", 5)),
            (
                "weights: {momentum: 0, nesterov: true}",
                "`nesterov` looks ahead along the momentum, and there is none".to_owned(),
            ),
        ] {
            assert_eq!(read(&format!("{{epochs: 5, {keys}}}")).unwrap_err(), [said], "{keys}");
        }
        // Alphas that never move and a rate that only rises are searches too; steps are not counted.
        for keys in [
            "warmup_epochs: 5, weights: {warmup_epochs: 5}",
            "weights: {warmup_steps: 6, schedule: milestones, milestones: [9], schedule_by: step}",
            "weights: {schedule: linear}, perturb: {kind: random, from_epoch: 4}",
        ] {
            read(&format!("{{epochs: 5, {keys}}}")).unwrap();
        }
    }
}
