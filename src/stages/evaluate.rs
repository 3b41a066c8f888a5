//! `evaluate`: a trained network on the full test set.

use super::{
    Site,
    artifacts::{self, NetworkCard},
    retrain::FEW_CLASSES,
    site::Compute,
};
use crate::{
    config::Fields,
    data::{Loader, LoaderOptions, Part},
    interop::{state::State, tensor_file::TensorFile},
    model::{Mode, host},
    report::Proportion,
    run::{Context, Progress, Stage, StageError, sentence},
    tasks::{Score, cross_entropy, host_labels, ranks, stream},
};
use serde_json::{Value as Json, json};
use std::{fmt::Write as _, path::PathBuf, sync::Arc};

struct Evaluate {
    compute: Compute,
    data_roots: Vec<PathBuf>,
    batch: usize,
}

pub(super) fn read(fields: &mut Fields<'_>, site: &Site<'_>) -> Option<Box<dyn Stage>> {
    let compute = site.compute(fields);
    // The batch counts: an image's logits do not depend on its neighbours, but sums of another
    // shape may round otherwise.
    let batch = fields.integer("batch", 128, 1.., "a whole number from 1");
    // There is no other part to choose, but results know it.
    fields.hash("part", "test");
    Some(Box::new(Evaluate { compute: compute?, data_roots: site.data_roots(), batch }))
}

impl Stage for Evaluate {
    fn numerics(&self) -> Option<Json> {
        Some(self.compute.numerics())
    }

    fn run(&self, context: &mut Context<'_>) -> Result<(), StageError> {
        let of = context.input("network")?;
        let space = artifacts::space(of)?;
        let genotype = artifacts::genotype(of, &space)?;
        let card: NetworkCard = artifacts::json(of, "network")?;
        let dataset = Arc::new(artifacts::dataset(context.input("data")?, &self.data_roots)?);
        if (dataset.classes.len(), dataset.shape) != (card.classes, card.input) {
            return Err(StageError::input(format!(
                "the network knows {} classes of images {:?}, data set `{}` has {} of {:?}: evaluate it on what it was trained for",
                card.classes,
                card.input,
                dataset.name,
                dataset.classes.len(),
                dataset.shape
            )));
        }
        if dataset.statistics != card.normalise {
            return Err(StageError::input(format!(
                "data set `{}` is normalised otherwise than the images that the network was trained on",
                dataset.name
            )));
        }

        let device = self.compute.open()?;
        let network = card.network(&space, &genotype)?;
        let weights = of.output("weights")?;
        let file = TensorFile::safetensors(&weights.path(), &weights.bytes()?)
            .map_err(|error| StageError::failed(sentence(&error)))?;
        let groups = State::below(&file, "").groups(&network, &device);
        let (learned, running) = groups.map_err(|error| StageError::failed(sentence(&error)))?;
        let model = self.compute.model(network);
        let views = learned.views();

        let indices = dataset.all(Part::Test);
        if indices.is_empty() {
            return Err(StageError::input(format!("data set `{}` has no test images", dataset.name)));
        }
        let loader =
            Arc::new(Loader::new(dataset.clone(), Part::Test, indices, LoaderOptions::evaluation(self.batch))?);
        let steps = loader.steps_per_epoch();
        let mut tally = Tally::new(&dataset.classes);
        let batches = stream(&loader, 0, 0, &device).map_err(|error| StageError::input(sentence(&error)))?;
        for (step, batch) in batches.enumerate() {
            let batch = batch.map_err(|error| StageError::input(sentence(&error)))?;
            if context.stop_requested() {
                return Err(StageError::Interrupted);
            }
            let output = model.forward(Mode::Evaluate, &views, &running, &[], batch.images);
            let loss = cross_entropy(output.logits.clone(), batch.labels.clone(), 0.0).into_scalar::<f32>();
            tally.add(&host(output.logits), &host_labels(batch.labels), f64::from(loss));
            context.progress(Progress {
                epochs: 1,
                step: step + 1,
                steps,
                accuracy_percent: tally.score.accuracy_percent(),
                ..Progress::default()
            });
        }
        let cost = model.network().cost();
        tally.publish(cost.parameters, cost.multiply_adds, context)
    }
}

/// What was right and what was not.
struct Tally<'a> {
    classes: &'a [String],
    score: Score,
    /// By class: images, correct ones.
    by_class: Vec<(usize, usize)>,
    /// A line an image, in the order of the test set.
    predictions: String,
}

impl<'a> Tally<'a> {
    fn new(classes: &'a [String]) -> Self {
        let predictions = "index,label,prediction,label_rank\n".to_owned();
        Self { classes, score: Score::default(), by_class: vec![(0, 0); classes.len()], predictions }
    }

    /// `[images, classes]`, `[images]`, and their mean loss.
    fn add(&mut self, logits: &[f32], labels: &[i64], loss: f64) {
        let ranks = ranks(logits, labels);
        let classes = self.classes.len();
        let images = logits.chunks_exact(classes).zip(labels).zip(&ranks);
        for (index, ((logits, &label), &rank)) in (self.score.seen..).zip(images) {
            let label = usize::try_from(label).expect("a data set's labels are below its classes");
            let (images, correct) = &mut self.by_class[label];
            *images += 1;
            *correct += usize::from(rank == 0);
            let best = (0..classes).reduce(|best, class| if logits[class] > logits[best] { class } else { best });
            // Writing to a string does not fail.
            let _ = writeln!(self.predictions, "{index},{label},{},{rank}", best.unwrap_or(0));
        }
        self.score.add(Score::of(&ranks, loss));
    }

    fn publish(self, parameters: u64, multiply_adds: u64, context: &mut Context<'_>) -> Result<(), StageError> {
        let Self { classes, score, by_class, predictions } = self;
        let all = Proportion::new(score.correct, score.seen);
        let described = |share: Proportion| {
            let (low, high) = share.interval();
            json!({
                "images": share.of,
                "correct": share.count,
                "accuracy_percent": share.percent(),
                "interval_95_percent": [low, high],
            })
        };
        let by_class: Vec<Json> = classes
            .iter()
            .zip(&by_class)
            .map(|(name, &(images, correct))| {
                let mut described = described(Proportion::new(correct, images));
                described["class"] = json!(name);
                described
            })
            .collect();
        let mut evaluation = described(all);
        evaluation["loss"] = json!(score.loss());
        evaluation["top5_percent"] = json!(score.top5_percent().filter(|_| classes.len() > FEW_CLASSES));
        evaluation["classes"] = Json::from(by_class);
        evaluation["parameters"] = json!(parameters);
        evaluation["multiply_adds"] = json!(multiply_adds);
        context.publish_bytes("evaluation", &artifacts::json_bytes(&evaluation))?;
        context.publish_bytes("predictions.csv", predictions.as_bytes())?;

        let (low, high) = all.interval();
        context.metric("accuracy_percent", all.percent());
        context.metric("error_percent", 100.0 - all.percent());
        context.metric("accuracy_low_percent", low);
        context.metric("accuracy_high_percent", high);
        if let Some(top5) = score.top5_percent().filter(|_| classes.len() > FEW_CLASSES) {
            context.metric("top5_percent", top5);
        }
        if let Some(loss) = score.loss() {
            context.metric("loss", loss);
        }
        context.metric("images", score.seen as f64);
        context.metric("parameters", parameters as f64);
        context.metric("multiply_adds", multiply_adds as f64);
        context.summary(format!(
            "{:.2} % of {} test images (95 % interval {low:.2} to {high:.2})",
            all.percent(),
            score.seen
        ));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_counted_by_class_and_every_prediction_is_kept() {
        let classes = ["cat".to_owned(), "dog".to_owned()];
        let mut tally = Tally::new(&classes);
        tally.add(&[2.0, 0.0, /**/ 2.0, 0.0], &[0, 1], 1.0);
        tally.add(&[0.0, 0.0], &[1], 4.0);
        assert_eq!(tally.by_class, [(1, 1), (2, 0)]);
        assert_eq!((tally.score.correct, tally.score.seen), (1, 3));
        assert_eq!(tally.predictions, "index,label,prediction,label_rank\n0,0,0,0\n1,1,0,1\n2,1,0,1\n");
        assert_eq!(tally.score.loss(), Some(2.0), "a mean over images, not over batches");
    }
}
