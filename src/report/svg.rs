//! A small SVG writer. Colours are attributes, so that every viewer shows them; a style sheet
//! overrides what must change on a dark ground.

use crate::observe::is_hidden;

/// Mid tones that are seen on white and on near-black and told apart by most eyes (after Okabe and
/// Ito).
pub(super) const PALETTE: [&str; 8] =
    ["#2f7ec2", "#d9652b", "#2f9e77", "#b85c9e", "#b8860b", "#5b6ee1", "#c44e52", "#4c9f38"];

const STYLE: &str = "@media (prefers-color-scheme: dark) { .paper { fill: #0d1117 } .ink { fill: #e6edf3 } \
    .soft { fill: #9198a1 } .wire { stroke: #7d8590 } .head { fill: #7d8590 } .grid { stroke: #30363d } \
    .state { fill: #161b22; stroke: #9198a1 } }";

const SANS: &str = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif";
const MONO: &str = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace";

pub(super) struct Svg {
    width: f64,
    height: f64,
    body: String,
}

/// How a text is set.
#[derive(Clone, Copy)]
pub(super) struct Type {
    pub size: f64,
    pub face: Face,
    pub anchor: Anchor,
    /// Secondary text is lighter.
    pub soft: bool,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Face {
    Sans,
    Bold,
    Mono,
}

#[derive(Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Type {
    pub const fn new(size: f64, face: Face, anchor: Anchor) -> Self {
        Self { size, face, anchor, soft: false }
    }

    pub const fn soft(self) -> Self {
        Self { soft: true, ..self }
    }

    /// An upper estimate of the text's width: the font is the viewer's. Monospaced letters are 0.6
    /// em wide in all common fonts; the widest common sans-serif averages 0.62 em.
    pub fn width(&self, text: &str) -> f64 {
        let em = match self.face {
            Face::Mono => 0.605,
            Face::Sans => 0.62,
            Face::Bold => 0.69,
        };
        console::measure_text_width(text) as f64 * em * self.size
    }

    /// The text, shortened at its end to fit.
    pub fn fitted(&self, text: &str, width: f64) -> String {
        if self.width(text) <= width {
            return text.to_owned();
        }
        let columns = (width / self.width("m")).floor().max(1.0) as usize;
        console::truncate_str(text, columns, "…").into_owned()
    }
}

impl Svg {
    pub fn new(width: f64, height: f64) -> Self {
        Self { width: width.ceil(), height: height.ceil(), body: String::new() }
    }

    fn element(&mut self, text: &str) {
        self.body.push_str("  ");
        self.body.push_str(text);
        self.body.push('\n');
    }

    /// `y` is the middle of the letters' height.
    pub fn text(&mut self, x: f64, y: f64, set: Type, text: &str) {
        self.set(x, y, set, text, "");
    }

    /// Reads upwards.
    pub fn text_upwards(&mut self, x: f64, y: f64, set: Type, text: &str) {
        let (tx, ty) = (short(x), short(y));
        self.set(x, y, set, text, &format!(" transform=\"rotate(-90 {tx} {ty})\""));
    }

    fn set(&mut self, x: f64, y: f64, set: Type, text: &str, more: &str) {
        let anchor = match set.anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let family = if set.face == Face::Mono { MONO } else { SANS };
        let weight = if set.face == Face::Bold { " font-weight=\"600\"" } else { "" };
        let (class, colour) = if set.soft { ("soft", "#59636e") } else { ("ink", "#1f2328") };
        // The letters' middle lies about 0.35 em above the baseline; `dominant-baseline` is not
        // known everywhere.
        self.element(&format!(
            "<text class=\"{class}\" x=\"{}\" y=\"{}\" font-family=\"{family}\" font-size=\"{}\"{weight} \
             text-anchor=\"{anchor}\" fill=\"{colour}\"{more}>{}</text>",
            short(x),
            short(y + 0.35 * set.size),
            short(set.size),
            escaped(text)
        ));
    }

    /// A line that carries something: an edge of a cell.
    pub fn wire(&mut self, path: &str, dashed: bool) {
        let dash = if dashed { " stroke-dasharray=\"2 4\"" } else { "" };
        self.element(&format!(
            "<path class=\"wire\" d=\"{path}\" fill=\"none\" stroke=\"#818b98\" stroke-width=\"1.4\"{dash}/>"
        ));
    }

    /// The head of an arrow that points right, its tip at (x, y).
    pub fn arrow_head(&mut self, x: f64, y: f64) {
        let (back, up, down) = (short(x - 7.0), short(y - 3.5), short(y + 3.5));
        self.element(&format!(
            "<path class=\"head\" d=\"M {} {} L {back} {up} L {back} {down} Z\" fill=\"#818b98\"/>",
            short(x),
            short(y)
        ));
    }

    /// A box around (x, y) for a state.
    pub fn state(&mut self, x: f64, y: f64, width: f64, height: f64, radius: f64) {
        self.element(&format!(
            "<rect class=\"state\" {} rx=\"{}\" fill=\"#ffffff\" stroke=\"#59636e\" stroke-width=\"1.4\"/>",
            around(x, y, width, height),
            short(radius)
        ));
    }

    /// A tinted box around (x, y) for an operation.
    pub fn pill(&mut self, x: f64, y: f64, width: f64, height: f64, colour: &str) {
        let (place, radius) = (around(x, y, width, height), short(height / 2.0));
        // First the ground, so that no wire shines through.
        self.element(&format!("<rect class=\"paper\" {place} rx=\"{radius}\" fill=\"#ffffff\"/>"));
        self.element(&format!(
            "<rect {place} rx=\"{radius}\" fill=\"{colour}\" fill-opacity=\"0.14\" stroke=\"{colour}\" \
             stroke-width=\"1.2\"/>"
        ));
    }

    /// A line of the grid or an axis.
    pub fn rule(&mut self, from: (f64, f64), to: (f64, f64), strong: bool) {
        let (class, colour) = if strong { ("wire", "#818b98") } else { ("grid", "#e4e8ec") };
        self.element(&format!(
            "<line class=\"{class}\" x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\" stroke=\"{colour}\"/>",
            short(from.0),
            short(from.1),
            short(to.0),
            short(to.1)
        ));
    }

    /// A line of a chart through points.
    pub fn curve(&mut self, points: &[(f64, f64)], colour: &str, dash: &str) {
        let points: Vec<String> = points.iter().map(|(x, y)| format!("{},{}", short(*x), short(*y))).collect();
        let dash = if dash.is_empty() { String::new() } else { format!(" stroke-dasharray=\"{dash}\"") };
        self.element(&format!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" stroke-linejoin=\"round\" \
             stroke-linecap=\"round\"{dash}/>",
            points.join(" ")
        ));
    }

    pub fn dot(&mut self, x: f64, y: f64, radius: f64, colour: &str) {
        self.element(&format!(
            "<circle cx=\"{}\" cy=\"{}\" r=\"{}\" fill=\"{colour}\"/>",
            short(x),
            short(y),
            short(radius)
        ));
    }

    /// The whole picture. `title` is what a screen reader says.
    pub fn finish(self, title: &str) -> String {
        let (width, height) = (short(self.width), short(self.height));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" role=\"img\">\n  <title>{}</title>\n  <style>{STYLE}</style>\n  \
             <rect class=\"paper\" width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n{}</svg>\n",
            escaped(title),
            self.body
        )
    }
}

fn around(x: f64, y: f64, width: f64, height: f64) -> String {
    format!(
        "x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"",
        short(x - width / 2.0),
        short(y - height / 2.0),
        short(width),
        short(height)
    )
}

/// A coordinate to a tenth: the same text on every machine.
pub(super) fn short(value: f64) -> String {
    let text = format!("{value:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// For text and attributes of XML and HTML. Characters that XML forbids and those that are hidden
/// are dropped.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            c if is_hidden(c) || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Reads an SVG as XML, asserts that nothing lies outside of its view box, and returns its
    /// texts.
    pub fn texts_inside(svg: &str) -> Vec<String> {
        let xml = roxmltree::Document::parse(svg).expect("well-formed");
        let number = |node: roxmltree::Node<'_, '_>, name: &str| -> f64 {
            node.attribute(name).map_or(0.0, |value| value.parse().unwrap())
        };
        let root = xml.root_element();
        let (width, height) = (number(root, "width"), number(root, "height"));
        let inside = |x: f64, y: f64, what: &str| {
            assert!((-0.1..=width + 0.1).contains(&x) && (-0.1..=height + 0.1).contains(&y), "{what} at {x}, {y}");
        };
        let mut texts = Vec::new();
        for node in xml.descendants().filter(|node| node.is_element()) {
            match node.tag_name().name() {
                "text" => {
                    let text = node.text().unwrap_or_default();
                    texts.push(text.to_owned());
                    let face = match node.attribute("font-weight") {
                        Some(_) => Face::Bold,
                        None if node.attribute("font-family").unwrap().contains("monospace'") => Face::Mono,
                        None if node.attribute("font-family").unwrap().ends_with("monospace") => Face::Mono,
                        None => Face::Sans,
                    };
                    let long = Type::new(number(node, "font-size"), face, Anchor::Start).width(text);
                    let (x, y) = (number(node, "x"), number(node, "y"));
                    let (before, after) = match node.attribute("text-anchor").unwrap() {
                        "start" => (0.0, long),
                        "middle" => (long / 2.0, long / 2.0),
                        _ => (long, 0.0),
                    };
                    if node.attribute("transform").is_some() {
                        inside(x, y - after, text);
                        inside(x, y + before, text);
                    } else {
                        inside(x - before, y, text);
                        inside(x + after, y, text);
                    }
                }
                "rect" => {
                    let (x, y) = (number(node, "x"), number(node, "y"));
                    inside(x, y, "rect");
                    inside(x + number(node, "width"), y + number(node, "height"), "rect");
                }
                "circle" => {
                    let (x, y, r) = (number(node, "cx"), number(node, "cy"), number(node, "r"));
                    inside(x - r, y - r, "circle");
                    inside(x + r, y + r, "circle");
                }
                "line" => {
                    inside(number(node, "x1"), number(node, "y1"), "line");
                    inside(number(node, "x2"), number(node, "y2"), "line");
                }
                "polyline" | "path" => {
                    let points = node.attribute("points").or(node.attribute("d")).unwrap();
                    let numbers: Vec<f64> = points
                        .split(|c: char| !(c.is_ascii_digit() || c == '.' || c == '-'))
                        .filter(|piece| !piece.is_empty())
                        .map(|piece| piece.parse().unwrap())
                        .collect();
                    numbers.chunks(2).for_each(|point| inside(point[0], point[1], "path"));
                }
                _ => {}
            }
        }
        texts
    }

    #[test]
    fn text_is_escaped_and_forbidden_characters_are_dropped() {
        assert_eq!(escaped("a<b>&\"c\"\u{1b}\u{0}\u{202e}"), "a&lt;b&gt;&amp;&quot;c&quot;");
        let mut svg = Svg::new(200.0, 40.0);
        svg.text(10.0, 20.0, Type::new(12.0, Face::Sans, Anchor::Start), "a < b & \u{7} c");
        assert_eq!(texts_inside(&svg.finish("<title>")), ["a < b &  c"]);
    }

    #[test]
    fn long_text_is_shortened_to_fit() {
        let set = Type::new(10.0, Face::Mono, Anchor::Start);
        let text = set.fitted(&"x".repeat(100), 120.0);
        assert!(text.ends_with('…') && set.width(&text) <= 120.0);
        assert_eq!(set.fitted("short", 120.0), "short");
    }

    #[test]
    fn coordinates_have_one_decimal_at_most() {
        assert_eq!([0.04, -0.04, 12.0, 12.34].map(short).join(" "), "0 0 12 12.3");
    }
}
