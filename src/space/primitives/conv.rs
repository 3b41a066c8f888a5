//! `conv`, `depthwise` and `pointwise`: convolutions.

use super::options::{LARGEST_KERNEL, Role, Stride, When, read_flag, read_padding, read_pair, slid};
use super::{Effect, FeatureMap, Layer, LayerKind, Phase, Place, Primitive, SpaceError};
use crate::config::Fields;
use crate::space::language::width::Width;
use crate::space::tensor_spec::{TensorRole, TensorSpec};

/// Pairs are height and width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv {
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    pub padding: [usize; 2],
    pub dilation: [usize; 2],
    pub groups: usize,
    pub bias: bool,
    /// Its output's width, where that is said in terms of the node's which its edge leads to.
    pub follows: Option<Width>,
}

impl Conv {
    /// Pixels that a filter spans.
    pub(super) fn window(&self) -> [usize; 2] {
        [0, 1].map(|axis| self.dilation[axis] * (self.kernel[axis] - 1) + 1)
    }
}

/// A convolution as written.
#[derive(Debug)]
pub struct WrittenConv {
    kernel: [usize; 2],
    stride: [Stride; 2],
    padding: [usize; 2],
    dilation: [usize; 2],
    filters: Filters,
    bias: When,
}

#[derive(Debug, Clone, Copy)]
enum Filters {
    /// One a channel.
    Depthwise,
    Groups {
        groups: usize,
        out: Width,
    },
}

impl WrittenConv {
    pub fn read(fields: &mut Fields<'_>, role: Role) -> Self {
        Self::read_window(fields, role, |fields| {
            let groups = fields.integer("groups", 1, 1.., "a whole number from 1");
            Filters::Groups { groups, out: Width::read(fields, "out", Width::CELL) }
        })
    }

    pub fn read_depthwise(fields: &mut Fields<'_>, role: Role) -> Self {
        Self::read_window(fields, role, |_| Filters::Depthwise)
    }

    pub fn read_pointwise(fields: &mut Fields<'_>, role: Role) -> Self {
        let filters = Filters::Groups { groups: 1, out: Width::read(fields, "out", Width::CELL) };
        Self::read_rest(fields, role, [1, 1], [0, 0], [1, 1], filters)
    }

    fn read_window(fields: &mut Fields<'_>, role: Role, filters: impl FnOnce(&mut Fields<'_>) -> Filters) -> Self {
        let kernel = read_pair(fields, "kernel", None, 1, LARGEST_KERNEL);
        let dilation = read_pair(fields, "dilation", Some([1, 1]), 1, LARGEST_KERNEL);
        let padding = read_padding(fields, [0, 1].map(|axis: usize| dilation[axis] * (kernel[axis] - 1)));
        let filters = filters(fields);
        Self::read_rest(fields, role, kernel, padding, dilation, filters)
    }

    fn read_rest(
        fields: &mut Fields<'_>,
        role: Role,
        kernel: [usize; 2],
        padding: [usize; 2],
        dilation: [usize; 2],
        filters: Filters,
    ) -> Self {
        let stride = Stride::read_pair(fields, role);
        Self { kernel, stride, padding, dilation, filters, bias: read_flag(fields, "bias", When::Never) }
    }
}

impl Primitive for WrittenConv {
    fn effect(&self, before: Effect, edge: usize, _: Phase) -> Result<Effect, String> {
        let width = match self.filters {
            Filters::Depthwise => before.width,
            Filters::Groups { out, .. } => out.of_equal(),
        };
        Ok(Effect { width, ..before.shrunk(self.stride.map(|stride| stride.on(edge))) })
    }

    fn lower(&self, place: &Place<'_>, input: FeatureMap) -> Result<Layer, SpaceError> {
        let label = place.name();
        let (groups, channels) = match self.filters {
            Filters::Depthwise => (input.channels, input.channels),
            Filters::Groups { groups, out } => (groups, place.channels_of(out)?),
        };
        if !input.channels.is_multiple_of(groups) || !channels.is_multiple_of(groups) {
            return Err(SpaceError::Groups { place: label, groups, input: input.channels, output: channels });
        }
        let Self { kernel, padding, dilation, .. } = *self;
        let stride = self.stride.map(|stride| stride.on(place.stride));
        let bias = place.has(self.bias);
        let follows = match self.filters {
            Filters::Groups { out: out @ Width::Times { .. }, .. } => Some(out),
            Filters::Groups { .. } | Filters::Depthwise => None,
        };
        let conv = Conv { kernel, stride, padding, dilation, groups, bias, follows };
        let output = FeatureMap { channels, ..slid(conv.window(), stride, padding, input, || place.name())? };
        let [height, width] = kernel;
        let fan_in = input.channels / groups * height * width;
        let shape = vec![channels, input.channels / groups, height, width];
        let mut tensors = vec![TensorSpec::new(&label, "weight", shape, TensorRole::Weight { fan_in })];
        if bias {
            tensors.push(TensorSpec::new(&label, "bias", vec![channels], TensorRole::Bias { fan_in }));
        }
        Ok(Layer { label, kind: LayerKind::Conv(conv), input, output, tensors })
    }
}
