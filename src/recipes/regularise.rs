//! The keys under `regularise`: what is added to the objective of the alphas.

use super::NOT_NEGATIVE;
use crate::{config::Fields, model::Mixing, space::Space, train::Regulariser};

/// `regularise: {beta_decay: 0, zero_one: 0, multiply_adds: 0, order: 0}`, the weight of each term.
///
/// `multiply_adds` weighs what the network that the search stands for costs on average, as a share of
/// the supernet's; `order` weighs what lets the alphas of a lattice's maps fall along its ways. Results
/// are older than these two: off, they are not hashed.
///
/// `beta_decay` is at its full weight in the last epoch and 0 in the first, and stands in for the
/// decay of the alphas: use `alphas: {weight_decay: 0}` with it. β-DARTS has weights of 25 to 50,
/// as far as we remember. `zero_one` drives each weight of `mixing: sigmoid` to 0 or 1; FairDARTS
/// has 10, as far as we remember. With other mixings it is refused: what it drives is no weight
/// there.
pub(super) fn regularise(fields: &mut Fields<'_>, mixing: Mixing) -> Regulariser {
    fields.map("regularise", |keys| {
        let regulariser = Regulariser {
            beta_decay: keys.number("beta_decay", 0.0, 0.0.., NOT_NEGATIVE),
            zero_one: keys.number("zero_one", 0.0, 0.0.., NOT_NEGATIVE),
            multiply_adds: keys.number("multiply_adds", 0.0, 0.0.., NOT_NEGATIVE),
            order: keys.number("order", 0.0, -1e3..=1e3, "a number from -1000 to 1000"),
        };
        for (key, weight) in [("multiply_adds", regulariser.multiply_adds), ("order", regulariser.order)] {
            if weight == 0.0 {
                keys.exclude_from_hash(key);
            }
        }
        if regulariser.zero_one > 0.0 && mixing != Mixing::Sigmoid {
            let place = keys.origin_of("zero_one").clone();
            let message = "`zero_one` drives the sigmoid of each alpha to 0 or 1, which this `mixing` does not mix by";
            keys.problems().add_with_hint(&place, message, "set `mixing: sigmoid`, or leave `zero_one` out");
        }
        regulariser
    })
}

/// Whether `order` has maps of a way to put in order.
pub(super) fn check_order(fields: &mut Fields<'_>, order: f64, space: &Space) {
    if order != 0.0 && !space.mixes_all_maps() {
        let place = fields.origin_of("regularise").clone();
        let message =
            format!("`order` is for a lattice all of whose maps are mixed, and space `{}` has none", space.name);
        fields.problems().add_with_hint(&place, message, "leave `order` out");
    }
}
