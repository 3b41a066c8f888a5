//! Which of a stage kind's keys name other stages.

/// What `config` must know of a stage kind to find its references.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KindSlots {
    /// `search`
    pub kind: &'static str,
    pub slots: &'static [Slot],
}

/// One key of a stage kind that holds references to stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// `data`
    pub key: &'static str,
    /// The stage kinds that fit, all where empty.
    pub accepts: &'static [&'static str],
    /// Takes a list, and `stage[*]` (all members of a matrix).
    pub many: bool,
    pub required: bool,
}
