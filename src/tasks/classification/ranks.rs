//! How well logits match labels.

/// For each image, how many classes come before its own: those of a larger logit, and of equal ones
/// the earlier. So ties are broken one way, and logits that all are one number make one class right
/// and not all.
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
}
