//! Cross-entropy.

use burn::tensor::{Int, Tensor, activation};

/// Mean over the batch of `−Σ_k t_k log softmax(logits)_k`. The target `t` is 1 at the label; with
/// a label smoothing of `ε` it is `(1 − ε) + ε / classes` there and `ε / classes` elsewhere
/// (Szegedy et al., arXiv 1512.00567).
///
/// # Shapes
/// `[batch, classes]`, `[batch]` → `[1]`
pub fn cross_entropy(logits: Tensor<2>, labels: Tensor<1, Int>, smoothing: f64) -> Tensor<1> {
    let [batch, _] = logits.dims();
    let labels = labels.reshape([batch, 1]);
    // Labels that meet a tracked tensor must live where it lives.
    let labels = if logits.is_autodiff() { labels.autodiff() } else { labels };
    let log = activation::log_softmax(logits, 1);
    let of_label = log.clone().gather(1, labels).mean().neg();
    if smoothing == 0.0 {
        return of_label;
    }
    of_label.mul_scalar(1.0 - smoothing) + log.mean().neg().mul_scalar(smoothing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn cross_entropy_of_even_logits_is_log_classes() {
        let device = Device::flex();
        let logits = Tensor::<2>::zeros([3, 10], &device);
        let labels = Tensor::<1, Int>::from_ints([0, 4, 9], &device);
        let loss = cross_entropy(logits, labels, 0.0).into_scalar::<f32>();
        assert!((loss - 10_f32.ln()).abs() < 1e-6);
    }

    /// By hand: log softmax of (0, ln 3) is (−ln 4, ln 3 − ln 4).
    #[test]
    fn a_smoothed_label_shares_with_all_classes() {
        let logits = Tensor::<2>::from_floats([[0.0, 3_f32.ln()]], &Device::flex());
        let label = Tensor::<1, Int>::from_ints([1], &Device::flex());
        let loss = cross_entropy(logits, label, 0.1).into_scalar::<f32>();
        let (first, second) = (4_f32.ln(), 4_f32.ln() - 3_f32.ln());
        assert!((loss - (0.05 * first + 0.95 * second)).abs() < 1e-6, "{loss}");
    }
}
