//! A test of several sets: each beside something simple that does the same, and what is to be seen
//! of them.

use super::measure::Measure;
use crate::{
    report::{Cell, Column, Figure, Summary, Table},
    run::{Input, StageError},
    tasks::{MeasuredEvaluation, MeasuredSet},
};

/// A stage with what it measured.
pub(super) type Evaluated<'a> = (&'a Input, &'a MeasuredEvaluation);

/// A table a measure: a row a method, the mean and deviation over its trainings of each set, and a row of
/// what they stand beside; none where the tests are of one set alone.
pub(super) fn tables(methods: &[(&str, Vec<&MeasuredEvaluation>)]) -> Vec<Table> {
    let Some(first) = methods.iter().find_map(|(_, of)| of.first()).filter(|of| !of.sets.is_empty()) else {
        return Vec::new();
    };
    let table = |(at, measure)| {
        let measure = Measure::of(measure);
        let mut columns = vec![Column::text("method"), Column::number("n")];
        // One training of each has no spread.
        let has_spread = methods.iter().any(|(_, trainings)| trainings.len() > 1);
        let spread = || has_spread.then(|| Column::number("±"));
        columns.extend(first.sets.iter().flat_map(|set| [measure.column(&set.name)].into_iter().chain(spread())));
        let over = if has_spread { ", mean and deviation over n trainings" } else { "" };
        let caption = format!("{}: the mean of each set's examples{over}.", measure.words);
        let mut table = Table::new(caption, columns);
        let digits = if measure.unit.is_empty() { 4 } else { 2 };
        let cells = |found: Option<Summary>| {
            let (mean, deviation) = (found.map(|found| found.mean), found.and_then(|found| found.deviation));
            let deviation = has_spread.then(|| Cell::known(deviation, digits));
            [Cell::known(mean, digits)].into_iter().chain(deviation)
        };
        let simple = |of: &MeasuredEvaluation| -> Vec<Option<f64>> {
            let of_set = |set: &MeasuredSet| {
                let same = of.sets.iter().find(|other| other.name == set.name)?;
                same.mean.beside.get(at).copied()
            };
            first.sets.iter().map(of_set).collect()
        };
        let beside = |name: String, values: Vec<Option<f64>>| {
            let values = values.into_iter().flat_map(|value| cells(value.and_then(|value| Summary::of(&[value]))));
            [Cell::Text(name), Cell::Missing].into_iter().chain(values).collect::<Vec<_>>()
        };
        // Methods on other games than the first's have others to stand beside.
        let known: Vec<Vec<Option<f64>>> =
            methods.iter().map(|(_, of)| of.first().map(|of| simple(of)).unwrap_or_default()).collect();
        let name = &first.sets[0].beside;
        let is_common = known.iter().all(|values| *values == known[0]);
        if is_common {
            table.push(beside(name.clone(), known[0].clone()));
        }
        for ((method, trainings), known) in methods.iter().zip(&known) {
            if !is_common {
                table.push(beside(format!("{name} for {method}"), known.clone()));
            }
            let of_set = |set: &MeasuredSet| {
                let sets = trainings.iter().filter_map(|of| of.sets.iter().find(|other| other.name == set.name));
                let values: Vec<f64> = sets.filter_map(|set| set.mean.network.get(at).copied()).collect();
                cells(Summary::of(&values))
            };
            let names = [Cell::Text((*method).to_owned()), Cell::count(trainings.len())];
            table.push(names.into_iter().chain(first.sets.iter().flat_map(of_set)));
        }
        table
    };
    first.measures.iter().enumerate().map(table).collect()
}

/// Of the first network, a figure a set.
pub(super) fn figures(evaluated: &[Evaluated<'_>]) -> Result<Vec<Figure>, StageError> {
    let Some((input, of)) = evaluated.first() else { return Ok(Vec::new()) };
    let shown = of.sets.iter().filter_map(|set| set.figure.as_ref().map(|figure| (&set.name, figure)));
    let figure = |(set, (output, words)): (&String, &(String, String))| {
        Ok(Figure {
            name: format!("{} {set}", input.member),
            svg: input.output(output)?.text()?,
            caption: format!("`{set}` by `{}`: {words}", input.member),
            text: None,
            series: Vec::new(),
        })
    };
    shown.map(figure).collect()
}
