//! A network with nothing left open: every label, width, stride and size decided.
//!
//! A space file, a skeleton and either "all candidates" (a supernet) or a genotype (a discrete
//! network) are lowered to this tree. `model` executes it, `cost` sums over it, and its labels are
//! the names of tensors in files. It holds no tensor itself.

pub use super::feature_map::FeatureMap;
pub use super::primitives::{Chain, Conv, Layer, LayerKind, Nonlinearity, Padding, Pool};
pub use super::tensor_spec::{TensorRole, TensorSpec, tensor_name};
use std::ops::Range;

/// A whole network: stem, blocks, head.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    pub input: FeatureMap,
    /// Stems in turn, each reading the one before. What they give are the first states.
    pub stems: Vec<Chain>,
    pub blocks: Vec<Block>,
    /// What behind the blocks is read of all states, where it is not the newest alone.
    pub exit: Option<Exit>,
    /// Reads the exit, and all heads read it; nothing in most networks.
    pub trunk: Chain,
    /// One an output, at least one.
    pub heads: Vec<Head>,
    /// Reads the output of block `after`; used in training only.
    pub auxiliary: Option<Auxiliary>,
    /// The tables of architecture parameters, empty in a discrete network.
    pub alphas: Vec<AlphaTable>,
    /// Of a supernet whose nodes choose their widths.
    pub widths: Option<Widths>,
    pub norms: Norms,
}

/// How all batch norms of a network compute.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Norms {
    /// What is added to a variance.
    pub epsilon: f64,
    /// Whether they look at the batch in evaluation too, not at running statistics: then what comes
    /// of an image depends on those beside it.
    pub of_batch: bool,
}

/// PyTorch's, which the reference code bases of most spaces keep.
impl Default for Norms {
    fn default() -> Self {
        Self { epsilon: 1e-5, of_batch: false }
    }
}

/// The widths among which nodes choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Widths {
    /// An index into [`Network::alphas`]: a row a node, a column a choice.
    pub table: usize,
    /// Of each choice.
    pub channels: Vec<usize>,
}

/// A mixture of states: their sum, each weighed by a candidate of the one edge of an alpha table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// An index into [`Network::alphas`].
    pub table: usize,
    /// In the order of the candidates; equally large.
    pub states: Vec<usize>,
    /// The candidates from which no further step leads, those of whole ways, where what is before them on
    /// the way is a candidate too; nothing elsewhere.
    pub ends: Vec<usize>,
}

/// The last layers before an output.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    pub output: OutputSpec,
    pub chain: Chain,
}

/// What a network puts out for an example: a map, of one pixel where it is a row of numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputSpec {
    /// [`OUTPUT`] where there is one.
    pub name: String,
    pub size: FeatureMap,
}

/// What the output of a network of one head is called.
pub const OUTPUT: &str = "output";
/// What the output of the auxiliary head is called.
pub const AUXILIARY: &str = "auxiliary";

impl OutputSpec {
    /// Its sizes in a tensor behind the batch's: a row of numbers has one.
    pub fn sides(&self) -> Vec<usize> {
        match self.size {
            FeatureMap { channels, height: 1, width: 1 } => vec![channels],
            FeatureMap { channels, height, width } => vec![channels, height, width],
        }
    }

    /// One output, a row of so many numbers: of a classifier, a score a class.
    pub fn scores(numbers: usize) -> Vec<Self> {
        vec![Self { name: OUTPUT.to_owned(), size: FeatureMap { channels: numbers, height: 1, width: 1 } }]
    }
}

impl Network {
    /// Numbers of its first output: of a classifier, its classes.
    pub fn scores(&self) -> usize {
        self.heads.first().map_or(0, |head| head.output.size.elements())
    }
}

/// A second head, which helps the training.
#[derive(Debug, Clone, PartialEq)]
pub struct Auxiliary {
    pub after: usize,
    /// The head's first ReLU also changes what those behind it read: in training they see block
    /// `after` without its negative part. Cells that begin with a ReLU do not notice; the network's
    /// head does, where the block is the last.
    pub in_place: bool,
    pub head: Chain,
}

/// The edges of an alpha table that are a cell's: rows from `first` on, as many as it has edges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlphaRows {
    /// An index into [`Network::alphas`].
    pub table: usize,
    pub first: usize,
}

/// One row an edge, one column a candidate, shared by all cells that name it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlphaTable {
    /// `alphas_normal`
    pub label: String,
    /// The cell kind it belongs to.
    pub kind: String,
    /// Candidates of each edge, in the order of the table's columns.
    pub candidates: Vec<Vec<String>>,
    /// Where edges are normalised.
    pub betas: Option<Betas>,
    /// What else an edge weighs, in the order of the columns behind the candidates'.
    pub extras: Vec<Extra>,
    pub level: Level,
    /// Of an edge between nodes that choose their widths, the rows of their choices: the score of each
    /// multiplies what the edge weighs.
    pub scores: Vec<Vec<usize>>,
}

/// What a table of architecture parameters decides.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Level {
    /// Which operation stands on an edge.
    #[default]
    Operations,
    /// Where a lattice is left, in one row.
    Path,
    /// How wide a node is.
    Width,
}

/// Edge normalisation (PC-DARTS, arXiv 1907.05737, eq. 4): a learned number an edge, whose softmax
/// over the edges into a node weighs all that the edge gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Betas {
    /// `betas_normal`
    pub label: String,
    /// The state that each edge ends at; equal ones stand side by side.
    pub targets: Vec<usize>,
}

/// What an edge weighs beside its candidates: a column of the mixing weights that no alpha decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extra {
    /// The channels that pass the candidates by, where edges are normalised. Elsewhere their weight
    /// is 1, and no column.
    Bypass,
    /// The auxiliary skip connection.
    Skip,
}

impl AlphaTable {
    pub fn rows(&self) -> usize {
        self.candidates.len()
    }

    /// Widest edge; narrower edges leave their last columns unused.
    pub fn columns(&self) -> usize {
        self.candidates.iter().map(Vec::len).max().unwrap_or(0)
    }

    /// Where the candidates of each edge lie in the table's numbers, row after row.
    pub fn edges(&self) -> impl Iterator<Item = Range<usize>> {
        let columns = self.columns();
        self.candidates.iter().enumerate().map(move |(row, edge)| row * columns..row * columns + edge.len())
    }

    /// Columns of the mixing weights: the candidates', then those of what else an edge weighs.
    pub fn mixing_columns(&self) -> usize {
        self.columns() + self.extras.len()
    }

    /// The mixing weights' column of `extra`, if the table has it.
    pub fn column_of(&self, extra: Extra) -> Option<usize> {
        self.extras.iter().position(|known| *known == extra).map(|at| self.columns() + at)
    }
}

/// A step of the body. The outputs of all stems and blocks form one list of states.
#[derive(Debug, Clone, PartialEq)]
pub enum Block {
    Cell(Cell),
    /// A fixed chain that reads one state.
    Fixed {
        reads: usize,
        chain: Chain,
    },
}

/// A cell: input adapters, mixed (or chosen) edges, output.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// `normal`
    pub kind: String,
    /// Adapters of the cell's inputs, oldest state first: DARTS has two (the cell before the last,
    /// and the last), NAS-Bench-201 one that does nothing. Their outputs are the cell's states 0, 1, …
    pub inputs: Vec<Chain>,
    /// The network's state that each input reads.
    pub reads: Vec<usize>,
    /// Edges in the order of the alpha table's rows: by target, then by source. In a discrete
    /// network by target, then in the order of the genotype, where two edges may join the same
    /// states.
    pub edges: Vec<Edge>,
    /// States that are not inputs; state `inputs.len() + n` is the sum of its incoming edges.
    pub nodes: Vec<Node>,
    pub output: CellOutput,
    /// What the output goes through; nothing in most spaces.
    pub then: Chain,
    /// Of the edges that leave inputs.
    pub stride: usize,
    /// The map of a node of full width.
    pub size: FeatureMap,
    /// What mixes its edges; absent in a discrete network.
    pub alphas: Option<AlphaRows>,
}

/// A state of a cell that edges lead to.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub channels: usize,
    /// The row of its alphas, where it chooses its width.
    pub choice: Option<usize>,
    /// What its sum goes through before anything reads it; nothing in most spaces.
    pub then: Chain,
}

impl Cell {
    /// What stands behind its nodes, and behind its output.
    pub fn behind(&self) -> impl Iterator<Item = &Chain> {
        self.nodes.iter().map(|node| &node.then).chain([&self.then])
    }

    /// The map of a node.
    pub fn node_size(&self, node: usize) -> FeatureMap {
        FeatureMap { channels: self.nodes[node].channels, ..self.size }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum CellOutput {
    /// Channel concatenation of these states.
    Concat(Vec<usize>),
    /// Sum of these states (a single state is that state).
    Sum(Vec<usize>),
    /// A node, times a constant, and an input.
    Residual { state: usize, scale: f64, plus: usize },
}

/// An edge between two states of a cell.
#[derive(Debug, Clone, PartialEq)]
pub struct Edge {
    pub source: usize,
    pub target: usize,
    /// All candidates in a supernet, one in a discrete network.
    pub candidates: Vec<Candidate>,
    /// Of a supernet whose edges have one: a skip connection beside the candidates, which reads and
    /// gives what they do.
    pub skip: Option<Chain>,
    /// Of a supernet where only a part of the channels goes through the candidates.
    pub partial: Option<Partial>,
}

/// Partial channels (PC-DARTS, arXiv 1907.05737, section 3.1): the first `1/groups` of an edge's
/// channels go through its candidates, the others pass them by. Both parts are laid side by side
/// and then shuffled: of `C` channels, output `c · groups + g` is channel `g · C / groups + c`.
#[derive(Debug, Clone, PartialEq)]
pub struct Partial {
    /// *K*, which divides the cell's width.
    pub groups: usize,
    /// What brings the channels that pass by to the sides of the edge's end: nothing on an edge of
    /// stride 1.
    pub bypass: Chain,
}

impl Edge {
    /// Every chain that reads what the candidates read.
    pub fn chains(&self) -> impl Iterator<Item = &Chain> {
        self.candidates.iter().map(|candidate| &candidate.chain).chain(&self.skip)
    }
}

/// One operation on an edge.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// `sep_conv_3x3`
    pub operation: String,
    pub chain: Chain,
}

impl Candidate {
    /// Whether the candidate gives its input back.
    pub fn is_identity(&self) -> bool {
        self.chain.layers.iter().all(|layer| matches!(layer.kind, LayerKind::Identity))
    }

    /// Whether the candidate contributes nothing.
    pub fn is_zero(&self) -> bool {
        self.chain.layers.iter().any(|layer| matches!(layer.kind, LayerKind::Zero { .. }))
    }
}
