//! Skeletons: whole networks around the cells.

use super::hint::did_you_mean;
use super::width::Width;
use crate::config::{Fields, Node, Problems, Value};
use crate::space::network::{AUXILIARY, OUTPUT};
use crate::space::primitives::{options::Role, steps::Steps};
use indexmap::IndexMap;

/// What a network of a skeleton is like unless told otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SkeletonDefaults {
    /// Width of the first cell.
    pub channels: usize,
    /// Cells, in all or a segment.
    pub size: usize,
    /// Classes and side of the images that the network is customarily counted for. A data set's own
    /// decide when it is built for one.
    pub classes: usize,
    pub input: usize,
}

/// Stems, body, head.
#[derive(Debug, Clone)]
pub struct Skeleton {
    pub defaults: SkeletonDefaults,
    pub stems: Vec<Steps>,
    pub body: Body,
    /// Reads the body; all heads read it.
    pub trunk: Steps,
    /// By what they put out: one of them called [`OUTPUT`], unless the file names several.
    pub heads: IndexMap<String, Steps>,
    /// Reads the output of the last transition; in training only.
    pub auxiliary: Option<AuxiliaryHead>,
}

#[derive(Debug, Clone)]
pub struct AuxiliaryHead {
    pub steps: Steps,
    /// Its first ReLU changes the block's output itself.
    pub in_place: bool,
}

/// What stands between stems and heads.
#[derive(Debug, Clone)]
pub enum Body {
    Segments(Segments),
    Lattice(Lattice),
}

/// All orders of so many cells and of so many of a fixed block, behind a first cell: each beginning of
/// an order is a map, made by one cell or block from the map before it. What follows reads a mixture of
/// the maps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lattice {
    /// The kind of its cells; a network has `size` of them at most, beside the first.
    pub cell: String,
    /// A fixed block.
    pub block: String,
    /// As many of them at most.
    pub blocks: usize,
    /// Label of the table of architecture parameters that weigh the maps: `gamma`.
    pub exit: String,
    pub exits: Exits,
}

/// The maps of a lattice of which what follows reads a mixture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exits {
    All,
    /// Those of complete orders, in which all cells and blocks are taken: as large as each other where
    /// blocks change the sides of maps.
    Complete,
}

/// Segments of equal cells, with a transition between one and the next.
#[derive(Debug, Clone)]
pub struct Segments {
    pub cell: String,
    pub count: Count,
    pub segments: usize,
    /// Present where there is more than one segment.
    pub transition: Option<Transition>,
    /// Of each segment, where C is `channels`; of no segment where transitions widen.
    pub widths: Vec<Width>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// `size` blocks in all; transitions stand in the place of cells, at
    /// `floor(segment * size / segments)`.
    Total,
    /// `size` cells a segment; transitions stand between.
    PerSegment,
}

#[derive(Debug, Clone)]
pub struct Transition {
    pub block: BlockName,
    /// One stands before the first segment too.
    pub is_first: bool,
    /// The width grows by this factor, from this block on.
    pub widen: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlockName {
    Cell(String),
    Fixed(String),
}

/// Bounds that no network comes near; they keep products from overflowing.
const WIDEST: usize = 1 << 14;
/// Cells, in all or a segment: published networks have twenty.
pub const LARGEST_SIZE: usize = 1 << 8;
const MOST_SEGMENTS: usize = 8;
/// Of a lattice, of which there are as many maps as orders: that of the trilevel search has 55.
const MOST_BLOCKS: usize = 4;
const MOST_MAPS: u64 = 1 << 12;
/// Numbers that an output has where it is a row of them: as many classes.
pub const MOST_SCORES: usize = 1 << 20;
pub const LARGEST_SIDE: usize = 1 << 14;

/// Names that a skeleton may use.
pub struct Known<'a> {
    pub kinds: &'a [&'a str],
    pub blocks: &'a [&'a str],
}

impl SkeletonDefaults {
    /// Where nothing is said: ten classes of 32x32 pixels.
    const CIFAR10: Self = Self { channels: 16, size: 1, classes: 10, input: 32 };
}

impl Skeleton {
    /// `None` after a complaint that leaves nothing to go on with.
    pub fn read(
        name: &str,
        node: &Node,
        earlier: &IndexMap<String, Self>,
        known: &Known<'_>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let mut fields = Fields::open(node, format!("skeleton `{name}`"), problems);
        let base = fields.text("extends").and_then(|base| {
            let found = earlier.get(&base);
            if found.is_none() {
                let origin = fields.origin_of("extends").clone();
                let hint = did_you_mean(&base, earlier.keys().map(String::as_str), "those above are");
                fields.problems().add_with_hint(&origin, format!("no skeleton `{base}` above `{name}`"), hint);
            }
            found
        });
        // After a bad `extends` all keys of the base would be said to lack.
        let lenient = fields.node("extends").is_some();
        for key in ["channels", "size", "stems", "body"] {
            if !lenient {
                fields.required_node(key);
            }
        }
        let inherited = base.map_or(SkeletonDefaults::CIFAR10, |base| base.defaults);
        let mut count = |key, inherited, most: usize| {
            fields.integer(key, inherited, 1..=most, &format!("a whole number from 1 to {most}"))
        };
        let defaults = SkeletonDefaults {
            channels: count("channels", inherited.channels, WIDEST),
            size: count("size", inherited.size, LARGEST_SIZE),
            classes: count("classes", inherited.classes, MOST_SCORES),
            input: count("input", inherited.input, LARGEST_SIDE),
        };
        let stems = match fields.node("stems") {
            Some(Node { value: Value::List(items), .. }) if !items.is_empty() => {
                Some(items.iter().map(|item| Steps::read(item, "a stem", Role::Body, fields.problems())).collect())
            }
            Some(other) => {
                fields.wrong("stems", other, "a list of one chain or more");
                None
            }
            None => base.map(|base| base.stems.clone()),
        };
        let body = match fields.node("body") {
            Some(node) => Body::read(node, known, fields.problems()),
            None => base.map(|base| base.body.clone()),
        };
        let has_heads = fields.node("heads").is_some() || fields.node("head").is_some();
        let heads = match (base, fields.node("trunk")) {
            // Another trunk before the heads of the base.
            (Some(base), Some(trunk)) if !has_heads && base.heads.len() > 1 => {
                let trunk = Steps::read(trunk, "`trunk`", Role::Head, fields.problems());
                Some((trunk, base.heads.clone()))
            }
            _ => read_heads(&mut fields, lenient).or_else(|| base.map(|base| (base.trunk.clone(), base.heads.clone()))),
        };
        let auxiliary = match fields.node("auxiliary") {
            Some(node) => {
                let transitions = body.as_ref().is_none_or(Body::has_transition);
                read_auxiliary(node, transitions, fields.problems())
            }
            None => base.and_then(|base| base.auxiliary.clone()),
        };
        fields.close();
        let (trunk, heads) = heads?;
        Some(Self { defaults, stems: stems?, body: body?, trunk, heads, auxiliary })
    }
}

impl Body {
    fn read(node: &Node, known: &Known<'_>, problems: &mut Problems) -> Option<Self> {
        if node.get("lattice").is_none() {
            return Segments::read(node, known, problems).map(Self::Segments);
        }
        let mut fields = Fields::open(node, "`body`", problems);
        let lattice = fields.node("lattice").and_then(|node| Lattice::read(node, known, fields.problems()));
        fields.close();
        lattice.map(Self::Lattice)
    }

    pub fn lattice(&self) -> Option<&Lattice> {
        match self {
            Self::Lattice(lattice) => Some(lattice),
            Self::Segments(_) => None,
        }
    }

    /// Whether a cell stands where the width grows.
    fn has_transition(&self) -> bool {
        matches!(self, Self::Segments(Segments { transition: Some(_), .. }))
    }
}

impl Lattice {
    fn read(node: &Node, known: &Known<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = Fields::open(node, "`lattice`", problems);
        for key in ["cell", "block"] {
            fields.required_node(key);
        }
        let cell = read_name(&mut fields, "cell", known.kinds, "cell kind");
        let block = read_name(&mut fields, "block", known.blocks, "block");
        let blocks = fields.integer("blocks", 1, 1..=MOST_BLOCKS, &format!("a whole number from 1 to {MOST_BLOCKS}"));
        let exit = fields.required_text("exit");
        let exits = fields.choice("exits", Exits::All, &[("all", Exits::All), ("complete", Exits::Complete)]);
        fields.close();
        Some(Self { cell: cell?, block: block?, blocks, exit, exits })
    }

    /// How many maps it has with so many cells behind the first.
    pub fn maps(&self, cells: usize) -> u64 {
        // The beginnings of orders: the sum of `binomial(b + c, b)`, which is one of a size more, less one.
        binomial(cells + self.blocks + 2, self.blocks + 1) - 1
    }

    /// How many of them are mixed.
    pub fn exits(&self, cells: usize) -> u64 {
        match self.exits {
            Exits::All => self.maps(cells),
            Exits::Complete => binomial(cells + self.blocks, self.blocks),
        }
    }

    /// The most cells behind the first that it is built with.
    pub fn largest(&self) -> usize {
        (0..=LARGEST_SIZE).rfind(|&cells| self.maps(cells) <= MOST_MAPS).unwrap_or(0)
    }
}

fn binomial(of: usize, chosen: usize) -> u64 {
    (0..chosen as u64).fold(1, |count, at| count * (of as u64 - at) / (at + 1))
}

impl Segments {
    fn read(node: &Node, known: &Known<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = Fields::open(node, "`body`", problems);
        let cell = read_name(&mut fields, "cell", known.kinds, "cell kind");
        if cell.is_none() {
            fields.required_node("cell");
        }
        let count =
            fields.choice("count", Count::Total, &[("total", Count::Total), ("per_segment", Count::PerSegment)]);
        let expected = format!("a whole number from 1 to {MOST_SEGMENTS}");
        // A bad number reads as one that wants a transition, so that the transition is looked at
        // too.
        let default = if fields.node("segments").is_some() { 2 } else { 1 };
        let segments = fields.integer("segments", default, 1..=MOST_SEGMENTS, &expected);
        let mut transition = None;
        if segments > 1 {
            let node = fields.required_node("transition");
            transition = node.and_then(|node| Transition::read(node, known, fields.problems()));
        } else if let Some(node) = fields.node("transition") {
            transition = Transition::read(node, known, fields.problems());
            if transition.as_ref().is_some_and(|transition| !transition.is_first) {
                let hint = "say `first: true`, if one stands before it";
                fields.problems().add_with_hint(&node.origin, "one segment has no transition", hint);
            }
        }
        if count == Count::Total && transition.as_ref().is_some_and(|transition| transition.is_first) {
            let place = fields.origin_of("transition").clone();
            fields.problems().add(&place, "`first` is for `count: per_segment`");
        }
        let widths = Self::widths(&mut fields, segments, transition.as_ref());
        fields.close();
        Some(Self { cell: cell?, count, segments, transition, widths })
    }

    /// `widths: [C, 2C, 2C]`
    fn widths(fields: &mut Fields<'_>, segments: usize, transition: Option<&Transition>) -> Vec<Width> {
        let Some(node) = fields.node("widths") else { return Vec::new() };
        let items = if let Value::List(items) = &node.value { items.as_slice() } else { &[] };
        let widths: Vec<Width> = items.iter().filter_map(|item| Width::of(&item.value)).collect();
        if widths.len() != items.len() || widths.len() != segments {
            fields.wrong("widths", node, "a list of a width a segment, as in `[C, 2C, 64]`");
        } else if transition.is_some_and(|transition| transition.widen > 1) {
            fields.problems().add(&node.origin, "a body says `widths`, or its transition `widen`, not both");
        }
        widths
    }
}

impl Transition {
    fn read(node: &Node, known: &Known<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = Fields::open(node, "`transition`", problems);
        let cell = read_name(&mut fields, "cell", known.kinds, "cell kind").map(BlockName::Cell);
        let block = read_name(&mut fields, "block", known.blocks, "block").map(BlockName::Fixed);
        if fields.node("cell").is_some() == fields.node("block").is_some() {
            let origin = fields.origin().clone();
            fields.problems().add(&origin, "`transition` must have either `cell` or `block`");
        }
        let widen = fields.integer("widen", 1, 1..=8, "a whole number from 1 to 8");
        let is_first = fields.boolean("first", false);
        fields.close();
        Some(Self { block: cell.or(block)?, is_first, widen })
    }
}

/// The name under `key`, which must be one of `names`.
fn read_name(fields: &mut Fields<'_>, key: &'static str, names: &[&str], what: &str) -> Option<String> {
    let name = fields.text(key)?;
    if names.contains(&name.as_str()) {
        return Some(name);
    }
    let origin = fields.origin_of(key).clone();
    let hint = did_you_mean(&name, names.iter().copied(), "there are");
    fields.problems().add_with_hint(&origin, format!("unknown {what} `{name}`"), hint);
    None
}

/// `head: […]`, or `heads: {policy: […], value: […]}` behind a `trunk: […]` that all of them read.
/// `None` where neither is said.
fn read_heads(fields: &mut Fields<'_>, lenient: bool) -> Option<(Steps, IndexMap<String, Steps>)> {
    if fields.node("heads").is_none() {
        if let Some(trunk) = fields.node("trunk") {
            fields.problems().add_with_hint(
                &trunk.origin,
                "a trunk is for several heads",
                "say `heads: {NAME: […], …}`, or put its steps into `head`",
            );
        }
        let head = if lenient { fields.node("head") } else { fields.required_node("head") }?;
        let head = Steps::read(head, "`head`", Role::Head, fields.problems());
        return Some((Steps::default(), IndexMap::from([(OUTPUT.to_owned(), head)])));
    }
    if fields.node("head").is_some() {
        let place = fields.origin_of("head").clone();
        fields.problems().add(&place, "a skeleton has `head` or `heads`, not both");
    }
    let trunk = fields.node("trunk");
    let trunk = trunk.map_or_else(Steps::default, |node| Steps::read(node, "`trunk`", Role::Head, fields.problems()));
    let named = fields.node("heads")?;
    let heads: IndexMap<String, Steps> = match &named.value {
        Value::Map(map) if !map.is_empty() => map
            .iter()
            .map(|(name, entry)| {
                if name == AUXILIARY {
                    fields.problems().add(&entry.key, format!("`{AUXILIARY}` is what the auxiliary head puts out"));
                }
                (name.clone(), Steps::read(&entry.node, &format!("head `{name}`"), Role::Head, fields.problems()))
            })
            .collect(),
        _ => {
            let place = &named.origin;
            let message = "`heads` must be a map from the names of outputs to chains, of one at least";
            fields.problems().add(place, message);
            return None;
        }
    };
    Some((trunk, heads))
}

fn read_auxiliary(node: &Node, transitions: bool, problems: &mut Problems) -> Option<AuxiliaryHead> {
    let mut fields = Fields::open(node, "`auxiliary`", problems);
    fields.required_node("after");
    fields.choice("after", (), &[("last_transition", ())]);
    if !transitions {
        let origin = fields.origin_of("after").clone();
        fields.problems().add(&origin, "a body of one segment has no transition to stand behind");
    }
    let head = fields.required_node("head");
    let steps = head.map(|node| Steps::read(node, "the auxiliary head", Role::Head, fields.problems()));
    let in_place = fields.boolean("in_place", false);
    if in_place && steps.as_ref().is_some_and(|steps| !steps.begins_with_relu()) {
        let origin = fields.origin_of("in_place").clone();
        fields.problems().add(&origin, "`in_place` is for a head that begins with `relu`");
    }
    fields.close();
    Some(AuxiliaryHead { steps: steps?, in_place })
}
