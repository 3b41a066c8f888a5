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
        let mut evaluation =
            Map::from_iter([("examples".to_owned(), json!(score.seen)), ("loss".to_owned(), json!(score.loss()))]);
        let (mut told, mut said, mut metrics) = (Vec::new(), Vec::new(), Vec::new());
        for (at, measure) in objective.measures().iter().enumerate() {
            let Measure { name, words, unit, .. } = measure;
            let Some(value) = score.value(at, measure) else { continue };
            told.push(json!({"name": name, "words": words, "unit": unit, "value": value}));
            said.push(format!("{words} {value:.3} {unit}").trim_end().to_owned());
            metrics.push(((*name).to_owned(), value));
        }
        evaluation.insert("measures".to_owned(), Json::from(told));
        metrics.extend(score.loss().map(|loss| ("loss".to_owned(), loss)));
        metrics.push(("images".to_owned(), score.seen as f64));
        let summary = format!("{} on {} test images", said.join(", "), score.seen);
        Evaluated { evaluation, files: Vec::new(), metrics, summary }
    }
}
