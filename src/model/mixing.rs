//! How alphas become mixing weights over the length of a search.

use super::{Relaxation, Relaxations};
use crate::space::network::Level;
use serde::{Deserialize, Serialize};

/// The rule of a search, and what a file of its supernet says of it. What it comes to at one moment
/// is a [`Relaxation`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mixing {
    /// Weights of an edge sum to 1: raising one lowers the others (DARTS, arXiv 1806.09055, eq. 2).
    Softmax,
    /// Each weight by itself in (0, 1): candidates do not compete (arXiv 2012.11337; FairDARTS).
    Sigmoid,
    /// One candidate of each edge, drawn anew for each pass (GDAS, arXiv 1910.04465): see
    /// [`Gumbel`](super::Gumbel). The temperature goes from the first to the final one along a line
    /// over the epochs.
    Gumbel { temperature: f64, final_temperature: f64 },
    /// Weights that become sparse while the radius grows along a line over the steps (Shao et al.,
    /// "SSN", CVPR 2019; as a relaxation of architectures in arXiv 2101.06658): see
    /// `sparsestmax.rs`.
    Sparsestmax { radius: f64, final_radius: f64 },
}

impl Mixing {
    /// The temperatures of GDAS' code.
    pub const GUMBEL: Self = Self::Gumbel { temperature: 10.0, final_temperature: 0.1 };
    /// From sparsemax to one candidate an edge, as in SSN's code.
    pub const SPARSESTMAX: Self = Self::Sparsestmax { radius: 0.0, final_radius: 1.0 };

    /// What a supernet is evaluated with after a `share` of the search's steps, 1 at its end: the
    /// same for the same alphas, so of candidates that are drawn the likeliest.
    pub fn evaluated(self, share: f64) -> Relaxation {
        match self {
            Self::Softmax => Relaxation::Softmax,
            Self::Sigmoid => Relaxation::Sigmoid,
            Self::Gumbel { .. } => Relaxation::OneHot,
            Self::Sparsestmax { radius, final_radius } => {
                Relaxation::Sparsestmax { radius: between(radius, final_radius, share) }
            }
        }
    }

    /// What candidates are compared by after that share, in records of epochs and where a cell is
    /// derived: as [`evaluated`](Self::evaluated), but of candidates that are drawn the probability
    /// of each.
    pub fn compared(self, share: f64) -> Relaxation {
        match self {
            Self::Gumbel { .. } => Relaxation::Softmax,
            other => other.evaluated(share),
        }
    }
}

/// The rule of each level of a search.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Mixings {
    /// One for all of them, but for widths, of which one must be drawn.
    Same(Mixing),
    ByLevel {
        operations: Mixing,
        path: Mixing,
        width: Mixing,
    },
}

/// What widths are drawn by unless told: at a temperature of 1, as in the author-derived code of the
/// trilevel search (arXiv 2101.06658).
pub const WIDTHS: Mixing = Mixing::Gumbel { temperature: 1.0, final_temperature: 1.0 };

impl Mixings {
    /// Of a level.
    pub fn of(self, level: Level) -> Mixing {
        match (self, level) {
            (Self::Same(mixing @ Mixing::Gumbel { .. }) | Self::ByLevel { width: mixing, .. }, Level::Width) => mixing,
            (Self::Same(_), Level::Width) => WIDTHS,
            (Self::Same(mixing), _)
            | (Self::ByLevel { operations: mixing, .. }, Level::Operations)
            | (Self::ByLevel { path: mixing, .. }, Level::Path) => mixing,
        }
    }

    /// What the rule of each level comes to.
    pub fn relaxations(self, of: impl Fn(Mixing) -> Relaxation) -> Relaxations {
        let [operations, path, width] = [Level::Operations, Level::Path, Level::Width].map(|level| of(self.of(level)));
        Relaxations { operations, path, width }
    }
}

impl From<Mixing> for Mixings {
    fn from(mixing: Mixing) -> Self {
        Self::Same(mixing)
    }
}

/// The point that lies a `share` of the way from `first` to `last`.
pub fn between(first: f64, last: f64, share: f64) -> f64 {
    first + (last - first) * share
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What files of earlier versions say is read, and what is said now reads as what it is.
    #[test]
    fn a_mixing_reads_as_its_name_and_its_numbers() {
        for (mixing, text) in [
            (Mixing::Softmax, r#""softmax""#),
            (Mixing::Sigmoid, r#""sigmoid""#),
            (Mixing::GUMBEL, r#"{"gumbel":{"temperature":10.0,"final_temperature":0.1}}"#),
            (Mixing::SPARSESTMAX, r#"{"sparsestmax":{"radius":0.0,"final_radius":1.0}}"#),
        ] {
            assert_eq!(serde_json::to_string(&mixing).unwrap(), text);
            assert_eq!(serde_json::from_str::<Mixing>(text).unwrap(), mixing);
        }
    }
}
