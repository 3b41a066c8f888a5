//! What only tests of a space need.

pub(crate) mod shipped;
