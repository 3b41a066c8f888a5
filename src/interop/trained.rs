//! A network with its tensors, put together from a description and files.

use super::{
    description::{Candidate, Description, DescriptionError},
    fit,
    state::{self, State, StateError, Strangers},
    tensor_file::TensorFile,
};
use crate::{
    kernels::Kernels,
    model::{Mixing, Mode, Model, TensorGroup, edge_weights},
    space::network::{Chain, FeatureMap, LayerKind, Network},
};
use burn::tensor::{Device, Tensor};
use std::path::{Path, PathBuf};

/// Images of colour, where nothing says otherwise.
const COLOURS: usize = 3;

/// What auxiliary skip connections weigh once a search is over.
const AUXILIARY_SKIP: f64 = 0.0;

/// A network that can be evaluated.
pub struct TrainedNetwork {
    /// What it is, nothing left open.
    pub description: Description,
    pub candidate: Candidate,
    pub network: Network,
    pub weights: TensorGroup,
    pub running: TensorGroup,
    /// Of a supernet; empty otherwise.
    pub alphas: TensorGroup,
    pub mixing: Mixing,
}

/// The network cannot be put together.
#[derive(Debug, thiserror::Error)]
pub enum TrainedError {
    #[error(transparent)]
    Description(#[from] DescriptionError),
    /// The tensors are another network's.
    #[error("{error}")]
    State { error: StateError, hint: Option<String> },
    #[error("`{path}` has no tensor of the network, whose first is `{name}`{}", holds(.found))]
    NoTensor { path: PathBuf, name: String, found: Vec<String> },
    #[error("the alphas are not there: {0}")]
    Alphas(StateError),
}

fn holds(found: &[String]) -> String {
    match found {
        [] => "; it is empty".to_owned(),
        found => {
            format!("; its own are `{}`, …", found.iter().take(3).map(String::as_str).collect::<Vec<_>>().join("`, `"))
        }
    }
}

impl TrainedError {
    /// The way out, where there is one to tell.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Description(error) => error.hint(),
            Self::State { hint, .. } => hint.clone(),
            Self::NoTensor { .. } => Some(
                "names are those of PyTorch's `state_dict()`; is it the right file, space and skeleton?".to_owned(),
            ),
            Self::Alphas(_) => Some(
                "a supernet needs its alphas: `alpha.NAME` in the weights' file, or another file by `--alphas`"
                    .to_owned(),
            ),
        }
    }
}

impl TrainedNetwork {
    /// Builds what `description` says and puts the file's tensors in. What is left open is seen in the file: the skeleton
    /// is the first of the space whose names it has, the number of classes that of its classifier.
    ///
    /// # Errors
    /// Where no space fits, or the file's tensors are another network's.
    pub fn assemble(
        description: &Description,
        weights: &TensorFile,
        alphas: Option<&TensorFile>,
        beside: &Path,
        device: &Device,
    ) -> Result<Self, TrainedError> {
        let candidates = description.candidates(beside)?;
        let (candidate, sketch) = choose(description, &candidates, weights)?;
        let specs = sketch.tensors();
        let state = State::find(weights, &specs).ok_or_else(|| TrainedError::NoTensor {
            path: weights.path.clone(),
            name: specs.first().map(|spec| spec.name.clone()).unwrap_or_default(),
            found: weights.iter().map(|(name, _)| name.to_owned()).collect(),
        })?;
        let description = decided(description, candidate, &sketch, &state);
        let input = input(&description);
        let classes = description.classes.unwrap_or(sketch.classes);
        let network = description.lower(candidate, classes, input, false).map_err(DescriptionError::from)?;

        let unfit = |error| {
            let hint = fit::suggestion(&description, candidate, &state).or_else(|| elsewhere(&error));
            TrainedError::State { error, hint }
        };
        let groups = || {
            let groups = state.groups(&network, device)?;
            // A second head is for training alone. Where it cannot be built for these images its names are not known,
            // and are those of another part of the network than any that is checked.
            let auxiliary = description.lower(candidate, classes, input, true).ok();
            let networks: Vec<&Network> = [Some(&network), auxiliary.as_ref()].into_iter().flatten().collect();
            state.check_strangers(&networks, Strangers::OfTheNetwork)?;
            Ok(groups)
        };
        let (weights_group, running) = groups().map_err(unfit)?;
        let layout = state::alpha_layout(&network);
        let alphas = match alphas {
            // Alphas of a file of their own may be wrapped as weights are, but have no weights beside them to be found by.
            Some(file) => State::below(file, "").fill_alphas(&layout, device),
            None => state.fill_alphas(&layout, device),
        };
        let alphas = alphas.map_err(TrainedError::Alphas)?;
        let mixing = description.mixing.unwrap_or(Mixing::Softmax);
        Ok(Self { candidate: candidate.clone(), weights: weights_group, running, alphas, mixing, network, description })
    }

    /// What gives class scores in evaluation mode, batch by batch.
    ///
    /// # Shapes
    /// `[batch, channels, height, width]`, normalised → `[batch, classes]`
    pub fn logits(&self, kernels: Kernels) -> impl Fn(Tensor<4>) -> Tensor<2> {
        let model = Model::new(self.network.clone(), kernels);
        let (tables, alphas) = (&self.network.alphas, self.alphas.views());
        let candidates = self.mixing.evaluated(1.0).weights(tables, &alphas);
        let mixing = edge_weights(tables, candidates, &alphas, AUXILIARY_SKIP);
        move |images| model.forward(Mode::Evaluate, &self.weights.views(), &self.running, &mixing, images).logits
    }
}

/// Where to look when no network near by fits.
fn elsewhere(error: &StateError) -> Option<String> {
    let names = matches!(error, StateError::Missing { .. } | StateError::Stranger { .. });
    names.then(|| "is it another genotype, or a network of another space?".to_owned())
}

/// The first candidate whose tensors the file has, each with a sketch of its network: widths and classes may be others.
fn choose<'a>(
    description: &Description,
    candidates: &'a [Candidate],
    weights: &TensorFile,
) -> Result<(&'a Candidate, Network), DescriptionError> {
    let mut first = None;
    for candidate in candidates {
        let sketch = match sketch(description, candidate) {
            Ok(sketch) => sketch,
            Err(error) => {
                first.get_or_insert(Err(error));
                continue;
            }
        };
        let specs = sketch.tensors();
        if let Some(state) = State::find(weights, &specs)
            && specs.iter().all(|spec| state.get(&spec.name).is_some())
        {
            return Ok((candidate, sketch));
        }
        if !matches!(first, Some(Ok(_))) {
            first = Some(Ok((candidate, sketch)));
        }
    }
    first.unwrap_or(Err(DescriptionError::NoSpace))
}

/// A network of the candidate's names, at its skeleton's customary number of classes where none is said.
fn sketch(description: &Description, candidate: &Candidate) -> Result<Network, DescriptionError> {
    let side = customary_side(candidate);
    let [channels, height, width] = description.input.unwrap_or([COLOURS, side, side]);
    let defaults = candidate.space.skeleton_defaults(&candidate.skeleton);
    let classes = description.classes.or(defaults.map(|defaults| defaults.classes)).unwrap_or(1);
    Ok(description.lower(candidate, classes, FeatureMap { channels, height, width }, false)?)
}

fn customary_side(candidate: &Candidate) -> usize {
    candidate.space.skeleton_defaults(&candidate.skeleton).map_or(1, |defaults| defaults.input)
}

/// The description with all that the candidate and the file add.
fn decided(description: &Description, candidate: &Candidate, sketch: &Network, state: &State<'_>) -> Description {
    let defaults = candidate.space.skeleton_defaults(&candidate.skeleton);
    let side = customary_side(candidate);
    let colours = seen_colours(sketch, state).unwrap_or(COLOURS);
    Description {
        skeleton: Some(candidate.skeleton.clone()),
        channels: description.channels.or(defaults.map(|defaults| defaults.channels)),
        size: description.size.or(defaults.map(|defaults| defaults.size)),
        classes: description.classes.or_else(|| seen_classes(sketch, state)).or(Some(sketch.classes)),
        input: description.input.or(Some([colours, side, side])),
        space: Some(candidate.space.name.clone()),
        space_text: Some(candidate.space_text.to_string()),
        mixing: description.mixing.or(Some(Mixing::Softmax)).filter(|_| candidate.genotype.is_none()),
        ..description.clone()
    }
}

fn input(description: &Description) -> FeatureMap {
    let [channels, height, width] = description.input.unwrap_or([COLOURS, 1, 1]);
    FeatureMap { channels, height, width }
}

/// Rows of the file's classifier, the linear layer that a head ends in.
pub(super) fn seen_classes(network: &Network, state: &State<'_>) -> Option<usize> {
    let last = last_layer(&network.head)?;
    let weight = state.get(&format!("{last}.weight"))?;
    weight.shape.first().copied()
}

fn last_layer(chain: &Chain) -> Option<&str> {
    let last = chain.layers.iter().rev().find(|layer| matches!(layer.kind, LayerKind::Linear))?;
    Some(&last.label)
}

/// Channels that the file's first convolution reads.
pub(super) fn seen_colours(network: &Network, state: &State<'_>) -> Option<usize> {
    let first = network.stems.first()?.layers.first()?;
    let LayerKind::Conv(conv) = &first.kind else { return None };
    let weight = state.get(&format!("{}.weight", first.label))?;
    weight.shape.get(1).map(|read| read * conv.groups)
}

#[cfg(test)]
mod tests {
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
            mixing: Mixing::Softmax,
            description: description.clone(),
            candidate,
            network,
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
        assert_eq!(bits(of.logits(Kernels::Native)(x.clone())), bits(back.logits(Kernels::Native)(x)));
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
        let softmax = bits(whole.logits(Kernels::Native)(x.clone()));
        let mut logits = vec![softmax];
        let mut whole = whole;
        for mixing in [Mixing::Sigmoid, Mixing::GUMBEL, Mixing::Sparsestmax { radius: 0.0, final_radius: 0.5 }] {
            whole.mixing = mixing;
            whole.description.mixing = Some(mixing);
            comes_back(&whole, 8);
            logits.push(bits(whole.logits(Kernels::Native)(x.clone())));
        }
        for (at, one) in logits.iter().enumerate() {
            assert!(!logits[..at].contains(one), "each mixes in a way of its own: {at}");
        }
        // Of drawn candidates the likeliest are evaluated, which a radius of 1 leaves too.
        whole.mixing = Mixing::SPARSESTMAX;
        assert_eq!(bits(whole.logits(Kernels::Native)(x)), logits[2]);
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
        let expected = bits(made.logits(Kernels::Native)(images(16)));
        for wrapper in ["", "state.", "module.", "state_dict.", "model.module.", "checkpoint.", "state_dict._orig_mod."]
        {
            let mut tensors: Vec<(String, StoredTensor)> =
                plain.iter().map(|(name, tensor)| (format!("{wrapper}{name}"), tensor.clone())).collect();
            let auxiliary = head.iter().filter(|(name, _)| name.starts_with("auxiliary_head."));
            tensors.extend(auxiliary.map(|(name, tensor)| (format!("{wrapper}{name}"), tensor.clone())));
            let count = StoredTensor { shape: vec![], numbers: Numbers::Integer(vec![9]) };
            tensors.push((format!("{wrapper}stem.1.num_batches_tracked"), count.clone()));
            tensors.push(("optimizer.state.0.step".to_owned(), count));
            let wrapped = TensorFile::of(Path::new("w.pt"), tensors);
            let read = TrainedNetwork::assemble(&said, &wrapped, None, here(), &Device::flex());
            if wrapper == "checkpoint." {
                let error = read.err().unwrap().to_string();
                assert!(error.contains("has no tensor of the network, whose first is `stem.0.weight`"), "{error}");
            } else {
                assert_eq!(bits(read.unwrap().logits(Kernels::Native)(images(16))), expected, "{wrapper}");
            }
        }
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
}
