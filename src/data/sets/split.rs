//! Which training images a search fits and which it holds out.

use crate::{
    DataError,
    random::{Purpose, Stream},
};

/// Indices into the training images; every image is in at most one of the two.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    pub fit: Vec<u32>,
    pub held_out: Vec<u32>,
}

/// How a [`Split`] is made. Reads as `halves`, `all`, `{fraction: 0.5}` or
/// `{shuffled: {fraction: 0.5, seed: 0}}`.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SplitRule {
    /// The first half is fit, the second held out: DARTS' `train_portion` of 0.5 (its shuffle is
    /// the loader's).
    Halves,
    /// The first ⌊fraction · n⌋ images are fit.
    Fraction(f64),
    /// ⌊fraction · n⌋ images are fit, drawn at random and shared out over the classes in
    /// proportion.
    Shuffled { fraction: f64, seed: u64 },
    /// All images are fit, none held out.
    All,
}

impl SplitRule {
    /// # Errors
    /// Where the fraction is not above 0 and at most 1, or leaves no image to fit.
    pub fn apply(&self, labels: &[u16], classes: usize) -> Result<Split, DataError> {
        let n = labels.len();
        let (fit, held_out) = match *self {
            Self::All => in_order(n, n),
            Self::Halves => in_order(n / 2, n),
            Self::Fraction(fraction) => in_order(share("split", fraction, n)?, n),
            Self::Shuffled { fraction, seed } => {
                let take = share("split", fraction, n)?;
                stratified(labels, classes, take, |class| Stream::new(Purpose::Split, seed, class, 0))
            }
        };
        if fit.is_empty() {
            return Err(DataError::setting(
                "split",
                format!("a rule that leaves some of {n} images to fit"),
                "0 images",
            ));
        }
        Ok(Split { fit, held_out })
    }
}

impl Split {
    /// Says what was expected and what was found.
    pub(crate) fn check(&self, images: usize) -> Result<(), (String, String)> {
        let mut seen = vec![false; images];
        for &index in self.fit.iter().chain(&self.held_out) {
            match seen.get_mut(index as usize) {
                Some(seen) if !*seen => *seen = true,
                Some(_) => return Err(("a split that names an image once".to_owned(), format!("image {index} twice"))),
                None => return Err((format!("a split of {images} images"), format!("image {index}"))),
            }
        }
        Ok(())
    }
}

/// ⌊fraction · n⌋, as the product of two doubles: what Python's `int(np.floor(fraction * n))`
/// gives.
pub(crate) fn share(setting: &'static str, fraction: f64, n: usize) -> Result<usize, DataError> {
    if fraction > 0.0 && fraction <= 1.0 {
        Ok((fraction * n as f64).floor() as usize)
    } else {
        Err(DataError::setting(setting, "a fraction above 0 and at most 1", fraction))
    }
}

/// Draws `take` images; each class gives its proportion of them, whole numbers by largest remainder
/// (ties: lower label). Both the drawn and the rest keep the order of the indices.
pub(crate) fn stratified(
    labels: &[u16],
    classes: usize,
    take: usize,
    stream: impl Fn(u64) -> Stream,
) -> (Vec<u32>, Vec<u32>) {
    let n = labels.len();
    let mut members = vec![Vec::new(); classes];
    for (index, &label) in labels.iter().enumerate() {
        members[usize::from(label)].push(index);
    }
    let mut quotas: Vec<usize> = members.iter().map(|class| take * class.len() / n.max(1)).collect();
    let mut by_remainder: Vec<usize> = (0..classes).collect();
    by_remainder.sort_by_key(|&class| std::cmp::Reverse(take * members[class].len() % n.max(1)));
    let left = take - quotas.iter().sum::<usize>();
    by_remainder.iter().take(left).for_each(|&class| quotas[class] += 1);

    let mut drawn = vec![false; n];
    for (class, (members, quota)) in members.iter_mut().zip(quotas).enumerate() {
        stream(class as u64).shuffle(members);
        members[..quota].iter().for_each(|&index| drawn[index] = true);
    }
    (0..n as u32).partition(|&index| drawn[index as usize])
}

fn in_order(first: usize, n: usize) -> (Vec<u32>, Vec<u32>) {
    ((0..first as u32).collect(), (first as u32..n as u32).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 7, 2 and 4 images of three classes, mixed.
    const LABELS: [u16; 13] = [0, 1, 0, 2, 0, 0, 2, 0, 1, 2, 0, 2, 0];

    fn split(rule: SplitRule) -> Split {
        let split = rule.apply(&LABELS, 3).unwrap();
        assert_eq!(split.check(13), Ok(()));
        assert_eq!(split.fit.len() + split.held_out.len(), 13);
        split
    }

    #[test]
    fn plain_rules_cut_the_indices_in_order() {
        assert_eq!(split(SplitRule::Halves), Split { fit: (0..6).collect(), held_out: (6..13).collect() });
        assert_eq!(split(SplitRule::Fraction(0.8)), Split { fit: (0..10).collect(), held_out: (10..13).collect() });
        assert_eq!(split(SplitRule::All), Split { fit: (0..13).collect(), held_out: vec![] });
    }

    #[test]
    fn a_shuffled_split_is_stratified_exact_and_depends_on_the_seed_alone() {
        let rule = |seed| SplitRule::Shuffled { fraction: 0.5, seed };
        let one = split(rule(1));
        // 6 of 13: quotas 3.23, 0.92, 1.85 become 3, 1, 2.
        let count = |class| one.fit.iter().filter(|&&index| LABELS[index as usize] == class).count();
        assert_eq!((count(0), count(1), count(2)), (3, 1, 2));
        assert_eq!(one, split(rule(1)));
        assert!((2..6).any(|seed| split(rule(seed)) != one));
        assert!(one.fit.is_sorted() && one.held_out.is_sorted());
    }

    #[test]
    fn fractions_out_of_range_or_too_small_are_refused() {
        for fraction in [0.0, -0.5, 1.5, f64::NAN, f64::INFINITY, 0.01] {
            assert!(SplitRule::Fraction(fraction).apply(&LABELS, 3).is_err(), "{fraction}");
            assert!(SplitRule::Shuffled { fraction, seed: 0 }.apply(&LABELS, 3).is_err(), "{fraction}");
        }
        assert!(SplitRule::All.apply(&[], 3).is_err());
    }

    #[test]
    fn a_split_with_a_foreign_or_double_index_is_noticed() {
        assert!(Split { fit: vec![13], held_out: vec![] }.check(13).is_err());
        assert!(Split { fit: vec![3], held_out: vec![3] }.check(13).is_err());
    }

    #[test]
    fn rules_are_written_as_they_are_read() {
        let text = |rule| serde_json::to_string(&rule).unwrap();
        assert_eq!(text(SplitRule::Halves), r#""halves""#);
        assert_eq!(text(SplitRule::Fraction(0.5)), r#"{"fraction":0.5}"#);
        assert_eq!(text(SplitRule::Shuffled { fraction: 0.5, seed: 3 }), r#"{"shuffled":{"fraction":0.5,"seed":3}}"#);
    }
}
