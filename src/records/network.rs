//! Which network a stage trained: the output `network` of a training, the parameters of a search.
//!
//! A card is closed: a stage knows all of its network. A [`Description`] is open: what a file or a
//! command line does not say is seen in the weights. The conversions name every field of both, so
//! that none is forgotten in one of them.

use crate::{
    data::Statistics,
    interop::{description::Description, output_shapes::OutputShapes},
    space::{
        Build, EdgeOptions,
        network::{FeatureMap, OutputSpec},
    },
    tasks::policy::GameSet,
};
use serde::{Deserialize, Serialize};

/// Whole networks of one skeleton, of a width and a number of cells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Size {
    pub skeleton: String,
    pub channels: usize,
    pub size: usize,
}

/// The output `network`: what a stage that trains a discrete network says of it, beside its `space`,
/// `genotype` and `weights`; enough to build it again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct NetworkCard {
    #[serde(flatten)]
    pub size: Size,
    /// The task, where it is not that of a stage that names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// Numbers that it puts out: of a classifier, a score a class.
    pub classes: usize,
    /// What it puts out, each by channels, height and width; absent where that is one row of `classes`
    /// numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<OutputShapes>,
    /// Channels, height, width of an image.
    pub input: [usize; 3],
    /// Whether it was trained with its auxiliary head, whose weights are then among the others.
    pub auxiliary: bool,
    pub class_names: Vec<String>,
    /// What the images were normalised with, by channel, white being 1.
    pub normalise: Statistics,
    /// What it learned to play.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub game: Option<GameSet>,
}

/// What the parameters of a search say of its supernet. How it mixes is said with its alphas.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct SupernetCard {
    #[serde(flatten)]
    size: Size,
    task: Option<String>,
    /// Absent in results of before edges had options, as the two behind it.
    partial_channels: Option<usize>,
    edge_normalisation: Option<bool>,
    auxiliary_skip: Option<bool>,
}

/// What the supernet of a search reads and puts out: its note [`SHAPES`](super::SHAPES).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SupernetShapes {
    /// Channels, height, width of an image.
    pub input: [usize; 3],
    pub outputs: OutputShapes,
    /// What it learned to play.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub game: Option<GameSet>,
}

impl Size {
    /// Its network with these outputs, for images of `[channels, height, width]`.
    pub fn build(&self, outputs: Vec<OutputSpec>, [channels, height, width]: [usize; 3], auxiliary: bool) -> Build {
        Build {
            skeleton: self.skeleton.clone(),
            channels: Some(self.channels),
            size: Some(self.size),
            outputs,
            input: FeatureMap { channels, height, width },
            auxiliary,
            edges: EdgeOptions::default(),
        }
    }
}

impl NetworkCard {
    /// What the network is built for.
    pub fn build(&self) -> Build {
        let outputs = self.outputs.as_ref().map_or_else(|| OutputSpec::scores(self.classes), OutputShapes::specs);
        self.size.build(outputs, self.input, self.auxiliary)
    }
}

impl SupernetCard {
    /// Its number of cells; of a lattice, of those behind the first.
    pub fn cells(&self) -> usize {
        self.size.size
    }

    /// What the supernet is built for that puts out what the network of `card` does.
    pub fn build(&self, card: &NetworkCard) -> Build {
        let edges = EdgeOptions {
            partial_channels: self.partial_channels.unwrap_or(1),
            edge_normalisation: self.edge_normalisation.unwrap_or(false),
            auxiliary_skip: self.auxiliary_skip.unwrap_or(false),
        };
        let Build { outputs, input, .. } = card.build();
        Build { edges, ..self.size.build(outputs, [input.channels, input.height, input.width], false) }
    }
}

impl From<NetworkCard> for Description {
    fn from(card: NetworkCard) -> Self {
        // The auxiliary head is no part of the network that is used.
        let NetworkCard { size, task, classes, outputs, input, auxiliary: _, class_names, normalise, game } = card;
        let Size { skeleton, channels, size } = size;
        Self {
            supernet: false,
            space: None,
            space_text: None,
            genotype: None,
            skeleton: Some(skeleton),
            channels: Some(channels),
            size: Some(size),
            task,
            classes: Some(classes),
            outputs,
            input: Some(input),
            mixing: None,
            partial_channels: None,
            edge_normalisation: None,
            auxiliary_skip: None,
            class_names: Some(class_names),
            normalise: Some(normalise),
            game,
        }
    }
}

impl From<SupernetCard> for Description {
    fn from(card: SupernetCard) -> Self {
        let SupernetCard { size, task, partial_channels, edge_normalisation, auxiliary_skip } = card;
        let Size { skeleton, channels, size } = size;
        Self {
            supernet: true,
            space: None,
            space_text: None,
            genotype: None,
            skeleton: Some(skeleton),
            channels: Some(channels),
            size: Some(size),
            task,
            classes: None,
            outputs: None,
            input: None,
            mixing: None,
            partial_channels,
            edge_normalisation,
            auxiliary_skip,
            class_names: None,
            normalise: None,
            game: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_and_its_description_say_the_same_of_what_both_can_say() {
        let written = r#"{"skeleton":"cifar","channels":8,"size":5,"classes":2,"input":[3,32,32],"auxiliary":true,"class_names":["cat","dog"],"normalise":{"mean":[0.49139968],"std":[0.247]}}"#;
        let card: NetworkCard = serde_json::from_str(written).unwrap();
        assert_eq!(serde_json::to_string(&card).unwrap(), written);
        let described = serde_json::to_string(&Description::from(card)).unwrap();
        assert_eq!(described, written.replace(r#""auxiliary":true,"#, "").replacen('{', r#"{"supernet":false,"#, 1));
    }

    #[test]
    fn a_search_of_before_edges_had_options_is_described() {
        let card: SupernetCard =
            serde_json::from_str(r#"{"channels": 4, "epochs": 3, "size": 1, "skeleton": "search"}"#).unwrap();
        let described = serde_json::to_string(&Description::from(card)).unwrap();
        assert_eq!(described, r#"{"supernet":true,"skeleton":"search","channels":4,"size":1}"#);
    }
}
