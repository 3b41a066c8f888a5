//! The keys under `regularise`: what is added to the objective of the alphas.

use super::NOT_NEGATIVE;
use crate::{config::Fields, model::Mixing, train::Regulariser};

/// `regularise: {beta_decay: 0, zero_one: 0}`, the weight of each term.
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
        };
        if regulariser.zero_one > 0.0 && mixing != Mixing::Sigmoid {
            let place = keys.origin_of("zero_one").clone();
            let message = "`zero_one` drives the sigmoid of each alpha to 0 or 1, which this `mixing` does not mix by";
            keys.problems().add_with_hint(&place, message, "set `mixing: sigmoid`, or leave `zero_one` out");
        }
        regulariser
    })
}
