//! Widths as a space file writes them: `C`, `3C`, `C/2`, `4I`, `64`.

use crate::config::{Fields, Value};
use std::{fmt, str::FromStr};

/// A number of channels, perhaps in terms of the width `C` of the place, or of the width `I` of what
/// an operation reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    Fixed(usize),
    /// `C * by / over`, in lowest terms.
    Times {
        by: usize,
        over: usize,
    },
    /// `I * by / over`, in lowest terms.
    OfInput {
        by: usize,
        over: usize,
    },
}

/// What the letters of a [`Width`] stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Letters {
    /// `C`: the width of the place. On an edge, that of the node which it leads to.
    pub here: usize,
    /// `I`: the width that the operation of an edge reads; elsewhere as `C`.
    pub input: usize,
}

/// Wider than any network, narrow enough never to overflow a product of a few.
const WIDEST: usize = 1 << 16;

impl Width {
    /// `C` itself.
    pub const CELL: Self = Self::Times { by: 1, over: 1 };

    /// Reads the width under `key`.
    pub fn read(fields: &mut Fields<'_>, key: &'static str, default: Self) -> Self {
        Self::read_optional(fields, key).unwrap_or(default)
    }

    /// The width under `key`, if there is one; `None` after a complaint too.
    pub fn read_optional(fields: &mut Fields<'_>, key: &'static str) -> Option<Self> {
        let node = fields.node(key)?;
        let width = Self::of(&node.value);
        if width.is_none() {
            fields.wrong(key, node, "a width such as `64`, `C`, `3C`, `C/2` or `4I`");
        }
        width
    }

    /// As written, where it is a width.
    pub fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Integer(value) => usize::try_from(*value).ok().and_then(Self::fixed),
            Value::Text(text) => text.parse().ok(),
            _ => None,
        }
    }

    fn fixed(value: usize) -> Option<Self> {
        (1..=WIDEST).contains(&value).then_some(Self::Fixed(value))
    }

    /// The sum of two widths, `None` where only one is in terms of `C`, or where it is absurdly
    /// large.
    pub fn plus(self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::Fixed(a), Self::Fixed(b)) => Some(Self::Fixed(a.checked_add(b)?)),
            (Self::Times { by: a, over: b }, Self::Times { by: c, over: d }) => {
                let by = a.checked_mul(d)?.checked_add(c.checked_mul(b)?)?;
                Some(Self::times(by, b.checked_mul(d)?))
            }
            _ => None,
        }
    }

    fn times(by: usize, over: usize) -> Self {
        let common = greatest_common_divisor(by, over);
        Self::Times { by: by / common, over: over / common }
    }

    /// The same where an operation reads what is as wide as what it gives.
    pub fn of_equal(self) -> Self {
        match self {
            Self::OfInput { by, over } => Self::Times { by, over },
            other => other,
        }
    }

    /// Channels where the letters stand for so many; `None` where that is no whole number.
    pub fn resolve(self, letters: Letters) -> Option<usize> {
        let share = |of: usize, by: usize, over: usize| {
            let product = of.checked_mul(by)?;
            (product % over == 0).then_some(product / over)
        };
        match self {
            Self::Fixed(value) => Some(value),
            Self::Times { by, over } => share(letters.here, by, over),
            Self::OfInput { by, over } => share(letters.input, by, over),
        }
    }
}

/// No width.
#[derive(Debug)]
pub struct NotAWidth;

impl FromStr for Width {
    type Err = NotAWidth;

    fn from_str(text: &str) -> Result<Self, NotAWidth> {
        let number = |text: &str| match text.parse::<usize>() {
            Ok(value) if (1..=WIDEST).contains(&value) && text.bytes().all(|b| b.is_ascii_digit()) => Ok(value),
            _ => Err(NotAWidth),
        };
        let Some((by, over)) = text.split_once(['C', 'I']) else { return Ok(Self::Fixed(number(text)?)) };
        let by = if by.is_empty() { 1 } else { number(by)? };
        let over = match over.strip_prefix('/') {
            Some(over) => number(over)?,
            None if over.is_empty() => 1,
            None => return Err(NotAWidth),
        };
        Ok(match Self::times(by, over) {
            Self::Times { by, over } if text.contains('I') => Self::OfInput { by, over },
            other => other,
        })
    }
}

impl fmt::Display for Width {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (letter, by, over) = match *self {
            Self::Fixed(value) => return write!(f, "{value}"),
            Self::Times { by, over } => ('C', by, over),
            Self::OfInput { by, over } => ('I', by, over),
        };
        match (by, over) {
            (1, 1) => write!(f, "{letter}"),
            (_, 1) => write!(f, "{by}{letter}"),
            (1, _) => write!(f, "{letter}/{over}"),
            _ => write!(f, "{by}{letter}/{over}"),
        }
    }
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_read_reduce_and_resolve() {
        for (text, shown, at_16) in [
            ("C", "C", 16),
            ("3C", "3C", 48),
            ("C/2", "C/2", 8),
            ("6C/4", "3C/2", 24),
            ("64", "64", 64),
            ("I", "I", 10),
            ("4I", "4I", 40),
            ("3I/2", "3I/2", 15),
        ] {
            let width: Width = text.parse().unwrap();
            assert_eq!(
                (width.to_string().as_str(), width.resolve(Letters { here: 16, input: 10 })),
                (shown, Some(at_16))
            );
        }
        assert_eq!("C/2".parse::<Width>().unwrap().resolve(Letters { here: 3, input: 2 }), None);
        let half: Width = "C/2".parse().unwrap();
        assert_eq!(half.plus(half), Some(Width::CELL));
        assert_eq!(half.plus(Width::Fixed(8)), None);
        for text in ["", "0", "0C", "C/0", "-1", "+3C", "C2", "c", "99999999", "CI", "I2", "2I3C"] {
            assert!(text.parse::<Width>().is_err(), "{text}");
        }
    }
}
