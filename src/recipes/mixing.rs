//! The keys of how alphas become mixing weights.

use super::POSITIVE;
use crate::{
    config::Fields,
    model::{Mixing, Mixings, WIDTHS},
    train::WidthPasses,
};

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
///
/// `mixing: {operations: sparsestmax, path: sparsestmax, width: gumbel, …}` has one for each level of a
/// search that has several, and their numbers beside them; widths are always drawn. A pass is taken at
/// the drawn widths, and others are added to it with `at_largest_width` and `at_smallest_width`.
pub(super) fn mixing(fields: &mut Fields<'_>) -> (Mixings, WidthPasses) {
    let by_level = fields.node("mixing").is_some_and(|node| node.as_map().is_some());
    if !by_level {
        let mixing = fields.choice("mixing", Mixing::Softmax, &NAMES);
        return (Mixings::Same(numbers(fields, mixing)), WidthPasses::default());
    }
    fields.map("mixing", |keys| {
        let operations = keys.choice("operations", Mixing::Softmax, &NAMES);
        let path = keys.choice("path", operations, &NAMES);
        let width = keys.choice("width", WIDTHS, &[("gumbel", WIDTHS)]);
        let [operations, path, width] = numbers_of(keys, [operations, path, width]);
        let also = WidthPasses {
            largest: keys.boolean("at_largest_width", true),
            smallest: keys.boolean("at_smallest_width", true),
        };
        (Mixings::ByLevel { operations, path, width }, also)
    })
}

const NAMES: [(&str, Mixing); 4] = [
    ("softmax", Mixing::Softmax),
    ("sigmoid", Mixing::Sigmoid),
    ("gumbel", Mixing::GUMBEL),
    ("sparsestmax", Mixing::SPARSESTMAX),
];

fn numbers(fields: &mut Fields<'_>, mixing: Mixing) -> Mixing {
    let [mixing] = numbers_of(fields, [mixing]);
    mixing
}

/// The numbers of these rules, those of one kind the same for all of it.
fn numbers_of<const N: usize>(fields: &mut Fields<'_>, mixings: [Mixing; N]) -> [Mixing; N] {
    // The first of a kind has the defaults.
    let gumbel = mixings.into_iter().find_map(|mixing| match mixing {
        Mixing::Gumbel { temperature, final_temperature } => Some([temperature, final_temperature]),
        _ => None,
    });
    let gumbel = gumbel.map(|[first, last]| Mixing::Gumbel {
        temperature: fields.number("temperature", first, f64::MIN_POSITIVE.., POSITIVE),
        final_temperature: fields.number("final_temperature", last, f64::MIN_POSITIVE.., POSITIVE),
    });
    let sparsestmax = mixings.into_iter().find_map(|mixing| match mixing {
        Mixing::Sparsestmax { radius, final_radius } => Some([radius, final_radius]),
        _ => None,
    });
    let sparsestmax = sparsestmax.map(|[first, last]| Mixing::Sparsestmax {
        radius: fields.number("radius", first, 0.0..=1.0, RADIUS),
        final_radius: fields.number("final_radius", last, 0.0..=1.0, RADIUS),
    });
    mixings.map(|mixing| match mixing {
        Mixing::Gumbel { .. } => gumbel.unwrap_or(mixing),
        Mixing::Sparsestmax { .. } => sparsestmax.unwrap_or(mixing),
        other => other,
    })
}
