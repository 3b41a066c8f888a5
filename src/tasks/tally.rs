//! What a test on the whole of a part tells.

use super::{Batch, Measure, Objective, Score};
use crate::model::Outputs;
use serde_json::{Map, Value as Json, json};

/// A test under way.
pub trait Evaluation {
    /// Adds a batch and what a network made of it.
    fn add(&mut self, outputs: &Outputs, batch: &Batch);

    /// Of all batches so far.
    fn score(&self) -> &Score;

    /// After the last batch.
    fn finish(self: Box<Self>) -> Evaluated;
}

/// What a test came to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Evaluated {
    /// The output `evaluation` of the stage.
    pub evaluation: Map<String, Json>,
    /// Further outputs: name and bytes.
    pub files: Vec<(&'static str, Vec<u8>)>,
    /// The stage's figures.
    pub metrics: Vec<(String, f64)>,
    /// A line.
    pub summary: String,
}

/// A test that tells the measures of its objective and nothing else.
#[derive(Debug)]
pub struct Tally<'a> {
    objective: &'a dyn Objective,
    score: Score,
}

impl<'a> Tally<'a> {
    pub fn new(objective: &'a dyn Objective) -> Self {
        Self { objective, score: Score::default() }
    }
}

impl Evaluation for Tally<'_> {
    fn add(&mut self, outputs: &Outputs, batch: &Batch) {
        let loss = self.objective.evaluation_loss(outputs, &batch.targets).into_scalar::<f32>();
        self.score.add(self.objective.score(outputs, &batch.targets).with_loss(f64::from(loss)));
    }

    fn score(&self) -> &Score {
        &self.score
    }

    fn finish(self: Box<Self>) -> Evaluated {
        let Self { objective, score } = *self;
        let values: Vec<(&Measure, f64)> = objective
            .measures()
            .iter()
            .enumerate()
            .filter_map(|(at, measure)| Some((measure, score.value(at, measure)?)))
            .collect();
        let told = |&&(measure, value): &&(&Measure, f64)| json!({"name": measure.name, "words": measure.words, "unit": measure.unit, "value": value});
        let shown = |(measure, value): &(&Measure, f64)| {
            format!("{} {value:.3} {}", measure.words, measure.unit).trim_end().to_owned()
        };
        let summary = values.iter().map(shown).collect::<Vec<_>>().join(", ");
        Evaluated {
            evaluation: Map::from_iter([
                ("examples".to_owned(), json!(score.seen)),
                ("loss".to_owned(), json!(score.loss())),
                ("measures".to_owned(), values.iter().map(|value| told(&value)).collect()),
            ]),
            files: Vec::new(),
            summary: format!("{summary} on {} test images", score.seen),
            metrics: values
                .iter()
                .map(|(measure, value)| (measure.name.to_owned(), *value))
                .chain(score.loss().map(|loss| ("loss".to_owned(), loss)))
                .chain([("images".to_owned(), score.seen as f64)])
                .collect(),
        }
    }
}
