//! Telling classes of images apart.

mod evaluation;
mod loss;
mod ranks;
mod settings;

pub use evaluation::{ClassEvaluation, ClassScore, Share};
pub use loss::cross_entropy;
pub use settings::{Classification, KIND};

use super::{Batch, Better, Evaluation, Measure, Objective, Score, Supervision, Target, Targets};
use crate::{
    data::{self, Dataset},
    model::{AUXILIARY, OUTPUT, Outputs, host},
};
use burn::tensor::{Device, Int, Tensor, TensorData};
use evaluation::Confusion;
use ranks::ranks;

/// The target of an image: the number of its class.
const CLASS: &str = "class";

/// More classes than this, and it is told how often the class is among the best five.
const FEW_CLASSES: usize = 20;

const ACCURACY: Measure = Measure {
    name: "accuracy_percent",
    words: "accuracy",
    unit: "%",
    better: Better::Higher,
    scale: 100.0,
    told: true,
};

/// Of `classes`: of few, the five best are nearly all.
fn measures(classes: usize) -> [Measure; 2] {
    let told = classes > FEW_CLASSES;
    [ACCURACY, Measure { name: "top5_percent", words: "top-5 accuracy", told, ..ACCURACY }]
}

/// The classes of images of a data set.
#[derive(Debug)]
pub struct Classes {
    settings: Classification,
    names: Vec<String>,
    measures: [Measure; 2],
}

impl Classes {
    pub fn new(settings: Classification, names: Vec<String>) -> Self {
        Self { settings, measures: measures(names.len()), names }
    }
}

impl Objective for Classes {
    fn measures(&self) -> &[Measure] {
        &self.measures
    }

    /// The auxiliary head learns the same with a weight of its own.
    fn loss(&self, outputs: &Outputs, targets: &Targets) -> Tensor<1> {
        let of = |logits| cross_entropy(logits, targets.whole(CLASS), self.settings.label_smoothing);
        let loss = of(outputs.scores(OUTPUT));
        match outputs.get(AUXILIARY) {
            Some(_) => loss + of(outputs.scores(AUXILIARY)).mul_scalar(self.settings.auxiliary_weight),
            None => loss,
        }
    }

    fn evaluation_loss(&self, outputs: &Outputs, targets: &Targets) -> Tensor<1> {
        cross_entropy(outputs.scores(OUTPUT), targets.whole(CLASS), 0.0)
    }

    fn score(&self, outputs: &Outputs, targets: &Targets) -> Score {
        score(&ranks(&host(outputs.scores(OUTPUT)), &host_labels(targets.whole(CLASS))))
    }
}

impl Supervision for Classes {
    fn batch(&self, loaded: data::Batch, device: &Device) -> Batch {
        let [channels, height, width] = loaded.shape;
        let size = loaded.labels.len();
        let images = TensorData::new(loaded.images, [size, channels, height, width]);
        labelled(Tensor::from_data(images, device), Tensor::from_data(TensorData::new(loaded.labels, [size]), device))
    }

    fn evaluation<'a>(&'a self, _: &'a Dataset) -> Box<dyn Evaluation + 'a> {
        Box::new(Confusion::new(self))
    }
}

/// Images, `[batch, channels, height, width]`, normalised, with the numbers of their classes,
/// `[batch]`.
pub fn labelled(images: Tensor<4>, labels: Tensor<1, Int>) -> Batch {
    Batch { inputs: images, targets: Targets::new([(CLASS, Target::Whole(labels))]) }
}

/// Of images by the [`ranks`] of their classes.
fn score(ranks: &[usize]) -> Score {
    let below = |bound| ranks.iter().filter(|&&rank| rank < bound).count() as f64;
    Score::new(vec![below(1), below(5)], ranks.len())
}

/// Labels as numbers, waiting for the device.
fn host_labels(labels: Tensor<1, Int>) -> Vec<i64> {
    labels.into_data().convert::<i64>().try_into_vec().expect("converted to i64")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_over_all_images() {
        let mut seen = score(&[0, 4, 5]).with_loss(2.0);
        seen.add(score(&[0]).with_loss(6.0));
        let figures = seen.figures(&measures(10)).unwrap();
        let values: Vec<f64> = figures.measures.values().copied().collect();
        assert_eq!((figures.loss, values), (3.0, vec![50.0, 75.0]));
    }
}
