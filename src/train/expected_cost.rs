//! What the network that a search stands for costs: its multiply-adds, on average over what its mixing
//! weights choose on every level.

use crate::space::{
    SpaceError,
    network::{Block, Cell, Chain, Level, Network},
};

/// The multiply-adds of each candidate at each pair of widths, as shares of those of the whole supernet.
///
/// With *p* the mixing weights of an edge's candidates, *q* the weights of the widths at its ends and *γ*
/// those of a lattice's maps, the expected cost is the sum over edges of
/// `Σ_{maps behind} γ · Σ_k p_k Σ_{a, b} q_a q_b m_k(a, b)`. Fixed blocks count as often as they are
/// reached; what every network has does not count, as nothing decides it. The term of the code that is
/// derived from the trilevel search's authors (arXiv 2101.06658) has no effect, since its weight is 1e-20:
/// this one is our choice.
#[derive(Debug)]
pub(super) struct ExpectedCost {
    edges: Vec<EdgeCost>,
    /// The share of a fixed block in a lattice, and the maps behind it.
    fixed: Vec<(f64, Vec<usize>)>,
    /// The tables of paths and of widths.
    path: Option<usize>,
    widths: Option<usize>,
}

#[derive(Debug)]
struct EdgeCost {
    /// Table and row of its candidates.
    place: (usize, usize),
    /// The rows of the choices at its ends.
    choices: [Option<usize>; 2],
    /// By candidate, by the width at its source, by that at its target; one where none is chosen.
    shares: Vec<Vec<Vec<f64>>>,
    /// The lattice's maps behind it.
    behind: Vec<usize>,
}

/// The weights of all tables, row by row, or what a sum changes by with each of them.
type Tables = Vec<Vec<Vec<f64>>>;

impl ExpectedCost {
    /// # Errors
    /// Where an operation cannot be narrowed to a width that its ends may have.
    pub fn of(network: &Network) -> Result<Self, SpaceError> {
        let whole = network.cost().multiply_adds.max(1) as f64;
        let share = |chain: &Chain| chain.cost().multiply_adds as f64 / whole;
        let behind = maps_behind(network);
        let (mut edges, mut fixed) = (Vec::new(), Vec::new());
        for (block, behind) in network.blocks.iter().zip(behind) {
            match block {
                Block::Cell(cell) => edges.extend(of_cell(network, cell, &behind, &share)?),
                Block::Fixed { chain, .. } if network.exit.is_some() => fixed.push((share(chain), behind)),
                Block::Fixed { .. } => {}
            }
        }
        let table = |level| network.alphas.iter().position(|table| table.level == level);
        Ok(Self { edges, fixed, path: table(Level::Path), widths: table(Level::Width) })
    }

    /// The expected cost at these weights, 1 of all that the supernet has, and its derivative in each.
    pub fn at(&self, weights: &Tables) -> (f64, Tables) {
        let mut gradient: Tables =
            weights.iter().map(|table| table.iter().map(|row| vec![0.0; row.len()]).collect()).collect();
        let mut cost = 0.0;
        let reached = |behind: &[usize]| match self.path {
            Some(table) => behind.iter().map(|&map| weights[table][0][map]).sum(),
            None => 1.0,
        };
        let of_choice = |choice: Option<usize>| match (choice, self.widths) {
            (Some(row), Some(table)) => weights[table][row].clone(),
            _ => vec![1.0],
        };
        for EdgeCost { place: (table, row), choices, shares, behind } in &self.edges {
            let (often, [from, to]) = (reached(behind), choices.map(of_choice));
            let mut of_edge = 0.0;
            for (k, shares) in shares.iter().enumerate() {
                let p = weights[*table][*row][k];
                let mut of_candidate = 0.0;
                for (a, shares) in shares.iter().enumerate() {
                    for (b, share) in shares.iter().enumerate() {
                        of_candidate += from[a] * to[b] * share;
                        if let Some(widths) = self.widths {
                            let sides = [(choices[0], a, to[b]), (choices[1], b, from[a])];
                            for (choice, at, other) in sides {
                                let Some(row) = choice else { continue };
                                gradient[widths][row][at] += often * p * other * share;
                            }
                        }
                    }
                }
                gradient[*table][*row][k] += often * of_candidate;
                of_edge += p * of_candidate;
            }
            cost += often * of_edge;
            self.add_reached(&mut gradient, behind, of_edge);
        }
        for (share, behind) in &self.fixed {
            cost += reached(behind) * share;
            self.add_reached(&mut gradient, behind, *share);
        }
        (cost, gradient)
    }

    fn add_reached(&self, gradient: &mut Tables, behind: &[usize], cost: f64) {
        if let Some(table) = self.path {
            behind.iter().for_each(|&map| gradient[table][0][map] += cost);
        }
    }
}

/// Of each block, the maps of the exit that are made of what it gives.
fn maps_behind(network: &Network) -> Vec<Vec<usize>> {
    let stems = network.stems.len();
    let mut behind = vec![Vec::new(); network.blocks.len()];
    for (map, &state) in network.exit.iter().flat_map(|exit| exit.states.iter().enumerate()) {
        let mut at = Some(state);
        while let Some(block) = at.and_then(|state| state.checked_sub(stems)) {
            behind[block].push(map);
            at = match &network.blocks[block] {
                Block::Cell(cell) => cell.reads.last().copied(),
                Block::Fixed { reads, .. } => Some(*reads),
            };
        }
    }
    behind
}

fn of_cell(
    network: &Network,
    cell: &Cell,
    behind: &[usize],
    share: &impl Fn(&Chain) -> f64,
) -> Result<Vec<EdgeCost>, SpaceError> {
    let Some(rows) = cell.alphas else { return Ok(Vec::new()) };
    let widths = network.widths.as_ref().map_or(&[][..], |widths| &widths.channels);
    let end = |state: usize| {
        let node = state.checked_sub(cell.inputs.len()).map(|node| &cell.nodes[node]);
        let choice = node.and_then(|node| node.choice);
        let full = node.map_or(cell.size.channels, |node| node.channels);
        (choice, if choice.is_some() { widths.to_vec() } else { vec![full] })
    };
    let mut edges = Vec::with_capacity(cell.edges.len());
    for (row, edge) in cell.edges.iter().enumerate() {
        let [(from, wide), (to, leads)] = [end(edge.source), end(edge.target)];
        let mut shares = Vec::with_capacity(edge.candidates.len());
        for candidate in &edge.candidates {
            let narrowed = |a: usize, b: usize| match (from, to) {
                // As it stands, so that spaces without widths may have any operation.
                (None, None) => Ok(share(&candidate.chain)),
                _ => candidate.chain.narrowed(a, b).map(|chain| share(&chain)),
            };
            let of_width = |&a: &usize| leads.iter().map(|&b| narrowed(a, b)).collect::<Result<Vec<_>, _>>();
            shares.push(wide.iter().map(of_width).collect::<Result<Vec<_>, _>>()?);
        }
        let place = (rows.table, rows.first + row);
        edges.push(EdgeCost { place, choices: [from, to], shares, behind: behind.to_vec() });
    }
    Ok(edges)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::{Build, shipped};

    fn lattice() -> Network {
        let build = Build { channels: Some(16), size: Some(1), ..shipped::build_for_images("search", 8, 4) };
        shipped::space("trilevel_sr").supernet(&build).unwrap()
    }

    fn even(network: &Network) -> Tables {
        let rows = |table: &crate::space::network::AlphaTable| {
            table.candidates.iter().map(|row| vec![1.0 / row.len() as f64; row.len()]).collect()
        };
        network.alphas.iter().map(rows).collect()
    }

    /// With weights of 0 and 1 it is the cost of the derived network, less what every network has; the
    /// derived network has no shortcuts where widths are equal.
    #[test]
    fn of_one_path_it_is_what_the_path_costs() {
        let network = lattice();
        let mut weights = even(&network);
        for (level, column) in [(Level::Operations, 1), (Level::Width, 4), (Level::Path, 1)] {
            for (table, rows) in network.alphas.iter().zip(&mut weights).filter(|(table, _)| table.level == level) {
                assert!(column < table.columns());
                rows.iter_mut().flat_map(|row| row.iter_mut().enumerate()).for_each(|(at, weight)| {
                    *weight = f64::from(u8::from(at == column));
                });
            }
        }
        let (cost, _) = ExpectedCost::of(&network).unwrap().at(&weights);
        // The first cell of five 3x3 convolutions and an up step: 6 · 16 · 16 · 9 on 64 pixels.
        let expected = 6.0 * 16.0 * 16.0 * 9.0 * 64.0 / network.cost().multiply_adds as f64;
        assert!((cost - expected).abs() < 1e-12, "{cost} is not {expected}");
    }

    #[test]
    fn derivatives_are_those_of_differences() {
        for network in [lattice(), shipped::space("darts").supernet(&shipped::build("search", 32, 10)).unwrap()] {
            let (cost, weights) = (ExpectedCost::of(&network).unwrap(), even(&network));
            let (here, gradient) = cost.at(&weights);
            assert!(here > 0.0 && here < 1.0, "{here}");
            for table in 0..weights.len() {
                for row in 0..weights[table].len().min(3) {
                    for column in 0..weights[table][row].len() {
                        let mut moved = weights.clone();
                        moved[table][row][column] += 1e-3;
                        let slope = (cost.at(&moved).0 - here) / 1e-3;
                        let found = gradient[table][row][column];
                        // It is linear in each weight alone.
                        assert!((slope - found).abs() < 1e-9, "{table} {row} {column}: {found} is not {slope}");
                    }
                }
            }
        }
    }
}
