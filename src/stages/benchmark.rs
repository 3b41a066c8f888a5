//! `benchmark`: looks a genotype up in a table of cells that were trained.

use super::{Site, settings};
use crate::{
    config::Fields,
    interop::nas_bench::NasBenchTable,
    run::{Context, Resource, Stage, StageError},
};
use serde_json::{Value as Json, json};
use std::path::PathBuf;

struct Benchmark {
    table: PathBuf,
}

pub(super) fn read(fields: &mut Fields<'_>, site: &Site<'_>) -> Option<Box<dyn Stage>> {
    let name = fields.required_text("table");
    if name.is_empty() {
        return None;
    }
    match crate::space::find_table(&name, site.folder) {
        Ok(table) => Some(Box::new(Benchmark { table })),
        Err(error) => {
            let place = fields.origin_of("table").clone();
            error.add_to(fields.problems(), &place);
            None
        }
    }
}

impl Stage for Benchmark {
    fn params(&self) -> Json {
        json!({})
    }

    fn resources(&self) -> Vec<(String, Resource)> {
        vec![("table".to_owned(), Resource::Path(self.table.clone()))]
    }

    fn run(&self, context: &mut Context<'_>) -> Result<(), StageError> {
        let derived = context.input("genotype")?;
        let genotype = settings::genotype_in(derived)?;
        let table = NasBenchTable::open(&self.table).map_err(|error| StageError::input(settings::with_causes(&error)))?;
        let arch = genotype.to_cell_string();
        let row = table.find(&arch).ok_or_else(|| {
            StageError::input(format!("`{}` has no cell `{arch}`", self.table.display()))
        })?;
        let mut columns = serde_json::Map::new();
        context.metric("index", row.index as f64);
        for (column, value) in table.accuracies(row) {
            let (rank, of) = table.rank(row, column);
            let best = table.best(column);
            columns.insert(column.to_owned(), json!({"percent": value, "rank": rank, "of": of, "best_percent": best}));
            context.metric(format!("{}_percent", column.trim_end_matches("_acc")), value);
            context.metric(format!("{}_rank", column.trim_end_matches("_acc")), rank as f64);
        }
        let result = json!({"arch": arch, "index": row.index, "cells": table.len(), "accuracies": columns});
        context.publish_bytes("benchmark", &settings::json_bytes(&result))?;
        context.summary(format!("cell {} of {}", row.index, table.len()));
        Ok(())
    }
}
