//! Convolutions that can run at one time become one step.

use super::{MapId, Program, Step};
use std::collections::HashMap;

/// What branches of one step share: when they can run at the earliest, the sides of what they read
/// and write, and whether statistics are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Group {
    level: usize,
    from: [usize; 2],
    to: [usize; 2],
    statistics: bool,
}

impl Program {
    /// Joins convolutions that have the same sides and do not wait for each other, and puts all
    /// steps in the order in which they can run.
    pub fn gather(&mut self) {
        let levels = self.levels();
        let mut groups: HashMap<Group, usize> = HashMap::new();
        let mut gathered: Vec<(usize, Step)> = Vec::new();
        let mut moved: HashMap<MapId, (MapId, usize)> = HashMap::new();
        for (step, level) in std::mem::take(&mut self.steps).into_iter().zip(levels) {
            let Step::Convolve { mut branches, output } = step else {
                gathered.push((level, step));
                continue;
            };
            let (to, from) = (self.maps[output], self.maps[branches[0].source[0].map]);
            let group = Group { level, from: from.sides(), to: to.sides(), statistics: to.statistics };
            let kept = self.outputs.contains(&output);
            let joined = groups.get(&group).copied().filter(|_| !kept);
            match joined.map(|at| &mut gathered[at].1) {
                Some(Step::Convolve { branches: earlier, output: together }) => {
                    let first = self.maps[*together].channels;
                    branches.iter_mut().for_each(|branch| branch.first += first);
                    self.maps[*together].channels += to.channels;
                    earlier.append(&mut branches);
                    moved.insert(output, (*together, first));
                }
                _ => {
                    if !kept {
                        groups.insert(group, gathered.len());
                    }
                    gathered.push((level, Step::Convolve { branches, output }));
                }
            }
        }
        gathered.sort_by_key(|(level, _)| *level);
        self.steps = gathered.into_iter().map(|(_, step)| step).collect();
        self.follow(&moved);
    }

    /// The earliest place of each step: one after the last of what it reads.
    fn levels(&self) -> Vec<usize> {
        let mut of_map = vec![0; self.maps.len()];
        self.steps
            .iter()
            .map(|step| {
                let level = step.reads().map(|read| of_map[read.map]).max().unwrap_or(0) + 1;
                of_map[step.output()] = level;
                level
            })
            .collect()
    }

    /// Points every read and norm at where its channels have gone, and drops the maps that are no
    /// more.
    fn follow(&mut self, moved: &HashMap<MapId, (MapId, usize)>) {
        let kept: Vec<MapId> = (0..self.maps.len()).filter(|map| !moved.contains_key(map)).collect();
        let mut renumbered = vec![usize::MAX; self.maps.len()];
        kept.iter().enumerate().for_each(|(new, old)| renumbered[*old] = new);
        let follow = |map: &mut MapId, first: Option<&mut usize>| {
            let (together, shift) = moved.get(map).copied().unwrap_or((*map, 0));
            *map = renumbered[together];
            if let Some(first) = first {
                *first += shift;
            }
        };
        for step in &mut self.steps {
            step.reads_mut().into_iter().for_each(|read| follow(&mut read.map, Some(&mut read.first)));
            follow(step.output_mut(), None);
        }
        self.norms.iter_mut().for_each(|norm| follow(&mut norm.map, Some(&mut norm.first)));
        self.outputs.iter_mut().chain(&mut self.inputs).for_each(|map| follow(map, None));
        self.maps = kept.into_iter().map(|map| self.maps[map]).collect();
    }
}
