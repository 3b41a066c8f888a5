//! Which pixels a window's taps read, and which outputs read a pixel.

use crate::gpu::window::Window;
use crate::program::Frame;
use cubecl::prelude::*;

/// Sides of the maps that a window reads and writes.
#[derive(CubeLaunch, CubeType, Clone, Copy)]
pub struct Sides {
    pub height: u32,
    pub width: u32,
    pub out_height: u32,
    pub out_width: u32,
}

/// As a kernel is given them.
pub fn sides(window: &Window) -> SidesLaunch {
    let Window { from: [height, width], to: [out_height, out_width], .. } = *window;
    SidesLaunch::new(height as u32, width as u32, out_height as u32, out_width as u32)
}

/// The column that a tap reads; beyond the width where there is no pixel.
#[cube]
pub fn column_read(output: u32, tap: u32, #[comptime] frame: Frame) -> u32 {
    output * comptime!(frame.stride[1] as u32)
        + tap * comptime!(frame.dilation[1] as u32)
        + comptime!(frame.start[1] as u32)
}

/// The row that a tap reads; beyond the height where there is no pixel.
#[cube]
pub fn row_read(output: u32, tap: u32, #[comptime] frame: Frame) -> u32 {
    output * comptime!(frame.stride[0] as u32)
        + tap * comptime!(frame.dilation[0] as u32)
        + comptime!(frame.start[0] as u32)
}

/// The column of outputs whose tap reads a column; beyond every width where there is none.
#[cube]
pub fn column_reached(pixel: u32, tap: u32, #[comptime] frame: Frame) -> u32 {
    let from = pixel - tap * comptime!(frame.dilation[1] as u32) - comptime!(frame.start[1] as u32);
    output_at(from, comptime!(frame.stride[1] as u32))
}

/// The row of outputs whose tap reads a row; beyond every height where there is none.
#[cube]
pub fn row_reached(pixel: u32, tap: u32, #[comptime] frame: Frame) -> u32 {
    let from = pixel - tap * comptime!(frame.dilation[0] as u32) - comptime!(frame.start[0] as u32);
    output_at(from, comptime!(frame.stride[0] as u32))
}

/// The output whose first tap reads a coordinate. A coordinate in front of the first output has
/// wrapped around: no side is that long.
#[cube]
fn output_at(from: u32, #[comptime] stride: u32) -> u32 {
    let mut output = from;
    if comptime!(stride > 1) {
        output = select(from % stride == 0 && from < 0x8000_0000u32, from / stride, 0xffff_ffffu32);
    }
    output
}
