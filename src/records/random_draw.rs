//! How a `genotype` stage came to a cell by chance: its note [`DRAWN`](super::DRAWN).

use serde::{Deserialize, Serialize};
use std::fmt;

/// Which draw it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RandomDraw {
    pub seed: u64,
    /// It is the last of so many draws.
    pub tries: u64,
    /// What it was to be like; absent where the first draw was taken.
    pub like: Option<DrawnLike>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DrawnLike {
    /// `multiply-adds`
    pub of: String,
    pub cost: u64,
    /// Of the cell that it is like.
    pub reference: u64,
    pub tolerance: f64,
}

/// `drawn with seed 3 in 12 tries, 530123 multiply-adds for 528000 within 5 %`
impl fmt::Display for RandomDraw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, tries, like } = self;
        write!(f, "drawn with seed {seed}")?;
        let Some(DrawnLike { of, cost, reference, tolerance }) = like else { return Ok(()) };
        let tries = if *tries == 1 { "1 try".to_owned() } else { format!("{tries} tries") };
        write!(f, " in {tries}, {cost} {of} for {reference} within {} %", 100.0 * tolerance)
    }
}
