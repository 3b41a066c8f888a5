//! Why a space has no such network.

use crate::space::GenotypeError;
use crate::space::feature_map::FeatureMap;

/// A network cannot be built. `place` is where, as a prefix of tensor names.
#[derive(Debug, thiserror::Error)]
pub enum SpaceError {
    #[error("no skeleton `{skeleton}` in search space `{space}`")]
    UnknownSkeleton { space: String, skeleton: String, hint: String },
    #[error("skeleton `{skeleton}` has no auxiliary head")]
    NoAuxiliary { skeleton: String },
    #[error("a network needs at least one {what}")]
    Nothing { what: &'static str },
    #[error("a network can have {most} {what} at most, found {found}")]
    TooMany { what: &'static str, most: usize, found: usize },
    #[error("`{place}`: width `{width}` is no usable number of channels where C is {channels}")]
    Width { place: String, width: String, channels: usize },
    #[error("`{place}`: {groups} groups do not divide {input} and {output} channels")]
    Groups { place: String, groups: usize, input: usize, output: usize },
    #[error("`{place}`: a window of {window:?} does not fit on a {height}x{width} map: the input is too small")]
    TooSmall { place: String, window: [usize; 2], height: usize, width: usize },
    #[error("`{place}`: `factorized_reduce` needs even sides, found {height}x{width}")]
    OddSides { place: String, height: usize, width: usize },
    #[error("`{place}`: `pixel_shuffle` by {by} needs a multiple of {by} times {by} channels, found {channels}")]
    PixelShuffle { place: String, by: usize, channels: usize },
    #[error("`{place}`: {what} has no place in an operation between nodes that choose their widths")]
    Unnarrowed { place: String, what: &'static str },
    #[error("operation `{operation}` gives {found} channels where its node chose {needed}")]
    Narrowed { operation: String, found: usize, needed: usize },
    #[error("`{place}`: branches give {first} and {other}")]
    Branches { place: String, first: FeatureMap, other: FeatureMap },
    #[error("`{place}`: a linear layer for a map of {needed} cannot read one of {found}")]
    Flattened { place: String, needed: FeatureMap, found: FeatureMap },
    #[error("`{place}`: `linear` must say `out` where no output asks for its numbers")]
    Unasked { place: String },
    #[error("skeleton `{skeleton}` puts out {found}, asked is {asked}")]
    Outputs { skeleton: String, found: String, asked: String },
    #[error("`{place}`: gives {found}, needed is {needed}")]
    Shape { place: String, found: FeatureMap, needed: FeatureMap },
    #[error("`{place}`: gives {found}, needed is {needed}: maps of one size are mixed")]
    Mixture { place: String, found: FeatureMap, needed: FeatureMap },
    #[error("`{place}`: the state has other sides than the newest and its input has no `larger`")]
    NoAdapter { place: String },
    #[error("operation `{operation}` has no chain for an edge of stride {stride}")]
    NoStride { operation: String, stride: usize },
    #[error("`{place}`: `partial_channels` {groups} does not divide a width of {channels}")]
    Partial { place: String, groups: usize, channels: usize },
    #[error("skeleton `{skeleton}` is a lattice and has no {what}")]
    LatticeEdges { skeleton: String, what: &'static str },
    #[error("search space `{space}` does not say which of its operations is the skip connection")]
    NoSkip { space: String },
    #[error("two tensors are called `{name}`: labels must tell them apart")]
    DuplicateTensor { name: String },
    #[error("the genotype does not fit search space `{space}`")]
    Genotype {
        space: String,
        #[source]
        source: GenotypeError,
    },
}

impl SpaceError {
    /// The error of a chain that has no label: a step's number alone says no place.
    pub(super) fn in_chain(mut self, what: &str) -> Self {
        let place = match &mut self {
            Self::Width { place, .. }
            | Self::Groups { place, .. }
            | Self::TooSmall { place, .. }
            | Self::OddSides { place, .. }
            | Self::PixelShuffle { place, .. }
            | Self::Branches { place, .. }
            | Self::Unasked { place } => place,
            _ => return self,
        };
        if place.chars().all(|letter| letter.is_ascii_digit()) {
            *place = format!("{what}, step {place}");
        }
        self
    }

    /// The way out, where there is one to tell.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownSkeleton { hint, .. } => Some(hint.clone()),
            Self::Genotype { source, .. } => source.hint(),
            Self::Partial { .. } => Some("choose `channels` and `partial_channels` so that it does".to_owned()),
            Self::Shape { place, needed: FeatureMap { channels, height: 1, width: 1 }, .. }
                if place.ends_with("head") =>
            {
                Some(format!("end it in `linear` without `out`, which gives as many as are asked for: {channels}"))
            }
            Self::Outputs { asked, .. } if asked == "`output`" => Some(
                "a task of one output, as classification is, calls it `output`: give the skeleton `head: […]`"
                    .to_owned(),
            ),
            Self::Mixture { .. } => Some(
                "say `exits: complete` in `lattice`: maps of complete ways alone are mixed then, and blocks may change \
                 the sides of maps"
                    .to_owned(),
            ),
            Self::DuplicateTensor { .. } => Some("give chains or steps of their own a `label`".to_owned()),
            Self::NoSkip { .. } => Some("`auxiliary_skip` needs `skip: OPERATION` in the space's file".to_owned()),
            _ => None,
        }
    }
}
