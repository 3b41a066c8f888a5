//! A search epoch by epoch as its outputs tell it: the derived cell with what a benchmark's table
//! knows of it, and the other diagnoses.

use super::artifacts;
use crate::{
    interop::nas_bench::{NasBenchColumn, NasBenchRow, NasBenchTable},
    run::{StageError, sentence},
    space::{Genotype, GenotypeText, Space},
    tasks::Measure,
    train::{DiagnosisRecord, EpochRecord, TableRecord},
};
use serde_json::{Map, Value as Json, json};
use std::path::Path;

/// What is known of the cells of a space.
pub(super) struct Trajectory<'a> {
    space: &'a Space,
    table: Option<NasBenchTable>,
    /// By which a supernet and its derived cells are compared.
    measure: Option<Measure>,
}

/// The prefix of a figure of the derived cell.
const DERIVED: &str = "derived_";

/// What an epoch's line tells of a benchmark, where there is one.
const TOLD: &str = "derived_cifar10_test_percent";

impl<'a> Trajectory<'a> {
    /// The table that the space declares, where it is there: a search does not need it.
    pub fn table(space: &Space) -> Option<&Path> {
        space.benchmark.as_deref().filter(|table| table.is_file())
    }

    /// # Errors
    /// Where the table cannot be read.
    pub fn open(space: &'a Space, measure: Option<Measure>) -> Result<Self, StageError> {
        let table = Self::table(space).map(NasBenchTable::open).transpose();
        Ok(Self { space, table: table.map_err(|error| StageError::input(sentence(&error)))?, measure })
    }

    /// What an epoch's line says beside the losses and accuracies.
    pub fn told(&self, record: &EpochRecord) -> Vec<(String, f64)> {
        let mut told: Vec<_> = self.benchmarked(record).into_iter().filter(|(name, _)| name == TOLD).collect();
        let eigenvalue = record.diagnosis.as_ref().and_then(|diagnosis| diagnosis.eigenvalue);
        told.extend(eigenvalue.map(|value| ("eigenvalue".to_owned(), value)));
        told
    }

    /// The figures of a stage that are about its last epoch: the table's under the names that
    /// `benchmark` has for them behind `derived_`.
    pub fn metrics(&self, record: &EpochRecord) -> Vec<(String, f64)> {
        let mut metrics = self.benchmarked(record);
        let Some(diagnosis) = &record.diagnosis else { return metrics };
        for (kind, counts) in &diagnosis.counts {
            metrics.push((format!("parameter_free_{kind}"), counts.parameter_free as f64));
            metrics.push((format!("learnable_{kind}"), counts.learnable as f64));
        }
        metrics.extend(record.tables.iter().map(|table| (format!("entropy_{}", table.label), mean(&table.entropy))));
        metrics.extend(self.gap(record, diagnosis).and_then(|(name, gap)| Some((name, gap?))));
        metrics.extend(diagnosis.eigenvalue.map(|value| ("eigenvalue".to_owned(), value)));
        metrics
    }

    /// Puts what was found after each epoch into its figures.
    pub fn extend(&self, figures: &mut Json, records: &[EpochRecord]) {
        for (figures, record) in figures.as_array_mut().into_iter().flatten().zip(records) {
            if let (Some(figures), Some(diagnosis)) = (figures.as_object_mut(), &record.diagnosis) {
                figures.append(&mut self.of_epoch(record, diagnosis));
            }
        }
    }

    fn of_epoch(&self, record: &EpochRecord, diagnosis: &DiagnosisRecord) -> Map<String, Json> {
        let mut figures = Map::new();
        figures.insert("derived_cell".to_owned(), json!(self.text(&diagnosis.derived)));
        figures.extend(self.benchmarked(record).into_iter().map(|(name, value)| {
            // A cell's number is whole.
            let value = if name.ends_with("_index") { json!(value as u64) } else { json!(value) };
            (name, value)
        }));
        let entropy = |table: &TableRecord| (table.label.clone(), json!(mean(&table.entropy)));
        for (name, value) in [
            ("derived_counts", json!(diagnosis.counts)),
            ("entropy", Json::Object(record.tables.iter().map(entropy).collect())),
            ("benefit", json!({"fit": diagnosis.benefit_fit, "held_out": diagnosis.benefit_held_out})),
            ("eigenvalue", json!(diagnosis.eigenvalue)),
        ] {
            figures.insert(name.to_owned(), value);
        }
        if let Some(measure) = &self.measure {
            figures.insert(format!("discretised_{}", measure.name), json!(diagnosis.discretised));
        }
        figures.extend(self.gap(record, diagnosis).map(|(name, gap)| (name, json!(gap))));
        figures
    }

    /// How much worse than the supernet its derived cells alone are on the watched examples, in the
    /// unit of the measure; not known of an epoch that did not look.
    fn gap(&self, record: &EpochRecord, diagnosis: &DiagnosisRecord) -> Option<(String, Option<f64>)> {
        let measure = self.measure.as_ref()?;
        let whole = record.watched.as_ref().and_then(|watched| watched.measures.get(measure.name));
        let gap = whole.zip(diagnosis.discretised).map(|(&whole, derived)| measure.worse_by(whole, derived));
        Some((format!("discretisation_gap_{}", measure.unit_word()), gap))
    }

    /// The derived cell's number and trained accuracies in the table; nothing where there is no
    /// table, or not this cell in it.
    fn benchmarked(&self, record: &EpochRecord) -> Vec<(String, f64)> {
        let row = record.diagnosis.as_ref().and_then(|diagnosis| self.row(&diagnosis.derived));
        let Some(row) = row else { return Vec::new() };
        let accuracy = |column: NasBenchColumn| {
            let NasBenchColumn::Accuracy(..) = column else { return None };
            Some((format!("{DERIVED}{}_percent", column.name().trim_end_matches("_acc")), row.get(column)))
        };
        let index = (format!("{DERIVED}index"), row.index as f64);
        std::iter::once(index).chain(NasBenchColumn::ALL.into_iter().filter_map(accuracy)).collect()
    }

    fn row(&self, genotype: &Genotype) -> Option<&NasBenchRow> {
        let cell = genotype.to_text(GenotypeText::CellString, self.space).ok()?;
        self.table.as_ref()?.by_cell(cell.trim())
    }

    /// As is customary for the space, or as a cell string, which holds every genotype.
    fn text(&self, genotype: &Genotype) -> Option<String> {
        Some(artifacts::customary_text(genotype, self.space).ok()?.replace('\n', " "))
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}
