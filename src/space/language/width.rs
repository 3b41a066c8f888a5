//! Widths as a space file writes them: `C`, `3C`, `C/2`, `64`.

use crate::config::{Fields, Value};
use std::{fmt, str::FromStr};

/// A number of channels, perhaps in terms of the width `C` of the place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    Fixed(usize),
    /// `C * by / over`, in lowest terms.
    Times {
        by: usize,
        over: usize,
    },
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
        let width = match &node.value {
            Value::Integer(value) => usize::try_from(*value).ok().and_then(Self::fixed),
            Value::Text(text) => text.parse().ok(),
            _ => None,
        };
        if width.is_none() {
            fields.wrong(key, node, "a width such as `64`, `C`, `3C` or `C/2`");
        }
        width
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

    /// Channels where `C` is `channels`; `None` where that is no whole number.
    pub fn resolve(self, channels: usize) -> Option<usize> {
        match self {
            Self::Fixed(value) => Some(value),
            Self::Times { by, over } => {
                let product = channels.checked_mul(by)?;
                (product % over == 0).then_some(product / over)
            }
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
        let Some((by, over)) = text.split_once('C') else { return Ok(Self::Fixed(number(text)?)) };
        let by = if by.is_empty() { 1 } else { number(by)? };
        let over = match over.strip_prefix('/') {
            Some(over) => number(over)?,
            None if over.is_empty() => 1,
            None => return Err(NotAWidth),
        };
        Ok(Self::times(by, over))
    }
}

impl fmt::Display for Width {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Fixed(value) => write!(f, "{value}"),
            Self::Times { by: 1, over: 1 } => f.write_str("C"),
            Self::Times { by, over: 1 } => write!(f, "{by}C"),
            Self::Times { by: 1, over } => write!(f, "C/{over}"),
            Self::Times { by, over } => write!(f, "{by}C/{over}"),
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
        for (text, shown, at_16) in
            [("C", "C", 16), ("3C", "3C", 48), ("C/2", "C/2", 8), ("6C/4", "3C/2", 24), ("64", "64", 64)]
        {
            let width: Width = text.parse().unwrap();
            assert_eq!((width.to_string().as_str(), width.resolve(16)), (shown, Some(at_16)));
        }
        assert_eq!("C/2".parse::<Width>().unwrap().resolve(3), None);
        let half: Width = "C/2".parse().unwrap();
        assert_eq!(half.plus(half), Some(Width::CELL));
        assert_eq!(half.plus(Width::Fixed(8)), None);
        for text in ["", "0", "0C", "C/0", "-1", "+3C", "C2", "c", "99999999"] {
            assert!(text.parse::<Width>().is_err(), "{text}");
        }
    }
}
