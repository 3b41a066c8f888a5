//! What networks do against what they cost.

use super::charted;
use crate::report::{Block, Chart, Marks, Series};

/// A network in the plane.
pub(super) struct Placed {
    /// Networks of one name have one colour.
    pub group: String,
    pub member: String,
    pub multiply_adds: u64,
    pub value: f64,
}

/// A point a network; nothing where all cost the same. `counted` says of what multiply-adds are:
/// `of an image`; `value` what the other axis has, with its unit.
pub(super) fn figure(networks: &[Placed], value: &str, counted: &str) -> Option<Block> {
    let costs = || networks.iter().map(|network| network.multiply_adds);
    let most = costs().max().filter(|most| costs().any(|cost| cost < *most))?;
    let (unit, scale) = if most >= 10_000_000_000 { ("G", 1e9) } else { ("M", 1e6) };
    let series = networks.iter().map(|Placed { group, member, multiply_adds, value }| Series {
        name: member.clone(),
        hue: group.clone(),
        stroke: String::new(),
        points: vec![(*multiply_adds as f64 / scale, *value)],
    });
    let chart = Chart {
        title: format!("{value} against cost"),
        marks: Marks::Dots,
        x_label: format!("multiply-adds {counted} ({unit})"),
        y_label: value.to_owned(),
        series: series.collect(),
    };
    let caption = format!("{value} against multiply-adds {counted}, a point a network");
    Some(charted(chart, caption))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(group: &str, multiply_adds: u64) -> Placed {
        Placed { group: group.to_owned(), member: format!("{group}[seed=0]"), multiply_adds, value: 28.5 }
    }

    #[test]
    fn networks_of_one_cost_are_no_trade_off() {
        assert_eq!(figure(&[placed("found", 5_000_000)], "PSNR (dB)", "of an image"), None);
        assert_eq!(figure(&[], "PSNR (dB)", "of an image"), None);
        let drawn = figure(&[placed("found", 5_000_000), placed("by hand", 7_500_000)], "PSNR (dB)", "of an image");
        let Some(Block::Figure(figure)) = drawn else { panic!("two costs are drawn") };
        assert_eq!(figure.series[1].points, [(7.5, 28.5)]);
        assert!(figure.svg.contains("multiply-adds of an image (M)"), "{}", figure.svg);
    }
}
