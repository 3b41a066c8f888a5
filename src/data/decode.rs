//! The bytes of a picture file into RGB: JPEG and PNG, told apart by how they begin and never by their names
//! (ImageNet has a PNG that is called `.JPEG`).
//!
//! What is not RGB becomes it as `convert("RGB")` of Pillow does: grey is repeated, alpha is dropped, CMYK is multiplied
//! by its black. Unlike there, the orientation that a camera noted (EXIF) is applied.

use super::Picture;
use image::{DynamicImage, ImageDecoder, Limits, RgbImage, codecs::png::PngDecoder, metadata::Orientation};
use std::io::Cursor;
use zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions};
use zune_jpeg::JpegDecoder;

const JPEG: [u8; 2] = [0xff, 0xd8];
const PNG: [u8; 8] = [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n'];

/// Where Pillow begins to warn of a decompression bomb (`Image.MAX_IMAGE_PIXELS`): 256 MiB of RGB. Far above ImageNet's largest.
const MOST_PIXELS: usize = 89_478_485;

/// Decodes into `picture`, whose memory is used again; says in words why it cannot.
pub(super) fn decode(bytes: &[u8], picture: &mut Picture) -> Result<(), String> {
    let orientation = if bytes.starts_with(&JPEG) {
        decode_jpeg(bytes, picture)?
    } else if bytes.starts_with(&PNG) {
        decode_png(bytes, picture)?
    } else if bytes.is_empty() {
        return Err("it is empty".to_owned());
    } else {
        return Err("it is neither JPEG nor PNG".to_owned());
    };
    match orientation {
        Some(orientation) if orientation != Orientation::NoTransforms => turn(picture, orientation),
        _ => {}
    }
    Ok(())
}

fn decode_jpeg(bytes: &[u8], picture: &mut Picture) -> Result<Option<Orientation>, String> {
    // The decoder takes what is cut off within the last rows for grey; so do those that Pillow refuses as truncated.
    if !has_end(bytes) {
        return Err("it is cut short: a JPEG without its end".to_owned());
    }
    // Strict: damage is an error, not a half-grey picture. The sides are checked below, by their product.
    let options = DecoderOptions::new_fast()
        .set_strict_mode(true)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX))
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(|error| error.to_string().trim_end().to_owned())?;
    let (width, height) = decoder.dimensions().ok_or("its header has no size")?;
    let channels = decoder.output_colorspace().map_or(0, |space| space.num_components());
    if channels != 3 {
        return Err(format!("its colours are of an unknown kind with {channels} channels"));
    }
    decoder.decode_into(picture.reshape(width, height)?).map_err(|error| error.to_string().trim_end().to_owned())?;
    Ok(decoder.exif().and_then(|exif| Orientation::from_exif_chunk(exif)))
}

/// Whether the marker of the end follows the first scan. Within a scan no two data bytes look like it (ITU-T T.81, B.1.1.5);
/// before the scan it may stand in a thumbnail.
fn has_end(bytes: &[u8]) -> bool {
    const START_OF_SCAN: u8 = 0xda;
    let mut at = 2;
    while let Some(&[first, marker, high, low]) = bytes.get(at..at + 4) {
        if first != 0xff {
            // Bytes between segments, which are the decoder's to refuse.
            at += 1;
        } else if marker == START_OF_SCAN {
            return bytes[at..].windows(2).rev().any(|pair| pair == [0xff, 0xd9]);
        } else if marker == 0xff {
            at += 1;
        } else {
            at += 2 + usize::from(u16::from_be_bytes([high, low]));
        }
    }
    false
}

fn decode_png(bytes: &[u8], picture: &mut Picture) -> Result<Option<Orientation>, String> {
    let said = |error: image::ImageError| error.to_string();
    let mut limits = Limits::no_limits();
    // Four channels of two bytes.
    limits.max_alloc = Some(8 * MOST_PIXELS as u64);
    let mut decoder = PngDecoder::with_limits(Cursor::new(bytes), limits).map_err(said)?;
    let (width, height) = decoder.dimensions();
    check_size(width as usize, height as usize)?;
    let orientation = decoder.orientation().map_err(said)?;
    let image = DynamicImage::from_decoder(decoder).map_err(said)?;
    *picture = Picture::from_rgb(image.into_rgb8());
    Ok(Some(orientation))
}

fn turn(picture: &mut Picture, orientation: Orientation) {
    let Picture { width, height, pixels } = std::mem::take(picture);
    let image = RgbImage::from_raw(width as u32, height as u32, pixels).expect("a picture has three bytes a pixel");
    let mut image = DynamicImage::ImageRgb8(image);
    image.apply_orientation(orientation);
    *picture = Picture::from_rgb(image.into_rgb8());
}

impl Picture {
    /// Room for a picture of this size, with whatever lay there before.
    fn reshape(&mut self, width: usize, height: usize) -> Result<&mut [u8], String> {
        check_size(width, height)?;
        (self.width, self.height) = (width, height);
        self.pixels.resize(3 * width * height, 0);
        Ok(&mut self.pixels)
    }

    fn from_rgb(image: RgbImage) -> Self {
        let (width, height) = (image.width() as usize, image.height() as usize);
        Self { width, height, pixels: image.into_raw() }
    }
}

fn check_size(width: usize, height: usize) -> Result<(), String> {
    if width == 0 || height == 0 {
        return Err("it has no pixels".to_owned());
    }
    if width * height > MOST_PIXELS {
        return Err(format!("it claims to be {width}x{height}; {MOST_PIXELS} pixels are the limit"));
    }
    Ok(())
}
