//! Places the states and edge labels of a cell in columns (layered drawing after Sugiyama, Tagawa
//! and Toda, 1981).
//!
//! States stand in even columns, as far right as the longest way to them needs. The label of an
//! edge is an item of its own in an odd column that the edge crosses, and in every other column
//! that it crosses it has a bend: so labels can overlap neither each other nor a foreign edge, and
//! what is left to do is to order and to space the columns.

/// Between neighbours of one column.
const GAP: f64 = 10.0;
/// Between columns: room for the edges to curve.
const COLUMN_GAP: f64 = 30.0;
const BEND_HEIGHT: f64 = 6.0;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Size {
    pub width: f64,
    pub height: f64,
}

/// From one state to a later one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Edge {
    pub from: usize,
    pub to: usize,
    pub label: Option<Size>,
}

/// A state, label or bend with its middle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Item {
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub height: f64,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Layout {
    /// The states in the order given.
    pub states: Vec<Item>,
    /// For each edge the items that it runs through, without the states at its ends.
    pub routes: Vec<Vec<Item>>,
    /// For each edge its label's item.
    pub labels: Vec<Option<Item>>,
    pub width: f64,
    pub height: f64,
}

struct Plan {
    columns: Vec<Vec<usize>>,
    column_of: Vec<usize>,
    sizes: Vec<Size>,
    /// Items next to each other on an edge, the left one first, and how much a straight line
    /// between them is worth.
    links: Vec<(usize, usize, f64)>,
    /// What each item is linked with, in the order of the links.
    neighbours: Vec<Vec<Neighbour>>,
    /// The items of each edge, its states included.
    chains: Vec<Vec<usize>>,
}

/// The other end of a link.
#[derive(Debug, Clone, Copy)]
struct Neighbour {
    item: usize,
    /// Whether it stands to the right.
    right: bool,
    worth: f64,
}

/// Lays out states (`fixed` of them are inputs, in the first column in their order) and edges, each
/// of which must go to a later state. The upper left corner is (0, 0).
pub(super) fn layout(states: &[Size], fixed: usize, edges: &[Edge]) -> Layout {
    let mut plan = plan(states, fixed, edges);
    order(&mut plan);
    let ys = heights(&plan);
    let top = (0..ys.len()).map(|item| ys[item] - plan.sizes[item].height / 2.0).fold(f64::INFINITY, f64::min);
    let bottom = (0..ys.len()).map(|item| ys[item] + plan.sizes[item].height / 2.0).fold(0.0, f64::max);

    let widths: Vec<f64> = plan
        .columns
        .iter()
        .map(|column| column.iter().map(|item| plan.sizes[*item].width).fold(0.0, f64::max))
        .collect();
    let mut left = 0.0;
    let middles: Vec<f64> = widths
        .iter()
        .map(|width| {
            let middle = left + width / 2.0;
            // A column of nothing but bends is only room to curve.
            left += if *width > 0.0 { width + COLUMN_GAP } else { COLUMN_GAP / 2.0 };
            middle
        })
        .collect();
    let placed = |item: usize| {
        let column = plan.column_of[item];
        let size = plan.sizes[item];
        // A bend is as wide as its column: the edge passes the labels there in a straight line.
        let width = if size.width == 0.0 { widths[column] } else { size.width };
        Item { x: middles[column], y: ys[item] - top, width, height: size.height }
    };
    let inner = |chain: &Vec<usize>| {
        let inner = chain[1..chain.len() - 1].iter().map(|item| placed(*item));
        inner.filter(|item| item.width > 0.0).collect()
    };
    let label = |chain: &Vec<usize>| {
        let inner = &chain[1..chain.len() - 1];
        inner.iter().find(|item| plan.sizes[**item].width > 0.0).map(|item| placed(*item))
    };
    Layout {
        states: (0..states.len()).map(placed).collect(),
        routes: plan.chains.iter().map(inner).collect(),
        labels: plan.chains.iter().map(label).collect(),
        width: (left - COLUMN_GAP).max(0.0),
        height: bottom - top,
    }
}

fn plan(states: &[Size], fixed: usize, edges: &[Edge]) -> Plan {
    let mut column_of: Vec<usize> = (0..states.len()).map(|state| if state < fixed { 0 } else { 2 }).collect();
    // Edges go to later states, so that one pass in the states' order is enough.
    for state in 0..states.len() {
        for edge in edges.iter().filter(|edge| edge.to == state) {
            column_of[state] = column_of[state].max(column_of[edge.from] + 2);
        }
    }
    let count = column_of.iter().max().map_or(0, |last| last + 1);
    let mut plan = Plan {
        columns: vec![Vec::new(); count],
        sizes: states.to_vec(),
        column_of,
        links: Vec::new(),
        neighbours: Vec::new(),
        chains: vec![Vec::new(); edges.len()],
    };
    // Short edges have no choice of column for their label; long ones then take the emptiest, the
    // later among equals.
    let mut by_length: Vec<usize> = (0..edges.len()).collect();
    by_length.sort_by_key(|at| plan.column_of[edges[*at].to] - plan.column_of[edges[*at].from]);
    let mut labels_in = vec![0usize; count];
    let mut label_column = vec![None; edges.len()];
    for at in by_length {
        let Edge { from, to, label } = edges[at];
        let odd = (plan.column_of[from] + 1..plan.column_of[to]).step_by(2);
        if let (Some(_), Some(column)) = (label, odd.rev().min_by_key(|column| labels_in[*column])) {
            labels_in[column] += 1;
            label_column[at] = Some(column);
        }
    }
    for (at, edge) in edges.iter().enumerate() {
        let mut chain = vec![edge.from];
        for column in plan.column_of[edge.from] + 1..plan.column_of[edge.to] {
            let size = match edge.label {
                Some(label) if label_column[at] == Some(column) => label,
                _ => Size { width: 0.0, height: BEND_HEIGHT },
            };
            chain.push(plan.sizes.len());
            plan.sizes.push(size);
            plan.column_of.push(column);
        }
        chain.push(edge.to);
        plan.chains[at] = chain;
    }
    for chain in &plan.chains {
        for pair in chain.windows(2) {
            let ends = pair.iter().filter(|item| **item < states.len()).count();
            plan.links.push((pair[0], pair[1], [8.0, 2.0, 1.0][ends]));
        }
    }
    plan.neighbours = vec![Vec::new(); plan.sizes.len()];
    for &(left, right, worth) in &plan.links {
        plan.neighbours[left].push(Neighbour { item: right, right: true, worth });
        plan.neighbours[right].push(Neighbour { item: left, right: false, worth });
    }
    for (item, column) in plan.column_of.iter().enumerate() {
        plan.columns[*column].push(item);
    }
    plan
}

/// Orders each column but the first for few crossings: barycentres, then swaps of neighbours while
/// they help.
fn order(plan: &mut Plan) {
    let mut best = (crossings(plan), plan.columns.clone());
    for round in 0..8 {
        let sweep: Vec<usize> = if round % 2 == 0 {
            (1..plan.columns.len()).collect()
        } else {
            (1..plan.columns.len().saturating_sub(1)).rev().collect()
        };
        for column in sweep {
            let place = places(plan);
            let neighbours = |item: usize| {
                let side = plan.neighbours[item].iter().filter(|other| other.right == (round % 2 == 1));
                let side: Vec<f64> = side.map(|other| place[other.item] as f64).collect();
                if side.is_empty() { place[item] as f64 } else { side.iter().sum::<f64>() / side.len() as f64 }
            };
            let mut keyed: Vec<(f64, usize)> =
                plan.columns[column].iter().map(|item| (neighbours(*item), *item)).collect();
            keyed.sort_by(|(a, _), (b, _)| a.total_cmp(b));
            plan.columns[column] = keyed.into_iter().map(|(_, item)| item).collect();
        }
        let found = crossings(plan);
        if found < best.0 {
            best = (found, plan.columns.clone());
        }
    }
    plan.columns = best.1;
    let mut place = places(plan);
    let mut improved = best.0 > 0;
    while improved {
        improved = false;
        for column in 1..plan.columns.len() {
            for at in 1..plan.columns[column].len() {
                let [upper, lower] = [plan.columns[column][at - 1], plan.columns[column][at]];
                if crossings_of(plan, &place, lower, upper) < crossings_of(plan, &place, upper, lower) {
                    plan.columns[column].swap(at - 1, at);
                    place.swap(upper, lower);
                    improved = true;
                }
            }
        }
    }
}

/// Crossings between the links of two neighbours of a column, if they stood so.
fn crossings_of(plan: &Plan, place: &[usize], upper: usize, lower: usize) -> usize {
    let of_lower = &plan.neighbours[lower];
    let crossed = |one: &Neighbour| {
        of_lower.iter().filter(|other| other.right == one.right && place[one.item] > place[other.item]).count()
    };
    plan.neighbours[upper].iter().map(crossed).sum()
}

fn places(plan: &Plan) -> Vec<usize> {
    let mut place = vec![0; plan.sizes.len()];
    for column in &plan.columns {
        column.iter().enumerate().for_each(|(at, item)| place[*item] = at);
    }
    place
}

fn crossings(plan: &Plan) -> usize {
    let place = places(plan);
    let mut by_column = vec![Vec::new(); plan.columns.len()];
    for (left, right, _) in &plan.links {
        by_column[plan.column_of[*left]].push((place[*left], place[*right]));
    }
    let cross = |(a, b): (usize, usize), (c, d): (usize, usize)| (a < c && b > d) || (a > c && b < d);
    let of_column = |links: &Vec<(usize, usize)>| {
        let pairs =
            links.iter().enumerate().flat_map(|(at, one)| links[at + 1..].iter().map(move |other| (*one, *other)));
        pairs.filter(|(one, other)| cross(*one, *other)).count()
    };
    by_column.iter().map(of_column).sum()
}

/// The middles of all items: each near its neighbours on both sides, in the order of its column,
/// without overlap.
fn heights(plan: &Plan) -> Vec<f64> {
    let mut ys = vec![0.0; plan.sizes.len()];
    for column in &plan.columns {
        let wanted = vec![(0.0, 1.0); column.len()];
        settle(plan, column, &wanted, &mut ys);
    }
    for _ in 0..200 {
        for column in &plan.columns {
            let wanted: Vec<(f64, f64)> = column
                .iter()
                .map(|item| {
                    let (mut sum, mut weight) = (0.0, 0.0);
                    for other in &plan.neighbours[*item] {
                        sum += other.worth * ys[other.item];
                        weight += other.worth;
                    }
                    if weight > 0.0 { (sum / weight, weight) } else { (ys[*item], 1.0) }
                })
                .collect();
            settle(plan, column, &wanted, &mut ys);
        }
    }
    ys
}

/// The places nearest to the wanted ones (place and weight, least squares) that keep the column's
/// order and gaps: isotonic regression by pooling adjacent violators, on the places less the room
/// that the items before need.
fn settle(plan: &Plan, column: &[usize], wanted: &[(f64, f64)], ys: &mut [f64]) {
    let mut offsets = Vec::with_capacity(column.len());
    let mut offset = 0.0;
    for (at, item) in column.iter().enumerate() {
        if at > 0 {
            offset += (plan.sizes[column[at - 1]].height + plan.sizes[*item].height) / 2.0 + GAP;
        }
        offsets.push(offset);
    }
    let mut pools: Vec<(f64, f64, usize)> = Vec::new();
    for ((want, weight), offset) in wanted.iter().zip(&offsets) {
        let mut pool = (want - offset, *weight, 1);
        while let Some(last) = pools.pop_if(|last| last.0 > pool.0) {
            let weight = last.1 + pool.1;
            pool = ((last.0 * last.1 + pool.0 * pool.1) / weight, weight, last.2 + pool.2);
        }
        pools.push(pool);
    }
    let levels = pools.iter().flat_map(|(level, _, count)| std::iter::repeat_n(*level, *count));
    for ((item, level), offset) in column.iter().zip(levels).zip(&offsets) {
        ys[*item] = level + offset;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STATE: Size = Size { width: 30.0, height: 30.0 };
    const LABEL: Size = Size { width: 90.0, height: 22.0 };

    fn overlaps(a: &Item, b: &Item) -> bool {
        (a.x - b.x).abs() < (a.width + b.width) / 2.0 - 1e-6 && (a.y - b.y).abs() < (a.height + b.height) / 2.0 - 1e-6
    }

    proptest! {
        /// Whatever the cell: no label overlaps a state, another label or the bend of another edge.
        #[test]
        fn nothing_overlaps(
            inputs in 1usize..4,
            sources in proptest::collection::vec(proptest::collection::vec(0usize..100, 1..4), 1..7),
        ) {
            let states = vec![STATE; inputs + sources.len()];
            let edges: Vec<Edge> = sources.iter().enumerate().flat_map(|(node, sources)| {
                let to = inputs + node;
                sources.iter().map(move |from| Edge { from: from % to, to, label: Some(LABEL) })
            }).collect();
            let layout = layout(&states, inputs, &edges);
            let items: Vec<Item> = layout.states.iter().chain(layout.routes.iter().flatten()).copied().collect();
            for (at, a) in items.iter().enumerate() {
                for b in &items[at + 1..] {
                    prop_assert!(!overlaps(a, b), "{a:?} {b:?}");
                }
                prop_assert!(a.x - a.width / 2.0 >= -1e-6 && a.x + a.width / 2.0 <= layout.width + 1e-6);
                prop_assert!(a.y - a.height / 2.0 >= -1e-6 && a.y + a.height / 2.0 <= layout.height + 1e-6);
            }
            prop_assert!(layout.labels.iter().all(Option::is_some));
        }
    }

    #[test]
    fn edges_that_need_not_cross_do_not() {
        // 0 → 3 and 1 → 2 cross unless 3 comes before 2.
        let edges = [(0, 3), (1, 2)].map(|(from, to)| Edge { from, to, label: Some(LABEL) });
        let layout = layout(&[STATE; 4], 2, &edges);
        assert!(layout.states[0].y < layout.states[1].y, "inputs keep their order");
        assert!(layout.states[3].y < layout.states[2].y);
    }

    /// All edges of the largest cells that a space may have.
    #[test]
    fn a_dense_cell_is_laid_out_too() {
        let pairs = (1..40).flat_map(|to| (0..to).map(move |from| (from, to)));
        let edges: Vec<Edge> = pairs.map(|(from, to)| Edge { from, to, label: Some(LABEL) }).collect();
        let layout = layout(&[STATE; 40], 1, &edges);
        assert_eq!(layout.labels.iter().flatten().count(), 780);
    }

    #[test]
    fn the_longest_way_decides_the_column() {
        let edges = [(0, 1), (1, 2), (0, 2)].map(|(from, to)| Edge { from, to, label: Some(LABEL) });
        let layout = layout(&[STATE; 3], 1, &edges);
        assert!(layout.states[0].x < layout.states[1].x && layout.states[1].x < layout.states[2].x);
        assert_eq!(layout.routes[2].len(), 3);
    }
}
