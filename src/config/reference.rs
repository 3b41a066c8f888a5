//! How one stage names another: `search`, `search[seed=1]`, `search[*]`.

/// A reference as written, not yet looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference {
    pub stage: String,
    pub members: Members,
}

/// Which members of the stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Members {
    /// The one that agrees on these axes, and with the reader on all others. `search` has none, and
    /// is the sibling.
    At(Vec<(String, String)>),
    /// `[*]`
    All,
}

impl Reference {
    /// Reads `stage`, `stage[axis=value,…]` or `stage[*]`; the error says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (stage, selection) = match text.split_once('[') {
            None => (text, None),
            Some((stage, rest)) => match rest.strip_suffix(']') {
                Some(selection) => (stage.trim(), Some(selection.trim())),
                None => return Err(format!("`{text}` lacks the `]` at its end")),
            },
        };
        if stage.is_empty() {
            return Err(format!("`{text}` names no stage"));
        }
        if stage.contains("${") {
            return Err(format!("`{text}` takes a stage's name from the matrix"));
        }
        let members = match selection {
            None => Members::At(Vec::new()),
            Some("*") => Members::All,
            Some(selection) => Members::At(coordinates(selection).ok_or_else(|| {
                format!("`[{selection}]` in `{text}` must be `[*]` or `[axis=value,…]`, each axis once")
            })?),
        };
        Ok(Self { stage: stage.to_owned(), members })
    }
}

fn coordinates(selection: &str) -> Option<Vec<(String, String)>> {
    let mut found: Vec<(String, String)> = Vec::new();
    for part in selection.split(',') {
        let (axis, value) = part.split_once('=')?;
        let (axis, value) = (axis.trim(), value.trim());
        if axis.is_empty() || value.is_empty() || found.iter().any(|(other, _)| other == axis) {
            return None;
        }
        found.push((axis.to_owned(), value.to_owned()));
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_forms_read() {
        let read = |text| Reference::parse(text).map(|r| (r.stage, r.members)).unwrap();
        let at =
            |pairs: &[(&str, &str)]| Members::At(pairs.iter().map(|(a, v)| (a.to_string(), v.to_string())).collect());
        assert_eq!(read("search"), ("search".into(), at(&[])));
        assert_eq!(read("search[*]"), ("search".into(), Members::All));
        assert_eq!(read("s[seed=1, rate=0.1]"), ("s".into(), at(&[("seed", "1"), ("rate", "0.1")])));
        assert_eq!(read("s[seed=${matrix.seed}]"), ("s".into(), at(&[("seed", "${matrix.seed}")])));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "[*]", "s[", "s[]", "s[seed]", "s[seed=1", "s[seed=1,seed=2]", "s[*,seed=1]", "s[=1]", "${x}"]
        {
            assert!(Reference::parse(text).is_err(), "{text}");
        }
    }
}
