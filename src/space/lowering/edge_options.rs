//! What the edges of a supernet have beside weighted candidates.

/// Options of a supernet's edges. They do not depend on each other, nor on the space, and say
/// nothing of a discrete network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EdgeOptions {
    /// *K* of partial channels (PC-DARTS, arXiv 1907.05737): one channel in so many goes through
    /// the candidates. All do where it is 1.
    pub partial_channels: usize,
    /// Edge normalisation (the same paper): a learned number an edge, whose softmax over the edges
    /// into a node weighs the edge.
    pub edge_normalisation: bool,
    /// An auxiliary skip connection beside the candidates of each edge (DARTS-, arXiv 2009.01027).
    /// Its weight comes from outside, and a derived network does not have it.
    pub auxiliary_skip: bool,
}

impl EdgeOptions {
    /// What edges have beside their candidates, if anything, as a person says it.
    pub(in crate::space) fn beside_candidates(&self) -> Option<&'static str> {
        let Self { partial_channels, edge_normalisation, auxiliary_skip } = *self;
        let found = [
            (partial_channels > 1, "partial channels"),
            (edge_normalisation, "edge normalisation"),
            (auxiliary_skip, "auxiliary skip connections"),
        ];
        found.into_iter().find_map(|(has, what)| has.then_some(what))
    }
}

impl Default for EdgeOptions {
    /// DARTS' edges: candidates and nothing else.
    fn default() -> Self {
        Self { partial_channels: 1, edge_normalisation: false, auxiliary_skip: false }
    }
}
