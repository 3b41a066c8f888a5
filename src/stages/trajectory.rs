//! A search epoch by epoch as its outputs tell it: the derived cell with what a benchmark's table
//! knows of it, and the other diagnoses.

use super::artifacts;
use crate::{
    interop::nas_bench::{NasBenchColumn, NasBenchRow, NasBenchTable},
    records::{Benefits, CELL_ACCURACY, EpochDiagnosis},
    run::{StageError, sentence},
    space::{Genotype, GenotypeText, Space},
    tasks::Measure,
    train::{DiagnosisRecord, EpochRecord},
};
use std::path::Path;

/// What is known of the cells of a space.
pub(super) struct Trajectory<'a> {
    space: &'a Space,
    table: Option<NasBenchTable>,
    /// By which a supernet and its derived cells are compared.
    measure: Option<Measure>,
}

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
        let accuracy = EpochDiagnosis::accuracy_figure(CELL_ACCURACY);
        let mut told: Vec<_> = self.benchmarked(record).into_iter().filter(|(name, _)| *name == accuracy).collect();
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
        metrics.extend(self.measure.iter().filter_map(|measure| {
            Some((EpochDiagnosis::gap_figure(measure.unit_word()), gap(measure, record, diagnosis)?))
        }));
        metrics.extend(diagnosis.eigenvalue.map(|value| ("eigenvalue".to_owned(), value)));
        metrics
    }

    /// What was found after an epoch of a search, for its figures.
    pub fn diagnosis(&self, record: &EpochRecord) -> Option<EpochDiagnosis> {
        let diagnosis = record.diagnosis.as_ref()?;
        let row = self.row(&diagnosis.derived);
        let discretised = |measure: &Measure| (measure.name.to_owned(), diagnosis.discretised);
        let gap = |measure: &Measure| (measure.unit_word().to_owned(), gap(measure, record, diagnosis));
        Some(EpochDiagnosis {
            cell: artifacts::one_line(&diagnosis.derived, self.space).ok(),
            index: row.map(|row| row.index),
            accuracies: row
                .map(|row| accuracies(row).map(|(name, value)| (name.to_owned(), Some(value))).collect())
                .unwrap_or_default(),
            counts: diagnosis.counts.clone(),
            entropy: record.tables.iter().map(|table| (table.label.clone(), Some(mean(&table.entropy)))).collect(),
            benefit: Benefits { fit: diagnosis.benefit_fit, held_out: diagnosis.benefit_held_out },
            eigenvalue: diagnosis.eigenvalue,
            discretised: self.measure.iter().map(discretised).collect(),
            gap: self.measure.iter().map(gap).collect(),
        })
    }

    /// The derived cell's number and trained accuracies in the table; nothing where there is no
    /// table, or not this cell in it.
    fn benchmarked(&self, record: &EpochRecord) -> Vec<(String, f64)> {
        let row = record.diagnosis.as_ref().and_then(|diagnosis| self.row(&diagnosis.derived));
        let Some(row) = row else { return Vec::new() };
        let index = (EpochDiagnosis::INDEX.to_owned(), row.index as f64);
        let accuracies = accuracies(row).map(|(name, value)| (EpochDiagnosis::accuracy_figure(name), value));
        std::iter::once(index).chain(accuracies).collect()
    }

    fn row(&self, genotype: &Genotype) -> Option<&NasBenchRow> {
        let cell = genotype.to_text(GenotypeText::CellString, self.space).ok()?;
        self.table.as_ref()?.by_cell(cell.trim())
    }
}

/// How much worse than the supernet its derived cells alone are on the watched examples, in the unit
/// of the measure; not known of an epoch that did not look.
fn gap(measure: &Measure, record: &EpochRecord, diagnosis: &DiagnosisRecord) -> Option<f64> {
    let whole = record.watched.as_ref()?.measures.get(measure.name)?;
    Some(measure.worse_by(*whole, diagnosis.discretised?))
}

/// Of a cell in the table, trained alone, by data and images.
fn accuracies(row: &NasBenchRow) -> impl Iterator<Item = (&'static str, f64)> {
    let accuracy = |column: NasBenchColumn| match column {
        NasBenchColumn::Accuracy(..) => Some((column.name().trim_end_matches("_acc"), row.get(column))),
        _ => None,
    };
    NasBenchColumn::ALL.into_iter().filter_map(accuracy)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}
