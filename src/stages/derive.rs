//! `derive`: chooses a genotype from a search's alphas, by the rule of its space.

use super::{AlphaHistory, Site, artifacts, hyperparameters::optional_count};
use crate::{
    config::Fields,
    run::{Context, Stage, StageError},
};
use serde_json::{Value as Json, json};

struct Derive {
    /// Which epoch's alphas; the last one where absent.
    epoch: Option<usize>,
}

pub(super) fn read(fields: &mut Fields<'_>, _site: &Site<'_>) -> Option<Box<dyn Stage>> {
    Some(Box::new(Derive { epoch: optional_count(fields, "epoch") }))
}

impl Stage for Derive {
    fn params(&self) -> Json {
        json!({"epoch": self.epoch})
    }

    fn run(&self, context: &mut Context<'_>) -> Result<(), StageError> {
        let search = context.input("search")?;
        let space = artifacts::space(search)?;
        let space_text = artifacts::text(search.output("space")?)?;
        let history: AlphaHistory = artifacts::json(search, "alphas")?;
        let chosen = match self.epoch {
            None => history.epochs.last(),
            Some(epoch) => history.epochs.iter().find(|alphas| alphas.epoch == epoch),
        };
        let chosen = chosen.ok_or_else(|| {
            let asked = self.epoch.map_or_else(|| "its last epoch".to_owned(), |epoch| format!("epoch {epoch}"));
            StageError::input(format!("the search has {} epochs and not {asked}", history.epochs.len()))
        })?;
        let genotype = space.derive(&chosen.weights()).map_err(|error| StageError::failed(error.to_string()))?;

        artifacts::publish_genotype(context, &genotype, &space, &space_text)
    }
}
