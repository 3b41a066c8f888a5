//! What a network puts out.

use burn::tensor::Tensor;

pub use crate::space::network::{AUXILIARY, OUTPUT, OutputSpec};

/// Maps by name, heads' first: `[batch, channels, height, width]` each. A training pass has that of the
/// auxiliary head too, where a network has one.
#[derive(Debug, Clone)]
pub struct Outputs(Vec<(String, Tensor<4>)>);

/// What a pass gives.
pub struct Passed {
    pub outputs: Outputs,
    /// The running statistics after the pass, `[layout.len()]`: those that came in, in evaluation.
    pub running: Tensor<1>,
}

impl Outputs {
    pub fn new(outputs: impl IntoIterator<Item = (String, Tensor<4>)>) -> Self {
        Self(outputs.into_iter().collect())
    }

    pub fn get(&self, name: &str) -> Option<&Tensor<4>> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, output)| output)
    }

    /// The output called `name`, the numbers of each example in a row: `[batch, numbers]`.
    pub fn scores(&self, name: &str) -> Tensor<2> {
        let output = self.get(name).unwrap_or_else(|| unreachable!("a network has the outputs that it names: {name}"));
        let [batch, channels, height, width] = output.dims();
        output.clone().reshape([batch, channels * height * width])
    }

    /// Each with its name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor<4>)> {
        self.0.iter().map(|(name, output)| (name.as_str(), output))
    }

    /// Out of the graph of a backward pass.
    #[must_use]
    pub fn inner(self) -> Self {
        Self(self.0.into_iter().map(|(name, output)| (name, output.inner())).collect())
    }
}
