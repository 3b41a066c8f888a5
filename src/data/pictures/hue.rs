//! Turning the hue of pixels: to hue, saturation and value in bytes as Pillow does it, a step on
//! the circle, and back.

use std::sync::LazyLock;

type Rgb = [u8; 3];

/// Turns all pixels by so many steps of 1/256 of the circle.
pub(crate) fn turn(pixels: &mut [Rgb], steps: u8) {
    let tables = &*TABLES;
    let turned: [(u8, f64); 256] = std::array::from_fn(|hue| place((hue as u8).wrapping_add(steps)));
    let shares: [f64; 256] = std::array::from_fn(|saturation| share(saturation as u8));
    for pixel in pixels {
        let Ordered { sector, most, middle, least } = Ordered::of(*pixel);
        let range = most - least;
        let hue = tables.hue[hue_at(sector, range, most - middle)];
        let saturation = tables.saturation[saturation_at(most, range)];
        let (sector, within) = turned[usize::from(hue)];
        *pixel = mix(most, sector, within, shares[usize::from(saturation)]);
    }
}

/// What Pillow's conversion gives, worked out once: it divides four times a pixel, which took seven
/// times as long.
struct Tables {
    /// At [`hue_at`].
    hue: Vec<u8>,
    /// At [`saturation_at`].
    saturation: Vec<u8>,
}

static TABLES: LazyLock<Tables> = LazyLock::new(Tables::new);

impl Tables {
    fn new() -> Self {
        let (mut hue, mut saturation) = (vec![0; 6 << 16], vec![0; 1 << 16]);
        for most in 0..=255 {
            for range in 0..=most {
                saturation[saturation_at(most, range)] = to_hsv([most, most - range, most - range])[1];
            }
        }
        for sector in 0..6 {
            for range in 1..=255 {
                for distance in 0..=range {
                    let pixel = Ordered { sector, most: 255, middle: 255 - distance, least: 255 - range }.pixel();
                    hue[hue_at(sector, range, distance)] = to_hsv(pixel)[0];
                }
            }
        }
        Self { hue, saturation }
    }
}

/// The hue depends on the order of the channels, on their range, and on how far the middle one is
/// below the greatest.
fn hue_at(sector: u8, range: u8, distance: u8) -> usize {
    usize::from(sector) << 16 | usize::from(range) << 8 | usize::from(distance)
}

fn saturation_at(most: u8, range: u8) -> usize {
    usize::from(most) << 8 | usize::from(range)
}

/// The channels of a pixel by size; the sector says which is which.
struct Ordered {
    sector: u8,
    most: u8,
    middle: u8,
    least: u8,
}

impl Ordered {
    /// Of equal channels either may count as the greater: they give one hue.
    fn of([r, g, b]: Rgb) -> Self {
        let (sector, most, middle, least) = match (r >= g, g >= b, r >= b) {
            (true, true, _) => (0, r, g, b),
            (true, false, true) => (1, r, b, g),
            (true, false, false) => (2, b, r, g),
            (false, _, true) => (3, g, r, b),
            (false, true, false) => (4, g, b, r),
            (false, false, false) => (5, b, g, r),
        };
        Self { sector, most, middle, least }
    }

    fn pixel(&self) -> Rgb {
        let Self { sector, most, middle, least } = *self;
        match sector {
            0 => [most, middle, least],
            1 => [most, least, middle],
            2 => [middle, least, most],
            3 => [middle, most, least],
            4 => [least, most, middle],
            _ => [least, middle, most],
        }
    }
}

/// Hue, saturation and value as bytes (Pillow's `Convert.c`, `rgb2hsv_row`, which follows Python's
/// colorsys).
fn to_hsv([r, g, b]: Rgb) -> [u8; 3] {
    let (most, least) = (r.max(g).max(b), r.min(g).min(b));
    if most == least {
        return [0, 0, most];
    }
    let range = f32::from(most - least);
    let saturation = range / f32::from(most);
    let below = |value: u8| f32::from(most - value) / range;
    // In C the constants are doubles, so that sums with them are, and the result is stored as a
    // float.
    let sixth = if r == most {
        below(b) - below(g)
    } else if g == most {
        (2.0 + f64::from(below(r)) - f64::from(below(b))) as f32
    } else {
        (4.0 + f64::from(below(g)) - f64::from(below(r))) as f32
    };
    // fmod(…, 1) of a number from 0.83 to 1.84.
    let turn = f64::from(sixth) / 6.0 + 1.0;
    let hue = (if turn >= 1.0 { turn - 1.0 } else { turn }) as f32;
    [(f64::from(hue) * 255.0) as u8, (f64::from(saturation) * 255.0) as u8, most]
}

/// The sixth of the circle that a hue is in, and how far it is within it (`hsv2rgb_row`; both are
/// floats there).
fn place(hue: u8) -> (u8, f64) {
    let sixths = f64::from(hue) * 6.0 / 255.0;
    let sector = sixths as u8;
    (sector % 6, f64::from((sixths - f64::from(sector)) as f32))
}

fn share(saturation: u8) -> f64 {
    f64::from((f64::from(saturation) / 255.0) as f32)
}

/// The rest of `hsv2rgb_row`.
fn mix(value: u8, sector: u8, within: f64, share: f64) -> Rgb {
    // To the nearest; through `i32` as that is one instruction.
    let at = |share: f64| (f64::from(value) * (1.0 - share) + 0.5) as i32 as u8;
    let (p, q, t) = (at(share), at(share * within), at(share * (1.0 - within)));
    match sector {
        0 => [value, t, p],
        1 => [q, value, p],
        2 => [p, value, t],
        3 => [p, q, value],
        4 => [t, p, value],
        _ => [value, p, q],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every fifth value of each channel, and both ends.
    fn colours() -> impl Iterator<Item = Rgb> {
        let values = || (0..=255).step_by(5);
        values().flat_map(move |r| values().flat_map(move |g| values().map(move |b| [r, g, b])))
    }

    #[test]
    fn the_tables_say_what_the_formulas_say() {
        for colour in colours() {
            let Ordered { sector, most, middle, least } = Ordered::of(colour);
            assert_eq!(Ordered { sector, most, middle, least }.pixel(), colour);
            let [hue, saturation, value] = to_hsv(colour);
            let range = most - least;
            assert_eq!(TABLES.hue[hue_at(sector, range, most - middle)], hue, "{colour:?}");
            assert_eq!(TABLES.saturation[saturation_at(most, range)], saturation, "{colour:?}");
            assert_eq!(most, value);
        }
    }

    /// Over the same colours as `Image.fromarray(…).convert("HSV")` of Pillow 13 gives them, and
    /// back, as a checksum: `zlib.crc32(np.asarray(…).tobytes())`. All 16,777,216 colours were
    /// compared once.
    #[test]
    fn all_colours_become_pillows_hsv_and_back() {
        let crc = |bytes: Vec<u8>| {
            let mut crc = flate2::Crc::new();
            crc.update(&bytes);
            crc.sum()
        };
        assert_eq!(crc(colours().flat_map(to_hsv).collect()), TO_HSV);
        let back = |[hue, saturation, value]: Rgb| {
            let (sector, within) = place(hue);
            mix(value, sector, within, share(saturation))
        };
        assert_eq!(crc(colours().flat_map(back).collect()), FROM_HSV);
    }

    const TO_HSV: u32 = 0x18acb23f;
    const FROM_HSV: u32 = 0x6906b4a5;

    #[test]
    fn a_grey_pixel_has_no_hue_to_turn_and_a_whole_turn_changes_little() {
        let mut pixels = [[0, 0, 0], [128, 128, 128], [255, 255, 255], [200, 100, 50]];
        turn(&mut pixels, 77);
        assert_eq!(pixels[..3], [[0, 0, 0], [128, 128, 128], [255, 255, 255]]);
        assert_eq!(pixels[3].iter().max(), Some(&200));
        let mut pixels = [[200, 100, 50]];
        turn(&mut pixels, 0);
        assert!(pixels[0].iter().zip([200, 100, 50]).all(|(a, b): (&u8, u8)| a.abs_diff(b) <= 2), "{pixels:?}");
    }
}
