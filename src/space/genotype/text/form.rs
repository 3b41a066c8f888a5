//! The text forms, and the names that each can hold.

/// A text form of a genotype.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GenotypeText {
    /// `|op~0|+|op~0|op~1|`, as NAS-Bench-201 writes it.
    CellString,
    /// `Genotype(normal=[('op', 1), …], normal_concat=range(2, 6))`, as the DARTS code prints it.
    NamedTuple,
    /// This project's own.
    Yaml,
}

/// What the name of a flat genotype's output has behind the kind's.
pub(super) const OUTPUT_SUFFIX: &str = "_concat";

/// Why a cell with an operation called `name` could not be read back from the text form `form`.
pub fn operation_fault(name: &str, form: GenotypeText) -> Option<&'static str> {
    let of_cell_string = form != GenotypeText::Yaml && (name.contains(['|', '+']) || name.contains("->"));
    match form {
        _ if name.is_empty() => Some("it is empty"),
        _ if name.trim() != name => Some("white space at its ends is lost"),
        _ if name.contains(char::is_control) || name.contains('~') => Some("it has a `~` or a line break"),
        // A tuple that does not hold a genotype is written as a cell string.
        _ if of_cell_string => Some("it has a `|`, a `+` or a `->`"),
        GenotypeText::NamedTuple if name.contains(['\'', '"', '\\']) => Some("it has a quote or a backslash"),
        _ => None,
    }
}

/// As [`operation_fault`], of a cell kind.
pub fn kind_fault(name: &str, form: GenotypeText) -> Option<&'static str> {
    match form {
        GenotypeText::NamedTuple if name.ends_with(OUTPUT_SUFFIX) => Some("it ends as the field of an output does"),
        GenotypeText::NamedTuple if !name.chars().all(|c| c.is_alphanumeric() || c == '_') => {
            Some("it is no name of a field")
        }
        _ if name.is_empty() => Some("it is empty"),
        _ if name.trim() != name => Some("white space at its ends is lost"),
        _ if name.contains(char::is_control) || name.contains('|') => Some("it has a `|` or a line break"),
        _ if name.starts_with(['#', '{', '[', '"', '\'']) => Some("it begins as a comment or another form does"),
        _ => None,
    }
}
