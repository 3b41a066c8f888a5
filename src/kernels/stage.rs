//! A feature map laid out so that every tap of a kernel is one shifted read.
//!
//! A plane `[h, w]` is padded and split by the stride into `sy * sx` phases: the pixels whose padded row is `a` modulo
//! `sy` and whose padded column is `b` modulo `sx`. Where every phase has rows of `pitch` pixels, with `pitch` the width
//! of the output and as many pixels more as the taps reach to the right, the pixel that tap `t` reads for output
//! `(oy, ox)` stands at
//!
//! ```text
//! offsets[t] + oy * pitch + ox
//! ```
//!
//! The outputs of a plane are thus one flat range, the **grid** `p = oy * pitch + ox`, and a convolution is
//! `out[p] = Σ_t w[t] * staged[offsets[t] + p]`: long vector operations whatever the width of the map, its stride or
//! dilation. The price is a few grid positions between the rows (`ox >= ow`) that belong to no output.

use std::ops::Range;

use super::Window;

/// Values of the widest vector (AVX-512). Grids are rounded up to it, and staged planes have as much room after their
/// last row, so that loops over the grid need no tail.
pub(super) const VECTOR: usize = 16;

/// The layout of one plane for one kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stage {
    /// `[h, w]`
    input: [usize; 2],
    /// `[oh, ow]`
    output: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    /// Rows of a phase.
    rows: usize,
    /// Width of a phase, and distance of two rows of the grid.
    pitch: usize,
    /// Where each tap's first read stands, taps in reading order.
    offsets: Vec<usize>,
}

impl Stage {
    /// # Panics
    /// When the kernel is larger than the padded input, or a stride is zero.
    pub(super) fn new(input: [usize; 2], kernel: [usize; 2], window: Window) -> Self {
        let Window { stride, padding, dilation } = window;
        let reach = [0, 1].map(|axis| dilation[axis] * (kernel[axis] - 1));
        let output = [0, 1].map(|axis| {
            let padded = input[axis] + 2 * padding[axis];
            assert!(padded > reach[axis], "a kernel that reaches {} pixels does not fit {padded}", reach[axis] + 1);
            (padded - reach[axis] - 1) / stride[axis] + 1
        });
        let rows = output[0] + reach[0] / stride[0];
        let pitch = output[1] + reach[1] / stride[1];
        let mut offsets = Vec::with_capacity(kernel[0] * kernel[1]);
        for y in (0..kernel[0]).map(|tap| tap * dilation[0]) {
            for x in (0..kernel[1]).map(|tap| tap * dilation[1]) {
                let phase = (y % stride[0]) * stride[1] + x % stride[1];
                offsets.push((phase * rows + y / stride[0]) * pitch + x / stride[1]);
            }
        }
        Self { input, output, stride, padding, rows, pitch, offsets }
    }

    /// `[oh, ow]`
    pub(super) fn output(&self) -> [usize; 2] {
        self.output
    }

    pub(super) fn offsets(&self) -> &[usize] {
        &self.offsets
    }

    /// Values of a plane, staged, with the room after it.
    pub(super) fn len(&self) -> usize {
        self.stride[0] * self.stride[1] * self.rows * self.pitch + VECTOR
    }

    /// Positions from the first output to the last; no tap of any of them reads past the staged plane.
    pub(super) fn grid(&self) -> usize {
        (self.output[0] - 1) * self.pitch + self.output[1]
    }

    /// The grid rounded up to whole vectors; no tap of any of them reads past the room after the staged plane.
    pub(super) fn padded_grid(&self) -> usize {
        self.grid().next_multiple_of(VECTOR)
    }

    /// Whether a staged plane is the plane itself: an undilated, unpadded 1x1 kernel of stride 1.
    pub(super) fn is_identity(&self) -> bool {
        self.stride == [1, 1] && self.padding == [0, 0] && [self.rows, self.pitch] == self.input
    }

    /// Whether the grid has no gaps: it is the output.
    pub(super) fn is_dense(&self) -> bool {
        self.pitch == self.output[1]
    }

    /// Lays `plane` out in `staged`, `fill` standing for the padding.
    pub(super) fn stage(&self, plane: &[f32], fill: f32, staged: &mut [f32]) {
        staged.fill(fill);
        self.each_row(|at, pixels, step| {
            let (staged, pixels) = (&mut staged[at], &plane[pixels]);
            if step == 1 {
                staged.copy_from_slice(pixels);
            } else {
                staged.iter_mut().zip(pixels.iter().step_by(step)).for_each(|(to, from)| *to = *from);
            }
        });
    }

    /// Takes a plane out of its staged layout; pixels that no tap reads are left as they are.
    pub(super) fn unstage(&self, staged: &[f32], plane: &mut [f32]) {
        self.each_row(|at, pixels, step| {
            let (staged, pixels) = (&staged[at], &mut plane[pixels]);
            if step == 1 {
                pixels.copy_from_slice(staged);
            } else {
                pixels.iter_mut().step_by(step).zip(staged).for_each(|(to, from)| *to = *from);
            }
        });
    }

    /// Copies an output plane to the grid, zeros in the gaps and in what follows the grid.
    pub(super) fn spread(&self, plane: &[f32], grid: &mut [f32]) {
        let width = self.output[1];
        let (grid, rest) = grid.split_at_mut(self.grid());
        rest.fill(0.0);
        for (to, from) in grid.chunks_mut(self.pitch).zip(plane.chunks_exact(width)) {
            let (row, gap) = to.split_at_mut(width);
            row.copy_from_slice(from);
            gap.fill(0.0);
        }
    }

    /// Copies the grid to an output plane, without its gaps.
    pub(super) fn compact(&self, grid: &[f32], plane: &mut [f32]) {
        let width = self.output[1];
        for (from, to) in grid.chunks(self.pitch).zip(plane.chunks_exact_mut(width)) {
            to.copy_from_slice(&from[..width]);
        }
    }

    /// Calls `visit` for every row of every phase that holds pixels of the input, with their range in the staged plane,
    /// the range from the first to the last of them in the plane, and their distance in it.
    fn each_row(&self, mut visit: impl FnMut(Range<usize>, Range<usize>, usize)) {
        let [height, width] = self.input;
        for phase_y in 0..self.stride[0] {
            for phase_x in 0..self.stride[1] {
                // Column `x` of the input is column `x + padding = j * stride + phase` of the padded plane.
                let skipped = self.padding[1].saturating_sub(phase_x).div_ceil(self.stride[1]);
                let first = skipped * self.stride[1] + phase_x - self.padding[1];
                if first >= width || skipped >= self.pitch {
                    continue;
                }
                let count = (width - first).div_ceil(self.stride[1]).min(self.pitch - skipped);
                let phase = phase_y * self.stride[1] + phase_x;
                for row in 0..self.rows {
                    let Some(y) = (row * self.stride[0] + phase_y).checked_sub(self.padding[0]) else { continue };
                    if y >= height {
                        break;
                    }
                    let at = (phase * self.rows + row) * self.pitch + skipped;
                    let pixel = y * width + first;
                    visit(at..at + count, pixel..pixel + (count - 1) * self.stride[1] + 1, self.stride[1]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every tap of every output reads the pixel that the definition of a convolution names, or the fill.
    #[test]
    fn taps_read_the_pixels_of_their_windows() {
        for (input, kernel, window) in [
            ([4, 6], [3, 3], Window { padding: [1, 1], ..Window::default() }),
            ([7, 5], [3, 2], Window { stride: [2, 2], padding: [1, 0], dilation: [2, 1] }),
            ([5, 9], [1, 7], Window { stride: [1, 3], padding: [0, 3], dilation: [1, 1] }),
            ([3, 3], [1, 1], Window { stride: [2, 2], ..Window::default() }),
            ([2, 2], [2, 2], Window { padding: [3, 3], ..Window::default() }),
        ] {
            let stage = Stage::new(input, kernel, window);
            let plane: Vec<f32> = (0..input[0] * input[1]).map(|v| v as f32).collect();
            let mut staged = vec![f32::NAN; stage.len()];
            stage.stage(&plane, -1.0, &mut staged);
            for oy in 0..stage.output()[0] {
                for ox in 0..stage.output()[1] {
                    for (tap, offset) in stage.offsets().iter().enumerate() {
                        let y = oy * window.stride[0] + tap / kernel[1] * window.dilation[0];
                        let x = ox * window.stride[1] + tap % kernel[1] * window.dilation[1];
                        let pixel = y.checked_sub(window.padding[0]).zip(x.checked_sub(window.padding[1]));
                        let expected = match pixel {
                            Some((y, x)) if y < input[0] && x < input[1] => plane[y * input[1] + x],
                            _ => -1.0,
                        };
                        assert_eq!(staged[offset + oy * stage.pitch + ox], expected, "{window:?} {oy} {ox} {tap}");
                    }
                }
            }
            assert!(stage.offsets().iter().max().unwrap() + stage.padded_grid() <= stage.len());
        }
    }

    #[test]
    fn unstage_and_compact_undo_stage_and_spread() {
        let stage = Stage::new([5, 4], [3, 3], Window { padding: [1, 1], ..Window::default() });
        let plane: Vec<f32> = (0..20).map(|v| v as f32).collect();
        let (mut staged, mut back) = (vec![0.0; stage.len()], vec![0.0; 20]);
        stage.stage(&plane, 0.0, &mut staged);
        stage.unstage(&staged, &mut back);
        assert_eq!(back, plane);
        let (mut grid, mut back) = (vec![f32::NAN; stage.grid()], vec![0.0; 20]);
        stage.spread(&plane, &mut grid);
        stage.compact(&grid, &mut back);
        assert_eq!(back, plane);
        assert_eq!(grid.iter().sum::<f32>(), plane.iter().sum::<f32>());
    }

    #[test]
    fn a_plain_pointwise_kernel_needs_no_staging() {
        assert!(Stage::new([3, 5], [1, 1], Window::default()).is_identity());
        assert!(!Stage::new([3, 5], [1, 1], Window { stride: [2, 2], ..Window::default() }).is_identity());
    }
}
