//! A network with its tensors, put together from a description and files.

use super::{
    description::{Candidate, Description, DescriptionError},
    fit,
    output_shapes::OutputShapes,
    state::{self, State, StateError, Unmatched, seen_classes, seen_colours},
    tensor_file::TensorFile,
};
use crate::{
    kernels::Kernels,
    model::{Mixing, Mixings, Mode, Model, OUTPUT, Outputs, Portion, TensorGroup, edge_weights},
    space::{
        GenotypeText,
        network::{FeatureMap, Network, OutputSpec, TensorSpec},
    },
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
    pub mixing: Mixings,
    /// Where in the file its tensors were found, if there is something to say of it.
    pub whereabouts: Option<String>,
}

/// A tensor of a network that has numbers which are none or infinite.
#[derive(Debug, PartialEq, Eq)]
pub struct NotFinite {
    pub tensor: String,
    /// So many of its numbers.
    pub numbers: usize,
    pub of: usize,
    /// How many more tensors have such.
    pub others: usize,
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
        [] => "; it holds no tensor at all".to_owned(),
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
    /// Builds what `description` says and puts the file's tensors in. What is left open is seen in
    /// the file: the skeleton is the first of the space whose names it has, the number of classes
    /// that of its classifier.
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
        let state = found(weights, &specs).ok_or_else(|| TrainedError::NoTensor {
            path: weights.path.clone(),
            name: specs.first().map(|spec| spec.name.clone()).unwrap_or_default(),
            found: weights.iter().map(|(name, _)| name.to_owned()).collect(),
        })?;
        let description = decided(description, candidate, &sketch, &state);
        let input = input(&description);
        let classes = description.classes.unwrap_or(sketch.scores());
        let network = description.lower(candidate, classes, input, false).map_err(DescriptionError::from)?;

        let unfit = |error| {
            let hint = fit::suggestion(&description, candidate, &state).or_else(|| elsewhere(&error));
            TrainedError::State { error, hint }
        };
        let groups = || {
            let groups = state.groups(&network, device)?;
            // A second head is for training alone. Where it cannot be built for these images its
            // names are not known, and are those of another part of the network than any that is
            // checked.
            let auxiliary = description.lower(candidate, classes, input, true).ok();
            let networks: Vec<&Network> = [Some(&network), auxiliary.as_ref()].into_iter().flatten().collect();
            state.check_strangers(&networks, Unmatched::OfTheNetwork)?;
            Ok(groups)
        };
        let (weights_group, running) = groups().map_err(unfit)?;
        let layout = state::alpha_layout(&network);
        let alphas = match alphas {
            // Alphas of a file of their own may be wrapped as weights are, but have no weights
            // beside them to be found by.
            Some(file) => State::below(file, "").fill_alphas(&layout, device),
            None => state.fill_alphas(&layout, device),
        };
        let alphas = alphas.map_err(TrainedError::Alphas)?;
        let mixing = description.mixing.unwrap_or(Mixing::Softmax.into());
        let whereabouts = state.whereabouts();
        let candidate = candidate.clone();
        Ok(Self { candidate, weights: weights_group, running, alphas, mixing, network, description, whereabouts })
    }

    /// The same for images of other sides, and what follows from them.
    ///
    /// # Errors
    /// Where a layer cannot read such images.
    pub fn resized(mut self, sides: [usize; 2]) -> Result<Self, TrainedError> {
        self.network = self.network.resized(sides, false).map_err(DescriptionError::from)?;
        let outputs: Vec<OutputSpec> = self.network.heads.iter().map(|head| head.output.clone()).collect();
        let FeatureMap { channels, height, width } = self.network.input;
        self.description.input = Some([channels, height, width]);
        self.description.outputs = OutputShapes::of(&outputs);
        Ok(self)
    }

    /// The first tensor with numbers that are no numbers or infinite, as a training leaves them
    /// that went wrong.
    pub fn not_finite(&self) -> Option<NotFinite> {
        let mut bad = [&self.weights, &self.running, &self.alphas].into_iter().flat_map(|group| {
            let numbers = group.to_host();
            let tensors = group.layout().iter().map(|(tensor, _, range)| NotFinite {
                tensor: tensor.to_owned(),
                of: range.len(),
                numbers: numbers[range].iter().filter(|number| !number.is_finite()).count(),
                others: 0,
            });
            tensors.filter(|tensor| tensor.numbers > 0).collect::<Vec<_>>()
        });
        let first = bad.next()?;
        Some(NotFinite { others: bad.count(), ..first })
    }

    /// What computes the outputs in evaluation mode, batch by batch.
    ///
    /// # Shapes
    /// `[batch, channels, height, width]`, normalised
    pub fn outputs(&self, kernels: Kernels) -> impl Fn(Tensor<4>) -> Outputs {
        let model = Model::new(self.network.clone(), kernels);
        let (tables, alphas) = (&self.network.alphas, self.alphas.views());
        let candidates = self.mixing.relaxations(|mixing| mixing.evaluated(1.0)).weights(tables, &alphas);
        let mixing = edge_weights(tables, candidates, &alphas, AUXILIARY_SKIP);
        let widths = model.drawn_widths(&mixing);
        move |images| {
            let portion = Portion { widths: widths.as_deref(), ..Portion::default() };
            let weights = self.weights.views();
            model.forward_of(Mode::Evaluate, portion, &weights, &self.running, &mixing, images).outputs
        }
    }

    /// What an output is called in files: a classifier's are `logits`.
    pub fn name_of<'a>(&self, output: &'a OutputSpec) -> &'a str {
        if self.description.task.is_none() && output.name == OUTPUT { "logits" } else { &output.name }
    }
}

/// Where the file has the tensors of a network.
fn found<'a>(weights: &'a TensorFile, specs: &[TensorSpec]) -> Option<State<'a>> {
    State::find(weights, specs.iter().map(|spec| spec.name.as_str()))
}

/// Where to look when no network near by fits.
fn elsewhere(error: &StateError) -> Option<String> {
    let names = matches!(error, StateError::Missing { .. } | StateError::Stranger { .. });
    names.then(|| "is it another genotype, or a network of another space?".to_owned())
}

/// The first candidate whose tensors the file has, each with a sketch of its network: widths and
/// classes may be others.
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
        if let Some(state) = found(weights, &specs)
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

/// A network of the candidate's names, at its skeleton's customary number of classes where none is
/// said.
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
    // Whatever it was found in, a log even: a header holds the cell alone.
    let genotype = candidate.genotype.as_ref().map(|genotype| {
        let yaml = genotype.to_text(GenotypeText::Yaml, &candidate.space);
        yaml.expect("this project's own form holds every genotype")
    });
    Description {
        genotype,
        skeleton: Some(candidate.skeleton.clone()),
        channels: description.channels.or(defaults.map(|defaults| defaults.channels)),
        size: description.size.or(defaults.map(|defaults| defaults.size)),
        classes: description.classes.or_else(|| seen_classes(sketch, state)).or(Some(sketch.scores())),
        input: description.input.or(Some([colours, side, side])),
        space: Some(candidate.space.name.clone()),
        space_text: Some(candidate.space_text.to_string()),
        mixing: description.mixing.or(Some(Mixing::Softmax.into())).filter(|_| candidate.genotype.is_none()),
        ..description.clone()
    }
}

fn input(description: &Description) -> FeatureMap {
    let [channels, height, width] = description.input.unwrap_or([COLOURS, 1, 1]);
    FeatureMap { channels, height, width }
}

#[cfg(test)]
mod tests;
