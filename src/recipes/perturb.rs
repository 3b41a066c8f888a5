//! The keys under `perturb`: what the weights' step sees in the place of the mixing weights.

use super::{COUNT, POSITIVE, never_reached};
use crate::{
    config::Fields,
    train::{MeanShift, Perturb, PerturbKind},
};

/// `perturb: {kind: random, radius: 0.3, from_epoch: 0}` (SDARTS-RS; the radius is that of
/// SmoothDARTS' code), or
/// `{kind: mean_shift, radius: 0.25, samples: 3, rounds: 2, bandwidth: 1, from_epoch: 0}` (the code
/// of MS-DARTS, whose alphas stay as they are in the first five epochs: `warmup_epochs: 5`).
/// Nothing is moved where the key is absent.
///
/// The alphas' step sees the mixing weights as they are. So in a single-level search a step has a
/// second pass for the alphas; a bilevel one has a pass for them in any case. `mean_shift` takes
/// `samples · rounds` forward passes more.
pub(super) fn perturb(fields: &mut Fields<'_>, epochs: usize) -> Option<Perturb> {
    fields.optional_map("perturb", |keys| {
        keys.required_node("kind");
        let kind = keys.choice("kind", "random", &["random", "mean_shift"].map(|name| (name, name)));
        let (kind, radius) = match kind {
            "mean_shift" => {
                let shift = MeanShift {
                    samples: keys.integer("samples", 3, 1.., COUNT),
                    rounds: keys.integer("rounds", 2, 1.., COUNT),
                    bandwidth: keys.number("bandwidth", 1.0, f64::MIN_POSITIVE.., POSITIVE),
                };
                (PerturbKind::MeanShift(shift), 0.25)
            }
            _ => (PerturbKind::Random, 0.3),
        };
        let radius = keys.number("radius", radius, f64::MIN_POSITIVE.., POSITIVE);
        let from_epoch = keys.integer("from_epoch", 0, 0.., "a whole number from 0");
        if from_epoch >= epochs {
            never_reached(keys, "from_epoch", from_epoch, epochs);
        }
        Perturb { kind, radius, from_epoch }
    })
}
