//! What a test on whole pictures tells: of each picture and each set, beside the bicubic filter.

use super::{Larger, MEASURES, Quality, crops, pictures};
use crate::{
    data::{Dataset, Pair, Pairs, Picture, Pixels},
    model::Outputs,
    tasks::{
        Batch, Compared, Evaluated, Evaluation, MeasuredEvaluation, MeasuredExample, MeasuredSet, MeasuredValue,
        Objective, Score, tally::as_map,
    },
};

/// What the network is compared with.
const BESIDE: &str = "bicubic";

/// A test under way: every picture once, in the order of the data set.
pub(super) struct Comparison<'a> {
    of: &'a Larger,
    pairs: &'a Pairs,
    labels: &'a [u16],
    score: Score,
    examples: Vec<MeasuredExample>,
    files: Vec<(String, Vec<u8>)>,
    /// Of the first picture of each set, what is shown of it.
    figures: Vec<Option<(String, String)>>,
}

impl<'a> Comparison<'a> {
    pub fn new(of: &'a Larger, tested: &'a Dataset) -> Self {
        let Pixels::Pairs(pairs) = &tested.test.pixels else {
            unreachable!("the task is for pairs, which was checked")
        };
        let (labels, figures) = (&tested.test.labels, vec![None; pairs.sets.len()]);
        Self { of, pairs, labels, score: Score::default(), examples: Vec::new(), files: Vec::new(), figures }
    }

    fn add_picture(&mut self, found: &Picture) {
        let at = self.examples.len();
        let pair @ Pair { name, low, high, .. } = &self.pairs.pictures[at];
        let (scale, label) = (self.pairs.scale, usize::from(self.labels[at]));
        let set = &self.pairs.sets[label];
        let simple = low.enlarged(scale);
        let [network, beside] = [found, &simple].map(|picture| Quality::of(picture, high, scale).values().to_vec());
        self.examples.push(MeasuredExample { name: name.clone(), values: Compared { network, beside } });
        self.files.push((format!("{set}/{name}.png"), found.png()));
        if self.figures[label].is_none() {
            let output = format!("{set}/crops.svg");
            let (svg, words) = crops::drawn(pair, &simple, found, scale);
            self.files.push((output.clone(), svg.into_bytes()));
            self.figures[label] = Some((output, words));
        }
    }
}

impl Evaluation for Comparison<'_> {
    fn add(&mut self, outputs: &Outputs, batch: &Batch) {
        let loss = self.of.evaluation_loss(outputs, &batch.targets).into_scalar::<f32>();
        let before = self.examples.len();
        for found in pictures(outputs) {
            self.add_picture(&found);
        }
        let mut sums = vec![0.0; MEASURES.len()];
        for example in &self.examples[before..] {
            sums.iter_mut().zip(&example.values.network).for_each(|(sum, value)| *sum += value);
        }
        self.score.add(Score::new(sums, self.examples.len() - before).with_loss(f64::from(loss)));
    }

    fn score(&self) -> &Score {
        &self.score
    }

    fn finish(self: Box<Self>) -> Evaluated {
        let Self { pairs, labels, score, examples, files, figures, .. } = *self;
        let mut metrics = Vec::new();
        let mut said = Vec::new();
        let mut sets: Vec<MeasuredSet> = Vec::new();
        for ((label, name), figure) in pairs.sets.iter().enumerate().zip(figures) {
            let of_set =
                |(at, _): &(usize, &MeasuredExample)| labels.get(*at).is_some_and(|&of| usize::from(of) == label);
            let of: Vec<MeasuredExample> =
                examples.iter().enumerate().filter(of_set).map(|(_, one)| one.clone()).collect();
            let mean = Compared {
                network: means(of.iter().map(|example| &example.values.network)),
                beside: means(of.iter().map(|example| &example.values.beside)),
            };
            for (at, measure) in MEASURES.iter().enumerate() {
                metrics.push((format!("{name}_{}", measure.name), mean.network[at]));
                metrics.push((format!("{name}_{BESIDE}_{}", measure.name), mean.beside[at]));
            }
            said.push(format!("{name} {:.3} dB ({BESIDE} {:.3})", mean.network[0], mean.beside[0]));
            sets.push(MeasuredSet { name: name.clone(), beside: BESIDE.to_owned(), mean, examples: of, figure });
        }
        let value = |(at, measure)| Some((measure, score.value(at, measure)?));
        let values: Vec<_> = MEASURES.iter().enumerate().filter_map(value).collect();
        metrics.extend(values.iter().map(|(measure, value)| (measure.name.to_owned(), *value)));
        metrics.extend(score.loss().map(|loss| ("loss".to_owned(), loss)));
        metrics.push(("images".to_owned(), score.seen as f64));
        let measures = values.iter().map(|(measure, value)| {
            let [name, words, unit] = [measure.name, measure.words, measure.unit].map(str::to_owned);
            MeasuredValue { name, words, unit, value: *value }
        });
        let (measures, loss) = (measures.collect(), score.loss());
        let evaluation = as_map(&MeasuredEvaluation { examples: score.seen, loss, measures, sets });
        Evaluated { evaluation, files, metrics, summary: format!("PSNR on Y: {}", said.join(", ")) }
    }
}

/// The mean of each measure.
fn means<'a>(of: impl ExactSizeIterator<Item = &'a Vec<f64>>) -> Vec<f64> {
    let count = of.len().max(1) as f64;
    let mut sums = vec![0.0; MEASURES.len()];
    for values in of {
        sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
    }
    sums.into_iter().map(|sum| sum / count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{ImagePairs, Low, PictureSet, SplitRule};
    use std::path::PathBuf;

    /// What the README of the sets says of the bicubic filter.
    #[test]
    #[ignore = "needs `sr-small` in the folder that DARTS_RUN_DATA names"]
    fn the_bicubic_filter_has_its_published_values() {
        let root =
            PathBuf::from(std::env::var("DARTS_RUN_DATA").expect("DARTS_RUN_DATA names the folder with the data sets"));
        let published = [
            ("set5", 28.430, 0.8111),
            ("set14", 25.997, 0.7029),
            ("bsd100", 25.768, 0.6867),
            ("urban100", 24.956, 0.7691),
        ];
        let set = |(name, ..): &(&str, f64, f64)| PictureSet {
            name: (*name).to_owned(),
            high: format!("sr-small/{name}"),
            low: Low::Found,
            teacher: None,
        };
        let test = published.iter().map(set).collect();
        let pairs = ImagePairs { scale: 4, patch: 32, patches: 1, train: None, test };
        let read = pairs.locate(&[root]).unwrap().read(|_| true).unwrap().unwrap();
        assert_eq!(read.made, 0, "every set has its partners");
        let dataset = read.finish(&SplitRule::All).unwrap();
        let Pixels::Pairs(of) = &dataset.test.pixels else { panic!("pairs are pairs") };
        let mut comparison = Comparison::new(&Larger, &dataset);
        of.pictures.iter().for_each(|pair| comparison.add_picture(&pair.low.enlarged(4)));
        let found = Box::new(comparison).finish();
        let metric = |name: String| found.metrics.iter().find(|(known, _)| *known == name).unwrap().1;
        for (name, psnr, ssim) in published {
            let of = |kind: &str| [metric(format!("{name}{kind}_psnr_y_db")), metric(format!("{name}{kind}_ssim_y"))];
            let [found, structure] = of("_bicubic");
            assert!((found - psnr).abs() < 5e-4 && (structure - ssim).abs() < 5e-5, "{name}: {found} {structure}");
            assert_eq!(of(""), of("_bicubic"));
        }
    }
}
