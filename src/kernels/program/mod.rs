//! A network as a list of fused operators.
//!
//! Layers are the words of a space file; they are not what a machine should execute one by one. A
//! program says the same computation in three operators that read and write whole feature maps:
//!
//! - [`Convolve`](Step::Convolve): all convolutions of one shape that can run at one time, each
//!   with prologue, depthwise convolution, dense product, bias and statistics. Never stored: the
//!   normalised and rectified input, the depthwise output.
//! - [`Pool`](Step::Pool): maximum or mean of windows, with statistics.
//! - [`Combine`](Step::Combine): `Σ_t weight_t · factor_t[image] · term_t`, all candidates of all
//!   edges that end in a node at once. Never stored: the normalised candidates, the zeros of
//!   `none`.
//!
//! What makes them few is that a **read** carries what was done to a map since it was written:
//! batch norm (its mean and variance are statistics that the writer left behind) and ReLU are one
//! multiply-add and one maximum in the reader's prologue, never a pass of their own.
//!
//! Steps that would compute the same are one: the pooling of a state does not depend on the edge
//! that asks for it. `model::lower` makes programs from networks; an engine executes them and their
//! reverse.

mod check;
mod gather;

pub use check::ProgramError;

/// Index into [`Program::maps`].
pub type MapId = usize;

/// A network as a list of fused operators. Offsets into `weights`, `mixing` and `running` are those
/// of the vectors that a pass is given.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Program {
    /// Every map, in no order.
    pub maps: Vec<Map>,
    /// The maps that a pass brings and no step writes, in this order.
    pub inputs: Vec<MapId>,
    /// Batch norms, each over some channels of a map.
    pub norms: Vec<Norm>,
    /// In an order in which every map is written before it is read, by one step and whole.
    pub steps: Vec<Step>,
    /// The maps that leave the program, of any size, in this order: in a classifier the scores of
    /// classes, and the auxiliary head's.
    pub outputs: Vec<MapId>,
    /// Lengths of the vectors.
    pub weights: usize,
    pub mixing: usize,
    pub running: usize,
    /// Places where images may be dropped: rows of the factors that a pass is given.
    pub factors: usize,
}

impl Program {
    /// Values of one image that enter the program.
    pub fn input_elements(&self) -> usize {
        self.inputs.iter().map(|&map| self.maps[map].elements()).sum()
    }

    /// After each step, the maps that no later one reads. What nobody reads ends where it is
    /// written; outputs never do.
    pub(crate) fn last_uses(&self) -> Vec<Vec<MapId>> {
        let mut last = vec![None; self.maps.len()];
        for (at, step) in self.steps.iter().enumerate() {
            last[step.output()] = Some(at);
            step.reads().for_each(|read| last[read.map] = Some(at));
        }
        let mut by_step = vec![Vec::new(); self.steps.len()];
        for (map, last) in last.into_iter().enumerate() {
            if let Some(at) = last.filter(|_| !self.outputs.contains(&map)) {
                by_step[at].push(map);
            }
        }
        by_step
    }
}

/// A feature map of a whole batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Map {
    pub channels: usize,
    pub height: usize,
    pub width: usize,
    /// Whether its writer leaves each channel's mean and variance behind.
    pub statistics: bool,
}

impl Map {
    /// Values of one image.
    pub fn elements(&self) -> usize {
        self.channels * self.pixels()
    }

    /// Values of one channel of an image.
    pub fn pixels(&self) -> usize {
        self.height * self.width
    }

    /// `[height, width]`
    pub fn sides(&self) -> [usize; 2] {
        [self.height, self.width]
    }
}

/// A batch norm over [`channels`](Self::channels) channels from [`first`](Self::first) on of a map.
///
/// `y = (x − mean) / sqrt(variance + ε) · scale + shift`, in training with the batch's own
/// statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Norm {
    pub map: MapId,
    pub first: usize,
    pub channels: usize,
    /// Offsets of scale and shift in the weights; ones and zeros where absent.
    pub scale: Option<usize>,
    pub shift: Option<usize>,
    /// Offsets in the running statistics.
    pub mean: usize,
    pub variance: usize,
}

/// Some channels of a map, as they are read: normalised first, then through the activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Read {
    pub map: MapId,
    pub first: usize,
    pub channels: usize,
    /// Index into [`Program::norms`]; covers exactly these channels.
    pub norm: Option<usize>,
    pub activation: Activation,
}

/// What a reader does to a value behind the norm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Activation {
    None,
    /// `max(x, 0)`; a value that is no number stays one.
    Relu,
}

/// How a window steps over a map: tap `t` of output `o` reads pixel `o · stride + t · dilation +
/// start`, and zero where there is none. `start` is minus the padding; it is positive where an
/// operator begins inside of the map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Frame {
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    pub start: [isize; 2],
    pub dilation: [usize; 2],
}

impl Frame {
    /// A 1x1 window that reads the pixel itself.
    pub const PIXEL: Self = Self { kernel: [1; 2], stride: [1; 2], start: [0; 2], dilation: [1; 2] };

    pub fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }
}

/// One operator of a program.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Branches write side by side into one map, in the order of their channels, and do not depend
    /// on each other.
    Convolve {
        branches: Vec<Branch>,
        output: MapId,
    },
    Pool {
        pool: PoolStep,
        output: MapId,
    },
    /// A map with no term is zero.
    Combine {
        terms: Vec<Term>,
        output: MapId,
    },
}

/// Convolutions in sequence with nothing between them.
///
/// `z[o] = bias[o] + Σ_i dense[o, i] * (depthwise[i] * source[i])`, either convolution absent or
/// both there.
#[derive(Debug, Clone, PartialEq)]
pub struct Branch {
    /// Parts of the input in the order of its channels: reads of a concatenation need no copy.
    pub source: Vec<Read>,
    /// One filter a channel.
    pub depthwise: Option<Depthwise>,
    pub dense: Option<Dense>,
    /// First channel in the output map, and how many.
    pub first: usize,
    pub channels: usize,
}

/// Weights `[channels, kh, kw]` from offset `weight` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depthwise {
    pub weight: usize,
    pub frame: Frame,
}

/// Weights `[outputs, inputs / groups, kh, kw]` from offset `weight` on; bias `[outputs]`. Behind a
/// depthwise convolution the frame is [`Frame::PIXEL`] and there is one group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dense {
    pub weight: usize,
    pub bias: Option<usize>,
    pub frame: Frame,
    pub groups: usize,
}

/// Pooling of all channels of a source. Padding is never the maximum and never counted in a mean;
/// the first maximum in reading order takes the gradient.
#[derive(Debug, Clone, PartialEq)]
pub struct PoolStep {
    pub source: Vec<Read>,
    pub frame: Frame,
    pub kind: PoolKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PoolKind {
    Max,
    Mean,
}

/// A summand of a node. Channel `c` of the read goes to output channel `at + c · spread`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    pub read: Read,
    pub at: usize,
    /// 1, or more where channels are shuffled.
    pub spread: usize,
    /// Offset of its weight in the mixing weights; 1 where absent.
    pub weight: Option<usize>,
    /// Row of the factors, one an image; 1 where absent.
    pub factor: Option<usize>,
}

impl Branch {
    /// Channels that it reads.
    pub fn inputs(&self) -> usize {
        self.source.iter().map(|read| read.channels).sum()
    }
}

impl Term {
    /// The channel of its read that goes to an output channel, if one does.
    pub fn channel_to(&self, output: usize) -> Option<usize> {
        let past = output.checked_sub(self.at)?;
        (past % self.spread == 0 && past / self.spread < self.read.channels).then_some(past / self.spread)
    }
}

impl Step {
    /// Every read, in order.
    pub fn reads(&self) -> impl Iterator<Item = &Read> {
        let (branches, pool, terms) = match self {
            Self::Convolve { branches, .. } => (branches.as_slice(), None, [].as_slice()),
            Self::Pool { pool, .. } => ([].as_slice(), Some(pool), [].as_slice()),
            Self::Combine { terms, .. } => ([].as_slice(), None, terms.as_slice()),
        };
        let of_branches = branches.iter().flat_map(|branch| &branch.source);
        of_branches.chain(pool.into_iter().flat_map(|pool| &pool.source)).chain(terms.iter().map(|term| &term.read))
    }

    /// Every read, in order, to be changed.
    pub fn reads_mut(&mut self) -> Vec<&mut Read> {
        match self {
            Self::Convolve { branches, .. } => branches.iter_mut().flat_map(|branch| &mut branch.source).collect(),
            Self::Pool { pool, .. } => pool.source.iter_mut().collect(),
            Self::Combine { terms, .. } => terms.iter_mut().map(|term| &mut term.read).collect(),
        }
    }

    /// The map that is written.
    pub fn output(&self) -> MapId {
        match self {
            Self::Convolve { output, .. } | Self::Pool { output, .. } | Self::Combine { output, .. } => *output,
        }
    }

    /// The map that is written, to be changed.
    pub fn output_mut(&mut self) -> &mut MapId {
        match self {
            Self::Convolve { output, .. } | Self::Pool { output, .. } | Self::Combine { output, .. } => output,
        }
    }
}
