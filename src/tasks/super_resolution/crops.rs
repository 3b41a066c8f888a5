//! A small part of a picture, side by side: of low resolution, by the bicubic filter, by the
//! network, and the original.

use crate::{
    data::{Pair, Picture},
    tasks::row::row,
};

/// Side of the part in pixels of the original.
const PART: usize = 64;

/// The drawing as SVG, and in words what it shows.
pub(super) fn drawn(pair: &Pair, simple: &Picture, found: &Picture, scale: usize) -> (String, String) {
    let Pair { name, low, high, .. } = pair;
    // A whole number of pixels of low resolution.
    let side = (PART.min(high.width).min(high.height) / scale * scale).max(scale);
    let (top, left) = hardest(simple, high, side, scale);
    let small = side / scale;
    let parts = [
        ("low resolution", low.cropped([top / scale, left / scale], [small; 2])),
        ("bicubic", simple.cropped([top, left], [side; 2])),
        ("network", found.cropped([top, left], [side; 2])),
        ("original", high.cropped([top, left], [side; 2])),
    ];
    let parts = parts.map(|(words, part)| (words.to_owned(), part));
    (row(&parts), format!("`{name}`, {side}x{side} pixels where the bicubic filter is furthest off"))
}

/// Row and column of the part where the bicubic filter is furthest off, on a grid of half a part.
fn hardest(simple: &Picture, high: &Picture, side: usize, scale: usize) -> (usize, usize) {
    let step = (side / 2 / scale * scale).max(scale);
    let places = |length: usize| (0..=(length - side) / step).map(move |at| at * step);
    let error = |(top, left): (usize, usize)| {
        let [a, b] = [simple, high].map(|picture| picture.cropped([top, left], [side; 2]).pixels);
        a.iter().zip(&b).map(|(&a, &b)| u64::from(a.abs_diff(b)).pow(2)).sum::<u64>()
    };
    let all = places(high.height).flat_map(|top| places(high.width).map(move |left| (top, left)));
    all.max_by_key(|&place| (error(place), std::cmp::Reverse(place))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_part_where_the_filter_is_furthest_off_is_drawn() {
        let mut high = Picture { width: 160, height: 128, pixels: vec![90; 3 * 160 * 128], grey: false };
        // Stripes in the lower right.
        (80..128)
            .for_each(|y| (100..160).for_each(|x| high.pixels[3 * (160 * y + x)] = if x % 2 == 0 { 255 } else { 0 }));
        let low = high.shrunk(4);
        let simple = low.enlarged(4);
        assert_eq!(hardest(&simple, &high, 64, 4), (64, 96));
        let pair = Pair { name: "stripes".to_owned(), low, high: high.clone(), teacher: None };
        let (svg, words) = drawn(&pair, &simple, &high, 4);
        let drawing = roxmltree::Document::parse(&svg).unwrap();
        assert_eq!(drawing.descendants().filter(|node| node.has_tag_name("image")).count(), 4);
        assert!(words.starts_with("`stripes`, 64x64 pixels"), "{words}");
    }
}
