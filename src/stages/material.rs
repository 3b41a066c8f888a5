//! What a stage that trains or tests has to do it with: a data set, or a game.

use super::artifacts;
use crate::{
    data::{Dataset, ImageShape, Statistics},
    records,
    run::{Input, StageError},
    tasks::policy::GameSet,
};
use std::{path::PathBuf, sync::Arc};

/// The output of a `prepare` stage that is a game.
pub(super) const GAME: &str = "game";

pub(super) enum Material {
    Examples(Arc<Dataset>),
    Game(GameSet),
}

impl Material {
    /// Of a `prepare` stage; `roots` are as for [`artifacts::dataset`].
    pub fn read(prepared: &Input, roots: &[PathBuf]) -> Result<Self, StageError> {
        Ok(match prepared.outputs.contains_key(GAME) {
            true => Self::Game(records::json(prepared, GAME)?),
            false => Self::Examples(Arc::new(artifacts::dataset(prepared, roots)?)),
        })
    }

    /// `data set `cifar10``, or the game.
    pub fn name(&self) -> String {
        match self {
            Self::Examples(dataset) => format!("data set `{}`", dataset.name),
            Self::Game(game) => format!("game `{game}`"),
        }
    }

    pub fn game(&self) -> Option<&GameSet> {
        match self {
            Self::Examples(_) => None,
            Self::Game(game) => Some(game),
        }
    }

    pub fn images(&self) -> ImageShape {
        match self {
            Self::Examples(dataset) => dataset.images(),
            Self::Game(game) => game.images(),
        }
    }

    pub fn classes(&self) -> &[String] {
        match self {
            Self::Examples(dataset) => &dataset.classes,
            Self::Game(_) => &[],
        }
    }

    /// What images are normalised with; frames are not, beyond white being 1.
    pub fn statistics(&self) -> Statistics {
        match self {
            Self::Examples(dataset) => dataset.statistics.clone(),
            Self::Game(_) => Statistics { mean: vec![0.0; 3], std: vec![1.0; 3] },
        }
    }
}
