//! How undecided an edge is.

/// The entropy of an edge's mixing weights in nats, `−Σ p ln p` of the weights divided by their
/// sum: `ln n` where `n` candidates weigh the same, 0 where one has all the weight. So it is
/// defined as well for weights that need not sum to 1, as those of a sigmoid; an edge without any
/// weight has 0.
pub fn entropy(weights: &[f32]) -> f64 {
    let sum: f64 = weights.iter().map(|&weight| f64::from(weight)).sum();
    let shares = weights.iter().map(|&weight| f64::from(weight) / sum).filter(|share| *share > 0.0);
    shares.map(|share| -share * share.ln()).sum::<f64>().max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_of_the_distribution_that_the_weights_are_multiples_of() {
        let near = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
        near(entropy(&[0.25; 4]), 4_f64.ln());
        near(entropy(&[0.5; 4]), 4_f64.ln());
        // A column that a narrow edge does not use weighs nothing.
        near(entropy(&[0.3, 0.3, 0.0]), 2_f64.ln());
        near(entropy(&[0.75, 0.25]), -(0.75 * 0.75_f64.ln() + 0.25 * 0.25_f64.ln()));
        near(entropy(&[0.0, 1.0]), 0.0);
        near(entropy(&[0.0, 0.0]), 0.0);
    }
}
