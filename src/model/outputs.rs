//! What a network puts out.

use burn::tensor::Tensor;

/// The output of every network: its head's.
pub const OUTPUT: &str = "output";
/// The output of the auxiliary head, where a network has one and trains.
pub const AUXILIARY: &str = "auxiliary";

/// Maps by name, in the order of the network: `[batch, channels, height, width]` each.
#[derive(Debug, Clone)]
pub struct Outputs(Vec<(&'static str, Tensor<4>)>);

/// What a pass gives.
pub struct Passed {
    pub outputs: Outputs,
    /// The running statistics after the pass, `[layout.len()]`: those that came in, in evaluation.
    pub running: Tensor<1>,
}

impl Outputs {
    pub fn new(outputs: impl IntoIterator<Item = (&'static str, Tensor<4>)>) -> Self {
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

    /// Out of the graph of a backward pass.
    #[must_use]
    pub fn inner(self) -> Self {
        Self(self.0.into_iter().map(|(name, output)| (name, output.inner())).collect())
    }
}
