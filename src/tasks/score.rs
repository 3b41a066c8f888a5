//! How well logits match labels.

/// Summed over images.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Score {
    /// Over images, the sum of the mean loss of their batch.
    pub loss_sum: f64,
    /// Images whose largest logit is their class's.
    pub correct: usize,
    /// Images whose class has one of the five largest logits.
    pub within_five: usize,
    pub seen: usize,
}

impl Score {
    /// Of images by the [`ranks`] of their classes, with their mean loss.
    pub fn of(ranks: &[usize], loss: f64) -> Self {
        let below = |bound| ranks.iter().filter(|&&rank| rank < bound).count();
        Self { loss_sum: loss * ranks.len() as f64, correct: below(1), within_five: below(5), seen: ranks.len() }
    }

    /// Adds the score of further images.
    pub fn add(&mut self, other: Self) {
        self.loss_sum += other.loss_sum;
        self.correct += other.correct;
        self.within_five += other.within_five;
        self.seen += other.seen;
    }

    /// Mean loss an image; `None` before the first image.
    pub fn loss(&self) -> Option<f64> {
        (self.seen > 0).then(|| self.loss_sum / self.seen as f64)
    }

    /// Share of correct images; `None` before the first image.
    pub fn accuracy_percent(&self) -> Option<f64> {
        self.percent(self.correct)
    }

    /// Share of images whose class is among the best five; `None` before the first image.
    pub fn top5_percent(&self) -> Option<f64> {
        self.percent(self.within_five)
    }

    fn percent(&self, images: usize) -> Option<f64> {
        (self.seen > 0).then(|| 100.0 * images as f64 / self.seen as f64)
    }
}

/// For each image, how many classes come before its own: those of a larger logit, and of equal ones the earlier. So ties are
/// broken one way, and logits that all are one number make one class right and not all.
///
/// # Shapes
/// `logits`: `[images, classes]`, `labels`: `[images]`
pub fn ranks(logits: &[f32], labels: &[i64]) -> Vec<usize> {
    let classes = logits.len() / labels.len().max(1);
    let rank = |(logits, &label): (&[f32], &i64)| {
        let label = usize::try_from(label).unwrap_or(usize::MAX);
        // A label that is no class, or a logit that is no number, is never right.
        let Some(own) = logits.get(label).filter(|own| !own.is_nan()) else { return classes };
        logits
            .iter()
            .enumerate()
            .filter(|&(class, logit)| logit.is_nan() || logit > own || (logit == own && class < label))
            .count()
    };
    logits.chunks_exact(classes.max(1)).zip(labels).map(rank).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rank_counts_the_classes_before() {
        let logits = [0.1, 0.5, 0.2, /**/ 3.0, 3.0, 3.0, /**/ f32::NAN, 1.0, 2.0];
        assert_eq!(ranks(&logits, &[1, 0, 2]), [0, 0, 1]);
        assert_eq!(ranks(&logits, &[0, 2, 0]), [2, 2, 3]);
        assert_eq!(ranks(&logits, &[7, -1, 1]), [3, 3, 2]);
        assert_eq!(ranks(&[], &[]), [0; 0]);
    }

    #[test]
    fn shares_are_over_all_images() {
        let mut score = Score::of(&[0, 4, 5], 2.0);
        score.add(Score::of(&[0], 6.0));
        assert_eq!((score.loss(), score.accuracy_percent(), score.top5_percent()), (Some(3.0), Some(50.0), Some(75.0)));
        assert_eq!(Score::default().accuracy_percent(), None);
    }
}
