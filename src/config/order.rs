//! The order of stages, and the cycles that would leave none.

use petgraph::{
    algo::tarjan_scc,
    graph::{DiGraph, NodeIndex},
};
use std::collections::BTreeSet;

/// `reads[i]` are the stages that stage `i` reads. Returns the stages that can be ordered, each
/// after what it reads and otherwise in their own order, and the cycles that keep the others out,
/// each from its first stage on along what it reads.
pub(super) fn order(reads: &[BTreeSet<usize>]) -> (Vec<usize>, Vec<Vec<usize>>) {
    let mut left: BTreeSet<usize> = (0..reads.len()).collect();
    let mut order = Vec::with_capacity(reads.len());
    while let Some(&next) = left.iter().find(|&&stage| reads[stage].is_disjoint(&left)) {
        left.remove(&next);
        order.push(next);
    }
    let arrows = left.iter().flat_map(|&reader| reads[reader].iter().map(move |&read| (reader, read)));
    let graph: DiGraph<(), (), usize> = DiGraph::from_edges(arrows);
    let knots = tarjan_scc(&graph).into_iter().map(|knot| knot.into_iter().map(NodeIndex::index).collect());
    let mut cycles: Vec<Vec<usize>> = knots.filter_map(|knot: BTreeSet<usize>| cycle(&knot, reads)).collect();
    cycles.sort();
    (order, cycles)
}

/// A cycle inside a strongly connected set; `None` for a lone stage that does not read itself.
fn cycle(knot: &BTreeSet<usize>, reads: &[BTreeSet<usize>]) -> Option<Vec<usize>> {
    let first = *knot.first()?;
    // Inside the set every stage reads another of it: walking on must meet a stage again.
    let mut walk = vec![first];
    loop {
        let next = *reads[*walk.last()?].intersection(knot).next()?;
        if let Some(start) = walk.iter().position(|&stage| stage == next) {
            let mut cycle = walk.split_off(start);
            let least = cycle.iter().enumerate().min_by_key(|(_, stage)| **stage).map_or(0, |(at, _)| at);
            cycle.rotate_left(least);
            return Some(cycle);
        }
        walk.push(next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(lists: &[&[usize]]) -> Vec<BTreeSet<usize>> {
        lists.iter().map(|list| list.iter().copied().collect()).collect()
    }

    #[test]
    fn file_order_decides_among_the_ready() {
        assert_eq!(order(&reads(&[&[], &[], &[]])).0, [0, 1, 2]);
        assert_eq!(order(&reads(&[&[2], &[], &[], &[0]])).0, [1, 2, 0, 3]);
    }

    #[test]
    fn cycles_are_found_and_what_hangs_on_them_is_left_out() {
        let (ordered, cycles) = order(&reads(&[&[], &[2], &[3], &[1], &[1], &[5], &[0]]));
        assert_eq!(ordered, [0, 6]);
        assert_eq!(cycles, [vec![1, 2, 3], vec![5]]);
    }
}
