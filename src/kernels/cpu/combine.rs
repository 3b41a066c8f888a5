//! Nodes: all candidates of all edges in one pass, and what their gradients need in another.

use super::{
    element::Element,
    gradient::{LaneSums, Placed, Planes, Sums, by_channel, copy_channel, total},
    memory::{Area, Buffer, ScratchGuard, ScratchPool},
    moments_of,
    pass_state::PassState,
    prologue::Prologue,
    reverse::Reverse,
    simd::{
        LANES, Lanes, Pixels, Walk, elementwise,
        sums::{Moments, weighted_sums},
    },
    tasks::{Tasks, stretches},
    written::{Chunks, write},
};
use crate::program::{Activation, MapId, Term};
use std::{borrow::Cow, ops::Range, sync::Arc};

/// A term with what is the same for every image.
struct Prepared<'a> {
    term: &'a Term,
    weight: f32,
    /// The blocks that it reads, and how each is read.
    blocks: Range<usize>,
    prologues: Vec<Prologue>,
    means: Vec<Lanes>,
}

fn prepare<'a, E: Element>(state: &PassState<E>, terms: &'a [Term]) -> Vec<Prepared<'a>> {
    let prepare = |term: &'a Term| {
        let blocks = state.layout.blocks_of(&term.read);
        let mean = |channel: usize| term.read.norm.map_or(0.0, |norm| state.norms[norm][channel].mean);
        Prepared {
            term,
            weight: weight_of(state, term),
            prologues: blocks.clone().map(|block| state.prologue(&term.read, block)).collect(),
            means: blocks.clone().map(|block| state.lanes(&term.read, block, mean)).collect(),
            blocks,
        }
    };
    terms.iter().map(prepare).collect()
}

fn weight_of<E: Element>(state: &PassState<E>, term: &Term) -> f32 {
    term.weight.map_or(1.0, |at| state.mixing[at])
}

/// A block of pixels, one after another.
fn walk<E: Element>(state: &PassState<E>, map: MapId) -> Walk {
    let width = state.map(map).pixels();
    Walk { images: 1, rows: 1, width, from: Pixels::of(width), to: Pixels::of(width) }
}

/// One task a group of images.
fn tasks<E: Element>(state: &PassState<E>, terms: &[Term], map: MapId) -> Tasks {
    let pixels = state.map(map).pixels();
    Tasks::new(state.layout.groups(), 1, pixels * state.layout.blocks(map) * (1 + terms.len()), 0)
}

/// A term's part of a block of the output: what it reads, how, and with what it is multiplied.
struct Part<'a, E: Element> {
    plane: Cow<'a, [E]>,
    prologue: Prologue,
    scale: Lanes,
}

impl Prepared<'_> {
    fn is_plain(&self) -> bool {
        self.term.read.activation == Activation::None
    }

    fn part<'a, E: Element>(
        &self,
        state: &'a PassState<E>,
        output: MapId,
        block: usize,
        group: usize,
    ) -> Option<Part<'a, E>> {
        let (term, layout) = (self.term, &state.layout);
        let scale = match term.factor {
            Some(row) => state.factors(row, group).times(&Lanes::all(self.weight)),
            None => Lanes::all(self.weight),
        };
        let channels = layout.channels(output, block);
        if term.spread == 1 {
            let inside = channels.start >= term.at && channels.end <= term.at + term.read.channels;
            let from = inside.then(|| layout.place(term.read.map, term.read.first + channels.start - term.at).0)?;
            let (plane, prologue) = (state.plane(term.read.map, group, from), self.prologues[from - self.blocks.start]);
            return Some(Part { plane: Cow::Borrowed(plane), prologue, scale });
        }
        // Channels that are shuffled are put together one by one, and how they are read with them.
        let mut plane = vec![E::default(); state.map(output).pixels() * LANES];
        let (mut factor, mut offset, mut least) = (Lanes::ZERO, Lanes::ZERO, 0.0);
        let mut is_any = false;
        for (lane, channel) in channels.enumerate() {
            let Some(channel) = term.channel_to(channel) else { continue };
            let (block, place) = layout.place(term.read.map, term.read.first + channel);
            copy_channel(state, state.plane(term.read.map, group, block), place, &mut plane, lane);
            let prologue = &self.prologues[block - self.blocks.start];
            for image in (0..LANES).step_by(layout.width()) {
                factor.0[image + lane] = prologue.factor.0[image + place];
                offset.0[image + lane] = prologue.offset.0[image + place];
            }
            (least, is_any) = (prologue.least, true);
        }
        is_any.then_some(Part { plane: Cow::Owned(plane), prologue: Prologue { factor, offset, least }, scale })
    }
}

/// Room for a plane that is not rounded yet.
fn room() -> ScratchGuard<Area> {
    static POOL: ScratchPool<Area> = ScratchPool::new();
    POOL.take()
}

/// Writes the output map, and returns its moments by group and block where they are asked for.
pub(super) fn forward<E: Element>(
    state: &PassState<E>,
    terms: &[Term],
    output: MapId,
    wanted: bool,
) -> (Buffer<E>, Vec<Vec<Moments>>) {
    let mut values = Buffer::take(state.len(output));
    let (prepared, walk) = (prepare(state, terms), walk(state, output));
    let (plane, group) = (state.layout.chunk(output, 1), state.layout.chunk(output, state.layout.blocks(output)));
    let tasks = tasks(state, terms, output);
    let by_task = tasks.each(stretches(&tasks, &mut values, group), room, |room, task, out| {
        let of_group = |(number, out): (usize, &mut [E])| {
            let number = tasks.groups(task).start + number;
            for (block, out) in out.chunks_exact_mut(plane).enumerate() {
                let parts: Vec<Part<'_, E>> =
                    prepared.iter().filter_map(|term| term.part(state, output, block, number)).collect();
                let mut shift = Lanes::ZERO;
                let mut linear: Vec<(Lanes, &[E])> = Vec::new();
                for Part { plane, prologue, scale } in parts.iter().filter(|part| part.is_linear()) {
                    linear.push((prologue.factor.times(scale), plane));
                    let offset = prologue.offset.times(scale);
                    shift.0.iter_mut().zip(offset.0).for_each(|(shift, offset)| *shift += offset);
                }
                if linear.len() == parts.len() {
                    elementwise::weighted_sum(&shift, &linear, out);
                    continue;
                }
                write(out, Chunks::whole(plane), room, |out, _| {
                    elementwise::weighted_sum(&shift, &linear, out);
                    for Part { plane, prologue, scale } in parts.iter().filter(|part| !part.is_linear()) {
                        elementwise::through(plane, prologue, scale, walk, out, true);
                    }
                });
            }
            moments_of(state, output, out, wanted)
        };
        out.chunks_exact_mut(group).enumerate().map(of_group).collect::<Vec<_>>()
    });
    (values, by_task.into_iter().flatten().collect())
}

impl<E: Element> Part<'_, E> {
    fn is_linear(&self) -> bool {
        self.prologue.least == f32::NEG_INFINITY
    }
}

/// Sends the gradient `of_node` of a node on to what its terms read.
pub(super) fn backward<E: Element>(reverse: &mut Reverse<E>, terms: &[Term], output: MapId, of_node: &Arc<Buffer<E>>) {
    let sums = sums(reverse, terms, output, of_node);
    for (term, sums) in terms.iter().zip(&sums) {
        match term.read.activation {
            Activation::None => plain(reverse, term, sums, output, of_node),
            Activation::Relu => rectified(reverse, term, sums, output, of_node),
        }
    }
}

/// Terms whose sums are taken side by side: a gradient is read once for all of them.
const BESIDE: usize = 4;

/// A block of a term whose sums are taken.
#[derive(Clone, Copy)]
struct Summand<'a, 'b> {
    /// Where its sums go.
    place: usize,
    of: &'b Prepared<'a>,
    block: usize,
}

impl Summand<'_, '_> {
    /// Its block of the gradient, where it takes one as it is.
    fn of_gradient<E: Element>(&self, state: &PassState<E>, output: MapId) -> Option<usize> {
        let Term { read, at, spread, .. } = *self.of.term;
        let first = state.layout.channels(read.map, self.block).start - read.first;
        (spread == 1 && read.activation == Activation::None).then(|| state.layout.place(output, at + first).0)
    }

    /// Values and their means.
    fn values<'a, E: Element>(&'a self, state: &'a PassState<E>, group: usize) -> (&'a [E], &'a Lanes) {
        let means = &self.of.means[self.block - self.of.blocks.start];
        (state.plane(self.of.term.read.map, group, self.block), means)
    }
}

/// `Σ f g` and `Σ f g (z − mean)` of every channel of every term; of a rectified one
/// `Σ f g · max(y, 0)` in the second place. Zeros where nobody asks for them.
fn sums<E: Element>(reverse: &Reverse<E>, terms: &[Term], output: MapId, of_node: &Arc<Buffer<E>>) -> Vec<Vec<Sums>> {
    let state = &reverse.state;
    let prepared = prepare(state, terms);
    let (mut summands, mut starts) = (Vec::new(), Vec::new());
    for of in &prepared {
        let start = summands.len();
        starts.push(start);
        if reverse.wanted.mixing && of.term.weight.is_some() || of.is_plain() && reverse.needs_sums(&of.term.read) {
            let blocks = of.blocks.clone().enumerate();
            summands.extend(blocks.map(|(at, block)| Summand { place: start + at, of, block }));
        }
    }
    let length = summands.len();
    starts.push(length);
    // Those that take one block of the gradient follow each other.
    summands.sort_by_key(|summand| summand.of_gradient(state, output));
    let tasks = tasks(state, terms, output);
    let by_task = tasks.each((0..tasks.count()).collect(), Vec::new, |rectified: &mut Vec<f32>, task, _| {
        let of_group = |group: usize| {
            let mut found = vec![LaneSums::default(); length];
            let same = |a: &Summand<'_, '_>, b: &Summand<'_, '_>| {
                let of_gradient = a.of_gradient(state, output);
                of_gradient.is_some() && of_gradient == b.of_gradient(state, output)
            };
            for alike in summands.chunk_by(same) {
                let Summand { of, block, .. } = alike[0];
                let gradient = Placed::of(of.term, output).plane(state, of_node, &of.term.read, block, group);
                if of.term.read.activation == Activation::Relu {
                    let (z, _) = alike[0].values(state, group);
                    rectified.resize(z.len(), 0.0);
                    let prologue = &of.prologues[block - of.blocks.start];
                    elementwise::through(z, prologue, &Lanes::ONE, walk(state, output), rectified, false);
                    several(state, &gradient, alike, [(rectified.as_slice(), &Lanes::ZERO)], group, &mut found);
                    continue;
                }
                for beside in alike.chunks(BESIDE) {
                    let [a, b, c, d] = std::array::from_fn(|at| beside[at.min(beside.len() - 1)].values(state, group));
                    match beside.len() {
                        1 => several(state, &gradient, beside, [a], group, &mut found),
                        2 => several(state, &gradient, beside, [a, b], group, &mut found),
                        3 => several(state, &gradient, beside, [a, b, c], group, &mut found),
                        _ => several(state, &gradient, beside, [a, b, c, d], group, &mut found),
                    }
                }
            }
            found
        };
        tasks.groups(task).map(of_group).collect::<Vec<_>>()
    });
    let by_group: Vec<_> = by_task.into_iter().flatten().collect();
    let total = total(state, &by_group);
    let of_term = |(of, range): (&Prepared<'_>, &[usize])| match range[1] - range[0] {
        0 => vec![Sums::default(); of.term.read.channels],
        _ => by_channel(state, &of.term.read, of.blocks.clone(), &total[range[0]..range[1]]),
    };
    prepared.iter().zip(starts.windows(2)).map(of_term).collect()
}

/// The sums of terms that take one block of the gradient, with their values and means.
fn several<E: Element, V: Element, const N: usize>(
    state: &PassState<E>,
    gradient: &[E],
    summands: &[Summand<'_, '_>],
    values: [(&[V], &Lanes); N],
    group: usize,
    found: &mut [LaneSums],
) {
    let (gradient, products) = weighted_sums(gradient, values);
    for (Summand { place, of, .. }, product) in summands.iter().zip(products) {
        let mut sums = LaneSums { gradient, product };
        if let Some(row) = of.term.factor {
            for (lane, factor) in state.factors(row, group).0.into_iter().enumerate() {
                sums.gradient[lane] *= f64::from(factor);
                sums.product[lane] *= f64::from(factor);
            }
        }
        found[*place] = sums;
    }
}

/// A term that is linear in what it reads, or in its norm: its contribution is the node's own
/// gradient.
fn plain<E: Element>(reverse: &mut Reverse<E>, term: &Term, sums: &[Sums], output: MapId, of_node: &Arc<Buffer<E>>) {
    let weight = weight_of(&reverse.state, term);
    let mut benefit = 0.0;
    let alpha = match term.read.norm {
        None => {
            benefit += sums.iter().map(|sums| sums.product).sum::<f64>();
            vec![weight; term.read.channels]
        }
        Some(norm) => {
            let channels = &reverse.state.norms[norm];
            for (channel, sums) in channels.iter().zip(sums) {
                benefit += f64::from(channel.factor) * sums.product + f64::from(channel.shift) * sums.gradient;
            }
            reverse.through(&term.read, norm, weight, sums)
        }
    };
    if let Some(at) = term.weight {
        reverse.mixing[at] += benefit as f32;
    }
    // A gradient that nobody asks for would keep the node's alive.
    if reverse.wants(&term.read) {
        let planes = Planes::OfNode(of_node.clone(), Placed::of(term, output));
        reverse.contribute(&term.read, Some(&alpha), planes, term.factor);
    }
}

/// A rectified term: its gradient is written out where what it reads is positive.
fn rectified<E: Element>(reverse: &mut Reverse<E>, term: &Term, sums: &[Sums], output: MapId, of_node: &[E]) {
    let weight = weight_of(&reverse.state, term);
    if let Some(at) = term.weight {
        reverse.mixing[at] += sums.iter().map(|sums| sums.product).sum::<f64>() as f32;
    }
    if !reverse.wants(&term.read) {
        return;
    }
    let (mut slot, fresh) = reverse.slot(&term.read);
    let state = &reverse.state;
    let tasks = tasks(state, &[*term], output);
    let (walk, plane, group) = (walk(state, output), state.layout.chunk(output, 1), slot.chunk(state));
    let blocks = slot.blocks.clone();
    tasks.each(
        stretches(&tasks, &mut slot.values, group),
        || (),
        |(), task, out| {
            for (group, out) in tasks.groups(task).zip(out.chunks_exact_mut(group)) {
                let scale = term.factor.map_or(Lanes::ONE, |row| state.factors(row, group)).times(&Lanes::all(weight));
                for (block, out) in blocks.clone().zip(out.chunks_exact_mut(plane)) {
                    let from = Placed::of(term, output).plane(state, of_node, &term.read, block, group);
                    let z = state.plane(term.read.map, group, block);
                    elementwise::pass(&from, z, &state.prologue(&term.read, block), &scale, walk, out, !fresh);
                }
            }
        },
    );
    reverse.keep(slot);
}
