//! The keys of how alphas become mixing weights.

use super::POSITIVE;
use crate::{config::Fields, model::Mixing};

const RADIUS: &str = "a number from 0 to 1";

/// `mixing: softmax` or `sigmoid`; `gumbel` with `temperature` and `final_temperature` (GDAS' 10
/// and 0.1), along a line over the epochs; `sparsestmax` with `radius` and `final_radius` (SSN's 0
/// and 1), along a line over the steps. A key of another mixing is unknown here.
///
/// A search with `gumbel` draws one candidate an edge for each pass; it is evaluated with the
/// likeliest, and cells are derived from the softmax of the alphas. With `sparsestmax` a cell is
/// derived from its weights: with a final radius of 1 one is left on each edge, so that a rule
/// which compares edges finds them equal and takes the first. Leave `final_radius` below 1 in a
/// space with such a rule.
pub(super) fn mixing(fields: &mut Fields<'_>) -> Mixing {
    let names = [
        ("softmax", Mixing::Softmax),
        ("sigmoid", Mixing::Sigmoid),
        ("gumbel", Mixing::GUMBEL),
        ("sparsestmax", Mixing::SPARSESTMAX),
    ];
    match fields.choice("mixing", Mixing::Softmax, &names) {
        Mixing::Gumbel { temperature, final_temperature } => Mixing::Gumbel {
            temperature: fields.number("temperature", temperature, f64::MIN_POSITIVE.., POSITIVE),
            final_temperature: fields.number("final_temperature", final_temperature, f64::MIN_POSITIVE.., POSITIVE),
        },
        Mixing::Sparsestmax { radius, final_radius } => Mixing::Sparsestmax {
            radius: fields.number("radius", radius, 0.0..=1.0, RADIUS),
            final_radius: fields.number("final_radius", final_radius, 0.0..=1.0, RADIUS),
        },
        other => other,
    }
}
