//! Steps: the primitives that a space file composes, each with its options.
//!
//! A chain of steps is a list, or a map of `label` and `steps`. A step is the name of a primitive,
//! a map of one primitive to its options, or a chain. Every primitive takes `label` (in place of
//! its position in tensor names) and `when` (the phase that has it).

use super::options::{Phase, Role, When, read_when};
use super::place::Place;
use super::{Chain, Effect, FeatureMap, Layer, OF_HEADS, PRIMITIVES, Primitive, Reader, SpaceError};
use crate::config::{Fields, Node, Problems, Value};
use crate::space::language::{hint::did_you_mean, labels::join, width::Letters};
use indexmap::IndexMap;
use std::sync::Arc;

/// A sequence of steps under a common label.
#[derive(Debug, Clone, Default)]
pub struct Steps {
    /// Prefix of its tensors' names; empty adds nothing.
    pub label: String,
    pub steps: Vec<Step>,
}

#[derive(Debug, Clone)]
pub struct Step {
    /// Replaces the position where given.
    pub label: Option<String>,
    pub when: When,
    pub content: Content,
}

/// What a step does.
#[derive(Debug, Clone)]
pub enum Content {
    Chain(Steps),
    Primitive { name: &'static str, primitive: Arc<dyn Primitive> },
}

impl Steps {
    /// Reads a list of steps, or a map of `label` and `steps`. `what` names the chain in messages.
    pub fn read(node: &Node, what: &str, role: Role, problems: &mut Problems) -> Self {
        match &node.value {
            Value::List(items) => Self { label: String::new(), steps: Step::read_all(items, what, role, problems) },
            Value::Map(map) if map.contains_key("steps") => {
                let mut fields = Fields::open(node, what, problems);
                let steps = Self::read_keys(&mut fields, what, role);
                fields.close();
                steps
            }
            other => {
                let found = other.type_name();
                problems.add_with_hint(
                    &node.origin,
                    format!("{what} must be a list of steps, found {found}"),
                    "a list of steps, or a map of `label` and `steps`",
                );
                Self::default()
            }
        }
    }

    fn read_keys(fields: &mut Fields<'_>, what: &str, role: Role) -> Self {
        let label = fields.text("label").unwrap_or_default();
        let steps = match fields.node("steps") {
            Some(Node { value: Value::List(items), .. }) => Step::read_all(items, what, role, fields.problems()),
            Some(other) => {
                fields.wrong("steps", other, "a list");
                Vec::new()
            }
            None => Vec::new(),
        };
        Self { label, steps }
    }

    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether the first step is a ReLU, in every phase.
    pub fn begins_with_relu(&self) -> bool {
        self.steps.first().is_some_and(|step| match &step.content {
            Content::Chain(steps) => step.when == When::Always && steps.begins_with_relu(),
            Content::Primitive { name, .. } => step.when == When::Always && *name == "relu",
        })
    }

    /// What the chain does to a map on an edge of stride `edge`, or why its branches do not go
    /// together.
    pub fn effect(&self, before: Effect, edge: usize, phase: Phase) -> Result<Effect, String> {
        // Of a step that stands where widths differ nothing is said here: it keeps them.
        let held = self.steps.iter().filter(|step| step.when.holds(phase, Letters { here: 1, input: 1 }));
        held.map(|step| &step.content).try_fold(before, |map, content| match content {
            Content::Chain(steps) => steps.effect(map, edge, phase),
            Content::Primitive { primitive, .. } => primitive.effect(map, edge, phase),
        })
    }

    /// The layers of the chain, and the map that it ends in.
    pub fn lower(&self, place: &Place<'_>, input: FeatureMap) -> Result<(Chain, FeatureMap), SpaceError> {
        let mut layers = Vec::with_capacity(self.steps.len());
        let output = self.push_layers(place, input, &mut layers)?;
        Ok((Chain { layers }, output))
    }

    fn push_layers(
        &self,
        place: &Place<'_>,
        input: FeatureMap,
        layers: &mut Vec<Layer>,
    ) -> Result<FeatureMap, SpaceError> {
        let chain = join(place.chain, &self.label);
        let mut map = input;
        for (position, step) in self.steps.iter().enumerate().filter(|(_, step)| place.has(step.when)) {
            let place = Place { chain: &chain, label: step.label.as_deref(), position, ..*place };
            map = match &step.content {
                Content::Chain(steps) => steps.push_layers(&Place { chain: &place.name(), ..place }, map, layers)?,
                Content::Primitive { primitive, .. } => {
                    layers.push(primitive.lower(&place, map)?);
                    layers[layers.len() - 1].output
                }
            };
        }
        Ok(map)
    }
}

impl Step {
    fn read_all(items: &[Node], what: &str, role: Role, problems: &mut Problems) -> Vec<Self> {
        items.iter().filter_map(|item| Self::read(item, what, role, problems)).collect()
    }

    fn read(node: &Node, what: &str, role: Role, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::Text(name) => {
                let no_options = Node::new(Value::Map(IndexMap::new()), node.origin.clone());
                Self::read_primitive(name, node, &no_options, what, role, problems)
            }
            Value::Map(map) if map.contains_key("steps") => {
                let mut fields = Fields::open(node, format!("a chain in {what}"), problems);
                let when = read_when(&mut fields);
                let label = fields.node("label").is_some();
                let mut steps = Steps::read_keys(&mut fields, what, role);
                fields.close();
                // The chain's own label stands where a step's position would.
                let label = label.then(|| std::mem::take(&mut steps.label));
                Some(Self { label, when, content: Content::Chain(steps) })
            }
            Value::Map(map) if map.len() == 1 => {
                let (name, entry) = map.first()?;
                let place = Node::new(Value::Null, entry.key.clone());
                Self::read_primitive(name, &place, &entry.node, what, role, problems)
            }
            Value::Map(map) if map.len() > 1 => {
                problems.add_with_hint(
                    &node.origin,
                    format!("a step in {what} must name one primitive, found {}", map.len()),
                    "options stand inside: `{conv: {kernel: 3, label: first}}`",
                );
                None
            }
            other => {
                problems
                    .add(&node.origin, format!("a step in {what} must be a primitive, found {}", other.type_name()));
                None
            }
        }
    }

    /// `place` is where the primitive is named, `options` its map (or list, for `sum` and
    /// `concat`).
    fn read_primitive(
        name: &str,
        place: &Node,
        options: &Node,
        what: &str,
        role: Role,
        problems: &mut Problems,
    ) -> Option<Self> {
        let Some(&(name, reader)) = PRIMITIVES.iter().find(|(known, _)| *known == name) else {
            let message = format!("unknown primitive `{name}` in {what}");
            let names = PRIMITIVES.iter().map(|(known, _)| *known);
            problems.add_with_hint(&place.origin, message, did_you_mean(name, names, "the primitives are"));
            return None;
        };
        let read = match reader {
            Reader::Options(read) => read,
            Reader::Branches(read) => {
                let primitive = read(read_branches(name, options, what, role, problems));
                return Some(Self { label: None, when: When::Always, content: Content::Primitive { name, primitive } });
            }
        };
        if role != Role::Head && OF_HEADS.contains(&name) {
            problems.add(&place.origin, format!("`{name}` ends a feature map: it belongs in a head, not in {what}"));
        }
        let mut fields = Fields::open(options, format!("`{name}` in {what}"), problems);
        let (label, when) = (fields.text("label"), read_when(&mut fields));
        let content = Content::Primitive { name, primitive: read(&mut fields, role) };
        fields.close();
        Some(Self { label, when, content })
    }
}

fn read_branches(name: &str, node: &Node, what: &str, role: Role, problems: &mut Problems) -> Vec<Steps> {
    match &node.value {
        Value::List(items) if items.len() > 1 => items
            .iter()
            .map(|item| Steps::read(item, &format!("a branch of `{name}` in {what}"), role, problems))
            .collect(),
        _ => {
            problems.add(&node.origin, format!("`{name}` in {what} must be a list of two chains or more"));
            Vec::new()
        }
    }
}
