//! What is known of the maps' gradients while the reverse pass is planned.

use super::super::kernel::gradient::COEFFICIENTS;
use super::super::launch::Launch;
use super::table::{Entry, Plane, Source};
use super::{Planner, Split, Stretch, pixels, plain};
use crate::program::{Map, Program, Read};
use std::collections::BTreeMap;

/// A map as convolutions and pools read it: they add to one gradient for all that read it alike. The norm, if any, and
/// whether it is rectified.
pub(super) type View = (usize, Option<usize>, bool);

/// The gradient of a view, of what it gives *after* its norm and ReLU.
struct Accumulated {
    stretch: Stretch,
    /// Which of its channels were written to.
    written: Vec<bool>,
}

#[derive(Default)]
pub(super) struct Gradients {
    /// By map and channel: the ways in which it was read and whose gradients are there; views are not among them.
    entries: Vec<Vec<Vec<Entry>>>,
    views: BTreeMap<View, Accumulated>,
    /// Nodes' gradients, and how many maps have yet to ask for each.
    held: Vec<(Stretch, usize)>,
    /// What each map asks for, of `held`.
    holds: Vec<Vec<usize>>,
    /// Entries of each channel of a norm, and of each mixing weight: place in the table, and of its sums.
    pub norms: BTreeMap<(usize, usize), Vec<[usize; 2]>>,
    pub mixing: Vec<Vec<[usize; 2]>>,
}

/// The gradient of a map as one stretch of the arena.
pub(super) struct Whole {
    pub stretch: Stretch,
}

impl Gradients {
    /// `seeds`: where the gradients of the outputs lie.
    pub fn new(program: &Program) -> Self {
        Self {
            entries: program.maps.iter().map(|map| vec![Vec::new(); map.channels]).collect(),
            holds: vec![Vec::new(); program.maps.len()],
            mixing: vec![Vec::new(); program.mixing],
            ..Self::default()
        }
    }

    pub fn enter(&mut self, map: usize, channel: usize, entry: Entry) {
        self.entries[map][channel].push(entry);
    }

    /// Keeps a node's gradient until all maps that were added to it have asked for it; gives it back where there is none.
    pub fn hold(&mut self, stretch: Stretch, mut maps: Vec<usize>) -> Option<Stretch> {
        maps.sort_unstable();
        maps.dedup();
        if maps.is_empty() {
            return Some(stretch);
        }
        maps.iter().for_each(|&map| self.holds[map].push(self.held.len()));
        self.held.push((stretch, maps.len()));
        None
    }

    /// Stretches that no map asks for any more once this one was served.
    fn release(&mut self, map: usize) -> Vec<Stretch> {
        let mut free = Vec::new();
        for at in std::mem::take(&mut self.holds[map]) {
            let (stretch, left) = &mut self.held[at];
            *left -= 1;
            if *left == 0 {
                free.push(*stretch);
            }
        }
        free
    }
}

impl Planner<'_> {
    /// Whether the gradient of what is read is wanted, of itself or of a norm on the way.
    pub(super) fn wants(&self, read: &Read) -> bool {
        self.purpose.input || read.map != 0 || read.norm.is_some()
    }

    /// The view of a read's channel and the channel in it; `None` where no gradient is asked for.
    pub(super) fn view(&self, read: &Read, at: usize) -> Option<(View, usize)> {
        let channel = if read.norm.is_some() { at } else { read.first + at };
        self.wants(read).then_some(((read.map, read.norm, read.relu), channel))
    }

    /// What is read at a channel of a view.
    pub(super) fn view_source(&self, view: View, channel: usize) -> Source {
        let (map, norm, relu) = view;
        let map: Map = self.program.maps[map];
        let (first, channels) = match norm.map(|norm| self.program.norms[norm]) {
            Some(norm) => (norm.first, norm.channels),
            None => (0, map.channels),
        };
        self.source(&Read { map: view.0, first, channels, norm, relu }, channel)
    }

    /// The plane of the gradient of some channels of a view, and whether it is to be added to. They must all have been
    /// written before, or none.
    pub(super) fn target(
        &mut self,
        gradients: &mut Gradients,
        view: View,
        channels: std::ops::Range<usize>,
    ) -> (Plane, bool) {
        let map = self.program.maps[view.0];
        let width = view.1.map_or(map.channels, |norm| self.program.norms[norm].channels);
        let numbers = width * self.positions(view.0);
        let accumulated = gradients
            .views
            .entry(view)
            .or_insert_with(|| Accumulated { stretch: self.arena.take(numbers), written: vec![false; width] });
        let adds = accumulated.written[channels.start];
        let first = channels.start;
        accumulated.written[channels].fill(true);
        (Plane::of(accumulated.stretch.start, first, width, pixels(&map)), adds)
    }

    pub(super) fn was_written(gradients: &Gradients, view: View, channel: usize) -> bool {
        gradients.views.get(&view).is_some_and(|accumulated| accumulated.written[channel])
    }

    /// The gradient of a map from everything that read it; `None` where nothing did. Whoever asks gives it back.
    pub(super) fn gradient(&mut self, gradients: &mut Gradients, map: usize) -> Option<Whole> {
        let size = self.program.maps[map];
        let mut entries = std::mem::take(&mut gradients.entries[map]);
        let views: Vec<View> =
            gradients.views.range((map, None, false)..=(map, Some(usize::MAX), true)).map(|(view, _)| *view).collect();
        if let ([view @ (_, None, false)], true) = (views.as_slice(), entries.iter().all(Vec::is_empty))
            && gradients.views[view].written.iter().all(|written| *written)
        {
            // One view read the whole map as it is, and nothing else did.
            let stretch = gradients.views.remove(view)?.stretch;
            return Some(Whole { stretch });
        }
        let mut free = gradients.release(map);
        for view in views {
            let Some(accumulated) = gradients.views.remove(&view) else { continue };
            free.push(accumulated.stretch);
            let width = accumulated.written.len();
            for channel in (0..width).filter(|channel| accumulated.written[*channel]) {
                let entry = Entry {
                    source: self.view_source(view, channel),
                    mixing: self.ones(),
                    factor: self.ones(),
                    gradient: Plane::of(accumulated.stretch.start, channel, width, pixels(&size)),
                    norm: view.1.map(|norm| (norm, channel)),
                    weight: None,
                };
                let first = view.1.map_or(0, |norm| self.program.norms[norm].first);
                entries[first + channel].push(entry);
            }
        }
        if entries.iter().all(Vec::is_empty) {
            free.into_iter().for_each(|stretch| self.arena.give(stretch));
            return None;
        }
        let whole = self.arena.take(size.channels * self.positions(map));
        self.gather(gradients, map, &entries, whole.start);
        free.into_iter().for_each(|stretch| self.arena.give(stretch));
        Some(Whole { stretch: whole })
    }

    fn gather(&mut self, gradients: &mut Gradients, map: usize, entries: &[Vec<Entry>], region: usize) {
        let size = self.program.maps[map];
        let (positions, plane) = (self.positions(map), pixels(&size));
        let count = entries.iter().map(Vec::len).sum::<usize>();
        let normed = entries.iter().flatten().any(|entry| entry.norm.is_some());
        let summed = normed || entries.iter().flatten().any(|entry| entry.weight.is_some());
        let sums = if summed { self.numbers.take(count * 2).start } else { 0 };
        let coefficients = self.numbers.take(size.channels * COEFFICIENTS);

        let first_entry = self.table.next();
        let mut firsts = Vec::new();
        for (number, entry) in entries.iter().flatten().enumerate() {
            let share = [self.table.entry(entry), sums + number * 2];
            if let Some(channel) = entry.norm {
                gradients.norms.entry(channel).or_default().push(share);
            }
            if let Some(weight) = entry.weight {
                gradients.mixing[weight].push(share);
            }
            firsts.push(share[0]);
        }
        let records = self.table.next();
        let mut number = 0;
        for (channel, entries) in entries.iter().enumerate() {
            self.table.plane(Plane::of(region, channel, size.channels, plane));
            let own = self.map_plane(map, channel);
            self.table.plane(own);
            let first = firsts.get(number).copied().unwrap_or(first_entry);
            self.table.push(&[first, entries.len(), coefficients.start + channel * COEFFICIENTS]);
            number += entries.len();
        }
        if summed {
            let split = Split::of(positions, 2048, count);
            let partial = self.numbers.take(count * split.chunks * 2);
            let (chunks, partial_at) = (split.chunks, partial.start);
            self.launches.push(Launch::EntrySums {
                records: first_entry,
                entries: count,
                positions,
                plane,
                split,
                partial: partial_at,
            });
            let inverse = if self.purpose.of_batch { 1.0 / positions as f32 } else { 0.0 };
            self.launches.push(Launch::Coefficients {
                records,
                channels: size.channels,
                entries: first_entry,
                chunks,
                partial: partial_at,
                sums,
                inverse,
            });
            self.numbers.give(partial);
        }
        self.launches.push(Launch::Gather { records, channels: size.channels, positions, plane, normed });
        self.numbers.give(coefficients);
    }
}

/// A channel that was written as it is, with the gradient at `plane` and nothing in between.
pub(super) fn untouched(source: Plane, ones: usize, gradient: Plane) -> Entry {
    Entry { source: plain(source), mixing: ones, factor: ones, gradient, norm: None, weight: None }
}
