//! Passes of a supernet whose nodes choose their widths.

/// The widths at which a supernet whose nodes choose theirs takes each pass; the losses are added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WidthPasses {
    /// Beside that at drawn widths, which the choices learn from: one at the largest.
    pub largest: bool,
    /// And one at the smallest.
    pub smallest: bool,
}

impl Default for WidthPasses {
    /// The three of the author-derived code of the trilevel search (arXiv 2101.06658).
    fn default() -> Self {
        Self { largest: true, smallest: true }
    }
}
