//! What the test of a classifier tells: of all images, of each class, of each image.

use super::{CLASS, Classes, host_labels, ranks, score};
use crate::{
    model::{OUTPUT, Outputs, host},
    report::Proportion,
    tasks::{Batch, Evaluated, Evaluation, Objective, Score, tally::as_map},
};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// What the test of a classifier publishes as `evaluation`, beside the size of the network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassEvaluation {
    #[serde(flatten)]
    pub all: Share,
    /// Mean of an image.
    pub loss: Option<f64>,
    /// Of many classes.
    pub top5_percent: Option<f64>,
    pub classes: Vec<ClassScore>,
}

/// The images of one class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassScore {
    pub class: String,
    #[serde(flatten)]
    pub share: Share,
}

/// How many images were told right.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Share {
    pub images: usize,
    pub correct: usize,
    pub accuracy_percent: f64,
    /// Wilson's.
    pub interval_95_percent: [f64; 2],
}

/// What was right and what was not.
pub(super) struct Confusion<'a> {
    of: &'a Classes,
    score: Score,
    /// By class: images, correct ones.
    by_class: Vec<(usize, usize)>,
    /// A line an image, in the order of the test set.
    predictions: String,
}

impl<'a> Confusion<'a> {
    pub fn new(of: &'a Classes) -> Self {
        let predictions = "index,label,prediction,label_rank\n".to_owned();
        Self { of, score: Score::default(), by_class: vec![(0, 0); of.names.len()], predictions }
    }

    /// `[images, classes]`, `[images]`, and their mean loss.
    fn add(&mut self, logits: &[f32], labels: &[i64], loss: f64) {
        let ranks = ranks(logits, labels);
        let classes = self.of.names.len();
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
        self.score.add(score(&ranks).with_loss(loss));
    }
}

impl Evaluation for Confusion<'_> {
    fn add(&mut self, outputs: &Outputs, batch: &Batch) {
        let loss = self.of.evaluation_loss(outputs, &batch.targets).into_scalar::<f32>();
        self.add(&host(outputs.scores(OUTPUT)), &host_labels(batch.targets.whole(CLASS)), f64::from(loss));
    }

    fn score(&self) -> &Score {
        &self.score
    }

    fn finish(self: Box<Self>) -> Evaluated {
        let Self { of, score, by_class, predictions } = *self;
        let [_, top5] = of.measures;
        let top5_percent = score.value(1, &top5).filter(|_| top5.told);
        let correct = by_class.iter().map(|(_, correct)| correct).sum();
        let all = Proportion::new(correct, score.seen);
        let of_class = |(name, &(images, correct)): (&String, &(usize, usize))| ClassScore {
            class: name.clone(),
            share: Share::of(Proportion::new(correct, images)),
        };
        let evaluation = ClassEvaluation {
            all: Share::of(all),
            loss: score.loss(),
            top5_percent,
            classes: of.names.iter().zip(&by_class).map(of_class).collect(),
        };
        let (low, high) = all.interval();
        let mut metrics = vec![
            ("accuracy_percent", all.percent()),
            ("error_percent", 100.0 - all.percent()),
            ("accuracy_low_percent", low),
            ("accuracy_high_percent", high),
        ];
        metrics.extend(top5_percent.map(|top5| ("top5_percent", top5)));
        metrics.extend(score.loss().map(|loss| ("loss", loss)));
        metrics.push(("images", score.seen as f64));
        Evaluated {
            evaluation: as_map(&evaluation),
            files: vec![("predictions.csv".to_owned(), predictions.into_bytes())],
            metrics: metrics.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            summary: format!(
                "{:.2} % of {} test images (95 % interval {low:.2} to {high:.2})",
                all.percent(),
                score.seen
            ),
        }
    }
}

impl Share {
    fn of(share: Proportion) -> Self {
        let (low, high) = share.interval();
        Self {
            images: share.of,
            correct: share.count,
            accuracy_percent: share.percent(),
            interval_95_percent: [low, high],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::classification::Classification;

    #[test]
    fn images_are_counted_by_class_and_every_prediction_is_kept() {
        let classes = Classes::new(Classification::default(), ["cat", "dog"].map(str::to_owned).to_vec());
        let mut confusion = Confusion::new(&classes);
        confusion.add(&[2.0, 0.0, /**/ 2.0, 0.0], &[0, 1], 1.0);
        confusion.add(&[0.0, 0.0], &[1], 4.0);
        assert_eq!(confusion.by_class, [(1, 1), (2, 0)]);
        assert_eq!(confusion.score.loss(), Some(2.0), "a mean over images, not over batches");
        let found = Box::new(confusion).finish();
        let record: ClassEvaluation = serde_json::from_value(found.evaluation.clone().into()).unwrap();
        assert_eq!((record.all.correct, record.all.images, record.classes[1].share.images), (1, 3, 2));
        let predictions = "index,label,prediction,label_rank\n0,0,0,0\n1,1,0,1\n2,1,0,1\n";
        assert_eq!(found.files, [("predictions.csv".to_owned(), predictions.as_bytes().to_vec())]);
    }
}
