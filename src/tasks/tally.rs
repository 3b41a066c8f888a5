//! What a test on the whole of a part tells.

use super::{Batch, Measure, Objective, Score};
use crate::model::Outputs;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

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
    pub files: Vec<(String, Vec<u8>)>,
    /// The stage's figures.
    pub metrics: Vec<(String, f64)>,
    /// A line.
    pub summary: String,
}

/// What such a test publishes as `evaluation`, beside the size of the network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MeasuredEvaluation {
    pub examples: usize,
    /// Mean of an example.
    pub loss: Option<f64>,
    pub measures: Vec<MeasuredValue>,
    /// Where the test is of several sets of examples.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sets: Vec<MeasuredSet>,
}

/// What was measured of one set of a test, with what the same measures are of something simple that
/// does the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MeasuredSet {
    pub name: String,
    /// What the network is compared with: `bicubic`.
    pub beside: String,
    /// Means over the examples.
    pub mean: Compared,
    pub examples: Vec<MeasuredExample>,
    /// The output of the stage that shows some of it, an SVG, and what is seen there.
    pub figure: Option<(String, String)>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MeasuredExample {
    pub name: String,
    #[serde(flatten)]
    pub values: Compared,
}

/// The values of each measure, in the order of the evaluation's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Compared {
    pub network: Vec<f64>,
    pub beside: Vec<f64>,
}

/// A [`Measure`] with what was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MeasuredValue {
    pub name: String,
    pub words: String,
    pub unit: String,
    pub value: f64,
}

/// A record as the entries of a larger one.
pub(crate) fn as_map(record: &impl Serialize) -> Map<String, Json> {
    match serde_json::to_value(record) {
        Ok(Json::Object(map)) => map,
        _ => unreachable!("a record is plain data with names"),
    }
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
        let (mut measures, mut said, mut metrics) = (Vec::new(), Vec::new(), Vec::new());
        for (at, measure) in objective.measures().iter().enumerate() {
            let Measure { name, words, unit, .. } = *measure;
            let Some(value) = score.value(at, measure) else { continue };
            let [name, words, unit] = [name, words, unit].map(str::to_owned);
            said.push(format!("{words} {value:.3} {unit}").trim_end().to_owned());
            metrics.push((name.clone(), value));
            measures.push(MeasuredValue { name, words, unit, value });
        }
        metrics.extend(score.loss().map(|loss| ("loss".to_owned(), loss)));
        metrics.push(("images".to_owned(), score.seen as f64));
        let summary = format!("{} on {} test images", said.join(", "), score.seen);
        let evaluation =
            as_map(&MeasuredEvaluation { examples: score.seen, loss: score.loss(), measures, sets: Vec::new() });
        Evaluated { evaluation, files: Vec::new(), metrics, summary }
    }
}
