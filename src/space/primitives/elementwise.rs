//! `identity`, `relu` and the other nonlinearities: layers of each value by itself, without tensors.

use super::{FeatureMap, Layer, LayerKind, Place, Primitive, SpaceError};
use crate::config::Fields;

#[derive(Debug)]
pub struct Elementwise(pub LayerKind);

/// A function of each value that is no ReLU.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Nonlinearity {
    Tanh,
    /// `1 / (1 + exp(−x))`
    Sigmoid,
    /// `x · sigmoid(x)` (also SiLU; Ramachandran et al., arXiv 1710.05941).
    Swish,
    /// `x · min(max(x + 3, 0), 6) / 6` (Howard et al., arXiv 1905.02244).
    HardSwish,
    /// `x · Φ(x)`, by the error function (Hendrycks and Gimpel, arXiv 1606.08415).
    Gelu,
    /// `x`, below 0 `slope · x` (Maas et al., 2013).
    LeakyRelu {
        slope: f64,
    },
}

pub fn leaky_relu(fields: &mut Fields<'_>) -> Nonlinearity {
    Nonlinearity::LeakyRelu { slope: fields.number("slope", 0.01, 0.0..=1.0, "a number from 0 to 1") }
}

impl Primitive for Elementwise {
    fn lower(&self, _: &Place<'_>, input: FeatureMap) -> Result<Layer, SpaceError> {
        Ok(Layer::plain(self.0.clone(), input, input))
    }
}
