//! Values between layers, and how a program writes them.

use super::{Brought, Lowering, Value};
use crate::{
    kernels::program::{Activation, Map, MapId, Read, Step, Term},
    space::network::FeatureMap,
};

impl Lowering<'_> {
    /// The sum of terms; no step where it is a map that is there already.
    pub(super) fn combine(&mut self, terms: Vec<Term>, size: FeatureMap) -> Value {
        match terms.as_slice() {
            [Term { read, at: 0, spread: 1, weight: None, factor: None }] if read.channels == size.channels => {
                vec![*read]
            }
            _ => vec![self.write(terms, size)],
        }
    }

    pub(super) fn write(&mut self, terms: Vec<Term>, size: FeatureMap) -> Read {
        let output = self.map(size);
        self.program.steps.push(Step::Combine { terms, output });
        self.whole(output)
    }

    /// The map that holds a value as it is.
    pub(super) fn written(&mut self, value: Value) -> MapId {
        if let [read] = value.as_slice()
            && *read == self.whole(read.map)
        {
            return read.map;
        }
        self.whole_of(value).map
    }

    /// A value written as one map.
    pub(super) fn whole_of(&mut self, value: Value) -> Read {
        let size = self.size(&value);
        self.write(terms(&value, None, None), size)
    }

    pub(super) fn size(&self, value: &Value) -> FeatureMap {
        let Map { height, width, .. } = self.program.maps[value[0].map];
        FeatureMap { channels: channels(value), height, width }
    }

    /// The place of a constant among the mixing weights: it stands behind them.
    pub(super) fn constant(&mut self, value: f64) -> usize {
        let value = value as f32;
        let known = self.constants.iter().position(|known| *known == value);
        let at = known.unwrap_or_else(|| {
            self.constants.push(value);
            self.constants.len() - 1
        });
        self.program.mixing + at
    }

    /// A map of ones, brought once for each size.
    pub(super) fn ones(&mut self, size: FeatureMap) -> MapId {
        if let Some((_, map)) = self.ones.iter().find(|(known, _)| *known == size) {
            return *map;
        }
        let map = self.input(size);
        self.brought.push(Brought::Ones(size));
        self.ones.push((size, map));
        map
    }

    /// A map that a pass brings.
    pub(super) fn input(&mut self, size: FeatureMap) -> MapId {
        let map = self.map(size);
        self.program.inputs.push(map);
        map
    }

    pub(super) fn map(&mut self, size: FeatureMap) -> MapId {
        let FeatureMap { channels, height, width } = size;
        self.program.maps.push(Map { channels, height, width, statistics: false });
        self.program.maps.len() - 1
    }

    pub(super) fn whole(&self, map: MapId) -> Read {
        Read { map, first: 0, channels: self.program.maps[map].channels, norm: None, activation: Activation::None }
    }
}

/// The parts of a value as terms of a sum.
pub(super) fn terms(value: &Value, weight: Option<usize>, factor: Option<usize>) -> Vec<Term> {
    let place = |at: &mut usize, read: &Read| {
        let term = Term { read: *read, at: *at, spread: 1, weight, factor };
        *at += read.channels;
        Some(term)
    };
    value.iter().scan(0, place).collect()
}

/// Channels of a value.
pub(super) fn channels(value: &Value) -> usize {
    value.iter().map(|read| read.channels).sum()
}
