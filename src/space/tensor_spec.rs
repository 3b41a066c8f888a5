//! What a network holds: named tensors and what each is for.

/// A named tensor of a network.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorSpec {
    /// `cells.0._ops.3.op.1.weight`
    pub name: String,
    pub shape: Vec<usize>,
    pub role: TensorRole,
    /// What its first values are multiplied with.
    pub gain: f32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TensorRole {
    /// Learned; a convolution or linear weight with its fan-in (inputs of one output value).
    Weight { fan_in: usize },
    /// Learned; the bias of a convolution or linear layer with the fan-in of its weight.
    Bias { fan_in: usize },
    /// Learned; batch norm's scale, 1 at first.
    Scale,
    /// Learned; batch norm's shift, 0 at first.
    Shift,
    /// Not learned: batch norm's running mean, 0 at first.
    RunningMean,
    /// Not learned: batch norm's running variance, 1 at first.
    RunningVar,
}

/// What the tensor `part` of the layer is called that is called `label`.
pub fn tensor_name(label: &str, part: &str) -> String {
    if label.is_empty() { part.to_owned() } else { format!("{label}.{part}") }
}

impl TensorSpec {
    /// The tensor `part` of the layer that is called `label`.
    pub(super) fn new(label: &str, part: &str, shape: Vec<usize>, role: TensorRole) -> Self {
        let name = tensor_name(label, part);
        Self { name, shape, role, gain: 1.0 }
    }

    /// What the layer is called.
    pub(super) fn label(&self) -> &str {
        self.name.rsplit_once('.').map_or("", |(label, _)| label)
    }

    pub(super) fn elements(&self) -> u64 {
        self.shape.iter().fold(1, |product, &side| product.saturating_mul(side as u64))
    }
}

impl TensorRole {
    pub fn is_learned(self) -> bool {
        !matches!(self, Self::RunningMean | Self::RunningVar)
    }
}
