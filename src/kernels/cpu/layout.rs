//! How a batch of feature maps lies in memory.
//!
//! A map is kept in blocks of a few images whose pixels are interleaved:
//! `[block][channel][h][w][image]`. The wider the map, the fewer images a block has: 1 at 32
//! pixels, 2 at 16, 4 at 8, so that a row always fills whole vectors, and a channel of a block is
//! one run of memory, whatever the map's sides. In networks that double their channels where they
//! halve their sides, blocks of all maps have one size, which fits the second-level cache.

use crate::program::Map;

/// Lanes that a row should have at least: two of the widest vectors.
const ROW: usize = 32;

/// How many images share a block of a map that is `width` pixels wide: a power of two.
pub(super) fn together(width: usize) -> usize {
    ROW.div_ceil(width).next_power_of_two()
}

/// A batch cut into blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Blocks {
    pub images: usize,
    /// Images of a block; the last one may have fewer.
    pub together: usize,
    pub channels: usize,
    /// Pixels of a channel.
    pub pixels: usize,
}

impl Blocks {
    pub fn new(map: &Map, images: usize) -> Self {
        Self { images, together: together(map.width), channels: map.channels, pixels: map.pixels() }
    }

    /// Values of the whole batch.
    pub fn len(&self) -> usize {
        self.images * self.channels * self.pixels
    }

    /// Values of `images` whole blocks' worth of images.
    pub fn chunk(&self, images: usize) -> usize {
        images * self.channels * self.pixels
    }

    /// Where block `block` begins, and how many images it has.
    pub fn block(&self, block: usize) -> (usize, usize) {
        let first = block * self.together;
        (self.chunk(first), self.together.min(self.images - first))
    }

    pub fn count(&self) -> usize {
        self.images.div_ceil(self.together)
    }

    /// The plane of a channel of a block, `[pixel][image]`.
    pub fn plane<'a>(&self, values: &'a [f32], block: usize, channel: usize) -> &'a [f32] {
        let (start, images) = self.block(block);
        let plane = self.pixels * images;
        &values[start + channel * plane..][..plane]
    }

    /// From `[n, c, h, w]`.
    pub fn import(&self, from: &[f32], to: &mut [f32]) {
        self.each_plane(|nchw, at, images| {
            for (pixel, from) in from[nchw..nchw + self.pixels].iter().enumerate() {
                to[at + pixel * images] = *from;
            }
        });
    }

    /// To `[n, c, h, w]`.
    pub fn export(&self, from: &[f32], to: &mut [f32]) {
        self.each_plane(|nchw, at, images| {
            for (pixel, to) in to[nchw..nchw + self.pixels].iter_mut().enumerate() {
                *to = from[at + pixel * images];
            }
        });
    }

    /// For every channel of every image: where it begins in `[n, c, h, w]`, where its first pixel
    /// stands in blocks, and the distance of its pixels there.
    fn each_plane(&self, mut visit: impl FnMut(usize, usize, usize)) {
        for image in 0..self.images {
            let (start, images) = self.block(image / self.together);
            for channel in 0..self.channels {
                let at = start + channel * self.pixels * images + image % self.together;
                visit((image * self.channels + channel) * self.pixels, at, images);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_fill_vectors_and_batches_come_back() {
        assert_eq!([32, 28, 16, 14, 8, 7, 1, 224].map(together), [1, 2, 2, 4, 4, 8, 32, 1]);
        for (width, images) in [(8, 11), (16, 3), (40, 2), (1, 70)] {
            let map = Map { channels: 3, height: 2, width, statistics: false };
            let blocks = Blocks::new(&map, images);
            let nchw: Vec<f32> = (0..blocks.len()).map(|v| v as f32).collect();
            let (mut kept, mut back) = (vec![-1.0; blocks.len()], vec![-1.0; blocks.len()]);
            blocks.import(&nchw, &mut kept);
            blocks.export(&kept, &mut back);
            assert_eq!(back, nchw);
            let last = blocks.count() - 1;
            let (_, in_last) = blocks.block(last);
            let image = last * blocks.together;
            let plane = blocks.plane(&kept, last, 2);
            assert_eq!(plane.len(), 2 * width * in_last);
            assert_eq!(plane[in_last..][..1], nchw[(image * 3 + 2) * 2 * width..][1..][..1].to_vec()[..]);
        }
    }
}
