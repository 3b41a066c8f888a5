//! What lies in a folder of pictures and is not on its list.

use std::{collections::BTreeMap, fmt, path::Path};

/// How many files of each kind are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct LeftOut(BTreeMap<String, usize>);

impl LeftOut {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn add(&mut self, kind: impl Into<String>) {
        *self.0.entry(kind.into()).or_default() += 1;
    }

    /// A file that is called as no picture is.
    pub(super) fn add_ending(&mut self, path: &Path) {
        match path.extension().and_then(|ending| ending.to_str()) {
            Some(ending) => self.add(format!("`.{}`", ending.to_ascii_lowercase())),
            None => self.add("without an ending"),
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        for (kind, count) in other.0 {
            *self.0.entry(kind).or_default() += count;
        }
    }
}

/// `` `.heic` (3), hidden (2) ``: the most first.
impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMED: usize = 10;
        let mut kinds: Vec<(&String, &usize)> = self.0.iter().collect();
        kinds.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let named: Vec<String> = kinds.iter().take(NAMED).map(|(kind, count)| format!("{kind} ({count})")).collect();
        let others: usize = kinds.iter().skip(NAMED).map(|(_, count)| **count).sum();
        write!(f, "{}", named.join(", "))?;
        if others > 0 { write!(f, ", others ({others})") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_counted_whatever_their_capitals_and_said_the_most_first() {
        let mut left_out = LeftOut::default();
        assert!(left_out.is_empty());
        for path in ["a/1.HEIC", "a/2.heic", "README", "notes.tar.gz"] {
            left_out.add_ending(Path::new(path));
        }
        let mut other = LeftOut::default();
        other.add("hidden");
        (0..3).for_each(|_| other.add_ending(Path::new("b.txt")));
        left_out.merge(other);
        assert_eq!(left_out.to_string(), "`.txt` (3), `.heic` (2), `.gz` (1), hidden (1), without an ending (1)");
        (0..9).for_each(|kind| left_out.add(format!("kind {kind}")));
        assert!(left_out.to_string().ends_with("kind 5 (1), others (4)"), "{left_out}");
    }
}
