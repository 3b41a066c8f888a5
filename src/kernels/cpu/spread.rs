//! Channels of narrow programs, each spread over the lanes that it is multiplied in.
//!
//! Where images share a vector, a channel's values are not one number but one an image: a product
//! needs them in all lanes of their image, `[pixel][channel][image, output]`.

use super::{
    layout::NARROW,
    memory::Area,
    simd::{LANES, product::Input, vectorised},
};

/// Values as a product reads them: as they are where blocks have all lanes, else spread to `area`.
/// Layers of as many values are one after another.
pub(super) fn spread<'a>(width: usize, values: &'a [f32], layer: usize, area: &'a mut Area) -> Input<'a> {
    if width == LANES {
        return Input { values, pixel: LANES, layer };
    }
    let to = area.of(values.len() * width);
    vectorised(
        #[inline(always)]
        || each::<NARROW>(values, to),
    );
    Input { values: to, pixel: LANES * width, layer: layer * width }
}

#[inline(always)]
fn each<const W: usize>(from: &[f32], to: &mut [f32]) {
    let pixels = to.as_chunks_mut::<LANES>().0.chunks_exact_mut(W);
    for (from, to) in from.as_chunks::<LANES>().0.iter().zip(pixels) {
        for (channel, to) in to.iter_mut().enumerate() {
            *to = std::array::from_fn(|lane| from[lane - lane % W + channel]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_channel_is_in_the_lanes_of_its_image() {
        let values: Vec<f32> = (0..32).map(|at| at as f32).collect();
        let mut area = Area::default();
        let Input { values: spread, pixel, .. } = spread(4, &values, 0, &mut area);
        assert_eq!(pixel, 64);
        // Pixel 1, channel 3: that of the first image, then that of the second.
        assert_eq!(spread[64 + 3 * 16..][..8], [[19.0; 4], [23.0; 4]].concat());
    }
}
