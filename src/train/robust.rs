//! The shipped spaces of RobustDARTS (arXiv 1909.09656), a step of a search each, and the cells
//! that are derived from it.

use super::{
    Learner,
    strategy::{Rates, single_level},
    tiny,
};
use crate::{
    kernels::Kernels,
    model::{Mixing, Model, OUTPUT, host, tiny::noise},
    space::{Build, Genotype, Space, shipped},
    tasks::{Batch, classification},
};
use burn::tensor::{Device, Tensor};

const SPACES: [(&str, &[&str]); 4] = [
    ("robust_s1", &["max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "dil_conv_3x3", "dil_conv_5x5"]),
    ("robust_s2", &["skip_connect", "sep_conv_3x3"]),
    ("robust_s3", &["skip_connect", "sep_conv_3x3"]),
    ("robust_s4", &["noise", "sep_conv_3x3"]),
];

fn batch(seed: u64) -> Batch {
    let device = Device::flex();
    let images = noise(seed, [4, 3, 8, 8], &device);
    classification::labelled(images, Tensor::from_data([0, 1, 2, 1], &device))
}

fn learner(space: &Space, kernels: Kernels) -> Learner {
    let build = Build { channels: Some(4), size: Some(3), ..shipped::build("search", 8, 3) };
    let model = Model::new(space.supernet(&build).unwrap(), kernels);
    Learner::new(model, tiny::objective(), &tiny::config(Mixing::Softmax), 5, &Device::flex())
}

/// Two steps, then the loss of the second, weights, alphas and an evaluation.
fn stepped(learner: &mut Learner) -> Vec<f32> {
    let rates = Rates { weights: 0.1, alphas: Some(0.05) };
    let losses = [0, 1].map(|step| {
        learner.model.begin_noise_stream(2 * step);
        host(single_level::step(learner, &batch(step), rates).loss)
    });
    let evaluated = host(learner.evaluate(batch(7).inputs).scores(OUTPUT));
    [losses[1].clone(), learner.state.weights.to_host(), learner.state.alphas.to_host(), evaluated].concat()
}

#[test]
fn each_space_takes_a_step_and_gives_a_cell_of_its_own_operations() {
    for (name, operations) in SPACES {
        let space = shipped::space(name);
        let mut learner = learner(&space, Kernels::Native);
        let before = learner.state.alphas.to_host();
        assert!(stepped(&mut learner).iter().all(|number| number.is_finite()), "{name}");
        let moved =
            learner.state.alphas.to_host().iter().zip(&before).filter(|(after, before)| after != before).count();
        assert_eq!(moved, before.len(), "{name}: every alpha moves");
        let wide = |row: &Vec<f32>| -> Vec<f64> { row.iter().copied().map(f64::from).collect() };
        let tables = learner.tables().into_iter();
        let weights = tables.map(|table| (table.label, table.weights.iter().map(wide).collect())).collect();
        let genotype = space.derive(&weights).unwrap();
        for choice in genotype.every_cell().flat_map(|cell| cell.nodes.iter().flatten()) {
            assert!(operations.contains(&choice.operation.as_str()), "{name} derives `{}`", choice.operation);
        }
        let build = Build { channels: Some(4), size: Some(3), ..shipped::build("cifar", 32, 3) };
        assert!(space.discrete(&genotype, &build).unwrap().cost().parameters > 0, "{name}");
    }
}

#[test]
fn a_search_over_noise_is_the_same_again_and_by_either_way_of_computing() {
    let space = shipped::space("robust_s4");
    let first = stepped(&mut learner(&space, Kernels::Native));
    assert_eq!(stepped(&mut learner(&space, Kernels::Native)), first);
    for (found, expected) in stepped(&mut learner(&space, Kernels::Reference)).iter().zip(&first) {
        assert!((found - expected).abs() < 1e-3 * expected.abs().max(1.0), "{found} is not {expected}");
    }
    // A pass of its own is drawn anew, and so is an evaluation.
    let learner = learner(&space, Kernels::Native);
    let loss = || host(learner.pass(&batch(0)).loss);
    assert_ne!(loss(), loss());
    let evaluated = || host(learner.evaluate(batch(0).inputs).scores(OUTPUT));
    assert_ne!(evaluated(), evaluated());
}

/// Whoever chooses noise has noise.
#[test]
fn noise_in_a_derived_network_stays_noise() {
    let space = shipped::space("robust_s4");
    let cell =
        "{nodes: [[noise~0, sep_conv_3x3~1], [noise~0, noise~1], [noise~2, noise~3], [sep_conv_3x3~0, noise~4]]}";
    let genotype = Genotype::parse(&format!("cells: {{normal: {cell}, reduce: {cell}}}"), &space).unwrap();
    let build = Build { channels: Some(4), size: Some(3), ..shipped::build("cifar", 8, 3) };
    let network = space.discrete(&genotype, &build).unwrap();
    let two_passes = |kernels| {
        let model = Model::new(network.clone(), kernels);
        let learner = Learner::new(model, tiny::objective(), &tiny::config(Mixing::Softmax), 5, &Device::flex());
        [(); 2].map(|()| host(learner.evaluate(batch(0).inputs).scores(OUTPUT)))
    };
    let [first, second] = two_passes(Kernels::Native);
    assert_ne!(first, second);
    assert_eq!(two_passes(Kernels::Native), [first.clone(), second]);
    for (found, expected) in two_passes(Kernels::Reference)[0].iter().zip(first) {
        assert!((found - expected).abs() < 1e-5 * expected.abs().max(1.0), "{found} is not {expected}");
    }
}
