//! The bytes of a picture file into RGB, told apart by how they begin and never by their names
//! (ImageNet has a PNG that is called `.JPEG`).
//!
//! What is not RGB becomes it as `convert("RGB")` of Pillow does: grey is repeated, alpha is
//! dropped, CMYK is multiplied by its black, and of what moves the first picture is taken. Unlike
//! there, the orientation that a camera noted (EXIF) is applied.

use crate::{DataError, Picture};
use image::{ColorType, DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage, metadata::Orientation};
use std::{io::Cursor, path::Path};
use zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions};
use zune_jpeg::JpegDecoder;

/// Where Pillow begins to warn of a decompression bomb (`Image.MAX_IMAGE_PIXELS`): 256 MiB of RGB.
/// Far above ImageNet's largest.
const MOST_PIXELS: usize = 89_478_485;

/// Bytes of the largest file: no more than 89 megapixels are decoded, and each has six bytes at
/// most.
const LARGEST_PICTURE: u64 = 1 << 29;

/// Decodes into `picture`, whose memory is used again; says in words why it cannot.
pub(crate) fn decode(bytes: &[u8], picture: &mut Picture) -> Result<(), String> {
    let orientation = match format_of(bytes) {
        Some(ImageFormat::Jpeg) => decode_jpeg(bytes, picture)?,
        Some(format) => decode_other(bytes, format, picture)?,
        None if bytes.is_empty() => return Err("it is empty".to_owned()),
        None => return Err(format!("it is none of {}", Picture::KINDS)),
    };
    match orientation {
        Some(orientation) if orientation != Orientation::NoTransforms => turn(picture, orientation),
        _ => {}
    }
    Ok(())
}

/// What a file is by its beginning, where it is of a kind that is read. Two letters alone would
/// take any text or tensor that begins with them for a picture.
pub(crate) fn format_of(bytes: &[u8]) -> Option<ImageFormat> {
    let format = image::guess_format(bytes).ok()?;
    let is_so = match format {
        ImageFormat::Jpeg | ImageFormat::Png | ImageFormat::WebP | ImageFormat::Gif | ImageFormat::Tiff => true,
        // Four bytes that nobody uses; after the kind of a PNM comes space.
        ImageFormat::Bmp => bytes.get(6..10) == Some(&[0; 4]),
        ImageFormat::Pnm => bytes.get(2).is_some_and(|&byte| byte.is_ascii_whitespace() || byte == b'#'),
        _ => false,
    };
    is_so.then_some(format)
}

fn decode_jpeg(bytes: &[u8], picture: &mut Picture) -> Result<Option<Orientation>, String> {
    // The decoder takes what is cut off within the last rows for grey; so do those that Pillow
    // refuses as truncated.
    if !has_end(bytes) {
        return Err("it is cut short: a JPEG without its end".to_owned());
    }
    // Strict: damage is an error, not a half-grey picture. The sides are checked below, by their
    // product.
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
    let grey = decoder.input_colorspace() == Some(ColorSpace::Luma);
    decoder.decode_into(picture.reshape(width, height)?).map_err(|error| error.to_string().trim_end().to_owned())?;
    picture.grey = grey;
    Ok(decoder.exif().and_then(|exif| Orientation::from_exif_chunk(exif)))
}

/// Whether the marker of the end follows the first scan. Within a scan no two data bytes look like
/// it (ITU-T T.81, B.1.1.5); before the scan it may stand in a thumbnail.
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

fn decode_other(bytes: &[u8], format: ImageFormat, picture: &mut Picture) -> Result<Option<Orientation>, String> {
    let said = |error: image::ImageError| error.to_string();
    let mut limits = Limits::no_limits();
    // Four channels of two bytes.
    limits.max_alloc = Some(8 * MOST_PIXELS as u64);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(said)?;
    let (width, height) = decoder.dimensions();
    check_size(width as usize, height as usize)?;
    let orientation = decoder.orientation().map_err(said)?;
    let image = DynamicImage::from_decoder(decoder).map_err(said)?;
    let grey = matches!(image.color(), ColorType::L8 | ColorType::La8 | ColorType::L16 | ColorType::La16);
    *picture = Picture::from_rgb(image.into_rgb8(), grey);
    Ok(Some(orientation))
}

fn turn(picture: &mut Picture, orientation: Orientation) {
    let Picture { width, height, pixels, grey } = std::mem::take(picture);
    let image = RgbImage::from_raw(width as u32, height as u32, pixels).expect("a picture has three bytes a pixel");
    let mut image = DynamicImage::ImageRgb8(image);
    image.apply_orientation(orientation);
    *picture = Picture::from_rgb(image.into_rgb8(), grey);
}

impl Picture {
    /// Whether a file that begins with `start`, 16 bytes or more, is of one of these kinds.
    pub fn begins_with(start: &[u8]) -> bool {
        format_of(start).is_some()
    }

    /// The pixels that a file says in its header it has; `None` where it says nothing that is understood.
    pub fn pixels_of(path: &Path) -> Option<u64> {
        let reader = ImageReader::open(path).ok()?.with_guessed_format().ok()?;
        let (width, height) = reader.into_dimensions().ok()?;
        Some(u64::from(width) * u64::from(height))
    }

    /// Reads a picture, whatever its name ends in: grey, CMYK, with alpha or turned by its camera.
    ///
    /// # Errors
    /// Where the file cannot be read, or is no whole picture of these kinds.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        let bytes = darts_machine::read(path, LARGEST_PICTURE).map_err(DataError::read(path))?;
        let mut picture = Self::default();
        decode(&bytes, &mut picture).map_err(|why| DataError::Picture { path: path.to_owned(), why })?;
        Ok(picture)
    }

    /// Room for a picture of this size, with whatever lay there before.
    fn reshape(&mut self, width: usize, height: usize) -> Result<&mut [u8], String> {
        check_size(width, height)?;
        (self.width, self.height) = (width, height);
        self.pixels.resize(3 * width * height, 0);
        Ok(&mut self.pixels)
    }

    fn from_rgb(image: RgbImage, grey: bool) -> Self {
        let (width, height) = (image.width() as usize, image.height() as usize);
        Self { width, height, pixels: image.into_raw(), grey }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        fs,
        path::{Path, PathBuf},
    };

    fn golden(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/pictures").join(name)
    }

    fn open(name: &str) -> Picture {
        Picture::open(&golden(name)).unwrap()
    }

    /// The greatest difference of a byte from what `make.py` beside the pictures says that Pillow
    /// makes of them.
    fn difference(name: &str, expected: &str) -> u8 {
        let (found, expected) = (open(name), open(expected));
        assert_eq!((found.width, found.height), (expected.width, expected.height), "{name}");
        found.pixels.iter().zip(&expected.pixels).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
    }

    /// Two decoders may round the inverse transform and the colours differently by one each.
    const ROUNDING: u8 = 3;

    #[test]
    fn jpegs_of_all_colours_are_pillows() {
        for name in ["baseline", "progressive", "grey", "cmyk", "ycck"] {
            let difference = difference(&format!("{name}.jpg"), &format!("{name}.png"));
            assert!(difference <= ROUNDING, "{name}: {difference}");
        }
    }

    #[test]
    fn a_picture_is_turned_as_its_camera_noted() {
        for orientation in 1..=8 {
            let difference = difference(&format!("turned_{orientation}.jpg"), &format!("turned_{orientation}.png"));
            assert!(difference <= ROUNDING, "{orientation}: {difference}");
        }
        assert_eq!((open("turned_6.jpg").width, open("turned_6.jpg").height), (24, 32));
    }

    #[test]
    fn pngs_lose_their_alpha_their_palette_and_their_second_byte() {
        assert_eq!(open("of_alpha.png"), open("picture.png"));
        assert_eq!(open("of_palette.png"), open("palette.png"));
        let picture = open("picture.png");
        let red: Vec<u8> = picture.pixels.chunks(3).flat_map(|pixel| [pixel[0]; 3]).collect();
        assert_eq!(open("of_grey.png").pixels, red);
        assert_eq!(open("of_grey_16.png").pixels, red);
    }

    #[test]
    fn other_kinds_are_pillows_and_of_what_moves_the_first_picture_is() {
        for name in ["lossless.webp", "alpha.webp", "picture.bmp", "picture.ppm", "lzw.tif"] {
            assert_eq!(open(name), open("picture.png"), "{name}");
        }
        assert_eq!(open("grey.pgm"), open("of_grey.png"));
        assert_eq!(open("bits.pbm").pixels, open("bits.png").pixels);
        assert_eq!(open("moving.gif"), open("palette.png"));
        let difference = difference("lossy.webp", "lossy.png");
        assert!(difference <= ROUNDING, "{difference}");
    }

    /// The length that a file of tensors begins with may be the two letters of another kind.
    #[test]
    fn two_letters_are_no_picture() {
        for start in [
            &b"BM\0\0\0\0\0\0{\"x\":{"[..],
            b"P5\0\0\0\0\0\0{\"x\":{",
            b"BMW, Audi and Opel",
            b"P1,P2,P3",
            b"\xff\xd8\0\0",
        ] {
            assert!(!Picture::begins_with(start), "{start:?}");
        }
        for name in ["baseline.jpg", "picture.png", "lossy.webp", "moving.gif", "picture.bmp", "lzw.tif", "bits.pbm"] {
            assert!(Picture::begins_with(&fs::read(golden(name)).unwrap()[..16]), "{name}");
        }
    }

    #[test]
    fn what_a_file_is_called_says_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("n02105855_2933.JPEG");
        fs::copy(golden("picture.png"), &path).unwrap();
        assert_eq!(Picture::open(&path).unwrap(), open("picture.png"));
    }

    fn why(bytes: &[u8]) -> String {
        decode(bytes, &mut Picture::default()).unwrap_err()
    }

    #[test]
    fn a_file_cut_short_anywhere_is_refused() {
        let names =
            ["baseline.jpg", "progressive.jpg", "cmyk.jpg", "grey.jpg", "turned_6.jpg", "wide.png", "of_palette.png"];
        for name in names {
            let bytes = fs::read(golden(name)).unwrap();
            assert!(decode(&bytes, &mut Picture::default()).is_ok());
            // Pillow too takes a PNG without the whole of its last, empty chunk.
            let enough = if name.ends_with("png") { bytes.len() - 12 } else { bytes.len() };
            for length in 0..enough {
                assert!(!why(&bytes[..length]).is_empty(), "{name} of {length} bytes");
            }
        }
        assert_eq!(why(b""), "it is empty");
        assert_eq!(why(b"PK\x03\x04"), "it is none of JPEG, PNG, WebP, GIF, BMP, TIFF and PNM");
        let bytes = fs::read(golden("turned_6.jpg")).unwrap();
        assert_eq!(why(&bytes[..bytes.len() - 2]), "it is cut short: a JPEG without its end");
    }

    #[test]
    fn damage_is_refused_or_shows_and_never_ends_the_program() {
        let jpegs = ["baseline.jpg", "progressive.jpg", "cmyk.jpg", "turned_6.jpg"];
        let others = ["of_palette.png", "of_grey_16.png", "lossless.webp", "lossy.webp", "moving.gif", "picture.bmp"];
        for name in jpegs.into_iter().chain(others).chain(["lzw.tif", "picture.ppm", "bits.pbm"]) {
            let bytes = fs::read(golden(name)).unwrap();
            let mut picture = Picture::default();
            for at in 0..bytes.len() {
                for value in [0, 1, 0x7f, 0xff, bytes[at] ^ 0x10] {
                    let mut changed = bytes.clone();
                    changed[at] = value;
                    if decode(&changed, &mut picture).is_ok() {
                        assert_eq!(picture.pixels.len(), 3 * picture.width * picture.height);
                    }
                }
            }
        }
    }

    #[test]
    fn a_picture_that_claims_to_be_huge_is_refused_before_it_takes_memory() {
        let mut jpeg = fs::read(golden("baseline.jpg")).unwrap();
        let frame = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
        jpeg[frame + 5..frame + 9].fill(0xff);
        assert_eq!(why(&jpeg), "it claims to be 65535x65535; 89478485 pixels are the limit");

        let mut png = fs::read(golden("picture.png")).unwrap();
        png[16..24].copy_from_slice(&[0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff]);
        let mut crc = flate2::Crc::new();
        crc.update(&png[12..29]);
        png[29..33].copy_from_slice(&crc.sum().to_be_bytes());
        assert!(why(&png).contains("65535x65535"), "{}", why(&png));
    }

    #[test]
    fn a_picture_that_cannot_be_opened_is_named_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jpg");
        assert!(matches!(Picture::open(&path).unwrap_err(), DataError::Read { .. }));
        fs::write(&path, "text").unwrap();
        let said = Picture::open(&path).unwrap_err().to_string();
        assert_eq!(said, format!("`{}` cannot be decoded: it is none of {}", path.display(), Picture::KINDS));
    }
}
