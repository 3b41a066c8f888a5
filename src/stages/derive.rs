//! `derive`: chooses a genotype from a search's alphas, by the rule of its space.

use super::{Site, artifacts, hyperparameters::optional_count};
use crate::{
    config::Fields,
    run::{Context, Stage, StageError},
    train::TableRecord,
};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

struct Derive {
    /// Which epoch's alphas; the last one where absent.
    epoch: Option<usize>,
}

/// The `alphas` output of a search.
#[derive(serde::Deserialize)]
struct AlphaHistory {
    epochs: Vec<EpochAlphas>,
}

#[derive(serde::Deserialize)]
struct EpochAlphas {
    /// From 1.
    epoch: usize,
    tables: Vec<TableRecord>,
}

impl EpochAlphas {
    /// Mixing weights by table, as the derivation rule reads them.
    fn weights(&self) -> BTreeMap<String, Vec<Vec<f64>>> {
        let wide = |rows: &Vec<Vec<f32>>| rows.iter().map(|row| row.iter().copied().map(f64::from).collect()).collect();
        self.tables.iter().map(|table| (table.label.clone(), wide(&table.weights))).collect()
    }
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
