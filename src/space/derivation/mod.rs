//! From mixing weights to a genotype: the rule of a space, and what a stage may ask for besides.
//! Where there are several cells, `choice` picks the one that goes on; `random` draws one without weights.

pub(super) mod choice;
pub(super) mod derive;
pub(super) mod path;
mod random;
pub(super) mod refinement;
pub(super) mod rule;
pub(super) mod threshold;
