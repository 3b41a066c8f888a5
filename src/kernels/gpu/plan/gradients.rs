//! What is known of the maps' gradients while the reverse pass is planned.

use super::{Planner, Stretch, plain};
use crate::gpu::kernel::combine::Term;
use crate::gpu::kernel::gradient::{COEFFICIENTS, Channel, Coefficients, Entry, EntrySums, Gather, SUMS};
use crate::gpu::kernel::parameters::Share;
use crate::gpu::kernel::source::{Plane, Source};
use crate::gpu::split::Split;
use crate::program::{Activation, Map, Program, Read};
use std::collections::BTreeMap;

/// A map as convolutions and pools read it: they add to one gradient for all that read it alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct View {
    pub map: usize,
    norm: Option<usize>,
    activation: Activation,
}

/// What arrives at a channel of a map through one of the ways in which it was read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival {
    pub entry: Entry,
    /// Index of the norm on the way, and channel in it.
    pub norm: Option<(usize, usize)>,
    /// Index of the mixing weight on the way.
    pub weight: Option<usize>,
}

/// The gradient of a view, of what it gives *after* its norm and activation.
struct Accumulated {
    stretch: Stretch,
    /// Which of its channels were written to.
    written: Vec<bool>,
}

#[derive(Default)]
pub(super) struct Gradients {
    /// By map and channel: the ways in which it was read and whose gradients are there; views are
    /// not among them.
    arrivals: Vec<Vec<Vec<Arrival>>>,
    views: BTreeMap<View, Accumulated>,
    /// Gradients of nodes and of outputs, and how many maps have yet to ask for each.
    held: Vec<(Stretch, usize)>,
    /// What each map asks for, of `held`.
    holds: Vec<Vec<usize>>,
    /// Shares of each channel of a norm, by index of the norm and channel in it, and of each mixing
    /// weight.
    pub norms: BTreeMap<(usize, usize), Vec<Share>>,
    pub mixing: Vec<Vec<Share>>,
}

impl Gradients {
    pub fn new(program: &Program) -> Self {
        Self {
            arrivals: program.maps.iter().map(|map| vec![Vec::new(); map.channels]).collect(),
            holds: vec![Vec::new(); program.maps.len()],
            mixing: vec![Vec::new(); program.mixing],
            ..Self::default()
        }
    }

    pub fn enter(&mut self, map: usize, channel: usize, arrival: Arrival) {
        self.arrivals[map][channel].push(arrival);
    }

    /// Keeps a gradient until all maps that it is sent to have asked for theirs; gives it back where
    /// there is none.
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
        self.purpose.inputs || read.norm.is_some() || !self.program.inputs.contains(&read.map)
    }

    /// The view of a read's channel and the channel in it; `None` where no gradient is asked for.
    pub(super) fn view(&self, read: &Read, at: usize) -> Option<(View, usize)> {
        let channel = if read.norm.is_some() { at } else { read.first + at };
        let view = View { map: read.map, norm: read.norm, activation: read.activation };
        self.wants(read).then_some((view, channel))
    }

    /// What is read at a channel of a view.
    pub(super) fn view_source(&self, view: View, channel: usize) -> Source {
        let View { map, norm, activation } = view;
        let of_map: Map = self.program.maps[map];
        let (first, channels) = match norm.map(|norm| self.program.norms[norm]) {
            Some(norm) => (norm.first, norm.channels),
            None => (0, of_map.channels),
        };
        self.source(&Read { map, first, channels, norm, activation }, channel)
    }

    /// The plane of the gradient of some channels of a view, and whether it is to be added to. They
    /// must all have been written before, or none.
    pub(super) fn target(
        &mut self,
        gradients: &mut Gradients,
        view: View,
        channels: std::ops::Range<usize>,
    ) -> (Plane, bool) {
        let map = self.program.maps[view.map];
        let width = view.norm.map_or(map.channels, |norm| self.program.norms[norm].channels);
        let numbers = width * self.positions(view.map);
        let accumulated = gradients
            .views
            .entry(view)
            .or_insert_with(|| Accumulated { stretch: self.arena.take(numbers), written: vec![false; width] });
        let adds = accumulated.written[channels.start];
        let first = channels.start;
        accumulated.written[channels].fill(true);
        (Plane::of(accumulated.stretch.start, first, width, map.pixels()), adds)
    }

    pub(super) fn was_written(gradients: &Gradients, view: View, channel: usize) -> bool {
        gradients.views.get(&view).is_some_and(|accumulated| accumulated.written[channel])
    }

    /// Where the gradient of a map lies, from everything that read it; `None` where nothing did.
    /// Whoever asks gives it back.
    pub(super) fn gradient(&mut self, gradients: &mut Gradients, map: usize) -> Option<Stretch> {
        let size = self.program.maps[map];
        let mut arrivals = std::mem::take(&mut gradients.arrivals[map]);
        let first = |map| View { map, norm: None, activation: Activation::None };
        let views: Vec<View> = gradients.views.range(first(map)..first(map + 1)).map(|(view, _)| *view).collect();
        if let ([view], true) = (views.as_slice(), arrivals.iter().all(Vec::is_empty))
            && *view == first(map)
            && gradients.views[view].written.iter().all(|written| *written)
        {
            // One view read the whole map as it is, and nothing else did.
            return gradients.views.remove(view).map(|accumulated| accumulated.stretch);
        }
        let mut free = gradients.release(map);
        for view in views {
            let Some(accumulated) = gradients.views.remove(&view) else { continue };
            free.push(accumulated.stretch);
            let width = accumulated.written.len();
            let of_map = view.norm.map_or(0, |norm| self.program.norms[norm].first);
            for channel in (0..width).filter(|channel| accumulated.written[*channel]) {
                let plane = Plane::of(accumulated.stretch.start, channel, width, size.pixels());
                let arrival = self.unweighted(self.view_source(view, channel), plane);
                let norm = view.norm.map(|norm| (norm, channel));
                arrivals[of_map + channel].push(Arrival { norm, ..arrival });
            }
        }
        if arrivals.iter().all(Vec::is_empty) {
            free.into_iter().for_each(|stretch| self.arena.give(stretch));
            return None;
        }
        let whole = self.arena.take(self.elements(map));
        self.gather(gradients, map, &arrivals, whole.start);
        free.into_iter().for_each(|stretch| self.arena.give(stretch));
        Some(whole)
    }

    /// Launches that write the gradient of a map to `start`.
    fn gather(&mut self, gradients: &mut Gradients, map: usize, arrivals: &[Vec<Arrival>], start: usize) {
        let size = self.program.maps[map];
        let (positions, pixels) = (self.positions(map), size.pixels());
        let all = || arrivals.iter().flatten();
        let count = all().count();
        let normed = all().any(|arrival| arrival.norm.is_some());
        let summed = normed || all().any(|arrival| arrival.weight.is_some());
        let sums = if summed { self.numbers.take(count * SUMS).start } else { 0 };
        let coefficients = self.numbers.take(size.channels * COEFFICIENTS);

        let entries = self.table.put(all().map(|arrival| arrival.entry));
        for (number, arrival) in all().enumerate() {
            let share = Share { entry: entries.at(number), sums: sums + number * SUMS };
            if let Some(channel) = arrival.norm.filter(|_| self.purpose.weights) {
                gradients.norms.entry(channel).or_default().push(share);
            }
            if let Some(weight) = arrival.weight {
                gradients.mixing[weight].push(share);
            }
        }
        let mut number = 0;
        let mut channels = Vec::new();
        for (channel, arrivals) in arrivals.iter().enumerate() {
            channels.push(Channel {
                gradient: self.plane(start, map, channel),
                own: self.map_plane(map, channel),
                entries: entries.part(number, arrivals.len()),
                coefficients: coefficients.start + channel * COEFFICIENTS,
            });
            number += arrivals.len();
        }
        let channels = self.table.put(channels);
        if summed {
            let split = Split::of(positions, 2048, count);
            let partial = self.numbers.take(count * split.chunks * SUMS);
            self.launch(EntrySums { entries, positions, pixels, split, partial: partial.start });
            let inverse = if self.purpose.of_batch { 1.0 / positions as f32 } else { 0.0 };
            let (chunks, partial_at) = (split.chunks, partial.start);
            self.launch(Coefficients { channels, entries, chunks, partial: partial_at, sums, inverse });
            self.numbers.give(partial);
        }
        self.launch(Gather { channels, positions, pixels, normed });
        self.numbers.give(coefficients);
    }

    /// What arrives at a channel that was read with no weight and no norm, from the gradient at
    /// `gradient`.
    pub(super) fn unweighted(&self, source: Source, gradient: Plane) -> Arrival {
        let term = Term { source, mixing: self.ones(), factor: self.ones() };
        Arrival { entry: Entry { term, gradient }, norm: None, weight: None }
    }

    /// What arrives at a channel that was read as it is.
    pub(super) fn untouched(&self, plane: Plane, gradient: Plane) -> Arrival {
        self.unweighted(plain(plane), gradient)
    }
}
