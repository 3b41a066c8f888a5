//! The networks are the reference's, number by number, and a network that is not is found out.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use burn::tensor::Device;
use darts_run::{
    interop::parity::{self, Group, Parity, ParityError},
    kernels::Kernels,
};
use safetensors::{SafeTensors, tensor::TensorView};
use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

/// Of a golden file.
type Metadata = HashMap<String, String>;
type Floats = HashMap<String, Vec<f32>>;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn golden(name: &str) -> PathBuf {
    root().join("tests/golden").join(format!("{name}.safetensors"))
}

fn replay(file: &Path, kernels: Kernels) -> Parity {
    parity::replay(file, root(), kernels, &Device::flex()).expect("the file replays")
}

fn group<'a>(parity: &'a Parity, name: &str) -> &'a Group {
    parity.groups.iter().find(|group| group.name == name).unwrap()
}

fn holds(name: &str, kernels: Kernels) {
    let parity = replay(&golden(name), kernels);
    assert!(parity.groups.len() >= 6, "{:?}", parity.groups);
    for group in &parity.groups {
        assert!(group.is_within() && group.error <= group.stated, "{name}, {kernels}: {group:?}");
        assert_eq!((group.sensitivity, group.widened), (None, 0), "one replay is enough: {group:?}");
    }
}

/// Lattices: at full widths, at drawn ones, over steps of a search, and a network that was derived; and
/// a network made by hand. The alphas' files of one share the tensors of another. Layers that make maps
/// larger, and rows of alphas, by themselves.
#[test]
fn what_makes_pictures_is_the_references() {
    for (name, groups) in [
        ("sr/lattice_full", &["eval.out", "loss", "grad", "grad.alpha"][..]),
        ("sr/lattice_widths", &["eval.out", "loss", "grad", "grad.alpha"]),
        ("sr/lattice_steps", &["step", "after3"]),
        ("sr/derived", &["eval.out", "loss", "grad"]),
        ("sr/handmade", &["eval.out", "loss", "grad"]),
        ("sr/pixels", &["out", "grad"]),
        ("sr/sparsestmax", &["out", "grad"]),
    ] {
        for kernels in [Kernels::Native, Kernels::Reference] {
            let parity = replay(&golden(name), kernels);
            assert_eq!(parity.groups.iter().map(|group| group.name).collect::<Vec<_>>(), groups, "{name}");
            for group in &parity.groups {
                assert!(group.is_within() && group.error <= group.stated, "{name}, {kernels}: {group:?}");
            }
        }
    }
}

/// The arithmetic around an agent, its networks, and an iteration of learning.
#[test]
fn agents_and_what_they_learn_are_the_references() {
    for (name, groups) in [
        ("rl/gae", &["advantages", "normalised"][..]),
        ("rl/ppo_loss", &["loss", "grad"]),
        ("rl/reward_normaliser", &["normalised"]),
        ("rl/impala", &["eval", "loss", "grad", "same"]),
        ("rl/rl_darts", &["eval", "loss", "grad", "grad.alpha", "same", "zeros"]),
        ("rl/ppo_iteration", &["advantages", "step.loss", "step", "after8"]),
    ] {
        for kernels in [Kernels::Native, Kernels::Reference] {
            let parity = replay(&golden(name), kernels);
            assert_eq!(parity.groups.iter().map(|group| group.name).collect::<Vec<_>>(), groups, "{name}");
            for group in &parity.groups {
                assert!(group.is_within() && group.error <= group.stated, "{name}, {kernels}: {group:?}");
            }
        }
    }
}

/// What is wrong in such a file is found out, whatever it is of.
#[test]
fn an_agent_that_is_not_the_reference_is_found_out() {
    for (name, tensor, group) in [
        ("rl/gae", "values", "advantages"),
        ("rl/ppo_loss", "old_log_prob", "grad"),
        ("rl/reward_normaliser", "rewards", "normalised"),
        ("rl/impala", "state.segments.1.conv.weight", "eval"),
        ("rl/rl_darts", "alpha.normal.1", "grad.alpha"),
        ("rl/ppo_iteration", "rollout.rewards", "after8"),
    ] {
        let parity = wrong(name, |_, numbers| {
            numbers.get_mut(tensor).unwrap().iter_mut().step_by(2).for_each(|number| *number *= 1.5);
        });
        let group = parity.groups.iter().find(|found| found.name == group).unwrap();
        assert!(!group.is_within(), "{name}: {group:?}");
    }
}

/// Where a number is no action, or a file lacks what is read of it, a sentence says so.
#[test]
fn actions_that_there_are_not_are_refused() {
    let bytes = fs::read(golden("rl/ppo_loss")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let wild: Vec<u8> = (0..32_i64).flat_map(|_| (1_i64 << 40).to_le_bytes()).collect();
    let tensors = file.tensors();
    let views = tensors.iter().map(|(name, view)| {
        let bytes = if name == "actions" { &wild[..] } else { view.data() };
        (name, TensorView::new(view.dtype(), view.shape().to_vec(), bytes).unwrap())
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wild.safetensors");
    fs::write(&path, safetensors::serialize(views, header.metadata().clone()).unwrap()).unwrap();
    let error = parity::replay(&path, root(), Kernels::Native, &Device::flex()).unwrap_err().to_string();
    assert!(error.contains("`actions` has 1099511627776, and there are 15 actions"), "{error}");
}

/// A copy of a golden file with something wrong in it: the metadata and the numbers of the F32
/// tensors are `edit`'s to change.
fn wrong(name: &str, edit: impl FnOnce(&mut Metadata, &mut Floats)) -> Parity {
    damaged(name, |_| true, edit).expect("the file replays")
}

/// The same of the tensors whose names are `kept`, which may be no golden file any more.
fn damaged(
    name: &str,
    kept: impl Fn(&str) -> bool,
    edit: impl FnOnce(&mut Metadata, &mut Floats),
) -> Result<Parity, ParityError> {
    let bytes = fs::read(golden(name)).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut metadata = header.metadata().clone().unwrap();
    let is_float = |view: &TensorView<'_>| view.dtype() == safetensors::Dtype::F32;
    let words =
        |view: &TensorView<'_>| view.data().as_chunks().0.iter().map(|word| f32::from_le_bytes(*word)).collect();
    let tensors = file.tensors();
    let floats = tensors.iter().filter(|(_, view)| is_float(view));
    let mut numbers: Floats = floats.map(|(name, view)| (name.clone(), words(view))).collect();
    edit(&mut metadata, &mut numbers);
    let written = |name: &str, view: &TensorView<'_>| match numbers.get(name) {
        Some(numbers) => numbers.iter().flat_map(|number| number.to_le_bytes()).collect(),
        None => view.data().to_vec(),
    };
    let bytes: Vec<Vec<u8>> = tensors.iter().map(|(name, view)| written(name, view)).collect();
    let views = tensors.iter().zip(&bytes).filter(|((name, _), _)| kept(name));
    let views = views.map(|((name, view), bytes)| {
        // A tensor of another length is a row of numbers.
        let shape = if bytes.len() == view.data().len() { view.shape().to_vec() } else { vec![bytes.len() / 4] };
        (name, TensorView::new(view.dtype(), shape, bytes).unwrap())
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wrong.safetensors");
    fs::write(&path, safetensors::serialize(views, Some(metadata)).unwrap()).unwrap();
    parity::replay(&path, root(), Kernels::Native, &Device::flex())
}

/// A number of the file that is off, or metadata, is found out in the group that it is of.
#[test]
fn what_makes_pictures_wrongly_is_found_out() {
    let scaled = |file: &str, name: &'static str, missed: &[&str]| {
        let parity = wrong(file, |_, numbers| numbers.get_mut(name).unwrap().iter_mut().for_each(|n| *n *= 1.002));
        let found: Vec<&str> =
            parity.groups.iter().filter(|group| !group.is_within()).map(|group| group.name).collect();
        assert_eq!(found, missed, "{file}, {name}: {:#?}", parity.groups);
    };
    for (file, name, missed) in [
        ("sr/handmade", "eval.out", &["eval.out"][..]),
        ("sr/handmade", "grad.blocks.3.conv2.bias", &["grad"]),
        ("sr/handmade", "state.blocks.0.conv1.weight", &["eval.out", "loss", "grad"]),
        ("sr/pixels", "shuffle3.out", &["out"]),
        ("sr/pixels", "shuffle4.grad.x", &["grad"]),
        ("sr/pixels", "up.nearest", &["out"]),
        ("sr/pixels", "up.weight", &["out", "grad"]),
        ("sr/pixels", "up.grad.bias", &["grad"]),
        ("sr/sparsestmax", "k4.r2.out", &["out"]),
        ("sr/sparsestmax", "k19.r3.grad.z", &["grad"]),
        ("sr/sparsestmax", "k19.z", &["out", "grad"]),
    ] {
        scaled(file, name, missed);
    }
    for (file, key, value, missed) in [
        ("sr/pixels", "kind", "pixel shuffle; nearest x2, conv3x3, leaky ReLU 0.25", &["out", "grad"]),
        ("sr/sparsestmax", "radii", "[0.0, 0.1, 0.3, 0.5, 0.71, 1.0]", &["out", "grad"]),
    ] {
        let parity = wrong(file, |metadata, _| _ = metadata.insert(key.to_owned(), value.to_owned()));
        let found: Vec<&str> =
            parity.groups.iter().filter(|group| !group.is_within()).map(|group| group.name).collect();
        assert_eq!(found, missed, "{file}, {key}: {:#?}", parity.groups);
    }
}

#[test]
fn a_damaged_file_gets_a_sentence() {
    let whole = |_: &str| true;
    let lacks = |lost: &'static str| move |name: &str| !name.starts_with(lost);
    let said = |name, kept: &dyn Fn(&str) -> bool, edit: &dyn Fn(&mut Metadata, &mut Floats)| match damaged(
        name,
        kept,
        |metadata, numbers| edit(metadata, numbers),
    ) {
        Ok(parity) => panic!("{name}: {:#?}", parity.groups),
        Err(error) => error.to_string(),
    };
    for (file, lost, expected) in [
        ("sr/handmade", "state.tail", "its tensors are not those of so many residual blocks"),
        ("sr/handmade", "eval.out", "it lacks the F32 tensor `eval.out`"),
        ("sr/handmade", "batch0.y", "it lacks the F32 tensor `batch0.y`"),
        ("sr/derived", "state.stem", "no space has a lattice with its tensors"),
        ("sr/pixels", "up.bias", "it lacks the F32 tensor `up.bias`"),
        ("sr/pixels", "shuffle2.weights", "it lacks the F32 tensor `shuffle2.weights`"),
        ("sr/sparsestmax", "k4.weights", "it lacks the F32 tensor `k4.weights`"),
        ("sr/sparsestmax", "k4.r0", "it lacks the F32 tensor `k4.r0.out`"),
        ("sr/sparsestmax", "k", "it lacks a table of alphas"),
    ] {
        let error = said(file, &lacks(lost), &|_, _| ());
        assert!(error.contains(expected), "{file} without {lost}: {error}");
    }
    for (file, cut, expected) in [
        ("sr/handmade", "batch0.y", "has shape"),
        ("sr/handmade", "state.stem.bias", "its tensors are not those"),
        ("sr/pixels", "shuffle2.x", "sides, not 4"),
        ("sr/pixels", "up.x", "no layer that makes maps larger"),
        ("sr/pixels", "up.weights", "has shape [4], needed is [2, 8, 4, 6]"),
        ("sr/sparsestmax", "k19.z", "sides, not 2"),
        ("sr/sparsestmax", "k19.weights", "has shape [4], needed is [24, 19]"),
    ] {
        let error = said(file, &whole, &|_, numbers| numbers.get_mut(cut).unwrap().truncate(4));
        assert!(error.contains(expected), "{file} with a cut {cut}: {error}");
        let error = said(file, &whole, &|_, numbers| numbers.get_mut(cut).unwrap().clear());
        assert!(error.starts_with('`'), "{file} with an empty {cut}: {error}");
    }
    for (file, key, value, expected) in [
        ("sr/handmade", "kind", "poem", "cells"),
        ("sr/handmade", "blocks", "3000", "its tensors are not those"),
        ("sr/handmade", "channels", "x", "its metadata lack the number `channels`"),
        ("sr/derived", "cells", r#"[{"ops": ["skip"], "widths": []}]"#, "no space has a lattice with its tensors"),
        ("sr/pixels", "kind", "pixel shuffle", "does not end in the slope"),
        ("sr/pixels", "kind", "haiku", "its kind `haiku` is not one that this version replays"),
        ("sr/sparsestmax", "radii", "[2]", "`radii`, a list of numbers from 0 to 1"),
        ("sr/sparsestmax", "radii", "[]", "`radii`, a list of numbers from 0 to 1"),
    ] {
        let error = said(file, &whole, &|metadata, _| _ = metadata.insert(key.to_owned(), value.to_owned()));
        assert!(error.contains(expected), "{file} with {key} {value}: {error}");
    }
}

#[test]
fn the_darts_supernet_is_the_references() {
    holds("darts_supernet", Kernels::Native);
    holds("darts_supernet", Kernels::Reference);
}

#[test]
fn the_nas_bench_201_networks_are_the_references() {
    for name in ["nb201_supernet", "nb201_network"] {
        holds(name, Kernels::Native);
        holds(name, Kernels::Reference);
    }
}

/// The gradient of the alphas that a bilevel search takes. The second order's is a difference of
/// two nearly equal gradients.
#[test]
fn the_bilevel_gradients_are_the_references() {
    let scaled = |prefix: &'static str, by: f32| {
        move |_: &mut Metadata, numbers: &mut Floats| {
            let below = numbers.iter_mut().filter(|(name, _)| name.starts_with(prefix));
            below.for_each(|(_, numbers)| numbers.iter_mut().for_each(|number| *number *= by));
        }
    };
    for kernels in [Kernels::Native, Kernels::Reference] {
        let parity = replay(&golden("darts_bilevel"), kernels);
        let names: Vec<&str> = parity.groups.iter().map(|group| group.name).collect();
        assert_eq!(names, ["first_order", "second_order"]);
        assert!(parity.is_within(), "{kernels}: {:#?}", parity.groups);
    }
    let missed = |parity: Parity| ["first_order", "second_order"].map(|name| !group(&parity, name).is_within());
    let without = |prefix, by| missed(wrong("darts_bilevel", scaled(prefix, by)));
    assert_eq!(without("momentum.", 1.5), [false, true], "the virtual step has momentum");
    let shorter = wrong("darts_bilevel", |metadata, _| _ = metadata.insert("eta".to_owned(), "0.02".to_owned()));
    assert_eq!(missed(shorter), [false, true], "and a length");
    assert_eq!(without("train.", 1.1), [false, true], "it is on the images to fit");
    // Batch norm does not see a scale, but a sign.
    assert_eq!(without("valid.", -1.0), [true, true], "both judge on the others");
}

/// PC-DARTS: partial channels with their shuffle, the pooled bypass, betas among the alphas.
#[test]
fn the_supernet_of_partial_channels_is_the_references() {
    holds("pcdarts_supernet", Kernels::Native);
    holds("pcdarts_supernet", Kernels::Reference);
}

#[test]
fn the_imagenet_network_is_the_references() {
    holds("imagenet_darts_v1", Kernels::Native);
}

/// AmoebaNet-A, the genotype as Python text: five nodes, 7x7 operations, two edges between the same
/// states, nodes that the output leaves out, an odd number of channels.
#[test]
fn a_network_of_an_uncommon_cell_is_the_references() {
    holds("cifar_amoebanet_a", Kernels::Native);
    holds("cifar_amoebanet_a", Kernels::Reference);
}

/// With a batch of two the last batch norm of this file's auxiliary head normalises two values,
/// some of them closer than its epsilon, and every step amplifies what is rounded there: the same
/// network in PyTorch on another processor is 1.8e-4 from the file's gradients and 0.16 from the
/// norm of its third. What does not pass through that head is held to what is stated.
#[test]
fn a_file_that_amplifies_rounding_is_judged_by_how_much() {
    for kernels in [Kernels::Native, Kernels::Reference] {
        let parity = replay(&golden("cifar_darts_v2"), kernels);
        assert!(parity.is_within(), "{kernels}: {:#?}", parity.groups);
        for name in ["eval.logits", "train.logits", "loss"] {
            assert!(group(&parity, name).error <= 1e-5 && group(&parity, name).widened == 0, "{:?}", parity.groups);
        }
        let auxiliary = group(&parity, "train.logits_aux");
        assert!(auxiliary.widened == 1 && auxiliary.tolerance < 2e-4, "{auxiliary:?}");
        let gradient = group(&parity, "grad");
        assert!(gradient.widened > 0 && gradient.undetermined == 0 && gradient.tolerance < 1e-2, "{gradient:?}");
        assert!(group(&parity, "step").undetermined <= 2, "{:?}", group(&parity, "step"));
    }
}

/// The same file with a fault that a network or an optimiser could have: so the group `name` is
/// missed.
#[track_caller]
fn misses(what: &str, name: &str, edit: impl FnOnce(&mut Metadata, &mut Floats)) {
    let parity = wrong("cifar_darts_v2", edit);
    assert!(!parity.is_within() && !group(&parity, name).is_within(), "{what}: {:#?}", parity.groups);
}

#[test]
fn a_network_of_another_cell_is_out_of_tolerance_in_such_a_file_too() {
    for (what, name, from, to) in [
        ("an operation is another", "eval.logits", "max_pool_3x3", "avg_pool_3x3"),
        ("an edge leaves another state", "train.logits", "[\"skip_connect\", 0]", "[\"skip_connect\", 1]"),
        ("the output is in another order", "grad", "[2, 3, 4, 5]", "[3, 2, 4, 5]"),
    ] {
        misses(what, name, |metadata, _| {
            let genotype = metadata.get_mut("genotype").unwrap();
            assert!(genotype.contains(from), "{from} in {genotype}");
            *genotype = genotype.replacen(from, to, 1);
        });
    }
}

#[test]
fn a_number_that_is_off_is_out_of_tolerance_in_such_a_file_too() {
    misses("one weight is a thousandth off", "train.logits", |_, numbers| {
        numbers.get_mut("state.cells.0.preprocess1.op.1.weight").unwrap()[0] *= 1.001;
    });
    misses("the auxiliary loss counts more", "loss", |metadata, _| {
        metadata.insert("auxiliary_weight".to_owned(), "0.41".to_owned());
    });
    // What is expected is off in three groups, and in no other.
    let parity = wrong("cifar_darts_v2", |_, numbers| {
        for (name, by) in [
            ("grad.classifier.weight", 1.001),
            ("after3.cells.4.preprocess1.op.2.running_var", 1.02),
            ("train.loss", f32::NAN),
        ] {
            numbers.get_mut(name).unwrap().iter_mut().for_each(|number| *number *= by);
        }
    });
    for group in &parity.groups {
        assert_eq!(group.is_within(), !["grad", "after3", "loss"].contains(&group.name), "{:#?}", parity.groups);
    }
}
