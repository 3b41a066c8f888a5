//! What a network is, as a file or a command line describes it.

use super::{
    golden,
    nas_bench::{self, NasBenchError},
    output_shapes::OutputShapes,
};
use crate::{
    data::Statistics,
    machine,
    model::Mixings,
    space::{
        self, Build, EdgeOptions, Genotype, GenotypeError, NotFound, Space, SpaceError, SpaceFileError,
        network::{FeatureMap, Network, OutputSpec},
    },
    tasks::policy::GameSet,
};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::{collections::BTreeMap, path::Path, sync::Arc};

/// The skeleton of supernets, by the custom of space files.
const SUPERNET_SKELETON: &str = "search";

/// The entry of a safetensors file's metadata that holds a [`Description`] as JSON. It is one entry
/// because the format's library writes several in the order of a hash.
pub const ENTRY: &str = "network";

/// A description of a network. What it leaves open has a default, or is seen in the weights.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Description {
    /// All candidates of each edge, instead of one genotype's.
    pub supernet: bool,
    /// Name or path of the search space.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub space: Option<String>,
    /// The text of the space's file: where it is at hand, none is looked up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub space_text: Option<String>,
    /// In any of its text forms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub genotype: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skeleton: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<usize>,
    /// Cells, in all or a segment as the skeleton counts them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<usize>,
    /// What it is for, where that is not to tell classes apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// Numbers that it puts out: of a classifier, a score a class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<usize>,
    /// What it puts out, where that is more than a row of numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outputs: Option<OutputShapes>,
    /// Channels, height and width of an image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<[usize; 3]>,
    /// Of a supernet, as at the end of its search.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mixing: Option<Mixings>,
    /// Of a supernet, as the two behind it: the options of its edges, see [`EdgeOptions`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partial_channels: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edge_normalisation: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auxiliary_skip: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_names: Option<Vec<String>>,
    /// What its images were normalised by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub normalise: Option<Statistics>,
    /// What it learned to play.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub game: Option<GameSet>,
}

/// A space, a genotype of it and a skeleton of it that a description may mean.
#[derive(Debug, Clone)]
pub struct Candidate {
    pub space: Arc<Space>,
    /// The text of the space's file.
    pub space_text: Arc<str>,
    /// Absent in a supernet.
    pub genotype: Option<Genotype>,
    pub skeleton: String,
}

/// A description fits no space.
#[derive(Debug, thiserror::Error)]
pub enum DescriptionError {
    #[error(transparent)]
    NotFound(#[from] NotFound),
    #[error(transparent)]
    Space(#[from] SpaceFileError),
    #[error("found no search space")]
    NoSpace,
    #[error("neither a genotype nor `supernet` is given")]
    NoGenotype,
    /// Whatever the space.
    #[error("no genotype can be read in the text")]
    Unreadable(#[source] GenotypeError),
    #[error(transparent)]
    Table(#[from] NasBenchError),
    #[error("search space `{space}` does not know this genotype")]
    Genotype {
        space: String,
        #[source]
        source: GenotypeError,
    },
    #[error("no search space knows this genotype:{}", listed(.said))]
    UnknownGenotype {
        /// Why not, and the spaces that say so.
        said: IndexMap<String, Vec<String>>,
    },
    #[error("no skeleton `{skeleton}` in {spaces}")]
    Skeleton { spaces: String, skeleton: String, known: String },
    #[error(transparent)]
    Build(#[from] SpaceError),
}

impl DescriptionError {
    /// The way out, where there is one to tell.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound(error) => error.hint.clone(),
            Self::NoSpace => Some("run where `search_spaces/` is, or name a space with `--space`".to_owned()),
            Self::NoGenotype => {
                Some("give the cell with `--genotype`, or `--supernet` for the network of all candidates".to_owned())
            }
            Self::Genotype { source, .. } | Self::Unreadable(source) => source.hint(),
            Self::UnknownGenotype { .. } => Some("name its space with `--space`".to_owned()),
            Self::Skeleton { known, .. } => Some(format!("there are {known}")),
            Self::Build(error) => error.hint(),
            Self::Space(_) | Self::Table(_) => None,
        }
    }
}

impl Description {
    /// The description in a file's metadata: this project's own entry, or the entries of a golden
    /// file (`kind`, `space`, `genotype`, `skeleton`, `channels`, `layers`, `classes`). What is not
    /// said stays open.
    pub fn of_metadata(metadata: &BTreeMap<String, String>) -> Self {
        if let Some(own) = metadata.get(ENTRY).and_then(|text| serde_json::from_str(text).ok()) {
            return own;
        }
        let entry = |key: &str| metadata.get(key).map(|value| golden::json(value));
        let text = |key: &str| match entry(key) {
            Some(Json::String(text)) => Some(text),
            Some(Json::Null) | None => None,
            // The DARTS fields as a JSON object.
            Some(other) => Some(other.to_string()),
        };
        let count = |key: &str| entry(key).as_ref().and_then(golden::count);
        // Alphas, and so gradients of them, are a supernet's.
        let supernet = text("kind").is_some_and(|kind| ["supernet", golden::BILEVEL].contains(&kind.as_str()));
        let flag = |key: &str| entry(key).as_ref().and_then(Json::as_bool);
        let space = text("space").unwrap_or_default().to_lowercase();
        // `darts, partial channels k=4 with edge normalisation`
        let (name, method) = space.split_once(',').unwrap_or((&space, ""));
        Self {
            supernet,
            // `NAS-Bench-201` in a file is `nas_bench_201.yaml` in the folder of spaces.
            space: Some(name.trim().replace('-', "_")).filter(|name| !name.is_empty()),
            partial_channels: count("partial_channels").or_else(|| partial_channels(method)),
            edge_normalisation: flag("edge_normalisation").or_else(|| edge_normalisation(method)),
            auxiliary_skip: flag("auxiliary_skip"),
            // A supernet's file may hold the cell that is derived from it.
            genotype: if supernet { None } else { text("genotype") },
            skeleton: text("skeleton"),
            channels: count("channels"),
            size: count("layers"),
            classes: count("classes"),
            ..Self::default()
        }
    }

    /// What this leaves open is taken from `other`.
    pub fn or(self, other: Self) -> Self {
        // A genotype that is given makes a discrete network of a supernet's file, and the other way
        // round.
        let genotype = self.genotype.or(if self.supernet { None } else { other.genotype });
        let supernet = self.supernet || (other.supernet && genotype.is_none());
        // A space that is named replaces one whose text is at hand.
        let space_text = self.space_text.or(if self.space.is_some() { None } else { other.space_text });
        Self {
            supernet,
            space: self.space.or(other.space),
            space_text,
            genotype,
            skeleton: self.skeleton.or(other.skeleton),
            channels: self.channels.or(other.channels),
            size: self.size.or(other.size),
            task: self.task.or(other.task),
            classes: self.classes.or(other.classes),
            outputs: self.outputs.or(other.outputs),
            input: self.input.or(other.input),
            mixing: self.mixing.or(other.mixing),
            partial_channels: self.partial_channels.or(other.partial_channels),
            edge_normalisation: self.edge_normalisation.or(other.edge_normalisation),
            auxiliary_skip: self.auxiliary_skip.or(other.auxiliary_skip),
            class_names: self.class_names.or(other.class_names),
            normalise: self.normalise.or(other.normalise),
            game: self.game.or(other.game),
        }
    }

    /// All that it may mean, the likelier first; at least one. Spaces are looked up from `beside`.
    ///
    /// # Errors
    /// Where nothing fits what was said, or what was named cannot be found or read.
    pub fn candidates(&self, beside: &Path) -> Result<Vec<Candidate>, DescriptionError> {
        if !self.supernet && self.genotype.is_none() {
            return Err(DescriptionError::NoGenotype);
        }
        let named = self.space.is_some() || self.space_text.is_some();
        let spaces = self.spaces(beside)?;
        if spaces.is_empty() {
            return Err(DescriptionError::NoSpace);
        }
        let mut candidates = Vec::new();
        let (mut knowing, mut said) = (Vec::new(), IndexMap::<String, Vec<String>>::new());
        for (space, space_text) in spaces {
            let text = self.genotype.as_ref().map(|text| nas_bench::cell_text(text, &space)).transpose()?;
            let genotype = match text.map(|text| Genotype::parse(&text, &space)).transpose() {
                Ok(genotype) => genotype,
                Err(source) if source.is_of_text() => return Err(DescriptionError::Unreadable(source)),
                Err(source) if named => return Err(DescriptionError::Genotype { space: space.name, source }),
                Err(error) => {
                    said.entry(error.to_string()).or_default().push(space.name);
                    continue;
                }
            };
            let (space, space_text) = (Arc::new(space), Arc::from(space_text));
            candidates.extend(self.skeletons(&space).into_iter().map(|skeleton| Candidate {
                space: Arc::clone(&space),
                space_text: Arc::clone(&space_text),
                genotype: genotype.clone(),
                skeleton,
            }));
            knowing.push(space);
        }
        match &self.skeleton {
            _ if !candidates.is_empty() => Ok(candidates),
            Some(skeleton) if !knowing.is_empty() => {
                let quoted = |name: &str| format!("`{name}`");
                let spaces: Vec<String> = knowing.iter().map(|space| quoted(&space.name)).collect();
                let known: Vec<String> = knowing.iter().flat_map(|space| space.skeleton_names()).map(quoted).collect();
                let (spaces, known) = (spaces.join(", "), known.join(", "));
                Err(DescriptionError::Skeleton { spaces, skeleton: skeleton.clone(), known })
            }
            _ => Err(DescriptionError::UnknownGenotype { said }),
        }
    }

    /// The spaces that are meant, each with its text. Of those not named the ones that cannot be
    /// read are passed by.
    fn spaces(&self, beside: &Path) -> Result<Vec<(Space, String)>, DescriptionError> {
        let parsed = |path: &Path, text: String| match Space::parse(path, text) {
            Ok(space) => {
                let text = space.text().to_owned();
                Ok((space, text))
            }
            Err(problems) => Err(SpaceFileError::Invalid { path: path.to_owned(), problems }),
        };
        let read = |path: &Path| match machine::read_text(path) {
            Ok(text) => parsed(path, text),
            Err(source) => Err(SpaceFileError::Read { path: path.to_owned(), source }),
        };
        if let Some(text) = &self.space_text {
            let name = self.space.as_deref().unwrap_or("space");
            return Ok(vec![parsed(Path::new(name), text.clone())?]);
        }
        if let Some(name) = &self.space {
            return Ok(vec![read(&space::find(name, beside)?)?]);
        }
        Ok(space::all(beside).iter().filter_map(|path| read(path).ok()).collect())
    }

    /// The skeletons of `space` that may be meant.
    pub(super) fn skeletons(&self, space: &Space) -> Vec<String> {
        let all = || space.skeleton_names().map(str::to_owned);
        let chosen: Vec<String> = match &self.skeleton {
            Some(named) => return all().filter(|name| name == named).collect(),
            None => all().filter(|name| (name == SUPERNET_SKELETON) == self.supernet).collect(),
        };
        // A space may have one skeleton for both, or call its supernet's something else.
        if chosen.is_empty() { all().collect() } else { chosen }
    }

    /// The network of `candidate`, for images of `input` and with so many classes.
    ///
    /// # Errors
    /// Where the space cannot be built in that size.
    pub fn lower(
        &self,
        candidate: &Candidate,
        classes: usize,
        input: FeatureMap,
        auxiliary: bool,
    ) -> Result<Network, SpaceError> {
        let build = Build {
            skeleton: candidate.skeleton.clone(),
            channels: self.channels,
            size: self.size,
            outputs: self.outputs.as_ref().map_or_else(|| OutputSpec::scores(classes), OutputShapes::specs),
            input,
            auxiliary,
            edges: self.edges(),
        };
        candidate.lower(&build)
    }

    /// The options of a supernet's edges.
    fn edges(&self) -> EdgeOptions {
        let usual = EdgeOptions::default();
        EdgeOptions {
            partial_channels: self.partial_channels.unwrap_or(usual.partial_channels),
            edge_normalisation: self.edge_normalisation.unwrap_or(usual.edge_normalisation),
            auxiliary_skip: self.auxiliary_skip.unwrap_or(usual.auxiliary_skip),
        }
    }
}

impl Candidate {
    /// The supernet, or the discrete network of the genotype.
    ///
    /// # Errors
    /// Where the space cannot be built in that size.
    pub fn lower(&self, build: &Build) -> Result<Network, SpaceError> {
        match &self.genotype {
            None => self.space.supernet(build),
            Some(genotype) => self.space.discrete(genotype, build),
        }
    }
}

/// The `4` of `partial channels k=4`, in what a golden file says of a method.
fn partial_channels(method: &str) -> Option<usize> {
    let (_, behind) = method.split_once("partial channels")?;
    let (_, behind) = behind.split_once("k=")?;
    let digits = behind.trim_start().split(|letter: char| !letter.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// Whether the same words name edge normalisation.
fn edge_normalisation(method: &str) -> Option<bool> {
    let spelt = method.replace("normalization", "normalisation");
    let (before, _) = spelt.split_once("edge normalisation")?;
    Some(!["no", "without"].contains(&before.split_whitespace().next_back().unwrap_or_default()))
}

fn listed(said: &IndexMap<String, Vec<String>>) -> String {
    said.iter().map(|(reason, spaces)| format!("\n  {}: {reason}", spaces.join(", "))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
        entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn here() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR"))
    }

    #[test]
    fn a_golden_files_entries_are_a_description() {
        let read = Description::of_metadata(&metadata(&[
            ("kind", "\"network\""),
            ("skeleton", "\"cifar\""),
            ("genotype", r#"{"normal": [], "normal_concat": []}"#),
            ("layers", "\"N=5\""),
            ("channels", "16"),
        ]));
        assert_eq!((read.supernet, read.size, read.channels, read.classes), (false, Some(5), Some(16), None));
        assert_eq!(read.genotype.as_deref(), Some(r#"{"normal":[],"normal_concat":[]}"#));
        let kind = metadata(&[("kind", "\"supernet\""), ("space", "\"NAS-Bench-201\""), ("genotype", "\"|none~0|\"")]);
        let read = Description::of_metadata(&kind);
        assert_eq!((read.supernet, read.space.as_deref(), read.genotype), (true, Some("nas_bench_201"), None));
    }

    #[test]
    fn what_a_golden_file_says_of_edges_is_understood() {
        for (space, expected) in [
            ("darts", (None, None)),
            ("darts, partial channels k=4 with edge normalisation", (Some(4), Some(true))),
            ("DARTS, partial channels K=16 without edge normalization", (Some(16), Some(false))),
            ("darts, edge normalisation", (None, Some(true))),
            ("darts, partial channels k=2", (Some(2), None)),
        ] {
            let read = Description::of_metadata(&metadata(&[("kind", "\"supernet\""), ("space", space)]));
            assert_eq!(read.space.as_deref(), Some("darts"), "{space}");
            assert_eq!((read.partial_channels, read.edge_normalisation), expected, "{space}");
        }
        let read = Description::of_metadata(&metadata(&[("partial_channels", "2"), ("edge_normalisation", "true")]));
        let edges = EdgeOptions { partial_channels: 2, edge_normalisation: true, ..EdgeOptions::default() };
        assert_eq!((read.edges(), read.space), (edges, None));
    }

    #[test]
    fn what_is_written_in_a_header_is_read_back() {
        let written = Description {
            space_text: Some("name: mine\n".to_owned()),
            genotype: Some("|a~0|".to_owned()),
            input: Some([1, 8, 8]),
            class_names: Some(vec!["cat".to_owned()]),
            ..Description::default()
        };
        let text = serde_json::to_string(&written).unwrap();
        assert_eq!(Description::of_metadata(&metadata(&[(ENTRY, &text)])), written);
    }

    #[test]
    fn what_is_said_goes_before_what_the_file_says() {
        let file = Description {
            supernet: true,
            space: Some("a".to_owned()),
            space_text: Some("name: a".to_owned()),
            channels: Some(4),
            size: Some(2),
            ..Description::default()
        };
        let said = Description { channels: Some(8), ..Description::default() }.or(file.clone());
        assert_eq!(said, Description { channels: Some(8), ..file.clone() });
        // Another space is not the one whose text the file holds, and a genotype makes a discrete
        // network.
        let space = Some("b".to_owned());
        let genotype = Some("|x~0|".to_owned());
        let said = Description { space: space.clone(), genotype: genotype.clone(), ..Description::default() }.or(file);
        assert_eq!((said.space, said.space_text, said.supernet, said.genotype), (space, None, false, genotype));
    }

    #[test]
    fn the_space_and_the_skeleton_are_those_that_fit() {
        let cell = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|avg_pool_3x3~2|";
        let described = Description { genotype: Some(cell.to_owned()), ..Description::default() };
        let found = described.candidates(here()).unwrap();
        assert_eq!((found[0].space.name.as_str(), found[0].skeleton.as_str()), ("nas_bench_201", "final"));
        // By its number in the table of the one space that has one.
        let numbered = Description { genotype: Some("9930\n".to_owned()), ..Description::default() };
        let found = numbered.candidates(here()).unwrap().remove(0);
        let best = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|";
        assert_eq!(found.genotype, Some(Genotype::parse(best, &found.space).unwrap()));
        let numbered = Description { genotype: Some("15625".to_owned()), ..Description::default() };
        assert!(numbered.candidates(here()).unwrap_err().to_string().ends_with("has 15625 cells, and no cell 15625"));
        let supernet = Description { supernet: true, space: Some("darts".to_owned()), ..Description::default() };
        assert_eq!(supernet.candidates(here()).unwrap()[0].skeleton, "search");
    }

    #[test]
    fn what_fits_nowhere_is_told_with_a_way_out() {
        let refused = |described: Description| {
            let error = described.candidates(here()).unwrap_err();
            (error.to_string(), error.hint().unwrap_or_default())
        };
        let text = |text: &str| Some(text.to_owned());
        let (message, hint) = refused(Description::default());
        assert_eq!(message, "neither a genotype nor `supernet` is given");
        assert!(hint.contains("--supernet"), "{hint}");
        let (message, _) = refused(Description { genotype: text("|jump~0|"), ..Description::default() });
        assert!(message.contains("\n  darts, robust_s1, ") && message.contains("\n  nas_bench_201: "), "{message}");
        let (message, hint) = refused(Description { genotype: text("|jump~0"), ..Description::default() });
        assert_eq!(message, "no genotype can be read in the text", "once, and not once a space");
        assert!(hint.starts_with("a genotype is `Genotype("), "{hint}");
        let wrong = Description { supernet: true, space: text("dart"), ..Description::default() };
        assert_eq!(refused(wrong).1, "did you mean `darts`?");
        let wrong =
            Description { supernet: true, space: text("darts"), skeleton: text("imagnet"), ..Description::default() };
        let (message, hint) = refused(wrong);
        assert_eq!(message, "no skeleton `imagnet` in `darts`");
        assert_eq!(hint, "there are `search`, `cifar`, `imagenet`");
    }
}
