//! A number as tables and charts have it.

use crate::observe::number;

/// `1,930,618`, `93.12`, `0.00` (never `-0.00`), `NaN`.
pub(super) fn decimal(value: f64, digits: usize) -> String {
    if !value.is_finite() {
        return number(value);
    }
    let text = format!("{value:.digits$}");
    let unsigned = text.trim_start_matches('-');
    let sign = if text.starts_with('-') && unsigned.bytes().any(|c| (b'1'..=b'9').contains(&c)) { "-" } else { "" };
    let (whole, rest) = unsigned.split_at(unsigned.find('.').unwrap_or(unsigned.len()));
    if whole.len() < 5 {
        return format!("{sign}{whole}{rest}");
    }
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{sign}{grouped}{rest}")
}
