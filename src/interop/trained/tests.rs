use super::super::{
    tensor_file::{Numbers, StoredTensor},
    weights,
};
use super::*;
use crate::{
    model::{initial_alphas, initial_running, initial_weights},
    space::{Build, shipped},
};
use burn::tensor::TensorData;

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A network as training leaves one: no number is the one that a lost tensor would be filled with.
fn made(description: &Description, build: &Build) -> TrainedNetwork {
    let device = Device::flex();
    let candidate = description.candidates(here()).unwrap().remove(0);
    let network = candidate.lower(build).unwrap();
    let mut running = initial_running(&network, &device);
    running.set(running.values() + 0.25);
    TrainedNetwork {
        weights: initial_weights(&network, 1, &device),
        running,
        alphas: initial_alphas(&network, 1.0, 1, &device),
        mixing: Mixing::Softmax.into(),
        description: description.clone(),
        candidate,
        network,
        whereabouts: None,
    }
}

fn discrete() -> (Description, Build) {
    let space = shipped::space("darts");
    let genotype = shipped::genotype("nasnet_a", &space);
    let text = genotype.to_text(crate::space::GenotypeText::NamedTuple, &space).unwrap();
    let description = Description { genotype: Some(text), ..Description::default() };
    (description, Build { channels: Some(2), size: Some(3), ..shipped::build("cifar", 16, 7) })
}

fn file(bytes: &[u8]) -> TensorFile {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    std::fs::write(&path, bytes).unwrap();
    TensorFile::open(&path).unwrap()
}

fn images(side: usize) -> Tensor<4> {
    let count = 3 * 3 * side * side;
    let numbers: Vec<f32> = (0..count).map(|at| ((at * 37 % 101) as f32 - 50.0) / 25.0).collect();
    Tensor::from_data(TensorData::new(numbers, [3, 3, side, side]), &Device::flex())
}

fn bits(logits: Tensor<2>) -> Vec<u32> {
    crate::model::host(logits).into_iter().map(f32::to_bits).collect()
}

/// Out and in: as many bits as there were, from nothing but the file.
fn comes_back(of: &TrainedNetwork, side: usize) {
    let written = weights::described(of);
    assert_eq!(written, weights::described(of), "two writings are one file");
    let read = file(&written);
    let described = Description::of_metadata(&read.metadata);
    let nowhere = tempfile::tempdir().unwrap();
    let back = TrainedNetwork::assemble(&described, &read, None, nowhere.path(), &Device::flex()).unwrap();
    for (one, other) in [(&of.weights, &back.weights), (&of.running, &back.running), (&of.alphas, &back.alphas)] {
        assert_eq!(one.layout(), other.layout());
        assert_eq!(one.to_host(), other.to_host());
    }
    let x = images(side);
    assert_eq!(
        bits(of.outputs(Kernels::Native)(x.clone()).scores(OUTPUT)),
        bits(back.outputs(Kernels::Native)(x).scores(OUTPUT))
    );
    assert_eq!(weights::described(&back), written, "and in and out");
}

#[test]
fn a_network_comes_back_from_its_file_to_the_bit() {
    let (description, build) = discrete();
    let made = made(&description, &build);
    // What is written is decided: as if the file had been put together from the bare tensors.
    let plain = file(&weights::to_safetensors(&[&made.weights, &made.running]));
    let said = Description { channels: Some(2), size: Some(3), input: Some([3, 16, 16]), ..description };
    let whole = TrainedNetwork::assemble(&said, &plain, None, here(), &Device::flex()).unwrap();
    assert_eq!(whole.description.classes, Some(7), "seen in the classifier");
    assert_eq!(whole.description.skeleton.as_deref(), Some("cifar"));
    comes_back(&whole, 16);
}

#[test]
fn a_supernet_comes_back_with_its_alphas() {
    let space = Some("nas_bench_201".to_owned());
    let description = Description { supernet: true, space, ..Description::default() };
    let build = Build { channels: Some(6), size: Some(1), ..shipped::build("search", 8, 3) };
    let made = made(&description, &build);
    let plain = file(&weights::to_safetensors(&[&made.weights, &made.running]));
    let said = Description { channels: Some(6), size: Some(1), input: Some([3, 8, 8]), ..description };
    let without = TrainedNetwork::assemble(&said, &plain, None, here(), &Device::flex()).err().unwrap();
    assert!(without.to_string().contains("lacks the tensor `alpha.arch_parameters`"), "{without}");
    assert!(without.hint().unwrap().contains("--alphas"));
    // A file of their own, under the bare name.
    let shape = vec![6, 5];
    // No two of an edge alike: no relaxation has a tie to leave as it is.
    let numbers = (0..30).map(|at| (at * 7 % 5) as f32 / 10.0).collect();
    let alphas = StoredTensor { shape, numbers: Numbers::Float(numbers) };
    let alphas = TensorFile::of(Path::new("alphas"), [("arch_parameters".to_owned(), alphas)]);
    let whole = TrainedNetwork::assemble(&said, &plain, Some(&alphas), here(), &Device::flex()).unwrap();
    comes_back(&whole, 8);
    // So bright that the last ReLU lets something through whatever the mixing is.
    let x = images(8).mul_scalar(100.0);
    let softmax = bits(whole.outputs(Kernels::Native)(x.clone()).scores(OUTPUT));
    let mut logits = vec![softmax];
    let mut whole = whole;
    for mixing in [Mixing::Sigmoid, Mixing::GUMBEL, Mixing::Sparsestmax { radius: 0.0, final_radius: 0.5 }] {
        whole.mixing = mixing.into();
        whole.description.mixing = Some(mixing.into());
        comes_back(&whole, 8);
        logits.push(bits(whole.outputs(Kernels::Native)(x.clone()).scores(OUTPUT)));
    }
    for (at, one) in logits.iter().enumerate() {
        assert!(!logits[..at].contains(one), "each mixes in a way of its own: {at}");
    }
    // Of drawn candidates the likeliest are evaluated, which a radius of 1 leaves too.
    whole.mixing = Mixing::SPARSESTMAX.into();
    assert_eq!(bits(whole.outputs(Kernels::Native)(x).scores(OUTPUT)), logits[2]);
}

#[test]
fn wrappers_are_passed_over_and_what_is_no_part_of_the_network_is_let_lie() {
    let (description, build) = discrete();
    let with_head = Build { auxiliary: true, ..shipped::build("cifar", 32, 7) };
    let with_head = made(&description, &Build { channels: Some(2), size: Some(3), ..with_head });
    let made = made(&description, &build);
    let plain = file(&weights::to_safetensors(&[&made.weights, &made.running]));
    let head = file(&weights::to_safetensors(&[&with_head.weights, &with_head.running]));
    let said = Description { channels: Some(2), size: Some(3), input: Some([3, 16, 16]), ..description };
    let expected = bits(made.outputs(Kernels::Native)(images(16)).scores(OUTPUT));
    let read = |wrapper: &str, others: &[&str]| {
        let wrappers = || [wrapper].into_iter().chain(others.iter().copied());
        let mut tensors: Vec<(String, StoredTensor)> = wrappers()
            .flat_map(|wrapper| plain.iter().map(move |(name, tensor)| (format!("{wrapper}{name}"), tensor.clone())))
            .collect();
        let auxiliary = head.iter().filter(|(name, _)| name.starts_with("auxiliary_head."));
        tensors.extend(auxiliary.map(|(name, tensor)| (format!("{wrapper}{name}"), tensor.clone())));
        let count = StoredTensor { shape: vec![], numbers: Numbers::Integer(vec![9]) };
        tensors.push((format!("{wrapper}stem.1.num_batches_tracked"), count.clone()));
        tensors.push(("optimizer.state.0.step".to_owned(), count));
        let wrapped = TensorFile::of(Path::new("w.pt"), tensors);
        let read = TrainedNetwork::assemble(&said, &wrapped, None, here(), &Device::flex()).unwrap();
        assert_eq!(bits(read.outputs(Kernels::Native)(images(16)).scores(OUTPUT)), expected, "{wrapper}");
        read.whereabouts
    };
    assert_eq!(read("", &[]), None);
    for wrapper in
        ["state.", "module.", "checkpoint.", "backbone.", "0.", "runs.3.state_dict.module.", "state_dict._orig_mod."]
    {
        let below = wrapper.trim_end_matches('.');
        assert_eq!(read(wrapper, &[]), Some(format!("the network's tensors are those below `{below}`")));
    }
    let both = "the tensors below `model` are taken; others lie below `model_ema` (`--prefix model_ema` takes those)";
    assert_eq!(read("model.", &["model_ema."]).as_deref(), Some(both));
    let both = "the tensors without a prefix are taken; others lie below `ema` (`--prefix ema` takes those)";
    assert_eq!(read("", &["ema."]).as_deref(), Some(both));
    let nothing = TensorFile::of(Path::new("w.pt"), [("x".to_owned(), plain.find("stem.0.weight").unwrap().clone())]);
    let error = TrainedNetwork::assemble(&said, &nothing, None, here(), &Device::flex()).err().unwrap().to_string();
    assert!(error.contains("has no tensor of the network, whose first is `stem.0.weight`"), "{error}");
    assert_eq!(plain.below("stem").unwrap().find("0.weight"), plain.find("stem.0.weight"));
    let error = plain.below("model_ema").err().unwrap();
    assert_eq!(error.hint().unwrap(), "its names begin with `cells`, `classifier`, `stem`");
}

#[test]
fn numbers_that_are_none_are_found_with_their_tensor() {
    let (description, build) = discrete();
    let mut made = made(&description, &build);
    assert_eq!(made.not_finite(), None);
    let layout = made.weights.layout().clone();
    let (name, _, range) = layout.iter().nth(3).unwrap();
    let name = name.to_owned();
    let mut numbers = made.weights.to_host();
    numbers[range.start] = f32::NAN;
    numbers[range.start + 1] = f32::INFINITY;
    numbers[0] = 0.0;
    made.weights = TensorGroup::from_host(made.weights.layout().clone(), numbers, &Device::flex());
    assert_eq!(made.not_finite(), Some(NotFinite { tensor: name, numbers: 2, of: range.len(), others: 0 }));
    made.running.set(made.running.values() * f32::NAN);
    assert!(made.not_finite().unwrap().others > 1);
}

#[test]
fn what_does_not_fit_is_told_with_what_would() {
    let (description, build) = discrete();
    let made = made(&description, &build);
    let plain = file(&weights::to_safetensors(&[&made.weights, &made.running]));
    let right = Description { channels: Some(2), size: Some(3), input: Some([3, 16, 16]), ..description };
    let other = shipped::genotype("darts_v1", &shipped::space("darts"));
    let other = other.to_text(crate::space::GenotypeText::Yaml, &shipped::space("darts")).unwrap();
    let text = |text: &str| Some(text.to_owned());
    for (said, message, hint) in [
        (
            Description { channels: Some(4), ..right.clone() },
            "tensor `stem.0.weight` of `W` has shape [6, 3, 3, 3], the network expects [12, 3, 3, 3]",
            "the tensors fit with `--channels 2`",
        ),
        (
            Description { channels: None, size: None, ..right.clone() },
            "more of the network's",
            "the tensors fit with `--channels 2 --layers 3`",
        ),
        // Two cells have the first names of three.
        (Description { size: Some(2), ..right.clone() }, "", "the tensors fit with `--layers 3`"),
        (
            Description { classes: Some(10), ..right.clone() },
            "tensor `classifier.weight` of `W` has shape [7, ",
            "the tensors fit with `--classes 7`",
        ),
        (
            Description { skeleton: text("imagenet"), input: Some([3, 64, 64]), ..right.clone() },
            "lacks the tensor `stem0.0.weight`",
            "the tensors fit with `--skeleton cifar`",
        ),
        (
            Description { input: Some([1, 16, 16]), ..right.clone() },
            "has shape [6, 3, 3, 3], the network expects [6, 1, 3, 3]",
            "the weights are for images of 3 channels, these have 1",
        ),
        (
            Description { genotype: Some(other), ..right.clone() },
            "`W` ",
            "is it another genotype, or a network of another space?",
        ),
    ] {
        let error = TrainedNetwork::assemble(&said, &plain, None, here(), &Device::flex()).err().unwrap();
        let told = error.to_string().replace(plain.path.to_str().unwrap(), "W");
        assert!(told.contains(message), "{told}");
        assert_eq!(error.hint().as_deref(), Some(hint), "{told}");
    }
}
