//! A picture as a file.

use crate::Picture;
use image::{
    ExtendedColorType, ImageEncoder,
    codecs::png::{CompressionType, FilterType, PngEncoder},
};

impl Picture {
    /// As a PNG; equal pictures make equal bytes.
    pub fn png(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let encoder = PngEncoder::new_with_quality(&mut bytes, CompressionType::Default, FilterType::Adaptive);
        encoder
            .write_image(&self.pixels, self.width as u32, self.height as u32, ExtendedColorType::Rgb8)
            .expect("a picture has three bytes a pixel, and memory takes what is written");
        bytes
    }

    /// Of numbers from 0 to 1, `[3, height, width]`, each rounded to a byte; what is beyond becomes
    /// 0 or 255.
    pub fn from_planes(planes: &[f32], height: usize, width: usize) -> Self {
        let plane = height * width;
        let byte = |value: f32| (f64::from(value) * 255.0 + 0.5).floor() as u8;
        let pixels = (0..plane).flat_map(|at| [0, 1, 2].map(|channel| byte(planes[channel * plane + at]))).collect();
        Self { width, height, pixels, grey: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pictures::decode::decode;

    #[test]
    fn a_picture_comes_back_from_its_file() {
        let planes = [0.0, 1.0, 0.5, -3.0, 7.0, 1.0 / 255.0].repeat(3);
        let picture = Picture::from_planes(&planes, 2, 3);
        assert_eq!(picture.pixels.iter().step_by(3).copied().collect::<Vec<_>>(), [0, 255, 128, 0, 255, 1]);
        let mut back = Picture::default();
        decode(&picture.png(), &mut back).unwrap();
        assert_eq!(back, picture);
    }
}
