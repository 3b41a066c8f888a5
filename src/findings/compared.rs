//! A test of several sets: each beside something simple that does the same, and what is to be seen
//! of them.

use super::measure::Measure;
use crate::{
    report::{Cell, Column, Figure, Table},
    run::{Input, StageError},
    tasks::MeasuredEvaluation,
};

/// A stage with what it measured.
type Evaluated<'a> = (&'a Input, &'a MeasuredEvaluation);

/// A table a measure, a row a network and a set; none where the tests are of one set alone.
pub(super) fn tables(evaluated: &[Evaluated<'_>]) -> Vec<Table> {
    let Some((measures, beside)) = evaluated.iter().find_map(|(_, of)| Some((&of.measures, &of.sets.first()?.beside)))
    else {
        return Vec::new();
    };
    let table = |(at, measure)| {
        let measure = Measure::of(measure);
        let mut columns = vec![Column::text("network"), Column::text("set"), Column::number("examples")];
        columns.extend([beside, "network", "difference"].map(|name| measure.column(name)));
        let mut table = Table::new(format!("{}: mean over the examples of each set.", measure.words), columns);
        for (input, of) in evaluated {
            for set in &of.sets {
                let value = |values: &[f64]| values.get(at).copied();
                let (network, simple) = (value(&set.mean.network), value(&set.mean.beside));
                let difference = network.zip(simple).map(|(network, simple)| network - simple);
                let digits = if measure.unit.is_empty() { 4 } else { 3 };
                let names =
                    [Cell::Text(input.member.clone()), Cell::Text(set.name.clone()), Cell::count(set.examples.len())];
                let values = [simple, network, difference].map(|value| Cell::known(value, digits));
                table.push(names.into_iter().chain(values));
            }
        }
        table
    };
    measures.iter().enumerate().map(table).collect()
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
