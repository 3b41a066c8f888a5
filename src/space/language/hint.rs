//! The way out of a misspelt name.

use crate::config::nearest;

/// ``did you mean `x`?``, or all the names after `otherwise` where none is near.
pub fn did_you_mean<'a>(
    word: &str,
    names: impl IntoIterator<Item = &'a str, IntoIter: Clone>,
    otherwise: &str,
) -> String {
    let names = names.into_iter();
    match nearest(word, names.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("{otherwise} {}", listed(names)),
    }
}

/// `` `a`, `b`, `c` ``
pub fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
