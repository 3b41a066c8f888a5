//! The last launches of the reverse pass: what norms' and mixing weights' gradients are added up
//! from.

use super::Planner;
use super::gradients::Gradients;
use crate::gpu::kernel::parameters::{MixingGradient, NormChannel, NormParameters};

impl Planner<'_> {
    pub(super) fn parameters(&mut self, gradients: &Gradients) {
        let mut channels = Vec::new();
        for (&(norm, channel), shares) in &gradients.norms {
            let norm = &self.program.norms[norm];
            let [scale, shift] = [norm.scale, norm.shift].map(|start| start.map(|start| start + channel));
            if scale.is_some() || shift.is_some() {
                let shares = self.table.put(shares.iter().copied());
                channels.push(NormChannel { shares, scale, shift });
            }
        }
        if !channels.is_empty() {
            let channels = self.table.put(channels);
            self.launch(NormParameters { channels });
        }
        if !gradients.mixing.is_empty() {
            let weights: Vec<_> =
                gradients.mixing.iter().map(|shares| self.table.put(shares.iter().copied())).collect();
            let weights = self.table.put(weights);
            self.launch(MixingGradient { weights });
        }
    }
}
