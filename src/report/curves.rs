//! Charts as SVG: lines over epochs, points in a plane.
//!
//! Written here rather than with `plotters`: its SVG has fixed colours (no dark ground), and it
//! draws a line through a gap.

use super::svg::{Anchor, Face, PALETTE, Svg, Type};
use indexmap::IndexSet;
use serde::Serialize;

/// A chart of several series.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    pub title: String,
    pub marks: Marks,
    pub x_label: String,
    /// With its unit: `accuracy (%)`.
    pub y_label: String,
    pub series: Vec<Series>,
}

/// How the points of a series are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marks {
    /// By a line through them.
    Line,
    /// Each by itself.
    Dots,
}

/// A line, or some points. Where a coordinate is not finite, the line has a gap.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Series {
    /// Of this line alone: `softmax, seed 0, held out`.
    pub name: String,
    /// Lines of one hue have their colour and their word in the legend in common: `softmax`,
    /// whatever the seed.
    #[serde(skip)]
    pub hue: String,
    /// Lines of one stroke are dashed alike: `fitted`, `held out`. Empty where the chart has but
    /// one.
    #[serde(skip)]
    pub stroke: String,
    pub points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 640.0;
const PLOT_HEIGHT: f64 = 260.0;
const MARGIN: f64 = 16.0;
const TITLE: Type = Type::new(15.0, Face::Bold, Anchor::Start);
const LABEL: Type = Type::new(12.0, Face::Sans, Anchor::Middle).soft();
const TICK_X: Type = Type::new(11.5, Face::Sans, Anchor::Middle).soft();
const TICK_Y: Type = Type::new(11.5, Face::Sans, Anchor::End).soft();
const LEGEND: Type = Type::new(12.0, Face::Sans, Anchor::Start);
const LEGEND_ROW: f64 = 20.0;
/// Radius of a point.
const DOT: f64 = 3.5;
/// Beyond this an axis could not be computed; such a number is as good as infinite.
const LIMIT: f64 = 1e300;
const DASHES: [&str; 3] = ["", "6 5", "1 5"];
/// Of a line in the legend that stands for lines of all colours; seen on white and on black.
const ANY_HUE: &str = "#7d8590";

/// The chart, 640 wide and as high as its legend needs. Without a single finite point it says
/// `no data`.
pub fn draw(chart: &Chart) -> String {
    let finite = |point: &&(f64, f64)| point.0.abs() < LIMIT && point.1.abs() < LIMIT;
    let points: Vec<(f64, f64)> =
        chart.series.iter().flat_map(|series| series.points.iter().filter(finite).copied()).collect();
    let whole = points.iter().all(|(x, _)| x.fract() == 0.0);
    let x_axis = Axis::of(points.iter().map(|point| point.0), if whole { Grain::Whole } else { Grain::Any }, 8);
    let x_axis = if chart.marks == Marks::Dots { x_axis.rounded() } else { x_axis };
    let y_axis = Axis::of(points.iter().map(|point| point.1), Grain::Any, 6).rounded();

    let pens = Pens::of(&chart.series);
    let legend = legend(pens.words());
    let rows = legend.last().map_or(0, |entry| entry.row + 1);
    let tick_width = y_axis.ticks.iter().map(|(_, text)| TICK_Y.width(text)).fold(0.0, f64::max);
    // The last tick's label reaches half its width beyond the axis.
    let last_tick = x_axis.ticks.last().map_or(0.0, |(_, text)| TICK_X.width(text));
    let (left, right) = (MARGIN + 22.0 + tick_width + 8.0, WIDTH - (MARGIN + 8.0).max(last_tick / 2.0 + 2.0));
    let top = MARGIN + 42.0 + rows as f64 * LEGEND_ROW;
    let bottom = top + PLOT_HEIGHT;
    let x = |value: f64| left + x_axis.fraction(value) * (right - left);
    let y = |value: f64| bottom - y_axis.fraction(value) * PLOT_HEIGHT;

    let mut svg = Svg::new(WIDTH, bottom + 54.0);
    svg.text(MARGIN, MARGIN + 7.0, TITLE, &TITLE.fitted(&chart.title, WIDTH - 2.0 * MARGIN));
    for entry in &legend {
        let level = MARGIN + 36.0 + entry.row as f64 * LEGEND_ROW;
        let Pen { colour, dash } = entry.pen;
        match chart.marks {
            Marks::Line => svg.curve(&[(MARGIN + entry.x, level), (MARGIN + entry.x + 22.0, level)], colour, dash),
            Marks::Dots => svg.dot(MARGIN + entry.x + 11.0, level, DOT, colour),
        }
        svg.text(MARGIN + entry.x + 30.0, level, LEGEND, &entry.name);
    }
    for (value, text) in &y_axis.ticks {
        svg.rule((left, y(*value)), (right, y(*value)), false);
        svg.text(left - 8.0, y(*value), TICK_Y, text);
    }
    svg.rule((left, bottom), (right, bottom), true);
    for (value, text) in &x_axis.ticks {
        svg.rule((x(*value), bottom), (x(*value), bottom + 4.0), true);
        svg.text(x(*value), bottom + 15.0, TICK_X, text);
    }
    let (middle, centre) = ((left + right) / 2.0, (top + bottom) / 2.0);
    svg.text(middle, bottom + 38.0, LABEL, &LABEL.fitted(&chart.x_label, right - left));
    svg.text_upwards(MARGIN + 6.0, centre, LABEL, &LABEL.fitted(&chart.y_label, PLOT_HEIGHT));
    if points.is_empty() {
        svg.text(middle, centre, LABEL, "no data");
    }
    for series in &chart.series {
        let Pen { colour, dash } = pens.pen(series);
        for run in series.points.split(|point| !finite(&point)).filter(|run| !run.is_empty()) {
            let run: Vec<(f64, f64)> = run.iter().map(|point| (x(point.0), y(point.1))).collect();
            match (chart.marks, &run[..]) {
                (Marks::Line, [_, _, ..]) => svg.curve(&run, colour, dash),
                (_, points) => points.iter().for_each(|&(x, y)| svg.dot(x, y, DOT, colour)),
            }
        }
    }
    svg.finish(&chart.title)
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Pen {
    colour: &'static str,
    dash: &'static str,
}

/// What tells lines apart: hues by their colour, strokes by their dashes. Of a single hue, strokes
/// have the colours.
struct Pens<'a> {
    hues: IndexSet<&'a str>,
    strokes: IndexSet<&'a str>,
}

impl<'a> Pens<'a> {
    fn of(series: &'a [Series]) -> Self {
        let hues = series.iter().map(|series| series.hue.as_str()).collect();
        let strokes = series.iter().map(|series| series.stroke.as_str()).collect();
        Self { hues, strokes }
    }

    fn pen(&self, series: &Series) -> Pen {
        let hue = self.hues.get_index_of(series.hue.as_str()).unwrap_or(0);
        let stroke = self.strokes.get_index_of(series.stroke.as_str()).unwrap_or(0);
        self.at(hue, stroke)
    }

    fn at(&self, hue: usize, stroke: usize) -> Pen {
        let (colour, dash) = match self.hues.len() {
            1 => (stroke, stroke / PALETTE.len()),
            _ => (hue, stroke + self.strokes.len() * (hue / PALETTE.len())),
        };
        Pen { colour: PALETTE[colour % PALETTE.len()], dash: DASHES[dash % DASHES.len()] }
    }

    /// What the legend says: the hues, then the strokes, of each only where there are several.
    fn words(&self) -> Vec<(&'a str, Pen)> {
        let alone = self.hues.len() == 1;
        let hues = self.hues.iter().enumerate().filter(|_| !alone || self.strokes.len() == 1);
        let strokes = self.strokes.iter().enumerate().filter(|_| self.strokes.len() > 1);
        let stroke = |at: usize| if alone { self.at(0, at) } else { Pen { colour: ANY_HUE, ..self.at(0, at) } };
        hues.map(|(at, hue)| (*hue, self.at(at, 0))).chain(strokes.map(|(at, name)| (*name, stroke(at)))).collect()
    }
}

struct Entry {
    name: String,
    pen: Pen,
    x: f64,
    row: usize,
}

/// Words left to right, in as many rows as they need.
fn legend(words: Vec<(&str, Pen)>) -> Vec<Entry> {
    let room = WIDTH - 2.0 * MARGIN;
    let (mut x, mut row) = (0.0, 0);
    let mut entries = Vec::with_capacity(words.len());
    for (word, pen) in words {
        let name = LEGEND.fitted(word, room - 30.0);
        let width = 30.0 + LEGEND.width(&name);
        if x > 0.0 && x + width > room {
            (x, row) = (0.0, row + 1);
        }
        entries.push(Entry { name, pen, x, row });
        x += width + 18.0;
    }
    entries
}

#[derive(Clone, Copy, PartialEq)]
enum Grain {
    Any,
    /// Ticks at whole numbers only: there is no epoch 1.5.
    Whole,
}

/// A range with ticks at numbers that a person would choose: 1, 2 or 5 times a power of ten apart.
struct Axis {
    low: f64,
    high: f64,
    step: f64,
    ticks: Vec<(f64, String)>,
}

impl Axis {
    fn of(values: impl Iterator<Item = f64> + Clone, grain: Grain, most: usize) -> Self {
        let low = values.clone().fold(f64::INFINITY, f64::min);
        let high = values.fold(f64::NEG_INFINITY, f64::max);
        let (mut low, mut high) = if low <= high { (low, high) } else { (0.0, 1.0) };
        // One value, or values that differ by no more than rounding, still need a range around
        // them.
        if high - low <= 1e-9 * high.abs().max(low.abs()) {
            let around =
                if grain == Grain::Whole { (1e-6 * high.abs()).max(1.0) } else { (0.1 * high.abs()).max(1e-6) };
            (low, high) = (low - around, high + around);
        }
        let mut step = nice(((high - low) / most as f64).max(f64::MIN_POSITIVE));
        if grain == Grain::Whole {
            step = step.max(1.0).round();
        }
        Self { low, high, step, ticks: ticks(low, high, step) }
    }

    /// The range widened to whole steps, so that the lines keep off the edges.
    fn rounded(self) -> Self {
        let low = (self.low / self.step + 1e-9).floor() * self.step;
        let high = (self.high / self.step - 1e-9).ceil() * self.step;
        Self { low, high, ticks: ticks(low, high, self.step), ..self }
    }

    fn fraction(&self, value: f64) -> f64 {
        ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }
}

/// The smallest of 1, 2, 5 × 10ⁿ that is not below `least`.
fn nice(least: f64) -> f64 {
    let power = 10f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .map(|lead| lead * power)
        .into_iter()
        .find(|step| *step >= least * (1.0 - 1e-9))
        .unwrap_or(least)
}

fn ticks(low: f64, high: f64, step: f64) -> Vec<(f64, String)> {
    let (first, last) = ((low / step - 1e-9).ceil(), (high / step + 1e-9).floor());
    // As many decimals as the step has; beyond seven digits, powers of ten.
    let decimals = (-step.log10().floor()).max(0.0);
    let large = low.abs().max(high.abs());
    let text = |value: f64| {
        if decimals > 6.0 || large >= 1e7 {
            if value.abs() < step / 2.0 {
                return "0".to_owned();
            }
            let text = format!("{value:.2e}");
            let (lead, power) = text.split_once('e').unwrap_or((&text, "0"));
            return format!("{}e{power}", lead.trim_end_matches('0').trim_end_matches('.'));
        }
        super::decimal::decimal(value, decimals as usize)
    };
    let count = if (last - first).is_finite() { (last - first).clamp(0.0, 50.0) as usize } else { 0 };
    (0..=count).map(|at| (first + at as f64) * step).map(|value| (value, text(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::svg::tests::texts_inside;
    use proptest::prelude::*;

    fn chart(series: &[(&str, Vec<(f64, f64)>)]) -> Chart {
        Chart {
            title: "Accuracy".into(),
            marks: Marks::Line,
            x_label: "epoch".into(),
            y_label: "accuracy (%)".into(),
            series: series.iter().map(|(name, points)| line(name, "", points.clone())).collect(),
        }
    }

    fn line(hue: &str, stroke: &str, points: Vec<(f64, f64)>) -> Series {
        Series { name: format!("{hue}, {stroke}"), hue: hue.into(), stroke: stroke.into(), points }
    }

    fn saved(name: &str, chart: &Chart) -> String {
        let svg = draw(chart);
        if let Some(folder) = std::env::var_os("DARTS_RUN_DRAWINGS") {
            std::fs::write(std::path::Path::new(&folder).join(format!("chart {name}.svg")), &svg).unwrap();
        }
        svg
    }

    fn rising(epochs: usize, end: f64) -> Vec<(f64, f64)> {
        (1..=epochs).map(|epoch| (epoch as f64, end * (1.0 - 0.9 / (epoch as f64).sqrt()))).collect()
    }

    #[test]
    fn labels_ticks_and_legend_are_there() {
        let svg = saved("two", &chart(&[("search", rising(50, 91.0)), ("held out", rising(50, 84.0))]));
        let texts = texts_inside(&svg);
        insta::assert_snapshot!(texts.join("|"), @"Accuracy|search|held out|0|20|40|60|80|10|20|30|40|50|epoch|accuracy (%)");
        assert_eq!(svg.matches("<polyline").count(), 4);
    }

    /// Two methods of two seeds on two sets of images are two colours, solid and dashed; a single
    /// method's sets have the colours.
    #[test]
    fn lines_of_one_kind_look_alike_and_are_said_once() {
        let lines = |hues: &[&str]| {
            let strokes = |hue: &&str| ["fitted", "held out"].map(|stroke| line(hue, stroke, rising(50, 91.0)));
            Chart { series: hues.iter().flat_map(strokes).collect(), ..chart(&[]) }
        };
        let four = saved("hues", &lines(&["softmax", "softmax", "sigmoid", "sigmoid"]));
        let texts = texts_inside(&four);
        assert_eq!(texts[1..5], ["softmax", "sigmoid", "fitted", "held out"]);
        let lines_of = |svg: &str, colour: &str, dash: &str| {
            let dashed = |line: &&str| dash.is_empty() != line.contains("stroke-dasharray");
            let polylines = svg.split("<polyline").skip(1).filter_map(|rest| rest.split("/>").next());
            polylines.filter(|line| line.contains(colour)).filter(dashed).count()
        };
        for colour in &PALETTE[..2] {
            assert_eq!((lines_of(&four, colour, ""), lines_of(&four, colour, DASHES[1])), (3, 2), "with the legend's");
        }
        assert_eq!((lines_of(&four, ANY_HUE, ""), lines_of(&four, ANY_HUE, DASHES[1])), (1, 1));
        let one = saved("one hue", &lines(&["softmax"]));
        assert_eq!(texts_inside(&one)[1..3], ["fitted", "held out"]);
        assert_eq!((lines_of(&one, PALETTE[0], ""), lines_of(&one, PALETTE[1], "")), (2, 2));
        assert!(!one.contains("stroke-dasharray"));
    }

    #[test]
    fn one_point_is_a_dot_and_a_constant_is_a_line() {
        let one = saved("one", &chart(&[("search", vec![(1.0, 54.2)])]));
        texts_inside(&one);
        assert_eq!(one.matches("<circle").count(), 1);
        let constant = saved("constant", &chart(&[("search", vec![(1.0, 0.0), (2.0, 0.0), (3.0, 0.0)])]));
        assert!(texts_inside(&constant).contains(&"2".to_owned()));
        assert!(!texts_inside(&constant).contains(&"1.5".to_owned()), "there is no epoch 1.5");
    }

    #[test]
    fn points_stand_by_themselves_inside_the_plane() {
        let points = [("found", vec![(1.9, 28.6), (2.1, 28.7)]), ("by hand", vec![(2.0, 28.8)])];
        let svg = saved("dots", &Chart { marks: Marks::Dots, x_label: "cost (G)".into(), ..chart(&points) });
        assert!(texts_inside(&svg).contains(&"by hand".to_owned()));
        assert_eq!((svg.matches("<circle").count(), svg.matches("<polyline").count()), (5, 0), "two in the legend");
    }

    #[test]
    fn what_is_no_number_is_a_gap() {
        let mut points = rising(12, 80.0);
        points[4].1 = f64::NAN;
        points[6].1 = f64::INFINITY;
        let svg = saved("gaps", &chart(&[("search", points)]));
        texts_inside(&svg);
        assert_eq!(svg.matches("<polyline").count(), 3, "one in the legend, two of the line");
        assert_eq!(svg.matches("<circle").count(), 1, "the point between two gaps");
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn nothing_to_draw_says_so() {
        for empty in [chart(&[]), chart(&[("search", vec![(1.0, f64::NAN)])])] {
            assert!(texts_inside(&draw(&empty)).contains(&"no data".to_owned()));
        }
    }

    #[test]
    fn many_long_names_wrap_and_stay_inside() {
        let names: Vec<String> = (0..12).map(|at| format!("search[seed={at}, space=darts] held out")).collect();
        let series: Vec<(&str, Vec<(f64, f64)>)> =
            names.iter().enumerate().map(|(at, name)| (name.as_str(), rising(20, 60.0 + at as f64))).collect();
        texts_inside(&saved("many", &chart(&series)));
        texts_inside(&draw(&Chart { title: "long ".repeat(100), y_label: "y".repeat(200), ..chart(&[]) }));
    }

    #[test]
    fn ticks_are_numbers_a_person_would_choose() {
        let texts = |low: f64, high: f64| {
            let axis = Axis::of([low, high].into_iter(), Grain::Any, 6).rounded();
            axis.ticks.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(texts(31.0, 93.4), "20 40 60 80 100");
        assert_eq!(texts(0.62, 2.31), "0.5 1.0 1.5 2.0 2.5");
        assert_eq!(texts(0.0, 1e-3), "0.0000 0.0002 0.0004 0.0006 0.0008 0.0010");
        assert_eq!(texts(0.0, 3e8), "0 5e7 1e8 1.5e8 2e8 2.5e8 3e8");
        assert_eq!(texts(-3.0, 3.0), "-3 -2 -1 0 1 2 3");
    }

    proptest! {
        #[test]
        fn any_numbers_can_be_drawn(points in proptest::collection::vec((any::<f64>(), any::<f64>()), 0..8)) {
            texts_inside(&draw(&chart(&[("anything", points)])));
        }
    }
}
