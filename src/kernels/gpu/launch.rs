//! One launch of a kernel.

use super::buffer::{Buffer, address};
use super::kernel::{UNITS, combine, dense, dense_weight, depthwise, gradient, parameters, pool, statistics};
use super::plan::Split;
use super::window::Window;
use cubecl::client::Client;
use cubecl::ir::ElemType;
use cubecl::prelude::{CubeCount, CubeDim};

/// A kernel and what it is given beside the buffers. `records` and `targets` are places in the table, `partial` and `sums`
/// in the numbers; counts are those of the grid.
#[derive(Debug, Clone, Copy)]
pub(super) enum Launch {
    Depthwise {
        records: usize,
        channels: usize,
        window: Window,
    },
    Dense {
        records: usize,
        products: usize,
        outputs: usize,
        window: Window,
    },
    Moments {
        region: usize,
        channels: usize,
        positions: usize,
        plane: usize,
        split: Split,
        partial: usize,
    },
    NormsOfBatch {
        records: usize,
        channels: usize,
        chunks: usize,
        partial: usize,
    },
    NormsAsGiven {
        records: usize,
        channels: usize,
    },
    Pool {
        records: usize,
        channels: usize,
        window: Window,
        maximum: bool,
    },
    Combine {
        records: usize,
        channels: usize,
        positions: usize,
        plane: usize,
    },
    EntrySums {
        records: usize,
        entries: usize,
        positions: usize,
        plane: usize,
        split: Split,
        partial: usize,
    },
    Coefficients {
        records: usize,
        channels: usize,
        entries: usize,
        chunks: usize,
        partial: usize,
        sums: usize,
        inverse: f32,
    },
    Gather {
        records: usize,
        channels: usize,
        positions: usize,
        plane: usize,
        normed: bool,
    },
    DenseWeight {
        records: usize,
        products: usize,
        outputs: usize,
        inner: usize,
        window: Window,
        split: Split,
    },
    DenseInput {
        targets: usize,
        runs: usize,
        channels: usize,
        window: Window,
    },
    DepthwiseWeight {
        records: usize,
        channels: usize,
        window: Window,
        split: Split,
    },
    DepthwiseInput {
        targets: usize,
        channels: usize,
        window: Window,
    },
    PoolInput {
        targets: usize,
        channels: usize,
        window: Window,
        maximum: bool,
    },
    Reduce {
        records: usize,
        runs: usize,
        longest: usize,
        chunks: usize,
    },
    ReduceBiases {
        records: usize,
        biases: usize,
        chunks: usize,
    },
    NormParameters {
        records: usize,
        channels: usize,
    },
    MixingGradient {
        records: usize,
        weights: usize,
    },
}

/// What all launches of a pass are given.
pub(super) struct Pass<'a> {
    pub client: &'a Client,
    /// Number format of the arena.
    pub format: ElemType,
    pub images: usize,
    pub epsilon: f32,
    pub arena: Buffer,
    pub numbers: Buffer,
    pub weights: Buffer,
    pub table: Buffer,
    /// The running statistics and what was observed, in a reverse pass the gradients of weights and mixing weights.
    pub vectors: [Buffer; 2],
}

/// Grids have this many cubes in a dimension at most: what WebGPU promises everywhere.
const MOST_CUBES: usize = 65_535;

impl Launch {
    pub fn fits_a_grid(&self, images: usize) -> bool {
        self.cubes(images).iter().all(|&cubes| cubes <= MOST_CUBES)
    }

    /// Cubes in each dimension.
    fn cubes(&self, images: usize) -> [usize; 3] {
        let units = |numbers: usize| numbers.div_ceil(UNITS as usize);
        let pixels = |sides: [usize; 2]| images * sides[0] * sides[1];
        match *self {
            Self::Combine { channels, positions, .. } | Self::Gather { channels, positions, .. } => {
                [units(positions), channels, 1]
            }
            Self::Pool { channels, window, .. } => [units(pixels(window.to)), channels, 1],
            Self::PoolInput { channels, window, .. } => [units(pixels(window.from)), channels, 1],
            Self::Depthwise { channels, window, .. } => [units(images * window.strips()), channels, 1],
            Self::DepthwiseInput { channels, window, .. } => [units(images * window.read_strips()), channels, 1],
            Self::DepthwiseWeight { channels, window, split, .. } => {
                [split.chunks * window.frame.kernel[1], channels, 1]
            }
            Self::Dense { products, outputs, window, .. } => tiles(outputs, pixels(window.to), products),
            Self::DenseInput { runs, channels, window, .. } => tiles(channels, pixels(window.from), runs),
            Self::Moments { channels, split, .. } => [split.chunks, channels, 1],
            Self::EntrySums { entries, split, .. } => [split.chunks, entries, 1],
            Self::DenseWeight { products, outputs, inner, split, .. } => {
                let [y, x] = dense_weight::Tile::of(outputs, inner).count(outputs, inner);
                [x, y, products * split.chunks]
            }
            Self::NormsOfBatch { channels, .. }
            | Self::NormsAsGiven { channels, .. }
            | Self::Coefficients { channels, .. }
            | Self::NormParameters { channels, .. } => [units(channels), 1, 1],
            Self::Reduce { runs, longest, .. } => [units(longest), runs, 1],
            Self::ReduceBiases { biases, .. } => [units(biases), 1, 1],
            Self::MixingGradient { weights, .. } => [weights, 1, 1],
        }
    }

    pub fn run(&self, pass: &Pass<'_>) {
        let [x, y, z] = self.cubes(pass.images).map(|cubes| cubes as u32);
        let (client, cubes, units) = (pass.client, CubeCount::Static(x, y, z), CubeDim::new_1d(UNITS));
        let address = address(pass.arena.length.max(pass.numbers.length));
        let (format, images) = (pass.format, pass.images as u32);
        let (arena, numbers, table) = (pass.arena.arg(), pass.numbers.arg(), pass.table.arg());
        let weights = || pass.weights.arg();
        let [first, second] = &pass.vectors;
        // Everything fits 32 bits: `Plan::new` has checked the table, the numbers and the batch.
        let word = |number: usize| number as u32;
        // What every kernel is given first.
        macro_rules! launch {
            ($room:ident :: $kernel:ident, $($argument:expr),+ $(,)?) => {
                $room::$kernel::launch(client, cubes, units, address, $($argument),+)
            };
            // The same with a window: its sides, and behind what else is known when the kernel is
            // compiled its frame.
            ($room:ident :: $kernel:ident, $($argument:expr),+; $window:ident $(, $known:expr)*) => {{
                let [height, width, out_height, out_width] =
                    [$window.from[0], $window.from[1], $window.to[0], $window.to[1]].map(word);
                $room::$kernel::launch(
                    client, cubes, units, address, $($argument,)+ height, width, out_height, out_width
                    $(, $known)*, $window.frame, format
                )
            }};
        }
        match *self {
            Self::Depthwise { records, window, .. } => {
                launch!(depthwise::depthwise, arena, numbers, weights(), table, word(records), images; window);
            }
            Self::Dense { records, outputs, window, .. } => {
                launch!(dense::dense, arena, numbers, weights(), table, word(records), images; window, dense::Tile::of(outputs));
            }
            Self::Moments { region, channels, positions, plane, split, partial } => launch!(
                statistics::moments,
                arena,
                numbers,
                word(region / super::kernel::REGION),
                word(channels),
                word(positions),
                word(plane),
                word(split.length),
                word(partial),
                format
            ),
            Self::NormsOfBatch { records, channels, chunks, partial } => launch!(
                statistics::norms_of_batch,
                numbers,
                second.arg(),
                weights(),
                table,
                word(records),
                word(channels),
                word(chunks),
                word(partial),
                pass.epsilon
            ),
            Self::NormsAsGiven { records, channels } => launch!(
                statistics::norms_as_given,
                numbers,
                first.arg(),
                weights(),
                table,
                word(records),
                word(channels),
                pass.epsilon
            ),
            Self::Pool { records, window, maximum, .. } => {
                launch!(pool::pool, arena, numbers, table, word(records), images; window, maximum);
            }
            Self::Combine { records, positions, plane, .. } => {
                launch!(combine::combine, arena, numbers, table, word(records), word(positions), word(plane), format)
            }
            Self::EntrySums { records, positions, plane, split, partial, .. } => launch!(
                gradient::entry_sums,
                arena,
                numbers,
                table,
                word(records),
                word(positions),
                word(plane),
                word(split.length),
                word(partial),
                format
            ),
            Self::Coefficients { records, channels, entries, chunks, partial, sums, inverse } => {
                launch!(
                    gradient::coefficients,
                    numbers,
                    table,
                    word(records),
                    word(channels),
                    word(entries),
                    word(chunks),
                    word(partial),
                    word(sums),
                    inverse
                );
            }
            Self::Gather { records, positions, plane, normed, .. } => launch!(
                gradient::gather,
                arena,
                numbers,
                table,
                word(records),
                word(positions),
                word(plane),
                normed,
                format
            ),
            Self::DenseWeight { records, outputs, inner, window, split, .. } => launch!(
                dense_weight::dense_weight_gradient, arena, numbers, table, word(records), images, word(split.chunks),
                word(split.length); window, dense_weight::Tile::of(outputs, inner)
            ),
            Self::DenseInput { targets, channels, window, .. } => {
                launch!(dense::dense_input_gradient, arena, weights(), table, word(targets), images; window, dense::Tile::of(channels));
            }
            Self::DepthwiseWeight { records, window, split, .. } => launch!(
                depthwise::depthwise_weight_gradient, arena, numbers, table, word(records), images, word(split.length);
                window
            ),
            Self::DepthwiseInput { targets, window, .. } => {
                launch!(depthwise::depthwise_input_gradient, arena, weights(), table, word(targets), images; window);
            }
            Self::PoolInput { targets, window, maximum, .. } => {
                launch!(pool::pool_input_gradient, arena, numbers, table, word(targets), images; window, maximum);
            }
            Self::Reduce { records, chunks, .. } => {
                launch!(parameters::reduce, numbers, first.arg(), table, word(records), word(chunks))
            }
            Self::ReduceBiases { records, biases, chunks } => launch!(
                parameters::reduce_biases,
                numbers,
                first.arg(),
                table,
                word(records),
                word(biases),
                word(chunks)
            ),
            Self::NormParameters { records, channels } => {
                launch!(parameters::norm_parameters, numbers, first.arg(), table, word(records), word(channels))
            }
            Self::MixingGradient { records, .. } => {
                launch!(parameters::mixing_gradient, numbers, second.arg(), table, word(records))
            }
        }
    }
}

fn tiles(channels: usize, positions: usize, records: usize) -> [usize; 3] {
    let tile = dense::Tile::of(channels);
    [positions.div_ceil(tile.columns()), channels.div_ceil(tile.rows), records]
}
