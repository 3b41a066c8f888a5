//! The primitives of which operations, stems and heads are made, a file each or a family.
//!
//! A primitive's file says what its keys are, what it does to a feature map, and which layer it
//! becomes, with its tensors. What a layer computes is for engines to say (`model`, `interop::onnx`).

mod affine;
mod batch_norm;
mod branches;
mod conv;
mod elementwise;
mod factorized_reduce;
mod linear;
mod narrowed;
mod noise;
pub(super) mod options;
mod pixel_shuffle;
pub(super) mod place;
mod pool;
mod resized;
pub(super) mod steps;
mod upsample;
mod zero;

pub use conv::Conv;
pub use elementwise::Nonlinearity;
pub use pool::{Padding, Pool};

use super::feature_map::FeatureMap;
use super::language::width::Width;
use super::lowering::error::SpaceError;
use super::tensor_spec::TensorSpec;
use crate::config::Fields;
use options::{Phase, Role};
use place::Place;
use std::{fmt, sync::Arc};
use steps::Steps;

/// A primitive as a space's file has it, with its options.
pub(super) trait Primitive: fmt::Debug + Send + Sync {
    /// What it does to a map on an edge of stride `edge`; nothing, unless it says so. A sentence
    /// where its branches do not go together.
    fn effect(&self, before: Effect, _edge: usize, _phase: Phase) -> Result<Effect, String> {
        Ok(before)
    }

    /// The layer that it becomes.
    fn lower(&self, place: &Place<'_>, input: FeatureMap) -> Result<Layer, SpaceError>;
}

/// Every primitive's name, and what reads it.
const PRIMITIVES: &[(&str, Reader)] = &[
    ("identity", Reader::Options(|_, _| Arc::new(elementwise::Elementwise(LayerKind::Identity)))),
    ("zero", Reader::Options(|fields, role| Arc::new(zero::Zero::read(fields, role)))),
    ("noise", Reader::Options(|fields, role| Arc::new(noise::Noise::read(fields, role)))),
    ("relu", Reader::Options(|_, _| Arc::new(elementwise::Elementwise(LayerKind::Relu)))),
    ("tanh", Reader::Options(|_, _| nonlinearity(Nonlinearity::Tanh))),
    ("sigmoid", Reader::Options(|_, _| nonlinearity(Nonlinearity::Sigmoid))),
    ("swish", Reader::Options(|_, _| nonlinearity(Nonlinearity::Swish))),
    ("hard_swish", Reader::Options(|_, _| nonlinearity(Nonlinearity::HardSwish))),
    ("gelu", Reader::Options(|_, _| nonlinearity(Nonlinearity::Gelu))),
    ("leaky_relu", Reader::Options(|fields, _| nonlinearity(elementwise::leaky_relu(fields)))),
    ("affine", Reader::Options(|fields, _| Arc::new(affine::Affine::read(fields)))),
    ("conv", Reader::Options(|fields, role| Arc::new(conv::WrittenConv::read(fields, role)))),
    ("depthwise", Reader::Options(|fields, role| Arc::new(conv::WrittenConv::read_depthwise(fields, role)))),
    ("pointwise", Reader::Options(|fields, role| Arc::new(conv::WrittenConv::read_pointwise(fields, role)))),
    ("batch_norm", Reader::Options(|fields, _| Arc::new(batch_norm::BatchNorm::read(fields)))),
    ("max_pool", Reader::Options(|fields, role| Arc::new(pool::WrittenPool::read(LayerKind::MaxPool, fields, role)))),
    ("avg_pool", Reader::Options(|fields, role| Arc::new(pool::WrittenPool::read(LayerKind::AvgPool, fields, role)))),
    ("factorized_reduce", Reader::Options(|fields, _| Arc::new(factorized_reduce::FactorizedReduce::read(fields)))),
    ("global_avg_pool", Reader::Options(|_, _| Arc::new(pool::GlobalAvgPool))),
    ("pixel_shuffle", Reader::Options(|fields, _| Arc::new(pixel_shuffle::PixelShuffle::read(fields)))),
    ("upsample", Reader::Options(|fields, _| Arc::new(upsample::Upsample::read(fields)))),
    ("linear", Reader::Options(|fields, _| Arc::new(linear::Linear::read(fields)))),
    ("sum", Reader::Branches(|branches| Arc::new(branches::Sum(branches)))),
    ("concat", Reader::Branches(|branches| Arc::new(branches::Concat(branches)))),
];

/// Those that turn a feature map into something else, and stand in heads only.
const OF_HEADS: &[&str] = &["linear", "global_avg_pool", "pixel_shuffle"];

/// The names of all, and whether each stands in heads only.
pub fn names() -> impl Iterator<Item = (&'static str, bool)> {
    PRIMITIVES.iter().map(|&(name, _)| (name, OF_HEADS.contains(&name)))
}

fn nonlinearity(function: Nonlinearity) -> Arc<dyn Primitive> {
    Arc::new(elementwise::Elementwise(LayerKind::Nonlinearity(function)))
}

#[derive(Clone, Copy)]
enum Reader {
    /// Of a map of options.
    Options(fn(&mut Fields<'_>, Role) -> Arc<dyn Primitive>),
    /// Of a list of chains.
    Branches(fn(Vec<Steps>) -> Arc<dyn Primitive>),
}

/// What a chain does to a feature map of width `C`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Effect {
    pub width: Width,
    /// By how much each side is divided.
    pub shrink: [usize; 2],
}

impl Effect {
    pub const NONE: Self = Self { width: Width::CELL, shrink: [1, 1] };

    fn shrunk(self, by: [usize; 2]) -> Self {
        let [height, width] = self.shrink;
        Self { shrink: [height.saturating_mul(by[0]), width.saturating_mul(by[1])], ..self }
    }
}

/// Layers in sequence; an empty chain is the identity.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Chain {
    pub layers: Vec<Layer>,
}

impl Chain {
    /// Every layer, those inside sums and concatenations included.
    pub(super) fn layers<'a>(&'a self, visit: &mut dyn FnMut(&'a Layer)) {
        for layer in &self.layers {
            match &layer.kind {
                LayerKind::Sum(chains) | LayerKind::Concat(chains) => {
                    chains.iter().for_each(|chain| chain.layers(visit));
                }
                _ => visit(layer),
            }
        }
    }
}

/// One primitive at one place.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Prefix of its tensors' names, without the final `.weight`: `cells.0._ops.3.op.1`. Empty
    /// where the layer has no tensors.
    pub label: String,
    pub kind: LayerKind,
    pub input: FeatureMap,
    pub output: FeatureMap,
    /// What it holds itself, in the order of files; not what layers inside it hold.
    pub tensors: Vec<TensorSpec>,
}

impl Layer {
    /// A layer that holds nothing.
    pub(super) fn plain(kind: LayerKind, input: FeatureMap, output: FeatureMap) -> Self {
        Self { label: String::new(), kind, input, output, tensors: Vec::new() }
    }
}

/// What a layer computes.
#[derive(Debug, Clone, PartialEq)]
pub enum LayerKind {
    Identity,
    /// Zeros of the output's shape.
    Zero {
        stride: usize,
    },
    /// Standard normal numbers of the output's shape, drawn anew in every pass; the input does not
    /// matter.
    Noise {
        /// Tells the network's layers of noise apart.
        number: usize,
        stride: usize,
    },
    Relu,
    Nonlinearity(Nonlinearity),
    /// Any convolution. Depthwise where `groups` equals both widths, pointwise where the kernel is
    /// 1x1.
    Conv(Conv),
    /// Two 1x1 convolutions of stride 2 on the input and on the input shifted by one pixel in both
    /// axes, concatenated; the second takes the odd channel. `first` and `second` are whole
    /// prefixes, as `label` is elsewhere.
    FactorizedReduce {
        first: String,
        second: String,
    },
    BatchNorm {
        affine: bool,
    },
    MaxPool(Pool),
    /// The padding is not counted.
    AvgPool(Pool),
    /// `[n, c, h, w]` → `[n, c, 1, 1]`
    GlobalAvgPool,
    /// `[n, c, h, w]` → `[n, c / by², h · by, w · by]`: of the channels of one that comes out, the first
    /// `by` are the pixels of its first row.
    PixelShuffle {
        by: usize,
    },
    /// `[n, c, h, w]` → `[n, c, h · by, w · by]`, each pixel a square of equal ones.
    Upsample {
        by: usize,
    },
    /// `scale · x + shift`
    Affine {
        scale: f64,
        shift: f64,
    },
    /// Reads `[n, c, h, w]` flattened.
    Linear,
    /// Sum of chains that read the same input.
    Sum(Vec<Chain>),
    /// Channel concatenation of chains that read the same input.
    Concat(Vec<Chain>),
}
