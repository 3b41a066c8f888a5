//! A program for a number of images: where everything lies, and which kernels run in which order.
//!
//! A plan is made once and run many times. It allocates nothing while it runs and asks the GPU
//! nothing: a pass is a fixed list of launches over fixed places.

mod backward;
mod dense_backward;
mod depthwise_backward;
mod forward;
mod gradients;
mod parameters;
mod space;
mod table;

use self::space::{Space, Stretch};
use self::table::Table;
use super::kernel::REGION;
use super::kernel::source::{Flags, PROLOGUE, Plane, Source};
use super::launch::Launch;
use crate::program::{Activation, Map, Program, ProgramError, Read};

/// What a pass is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Purpose {
    /// Norms look at the batch, and not at the running statistics.
    pub of_batch: bool,
    /// Whether the reverse pass will be run.
    pub reverse: bool,
    /// Whether the gradients of the inputs and of the weights are asked for.
    pub inputs: bool,
    pub weights: bool,
}

/// A program cannot be run on so many images.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlanError {
    #[error(transparent)]
    Program(#[from] ProgramError),
    #[error("a pass over {images} images is too large for one GPU buffer: use a smaller batch")]
    TooLarge { images: usize },
}

/// Launches and the sizes of the buffers that they work on.
#[derive(Debug)]
pub(in crate::gpu) struct Plan {
    pub table: Vec<u32>,
    pub forward: Vec<Box<dyn Launch>>,
    pub reverse: Vec<Box<dyn Launch>>,
    /// Lengths of the buffers.
    pub arena: usize,
    pub numbers: usize,
    /// Where each input lies, and its number of numbers.
    pub inputs: Vec<(usize, usize)>,
    /// Where each output lies, and its number of numbers.
    pub outputs: Vec<(usize, usize)>,
    /// Where each output's gradient lies, and its number of numbers.
    pub seeds: Vec<(usize, usize)>,
    /// Where each input's gradient lies, if anybody read the input and the gradient is asked for.
    pub input_gradients: Vec<Option<usize>>,
    /// How the numbers begin: prologues that change nothing, ones, mixing weights, factors.
    pub front: [usize; 4],
}

/// What is known while a plan is made.
struct Planner<'a> {
    program: &'a Program,
    images: usize,
    purpose: Purpose,
    table: Table,
    arena: Space,
    numbers: Space,
    launches: Vec<Box<dyn Launch>>,
    /// Where maps lie, once they are written.
    maps: Vec<Option<Stretch>>,
    /// Where the prologues of norms lie.
    norms: Vec<usize>,
    front: [usize; 4],
}

/// The place of a prologue that changes nothing.
const PLAIN: usize = 0;

impl Plan {
    /// # Errors
    /// A program that does not pass [`Program::check`], and batches whose places do not fit 32
    /// bits.
    pub fn new(program: &Program, images: usize, purpose: Purpose) -> Result<Self, PlanError> {
        program.check()?;
        let too_large = || PlanError::TooLarge { images };
        let largest = program.maps.iter().map(Map::elements).max().unwrap_or(0);
        if images == 0 || largest.checked_mul(images).is_none_or(|numbers| numbers > u32::MAX as usize / 2) {
            return Err(too_large());
        }
        let front = [PROLOGUE, images, program.mixing, program.factors * images];
        let mut planner = Planner {
            program,
            images,
            purpose,
            table: Table::default(),
            arena: Space::default(),
            numbers: Space::default(),
            launches: Vec::new(),
            maps: vec![None; program.maps.len()],
            norms: Vec::new(),
            front,
        };
        planner.forward();
        let forward = std::mem::take(&mut planner.launches);
        let lies = |map: usize| (planner.place(map), planner.elements(map));
        let [inputs, outputs] =
            [&program.inputs, &program.outputs].map(|maps| maps.iter().map(|&map| lies(map)).collect::<Vec<_>>());
        let (mut seeds, mut input_gradients) = (Vec::new(), Vec::new());
        if purpose.reverse {
            let seeded: Vec<Stretch> = outputs.iter().map(|(_, numbers)| planner.arena.take(*numbers)).collect();
            seeds = seeded.iter().zip(&outputs).map(|(seed, (_, numbers))| (seed.start, *numbers)).collect();
            input_gradients = planner.reverse(&seeded);
        }
        let leaving = outputs.iter().map(|(_, numbers)| numbers).sum();
        let plan = Self {
            inputs,
            reverse: planner.launches,
            table: planner.table.words,
            arena: planner.arena.length(),
            numbers: planner.numbers.length(),
            forward,
            outputs,
            seeds,
            input_gradients,
            front,
        };
        let longest = plan.table.len().max(plan.numbers).max(program.weights).max(leaving);
        let fits = longest < u32::MAX as usize && plan.arena / REGION < u32::MAX as usize;
        let launches = || plan.forward.iter().chain(&plan.reverse);
        if !fits || !launches().all(|launch| launch.fits_a_grid(images)) { Err(too_large()) } else { Ok(plan) }
    }
}

impl Planner<'_> {
    /// The place of the number 1, and of a row of ones, one an image.
    fn ones(&self) -> usize {
        self.front[0]
    }

    fn mixing(&self, weight: Option<usize>) -> usize {
        weight.map_or(self.ones(), |weight| self.front[0] + self.front[1] + weight)
    }

    fn factor(&self, row: Option<usize>) -> usize {
        row.map_or(self.ones(), |row| self.front[..3].iter().sum::<usize>() + row * self.images)
    }

    /// Where a map lies.
    fn place(&self, map: usize) -> usize {
        self.maps[map].expect("a checked program reads only what was written").start
    }

    /// Positions of a map: pixels of all images.
    fn positions(&self, map: usize) -> usize {
        self.images * self.program.maps[map].pixels()
    }

    /// Numbers of a map: of all images.
    fn elements(&self, map: usize) -> usize {
        self.images * self.program.maps[map].elements()
    }

    /// The plane of a channel of what lies at `start` and is as large as a map.
    fn plane(&self, start: usize, map: usize, channel: usize) -> Plane {
        let size = &self.program.maps[map];
        Plane::of(start, channel, size.channels, size.pixels())
    }

    fn map_plane(&self, map: usize, channel: usize) -> Plane {
        self.plane(self.place(map), map, channel)
    }

    fn launch(&mut self, launch: impl Launch + 'static) {
        self.launches.push(Box::new(launch));
    }

    /// Channel `at` of a read.
    fn source(&self, read: &Read, at: usize) -> Source {
        Source {
            plane: self.map_plane(read.map, read.first + at),
            prologue: read.norm.map_or(PLAIN, |norm| self.norms[norm] + at * PROLOGUE),
            flags: Flags { norm: read.norm.is_some(), activation: read.activation },
        }
    }

    fn sources(&self, reads: &[Read]) -> Vec<Source> {
        reads.iter().flat_map(|read| (0..read.channels).map(move |at| self.source(read, at))).collect()
    }

    fn sides_of(&self, reads: &[Read]) -> [usize; 2] {
        self.program.maps[reads[0].map].sides()
    }
}

/// A channel that is written as it is and read as it is.
fn plain(plane: Plane) -> Source {
    Source { plane, prologue: PLAIN, flags: Flags { norm: false, activation: Activation::None } }
}
