//! What is wrong with a file, collected so that all of it is said at once.

use super::Origin;
use std::path::Path;

/// One complaint: what, where, and what to do instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// A lower-case fragment, values and keys in backticks.
    pub message: String,
    pub origin: Origin,
    /// The way out: a did-you-mean, the accepted values.
    pub hint: Option<String>,
}

/// All complaints about one input. Reading goes on past each, so that a user mends a file once.
#[derive(Debug, Default)]
pub struct Problems(Vec<Problem>);

impl Problems {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn add(&mut self, origin: &Origin, message: impl Into<String>) {
        self.add_hinted(origin, message, None);
    }

    pub fn add_with_hint(&mut self, origin: &Origin, message: impl Into<String>, hint: impl Into<String>) {
        self.add_hinted(origin, message, Some(hint.into()));
    }

    /// With a hint where there is one to give.
    pub fn add_hinted(&mut self, origin: &Origin, message: impl Into<String>, hint: Option<String>) {
        self.0.push(Problem { message: message.into(), origin: origin.clone(), hint });
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }

    /// By place, each complaint once: members of a matrix repeat what is wrong with their stage.
    /// Files come first.
    pub fn sorted(&self) -> Vec<&Problem> {
        fn place(problem: &Problem) -> (u8, &Path, usize) {
            match &problem.origin {
                Origin::File { source, span } => (0, &source.path, span.start),
                Origin::Environment { .. } => (1, Path::new(""), 0),
                Origin::Argument { .. } => (2, Path::new(""), 0),
                Origin::Default => (3, Path::new(""), 0),
            }
        }
        let mut problems: Vec<&Problem> = self.0.iter().collect();
        problems.sort_by(|a, b| place(a).cmp(&place(b)));
        let mut sorted: Vec<&Problem> = Vec::with_capacity(problems.len());
        // There are few at one place, and thousands in all.
        for of_place in problems.chunk_by(|a, b| place(a) == place(b)) {
            let first = sorted.len();
            for problem in of_place {
                if !sorted[first..].contains(problem) {
                    sorted.push(problem);
                }
            }
        }
        sorted
    }

    pub fn extend(&mut self, other: Problems) {
        self.0.extend(other.0);
    }

    /// `Ok(value)` where nothing was wrong, all the complaints otherwise.
    ///
    /// # Errors
    /// All complaints, where there are any.
    pub fn into_result<T>(self, value: T) -> Result<T, Problems> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }
}

/// The candidate nearest to a misspelt word, near enough to be worth a guess.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Jaro-Winkler above 0.8 keeps `epoch` → `epochs` and drops `seed` → `space`.
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(score, _)| *score > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_word_is_guessed_and_a_far_one_is_not() {
        assert_eq!(nearest("epoch", ["epochs", "batch"]), Some("epochs"));
        assert_eq!(nearest("seed", ["space", "batch"]), None);
    }
}
