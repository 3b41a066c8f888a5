//! What a network puts out, as files say it.

use crate::space::network::{FeatureMap, OutputSpec};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// Channels, height and width of each output, by name and in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputShapes(IndexMap<String, [usize; 3]>);

impl OutputShapes {
    /// `None` where the outputs are one row of numbers, which their count says.
    pub fn of(outputs: &[OutputSpec]) -> Option<Self> {
        let scores = outputs.first().map(|output| OutputSpec::scores(output.size.channels));
        let shape = |output: &OutputSpec| {
            let FeatureMap { channels, height, width } = output.size;
            (output.name.clone(), [channels, height, width])
        };
        (scores.as_deref() != Some(outputs)).then(|| Self(outputs.iter().map(shape).collect()))
    }

    /// What is asked of the network's heads.
    pub fn specs(&self) -> Vec<OutputSpec> {
        let spec = |(name, &[channels, height, width]): (&String, &[usize; 3])| OutputSpec {
            name: name.clone(),
            size: FeatureMap { channels, height, width },
        };
        self.0.iter().map(spec).collect()
    }
}
