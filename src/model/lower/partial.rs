//! Partial channels: reads of some channels of a value, and where a shuffle puts them.

use super::{
    Lowering, Value,
    values::{channels, terms},
};
use crate::{
    kernels::program::{Norm, Read, Term},
    space::network::Partial,
};

impl Lowering<'_> {
    /// A value whose channels can be read in parts. A learned scale or shift has one norm only, as
    /// engines may write its gradient once and not add it up.
    pub(super) fn partable(&mut self, value: Value) -> Value {
        let learned = |read: &Read| read.norm.is_some_and(|norm| self.program.norms[norm].scale.is_some());
        if value.iter().any(learned) { vec![self.whole_of(value)] } else { value }
    }

    /// The channels of a partial edge that go through its candidates.
    pub(super) fn through(&mut self, partial: &Partial, source: &Value) -> Value {
        self.narrow(source, 0, channels(source) / partial.groups)
    }

    /// Those that pass them by, group by group.
    pub(super) fn pass_by(&mut self, partial: &Partial, source: &Value, weight: Option<usize>, found: &mut Vec<Term>) {
        let all = channels(source);
        let through = all / partial.groups;
        let past = self.narrow(source, through, all - through);
        let past = self.chain(&partial.bypass, past);
        for group in 1..partial.groups {
            let of_group = self.narrow(&past, (group - 1) * through, through);
            let mut of_group = terms(&of_group, weight, None);
            of_group.iter_mut().for_each(|term| shuffle(term, group, partial));
            found.append(&mut of_group);
        }
    }

    /// So many channels of a value from `first` on.
    fn narrow(&mut self, value: &Value, first: usize, channels: usize) -> Value {
        let mut narrow = Vec::new();
        let mut start = 0;
        for read in value {
            let from = first.max(start);
            let to = (first + channels).min(start + read.channels);
            if from < to {
                narrow.push(self.part(read, from - start, to - from));
            }
            start += read.channels;
        }
        narrow
    }

    /// Some channels of a read. A norm covers exactly what is read, so the part has one of its own,
    /// with the same tensors.
    fn part(&mut self, read: &Read, first: usize, channels: usize) -> Read {
        if channels == read.channels {
            return *read;
        }
        let norm = read.norm.map(|norm| {
            let Norm { map, first: start, scale, shift, mean, variance, .. } = self.program.norms[norm];
            let part = Norm {
                map,
                first: start + first,
                channels,
                scale: scale.map(|scale| scale + first),
                shift: shift.map(|shift| shift + first),
                mean: mean + first,
                variance: variance + first,
            };
            self.program.norms.iter().position(|known| *known == part).unwrap_or_else(|| {
                self.program.norms.push(part);
                self.program.norms.len() - 1
            })
        });
        Read { first: read.first + first, channels, norm, ..*read }
    }
}

/// Puts a term that begins at channel `at` of a group where the channel shuffle puts it.
pub(super) fn shuffle(term: &mut Term, group: usize, partial: &Partial) {
    *term = Term { at: group + term.at * partial.groups, spread: term.spread * partial.groups, ..*term };
}
