//! Pictures one after another, as one file that moves.

use crate::Picture;
use image::{
    Delay, Frame, RgbaImage,
    codecs::gif::{GifEncoder, Repeat},
};

/// Pictures of one size.
#[derive(Debug, Clone, Copy)]
pub struct Animation<'a> {
    pub pictures: &'a [Picture],
    /// How many pixels a side one of theirs becomes.
    pub scale: usize,
    /// How long each is seen, in milliseconds; a GIF counts in tens.
    pub delay: u32,
    /// How long the last one is.
    pub pause: u32,
}

/// Of the search for a palette, from 1 to 30, the fastest.
const SPEED: i32 = 10;

impl Animation<'_> {
    /// As a GIF that begins anew at its end. Of a picture with more than 256 colours each becomes
    /// one that is near; equal pictures make equal bytes.
    pub fn gif(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = GifEncoder::new_with_speed(&mut bytes, SPEED);
        let written = encoder.set_repeat(Repeat::Infinite).and_then(|()| {
            let last = self.pictures.len().saturating_sub(1);
            self.pictures.iter().enumerate().try_for_each(|(at, picture)| {
                let delay = Delay::from_numer_denom_ms(if at == last { self.pause } else { self.delay }, 1);
                encoder.encode_frame(Frame::from_parts(self.enlarged(picture), 0, 0, delay))
            })
        });
        written.expect("pictures are of a GIF's sides, and memory takes what is written");
        drop(encoder);
        bytes
    }

    fn enlarged(&self, picture: &Picture) -> RgbaImage {
        let Self { scale, .. } = *self;
        RgbaImage::from_fn((picture.width * scale) as u32, (picture.height * scale) as u32, |x, y| {
            let (x, y) = (x as usize / scale, y as usize / scale);
            let at = 3 * (y * picture.width + x);
            image::Rgba([picture.pixels[at], picture.pixels[at + 1], picture.pixels[at + 2], u8::MAX])
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{AnimationDecoder, codecs::gif::GifDecoder};

    #[test]
    fn pictures_come_back_enlarged_and_at_their_times() {
        let picture = |pixels: [[u8; 3]; 2]| Picture { width: 2, height: 1, pixels: pixels.concat(), grey: false };
        let (red, blue, white) = ([200, 0, 0], [0, 10, 255], [255; 3]);
        let pictures = [picture([red, blue]), picture([white, red])];
        let bytes = Animation { pictures: &pictures, scale: 3, delay: 50, pause: 1000 }.gif();
        let frames = GifDecoder::new(std::io::Cursor::new(bytes)).unwrap().into_frames().collect_frames().unwrap();
        let delays: Vec<(u32, u32)> = frames.iter().map(|frame| frame.delay().numer_denom_ms()).collect();
        assert_eq!(delays, [(50, 1), (1000, 1)]);
        for (frame, [left, right]) in frames.iter().zip([[red, blue], [white, red]]) {
            let image = frame.buffer();
            assert_eq!(image.dimensions(), (6, 3));
            for (x, _, pixel) in image.enumerate_pixels() {
                assert_eq!(pixel.0[..3], if x < 3 { left } else { right });
            }
        }
    }
}
