//! Pictures in a row, each with words below it, as SVG.

use crate::data::Picture;
use base64::{Engine, engine::general_purpose::STANDARD};
use std::fmt::Write as _;

/// Side of the square that a picture is drawn in, and what is between two.
const DRAWN: usize = 192;
const GAP: usize = 8;
/// Below each.
const CAPTION: usize = 20;

/// Pixels stay pixels, however large they are drawn.
pub(super) fn row(parts: &[(String, Picture)]) -> String {
    let (width, height) = ((parts.len() * (DRAWN + GAP)).saturating_sub(GAP), DRAWN + CAPTION);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"13\" text-anchor=\"middle\">\n"
    );
    for (at, (words, part)) in parts.iter().enumerate() {
        let (x, middle, base) = (at * (DRAWN + GAP), at * (DRAWN + GAP) + DRAWN / 2, DRAWN + CAPTION - 6);
        let png = STANDARD.encode(part.png());
        // Writing to a string does not fail.
        let _ = write!(
            svg,
            "<image x=\"{x}\" y=\"0\" width=\"{DRAWN}\" height=\"{DRAWN}\" image-rendering=\"pixelated\" \
             href=\"data:image/png;base64,{png}\"/>\n<text x=\"{middle}\" y=\"{base}\" fill=\"#777\">{words}</text>\n"
        );
    }
    svg.push_str("</svg>\n");
    svg
}
