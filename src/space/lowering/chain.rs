//! Lowering of one chain of steps.

use crate::space::SpaceError;
use crate::space::language::labels::join;
use crate::space::language::step::{ConvStep, Filters, Phase, PoolStep, Primitive, Step, Steps};
use crate::space::language::width::Width;
use crate::space::network::{Chain, Conv, FeatureMap, Layer, LayerKind, Pool};
use std::cell::Cell;

/// Bounds of what can be asked for; they keep products from overflowing.
pub const MOST_CHANNELS: usize = 1 << 14;

/// Lowers chains for one network.
#[derive(Debug)]
pub(super) struct Chains {
    pub phase: Phase,
    pub classes: usize,
    /// Layers of noise so far.
    noises: Cell<usize>,
}

/// What is the same for all steps of a chain.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// What `C` stands for.
    channels: usize,
    /// Stride of the edge, 1 elsewhere.
    stride: usize,
}

impl Chains {
    pub fn new(phase: Phase, classes: usize) -> Self {
        Self { phase, classes, noises: Cell::new(0) }
    }

    /// The chain under `prefix`, read where C is `channels` and the edge has `stride`, and the map
    /// that it ends in.
    pub fn lower(
        &self,
        steps: &Steps,
        prefix: &str,
        channels: usize,
        stride: usize,
        input: FeatureMap,
    ) -> Result<(Chain, FeatureMap), SpaceError> {
        let mut layers = Vec::with_capacity(steps.steps.len());
        let output = self.chain(steps, prefix, Place { channels, stride }, input, &mut layers)?;
        Ok((Chain { layers }, output))
    }

    fn chain(
        &self,
        steps: &Steps,
        prefix: &str,
        place: Place,
        input: FeatureMap,
        layers: &mut Vec<Layer>,
    ) -> Result<FeatureMap, SpaceError> {
        let base = join(prefix, &steps.label);
        let mut map = input;
        for (position, step) in steps.steps.iter().enumerate() {
            if !step.when.holds(self.phase) {
                continue;
            }
            map = self.step(step, position, &base, place, map, layers)?;
        }
        Ok(map)
    }

    fn step(
        &self,
        step: &Step,
        position: usize,
        base: &str,
        place: Place,
        input: FeatureMap,
        layers: &mut Vec<Layer>,
    ) -> Result<FeatureMap, SpaceError> {
        // Most layers have no tensors, and need a name only to complain.
        let name = || match &step.label {
            Some(label) => join(base, label),
            None => join(base, &position.to_string()),
        };
        let mut label = String::new();
        let (kind, output) = match &step.primitive {
            Primitive::Chain(steps) => return self.chain(steps, &name(), place, input, layers),
            Primitive::Identity => (LayerKind::Identity, input),
            Primitive::Relu => (LayerKind::Relu, input),
            Primitive::GlobalAvgPool => (LayerKind::GlobalAvgPool, FeatureMap { height: 1, width: 1, ..input }),
            Primitive::Linear => {
                label = name();
                (LayerKind::Linear, FeatureMap { channels: self.classes, height: 1, width: 1 })
            }
            Primitive::Zero { stride } => {
                let stride = stride.on(place.stride);
                (LayerKind::Zero { stride }, strided(input, stride))
            }
            Primitive::Noise { stride } => {
                let number = self.noises.get();
                self.noises.set(number + 1);
                (LayerKind::Noise { number }, strided(input, stride.on(place.stride)))
            }
            Primitive::BatchNorm { affine } => {
                label = name();
                (LayerKind::BatchNorm { affine: affine.holds(self.phase) }, input)
            }
            Primitive::MaxPool(pool) => {
                let pool = lower_pool(*pool, place.stride);
                (LayerKind::MaxPool(pool), pooled(pool, input, name)?)
            }
            Primitive::AvgPool(pool) => {
                let pool = lower_pool(*pool, place.stride);
                (LayerKind::AvgPool(pool), pooled(pool, input, name)?)
            }
            Primitive::Conv(conv) => {
                label = name();
                self.conv(conv, place, input, &label)?
            }
            Primitive::FactorizedReduce { labels: [first, second], out } => {
                let channels = resolve(*out, place.channels, name)?;
                if input.height % 2 == 1 || input.width % 2 == 1 {
                    let (height, width) = (input.height, input.width);
                    return Err(SpaceError::OddSides { place: base.to_owned(), height, width });
                }
                if channels < 2 {
                    let width = format!("{out}/2");
                    return Err(SpaceError::Width { place: base.to_owned(), width, channels: place.channels });
                }
                let kind = LayerKind::FactorizedReduce { first: join(base, first), second: join(base, second) };
                (kind, FeatureMap { channels, height: input.height / 2, width: input.width / 2 })
            }
            Primitive::Sum(branches) => {
                let (chains, maps) = self.branches(branches, base, place, input)?;
                let first = maps[0];
                if let Some(&other) = maps.iter().find(|map| **map != first) {
                    return Err(SpaceError::Branches { place: name(), first, other });
                }
                (LayerKind::Sum(chains), first)
            }
            Primitive::Concat(branches) => {
                let (chains, maps) = self.branches(branches, base, place, input)?;
                let first = maps[0];
                let sides = |map: &FeatureMap| (map.height, map.width);
                if let Some(&other) = maps.iter().find(|map| sides(map) != sides(&first)) {
                    return Err(SpaceError::Branches { place: name(), first, other });
                }
                let channels = maps.iter().map(|map| map.channels).sum();
                (LayerKind::Concat(chains), FeatureMap { channels, ..first })
            }
        };
        layers.push(Layer { label, kind, input, output });
        Ok(output)
    }

    /// Branches add nothing to a name but their own labels.
    fn branches(
        &self,
        branches: &[Steps],
        base: &str,
        place: Place,
        input: FeatureMap,
    ) -> Result<(Vec<Chain>, Vec<FeatureMap>), SpaceError> {
        let lower = |branch| self.lower(branch, base, place.channels, place.stride, input);
        let lowered = branches.iter().map(lower).collect::<Result<Vec<_>, _>>()?;
        Ok(lowered.into_iter().unzip())
    }

    fn conv(
        &self,
        step: &ConvStep,
        place: Place,
        input: FeatureMap,
        label: &str,
    ) -> Result<(LayerKind, FeatureMap), SpaceError> {
        let (groups, channels) = match step.filters {
            Filters::Depthwise => (input.channels, input.channels),
            Filters::Groups { groups, out } => (groups, resolve(out, place.channels, || label.to_owned())?),
        };
        if !input.channels.is_multiple_of(groups) || !channels.is_multiple_of(groups) {
            let (input, output) = (input.channels, channels);
            return Err(SpaceError::Groups { place: label.to_owned(), groups, input, output });
        }
        let conv = Conv {
            kernel: step.kernel,
            stride: step.stride.map(|stride| stride.on(place.stride)),
            padding: step.padding,
            dilation: step.dilation,
            groups,
            bias: step.bias.holds(self.phase),
        };
        let window = [0, 1].map(|axis| conv.dilation[axis] * (conv.kernel[axis] - 1) + 1);
        let map = slid(window, conv.stride, conv.padding, input, || label.to_owned())?;
        Ok((LayerKind::Conv(conv), FeatureMap { channels, ..map }))
    }
}

/// Every `stride`th pixel of both axes.
fn strided(input: FeatureMap, stride: usize) -> FeatureMap {
    FeatureMap { height: input.height.div_ceil(stride), width: input.width.div_ceil(stride), ..input }
}

fn resolve(width: Width, channels: usize, place: impl FnOnce() -> String) -> Result<usize, SpaceError> {
    let error = move || SpaceError::Width { place: place(), width: width.to_string(), channels };
    width.resolve(channels).filter(|width| *width <= MOST_CHANNELS).ok_or_else(error)
}

fn lower_pool(step: PoolStep, stride: usize) -> Pool {
    Pool { kernel: step.kernel, stride: step.stride.on(stride), padding: step.padding }
}

fn pooled(pool: Pool, input: FeatureMap, place: impl FnOnce() -> String) -> Result<FeatureMap, SpaceError> {
    slid([pool.kernel; 2], [pool.stride; 2], [pool.padding; 2], input, place)
}

/// The map of a window that slides: `floor((side + 2 * padding - window) / stride) + 1` on each
/// axis.
fn slid(
    window: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    input: FeatureMap,
    place: impl FnOnce() -> String,
) -> Result<FeatureMap, SpaceError> {
    let side = |axis: usize, side: usize| {
        let room = (side + 2 * padding[axis]).checked_sub(window[axis])?;
        Some(room / stride[axis] + 1)
    };
    match (side(0, input.height), side(1, input.width)) {
        (Some(height), Some(width)) => Ok(FeatureMap { height, width, ..input }),
        _ => Err(SpaceError::TooSmall { place: place(), window, height: input.height, width: input.width }),
    }
}
