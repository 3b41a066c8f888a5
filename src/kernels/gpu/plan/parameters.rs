//! The last launches of the reverse pass: what norms' and mixing weights' gradients are added up from.

use super::Planner;
use super::gradients::Gradients;
use crate::gpu::launch::Launch;

impl Planner<'_> {
    pub(super) fn parameters(&mut self, gradients: &Gradients) {
        let mut records = Vec::new();
        for ((norm, channel), shares) in &gradients.norms {
            let norm = &self.program.norms[*norm];
            let parameter = |start: Option<usize>| start.map_or(0, |start| start + channel + 1);
            let (scale, shift) = (parameter(norm.scale), parameter(norm.shift));
            if scale + shift > 0 {
                let first = self.shares(shares);
                records.push([first, shares.len(), scale, shift]);
            }
        }
        if !records.is_empty() {
            self.launches.push(Launch::NormParameters { records: self.table.next(), channels: records.len() });
            records.iter().for_each(|record| self.table.push(record));
        }
        if !gradients.mixing.is_empty() {
            let records: Vec<[usize; 2]> =
                gradients.mixing.iter().map(|shares| [self.shares(shares), shares.len()]).collect();
            self.launches.push(Launch::MixingGradient { records: self.table.next(), weights: records.len() });
            records.iter().for_each(|record| self.table.push(record));
        }
    }

    fn shares(&mut self, shares: &[[usize; 2]]) -> usize {
        let first = self.table.next();
        shares.iter().for_each(|share| self.table.push(share));
        first
    }
}
