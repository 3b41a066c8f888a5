//! Numbers as a person reads them.

use crate::run::Measured;
use std::time::Duration;

/// `31 ms`, `0.4 s`, `41 s`, `3 min 12 s`, `2 h 05 min`, `3 d 04 h`.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 0.0995 {
        format!("{} ms", (seconds * 1e3).round())
    } else if seconds < 9.95 {
        format!("{seconds:.1} s")
    } else {
        whole(time)
    }
}

/// `3 min 12 s ago`; both are Unix times in seconds.
pub fn ago(then: u64, now: u64) -> String {
    match now.saturating_sub(then) {
        0 => "just now".to_owned(),
        seconds => format!("{} ago", duration(Duration::from_secs(seconds))),
    }
}

/// A duration that is only an estimate: its leading unit, `41 s`, `3 min`, `2 h 05 min`.
pub(super) fn estimate(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 60..3570 => format!("{} min", (seconds + 30) / 60),
        _ => whole(time),
    }
}

fn whole(time: Duration) -> String {
    let seconds = time.as_secs() + u64::from(time.subsec_millis() >= 500);
    let minutes = (seconds + 30) / 60;
    let hours = (minutes + 30) / 60;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ if minutes < 48 * 60 => format!("{} h {:02} min", minutes / 60, minutes % 60),
        _ => format!("{} d {:02} h", hours / 24, hours % 24),
    }
}

/// At most four significant digits and no trailing zeros: `0.6931`, `812`, `0.000025`, `1.5e-7`. A
/// whole number keeps all its digits.
pub fn number(value: f64) -> String {
    if !value.is_finite() {
        return if value.is_nan() { "NaN".to_owned() } else { format!("{value}") };
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    let size = value.abs();
    if !(1e-5..1e15).contains(&size) {
        let text = format!("{value:.3e}");
        let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
        return format!("{}e{power}", trimmed(digits));
    }
    // The power of the leading digit after rounding to four digits: 9.9996 counts as 10.
    let text = format!("{value:.3e}");
    let power: i32 = text.rsplit_once('e').and_then(|(_, power)| power.parse().ok()).unwrap_or(0);
    let decimals = usize::try_from(3 - power).unwrap_or(0);
    trimmed(&format!("{value:.decimals$}")).to_owned()
}

fn trimmed(digits: &str) -> &str {
    if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits }
}

/// `54.2 %`: what a running mean deserves.
pub fn percent(value: f64) -> String {
    if value.is_finite() { format!("{value:.1} %") } else { format!("{} %", number(value)) }
}

/// As [`percent`], in the unit of the measure: `12.3 °`.
pub(super) fn measured(measured: &Measured) -> String {
    let Measured { value, unit, .. } = *measured;
    let text = if value.is_finite() { format!("{value:.1}") } else { number(value) };
    format!("{text} {unit}").trim_end().to_owned()
}

/// As tests measure.
#[cfg(test)]
pub(super) fn accuracy(value: f64) -> Measured {
    Measured { name: "accuracy_percent", words: "accuracy", unit: "%", value }
}

/// Things a second, three significant digits: `0.83`, `12.5`, `812`, `10400`.
pub(super) fn rate(value: f64) -> String {
    match value {
        v if !v.is_finite() => number(v),
        v if v < 9.995 => format!("{v:.2}"),
        v if v < 99.95 => format!("{v:.1}"),
        v if v < 9999.5 => format!("{v:.0}"),
        v => format!("{:.0}", (v / 100.0).round() * 100.0),
    }
}

/// `512 bytes`, `34.0 kB`, `170 MB`, `1.21 GB`: three significant digits, powers of ten as disks
/// and providers count.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if count < 1000 {
        return format!("{count} byte{}", if count == 1 { "" } else { "s" });
    }
    let mut value = count as f64 / 1e3;
    let mut unit = 0;
    // What rounds to 1000 is 1 of the next.
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1e3;
        unit += 1;
    }
    format!("{} {}", rate(value), UNITS[unit])
}

/// `5.12 MB/s`
pub(super) fn byte_rate(per_second: f64) -> String {
    format!("{}/s", bytes(per_second.max(0.0) as u64))
}

/// A metric as name and value: the unit at the end of the name (`_percent`, `_ms`, `_seconds`,
/// `_bytes`) goes behind the value, dots and underscores become spaces.
pub(super) fn metric(name: &str, value: f64) -> String {
    const UNITS: [(&str, &str); 5] =
        [("_percent", " %"), ("_db", " dB"), ("_ms", " ms"), ("_seconds", " s"), ("_bytes", " bytes")];
    // What is written in small letters in names.
    let word = |word: &str| match word {
        "psnr" | "ssim" | "rgb" => word.to_uppercase(),
        word => word.to_owned(),
    };
    let words = |name: &str| name.split(['.', '_']).map(word).collect::<Vec<_>>().join(" ");
    for (ending, unit) in UNITS {
        if let Some(stem) = name.strip_suffix(ending) {
            let value = if unit == " %" && value.is_finite() { format!("{value:.2}") } else { number(value) };
            return format!("{} {value}{unit}", words(stem));
        }
    }
    format!("{} {}", words(name), number(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_say_them() {
        let says = |seconds: f64| duration(Duration::from_secs_f64(seconds));
        let read: Vec<_> = [0.0, 0.031, 0.0996, 0.44, 9.94, 9.97, 41.2, 59.6, 192.0, 3599.6, 7500.0, 7530.0, 273_600.0]
            .map(says)
            .into();
        assert_eq!(
            read.join("|"),
            "0 ms|31 ms|0.1 s|0.4 s|9.9 s|10 s|41 s|1 min 00 s|3 min 12 s|1 h 00 min|2 h 05 min|2 h 06 min|3 d 04 h"
        );
    }

    #[test]
    fn estimates_are_coarser() {
        let says = |seconds| estimate(Duration::from_secs(seconds));
        assert_eq!([0, 41, 89, 200, 3569, 3570, 3600, 7500].map(says).join("|"), {
            "0 s|41 s|1 min|3 min|59 min|59 min 30 s|1 h 00 min|2 h 05 min"
        });
    }

    #[test]
    fn numbers_keep_four_digits_and_no_noise() {
        let values = [0.0, 0.654_321, 9.9996, 812.0, 1_930_618.0, 0.000_025, 1.5e-7, -2.5, 100.0, f64::NAN];
        assert_eq!(values.map(number).join("|"), "0|0.6543|10|812|1930618|0.000025|1.5e-7|-2.5|100|NaN");
        assert_eq!([f64::INFINITY, f64::NEG_INFINITY, 1e300].map(number).join("|"), "inf|-inf|1e300");
        assert_eq!([0.834, 12.53, 812.4, 10_412.0].map(rate).join("|"), "0.83|12.5|812|10400");
    }

    #[test]
    fn bytes_have_three_digits_and_the_unit_that_fits() {
        let counts = [0, 1, 999, 1000, 12_345, 999_499, 999_500, 170_052_171, 1_210_000_000, u64::MAX];
        assert_eq!(
            counts.map(bytes).join("|"),
            "0 bytes|1 byte|999 bytes|1.00 kB|12.3 kB|999 kB|1.00 MB|170 MB|1.21 GB|18446700 TB"
        );
        assert_eq!(byte_rate(5_120_000.0), "5.12 MB/s");
    }

    #[test]
    fn a_metric_carries_its_unit_behind_the_value() {
        assert_eq!(metric("held_out.accuracy_percent", 54.234), "held out accuracy 54.23 %");
        assert_eq!(metric("loss", 1.234_56), "loss 1.235");
        assert_eq!(metric("held_out_psnr_y_db", 25.04), "held out PSNR y 25.04 dB");
        assert_eq!(metric("epoch_seconds", 41.5), "epoch 41.5 s");
    }
}
