//! How far from a pixel that comes out the pixels lie that it depends on.

use super::network::{Block, Cell, CellOutput, Chain, Head, Layer, LayerKind, Network};

impl Network {
    /// Pixels on either side, along both axes, of a network that keeps its maps as large as its
    /// images, or enlarges them; `None` where a layer looks at all of a map, or takes steps over it.
    /// Where a map has been enlarged its finer pixels count as the image's: it may be less.
    pub fn reach(&self) -> Option<usize> {
        let mut states = Vec::new();
        let mut newest = 0;
        for stem in &self.stems {
            newest += stem.reach()?;
            states.push(newest);
        }
        for block in &self.blocks {
            newest = match block {
                Block::Cell(cell) => cell.reach(&states)?,
                Block::Fixed { reads, chain } => states[*reads] + chain.reach()?,
            };
            states.push(newest);
        }
        if let Some(exit) = &self.exit {
            newest = exit.states.iter().map(|&state| states[state]).max()?;
        }
        let heads = self.heads.iter().map(|Head { chain, .. }| chain.reach());
        Some(newest + self.trunk.reach()? + heads.collect::<Option<Vec<_>>>()?.into_iter().max()?)
    }
}

impl Cell {
    fn reach(&self, given: &[usize]) -> Option<usize> {
        if self.stride != 1 {
            return None;
        }
        let inputs = self.inputs.iter().zip(&self.reads);
        let mut states: Vec<usize> =
            inputs.map(|(adapter, &state)| Some(given[state] + adapter.reach()?)).collect::<Option<_>>()?;
        for node in 0..self.nodes.len() {
            let target = self.inputs.len() + node;
            let incoming = self.edges.iter().filter(|edge| edge.target == target);
            let reached = incoming.map(|edge| {
                let chains = edge.chains().map(Chain::reach).collect::<Option<Vec<_>>>()?;
                Some(states[edge.source] + chains.into_iter().max().unwrap_or(0))
            });
            let reached = reached.collect::<Option<Vec<_>>>()?.into_iter().max().unwrap_or(0);
            states.push(reached + self.nodes[node].then.reach()?);
        }
        let of = |chosen: &[usize]| chosen.iter().map(|&state| states[state]).max();
        let reached = match &self.output {
            CellOutput::Concat(chosen) | CellOutput::Sum(chosen) => of(chosen),
            CellOutput::Residual { state, plus, .. } => of(&[*state, *plus]),
        };
        Some(reached? + self.then.reach()?)
    }
}

impl Chain {
    fn reach(&self) -> Option<usize> {
        self.layers.iter().map(Layer::reach).sum()
    }
}

impl Layer {
    fn reach(&self) -> Option<usize> {
        match &self.kind {
            LayerKind::Identity
            | LayerKind::Relu
            | LayerKind::Nonlinearity(_)
            | LayerKind::Affine { .. }
            | LayerKind::BatchNorm { .. }
            | LayerKind::PixelShuffle { .. }
            | LayerKind::Upsample { .. } => Some(0),
            LayerKind::Zero { stride } => (*stride == 1).then_some(0),
            // A window of even sides lies further on one side.
            LayerKind::Conv(conv) => {
                let window = |axis: usize| conv.dilation[axis] * (conv.kernel[axis] - 1);
                (conv.stride == [1, 1]).then(|| window(0).max(window(1)).div_ceil(2))
            }
            LayerKind::MaxPool(pool) | LayerKind::AvgPool(pool) => {
                (pool.stride == 1).then(|| (pool.kernel - 1).div_ceil(2))
            }
            LayerKind::Sum(chains) | LayerKind::Concat(chains) => {
                chains.iter().map(Chain::reach).collect::<Option<Vec<_>>>()?.into_iter().max()
            }
            // Noise is of a place in the whole map.
            LayerKind::Noise { .. }
            | LayerKind::FactorizedReduce { .. }
            | LayerKind::GlobalAvgPool
            | LayerKind::Linear => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::space::{Build, shipped};

    #[test]
    fn windows_add_up_along_the_longest_way() {
        let build = Build { channels: Some(8), size: Some(1), ..shipped::build_for_images("search", 8, 4) };
        let lattice = shipped::space("trilevel_sr").supernet(&build).unwrap();
        // Stem and tail, two cells of five residual operations of two windows each, two up steps.
        assert_eq!(lattice.reach(), Some(1 + 1 + 2 * 5 * 2 + 2));
        // Two of them complete, of finer pixels.
        let nearest = shipped::space("trilevel_sr_nearest").supernet(&build).unwrap();
        assert_eq!(nearest.reach(), lattice.reach());
        let classifier = shipped::space("darts").supernet(&shipped::build("search", 32, 10)).unwrap();
        assert_eq!(classifier.reach(), None);
    }
}
