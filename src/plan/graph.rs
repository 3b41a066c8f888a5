//! Which member of a pipeline needs which.

use crate::config::Pipeline;
use petgraph::{
    Direction,
    graph::{DiGraph, NodeIndex},
    visit::Dfs,
};
use std::collections::BTreeSet;

/// The members of a pipeline, by their index, with an arrow from each to those that read it.
#[derive(Debug, Clone)]
pub struct Graph(DiGraph<(), ()>);

impl Graph {
    pub fn new(pipeline: &Pipeline) -> Self {
        let mut graph = DiGraph::with_capacity(pipeline.members.len(), pipeline.members.len());
        for _ in &pipeline.members {
            graph.add_node(());
        }
        for (reader, member) in pipeline.members.iter().enumerate() {
            for &read in member.inputs.values().flatten() {
                graph.update_edge(NodeIndex::new(read), NodeIndex::new(reader), ());
            }
        }
        Self(graph)
    }

    /// The members that `member` reads, in order.
    pub fn reads(&self, member: usize) -> BTreeSet<usize> {
        self.0.neighbors_directed(NodeIndex::new(member), Direction::Incoming).map(NodeIndex::index).collect()
    }

    /// The members that cannot run where `member` fails, in order: all that read it, directly or through others.
    pub fn descendants(&self, member: usize) -> BTreeSet<usize> {
        let start = NodeIndex::new(member);
        let mut walk = Dfs::new(&self.0, start);
        let reached = std::iter::from_fn(|| walk.next(&self.0));
        reached.filter(|&other| other != start).map(NodeIndex::index).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Member, Node, Origin, Runtime};
    use indexmap::IndexMap;

    fn pipeline(inputs: &[&[usize]]) -> Pipeline {
        let member = |(index, reads): (usize, &&[usize])| Member {
            name: format!("s{index}"),
            stage: format!("s{index}"),
            point: IndexMap::new(),
            kind: "k".into(),
            params: Node::empty_map(),
            inputs: IndexMap::from([("of".to_owned(), reads.to_vec())]),
            runtime: Runtime::default(),
            origin: Origin::Default,
        };
        let members = inputs.iter().enumerate().map(member).collect();
        Pipeline { name: "p".into(), path: "p.yaml".into(), data_root: "data".into(), members }
    }

    #[test]
    fn a_failure_reaches_all_that_depend_on_it_and_no_other() {
        let graph = Graph::new(&pipeline(&[&[], &[], &[0], &[2, 1], &[1], &[]]));
        assert_eq!(graph.descendants(0), BTreeSet::from([2, 3]));
        assert_eq!(graph.descendants(1), BTreeSet::from([3, 4]));
        assert_eq!(graph.descendants(5), BTreeSet::new());
        assert_eq!(graph.reads(3), BTreeSet::from([1, 2]));
    }
}
