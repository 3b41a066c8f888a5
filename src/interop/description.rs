//! What a network is, as a file or a command line describes it.

use super::golden;
use crate::{
    model::Mixing,
    space::{
        self, Build, Genotype, GenotypeError, NotFound, Space, SpaceError, SpaceFileError,
        network::{FeatureMap, Network},
    },
};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::{collections::BTreeMap, path::Path, sync::Arc};

/// The skeleton of supernets, by the custom of space files.
const SUPERNET_SKELETON: &str = "search";

/// The entry of a safetensors file's metadata that holds a [`Description`] as JSON. It is one entry because the format's
/// library writes several in the order of a hash.
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
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<usize>,
    /// Channels, height and width of an image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<[usize; 3]>,
    /// Of a supernet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mixing: Option<Mixing>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_names: Option<Vec<String>>,
    /// `{"mean": […], "std": […]}`, what its images were normalised by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub normalise: Option<Json>,
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
    #[error("search space `{space}` does not know this genotype")]
    Genotype {
        space: String,
        #[source]
        source: GenotypeError,
    },
    #[error("no search space knows this genotype:{}", listed(.said))]
    UnknownGenotype {
        /// Space, and why not.
        said: Vec<(String, String)>,
    },
    #[error("no skeleton `{skeleton}` in search space `{space}`")]
    Skeleton { space: String, skeleton: String, known: String },
    #[error("no search space that fits has a skeleton `{skeleton}`")]
    NoSkeleton { skeleton: String },
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
            Self::Genotype { source, .. } => source.hint(),
            Self::UnknownGenotype { .. } => Some("name its space with `--space`".to_owned()),
            Self::Skeleton { known, .. } => Some(format!("it has {known}")),
            Self::Build(error) => error.hint(),
            Self::Space(_) | Self::NoSkeleton { .. } => None,
        }
    }
}

impl Description {
    /// The description in a file's metadata: this project's own entry, or the entries of a golden file
    /// (`kind`, `space`, `genotype`, `skeleton`, `channels`, `layers`, `classes`). What is not said stays open.
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
        let supernet = text("kind").as_deref() == Some("supernet");
        Self {
            supernet,
            // `NAS-Bench-201` in a file is `nas_bench_201.yaml` in the folder of spaces.
            space: text("space").map(|name| name.to_lowercase().replace('-', "_")),
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
        // A genotype that is given makes a discrete network of a supernet's file, and the other way round.
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
            classes: self.classes.or(other.classes),
            input: self.input.or(other.input),
            mixing: self.mixing.or(other.mixing),
            class_names: self.class_names.or(other.class_names),
            normalise: self.normalise.or(other.normalise),
        }
    }

    /// All that it may mean, the likelier first; at least one. Spaces are looked up from `beside`.
    pub fn candidates(&self, beside: &Path) -> Result<Vec<Candidate>, DescriptionError> {
        if !self.supernet && self.genotype.is_none() {
            return Err(DescriptionError::NoGenotype);
        }
        let named = self.space.is_some() || self.space_text.is_some();
        let mut candidates = Vec::new();
        let mut said = Vec::new();
        let spaces = self.spaces(beside)?;
        let none = spaces.is_empty();
        for (space, space_text) in spaces {
            let genotype = match &self.genotype {
                None => None,
                Some(text) => match Genotype::parse(text, &space) {
                    Ok(genotype) => Some(genotype),
                    Err(source) if named => {
                        return Err(DescriptionError::Genotype { space: space.name.clone(), source });
                    }
                    Err(error) => {
                        said.push((space.name.clone(), error.to_string()));
                        continue;
                    }
                },
            };
            let skeletons = self.skeletons(&space);
            if let (true, [], Some(skeleton)) = (named, skeletons.as_slice(), &self.skeleton) {
                let known = space.skeleton_names().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
                let (space, skeleton) = (space.name.clone(), skeleton.clone());
                return Err(DescriptionError::Skeleton { space, skeleton, known });
            }
            let (space, space_text) = (Arc::new(space), Arc::from(space_text));
            candidates.extend(skeletons.into_iter().map(|skeleton| Candidate {
                space: Arc::clone(&space),
                space_text: Arc::clone(&space_text),
                genotype: genotype.clone(),
                skeleton,
            }));
        }
        match &self.skeleton {
            _ if !candidates.is_empty() => Ok(candidates),
            _ if none => Err(DescriptionError::NoSpace),
            Some(skeleton) if said.is_empty() => Err(DescriptionError::NoSkeleton { skeleton: skeleton.clone() }),
            _ => Err(DescriptionError::UnknownGenotype { said }),
        }
    }

    /// The spaces that are meant, each with its text. Of those not named the ones that cannot be read are passed by.
    fn spaces(&self, beside: &Path) -> Result<Vec<(Space, String)>, DescriptionError> {
        let parsed = |path: &Path, text: String| match Space::parse(path, text.clone()) {
            Ok(space) => Ok((space, text)),
            Err(problems) => Err(SpaceFileError::Invalid { path: path.to_owned(), problems }),
        };
        let read = |path: &Path| match std::fs::read_to_string(path) {
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
            classes,
            input,
            auxiliary,
        };
        candidate.lower(&build)
    }
}

impl Candidate {
    /// The supernet, or the discrete network of the genotype.
    pub fn lower(&self, build: &Build) -> Result<Network, SpaceError> {
        match &self.genotype {
            None => self.space.supernet(build),
            Some(genotype) => self.space.discrete(genotype, build),
        }
    }
}

fn listed(said: &[(String, String)]) -> String {
    said.iter().map(|(space, reason)| format!("\n  {space}: {reason}")).collect()
}
