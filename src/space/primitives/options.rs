//! What options of primitives are made of: phases, strides, windows.

use crate::config::{Fields, Node, Value};
use crate::space::feature_map::FeatureMap;
use crate::space::language::width::Letters;
use crate::space::lowering::error::SpaceError;

pub const LARGEST_KERNEL: i64 = 63;
const LARGEST_STRIDE: i64 = 8;

/// Which network is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// A supernet.
    Search,
    /// A discrete network.
    Final,
}

/// In which phases a step or a flag holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    Always,
    Never,
    Only(Phase),
    /// In a supernet, and in a discrete network where an operation does not give as many channels as
    /// it reads.
    Resized,
}

impl When {
    pub fn holds(self, phase: Phase, letters: Letters) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Only(only) => only == phase,
            Self::Resized => phase == Phase::Search || letters.here != letters.input,
        }
    }
}

/// What steps are for, which decides what they may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// An operation: has an edge, whose stride it may take.
    Operation,
    /// A stem, an adapter, a fixed block.
    Body,
    /// A head: may end the feature map.
    Head,
}

/// A stride, perhaps the edge's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stride {
    Edge,
    Fixed(usize),
}

impl Stride {
    pub fn on(self, edge: usize) -> usize {
        match self {
            Self::Edge => edge,
            Self::Fixed(stride) => stride,
        }
    }

    pub fn read(fields: &mut Fields<'_>, role: Role) -> Self {
        fields.node("stride").map_or(Self::Fixed(1), |node| Self::of(fields, node, role))
    }

    /// One for both axes, or a list of two: height, width.
    pub fn read_pair(fields: &mut Fields<'_>, role: Role) -> [Self; 2] {
        let Some(node) = fields.node("stride") else { return [Self::Fixed(1); 2] };
        match &node.value {
            Value::List(items) if items.len() == 2 => [0, 1].map(|axis: usize| Self::of(fields, &items[axis], role)),
            Value::List(_) => {
                fields.wrong("stride", node, "one stride or two (height, width)");
                [Self::Fixed(1); 2]
            }
            _ => [Self::of(fields, node, role); 2],
        }
    }

    fn of(fields: &mut Fields<'_>, node: &Node, role: Role) -> Self {
        match &node.value {
            Value::Text(word) if word == "edge" => {
                if role != Role::Operation {
                    fields.problems().add(&node.origin, "`stride: edge` has a meaning in operations only");
                }
                return Self::Edge;
            }
            Value::Integer(value) if (1..=LARGEST_STRIDE).contains(value) => {
                if let Ok(value) = usize::try_from(*value) {
                    return Self::Fixed(value);
                }
            }
            _ => {}
        }
        fields.wrong("stride", node, &format!("a whole number from 1 to {LARGEST_STRIDE}, or `edge`"));
        Self::Fixed(1)
    }
}

pub fn read_when(fields: &mut Fields<'_>) -> When {
    let choices =
        [("search", When::Only(Phase::Search)), ("final", When::Only(Phase::Final)), ("resized", When::Resized)];
    fields.choice("when", When::Always, &choices)
}

pub fn read_flag(fields: &mut Fields<'_>, key: &'static str, default: When) -> When {
    let choices = [
        ("true", When::Always),
        ("false", When::Never),
        ("search", When::Only(Phase::Search)),
        ("final", When::Only(Phase::Final)),
    ];
    fields.choice(key, default, &choices)
}

/// The padding that keeps a map's sides, `span` being `dilation * (kernel - 1)`, unless `padding`
/// is given.
pub fn read_padding(fields: &mut Fields<'_>, spans: [usize; 2]) -> [usize; 2] {
    if fields.node("padding").is_some() {
        return read_pair(fields, "padding", Some([0, 0]), 0, LARGEST_KERNEL * LARGEST_KERNEL);
    }
    if spans.iter().any(|span| span % 2 == 1) {
        let origin = fields.origin_of("kernel").clone();
        fields.problems().add_with_hint(
            &origin,
            "no padding keeps the sides with an even kernel",
            "say `padding:`, for example `padding: 0`",
        );
    }
    spans.map(|span| span / 2)
}

/// One whole number for both axes, or a list of two: height, width.
pub fn read_pair(
    fields: &mut Fields<'_>,
    key: &'static str,
    default: Option<[usize; 2]>,
    least: i64,
    most: i64,
) -> [usize; 2] {
    let fallback = default.unwrap_or([1, 1]);
    let node = if default.is_some() { fields.node(key) } else { fields.required_node(key) };
    let Some(node) = node else { return fallback };
    let axis = |node: &Node| match node.value {
        Value::Integer(value) if (least..=most).contains(&value) => usize::try_from(value).ok(),
        _ => None,
    };
    let pair = match &node.value {
        Value::List(items) => match items.as_slice() {
            [height, width] => axis(height).zip(axis(width)).map(|(height, width)| [height, width]),
            _ => None,
        },
        _ => axis(node).map(|both| [both, both]),
    };
    pair.unwrap_or_else(|| {
        fields.wrong(key, node, &format!("a whole number from {least} to {most}, or a list of two (height, width)"));
        fallback
    })
}

/// The map of a window that slides: `floor((side + 2 * padding - window) / stride) + 1` on each
/// axis.
pub fn slid(
    window: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    input: FeatureMap,
    place: impl FnOnce() -> String,
) -> Result<FeatureMap, SpaceError> {
    let side = |axis: usize, side: usize| {
        let room = (side + 2 * padding[axis]).checked_sub(window[axis])?;
        Some(room / stride[axis] + 1)
    };
    match (side(0, input.height), side(1, input.width)) {
        (Some(height), Some(width)) => Ok(FeatureMap { height, width, ..input }),
        _ => Err(SpaceError::TooSmall { place: place(), window, height: input.height, width: input.width }),
    }
}
