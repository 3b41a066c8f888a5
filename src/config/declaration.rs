//! One stage as written: its kind, its keys, its runtime, and what its reference keys say.

use super::{
    Entry, KindSlots, Node, Origin, Problems, Runtime, Slot, Value,
    matrix::{NAME_RULE, is_name, shown, too_long},
    mishap, nearest,
    reference::{Members, Reference},
};

/// A stage before its matrix and references are resolved.
pub(super) struct Declaration<'a> {
    pub name: &'a str,
    /// The place of the name.
    pub key: &'a Origin,
    pub kind: &'a KindSlots,
    /// The kind's keys, a map or nothing.
    pub params: &'a Node,
    pub runtime: Runtime,
    pub links: Vec<Link<'a>>,
    /// Whether every reference key read well.
    pub complete: bool,
}

/// One reference of a stage, not yet looked up.
pub(super) struct Link<'a> {
    pub slot: &'a Slot,
    pub reference: Reference,
    pub origin: &'a Origin,
}

impl<'a> Declaration<'a> {
    /// Reads the stage; `None` after a complaint that leaves its kind unknown.
    pub fn read(
        name: &'a str,
        entry: &'a Entry,
        kinds: &'a [KindSlots],
        inherited: &Runtime,
        problems: &mut Problems,
    ) -> Option<Self> {
        if !is_name(name) {
            problems.add_with_hint(&entry.key, format!("`{name}` cannot name a stage"), NAME_RULE);
        } else if let Some(message) = too_long("a stage", name) {
            problems.add(&entry.key, message);
        }
        let Some(map) = entry.node.as_map() else {
            let found = entry.node.value.type_name();
            let message = format!("stage `{name}` must be a map of its kind, found {found}");
            problems.add_with_hint(&entry.node.origin, message, all_kinds(kinds));
            return None;
        };
        let runtime = map.get("runtime").map_or_else(
            || inherited.clone(),
            |entry| Runtime::read(&entry.node, format!("`runtime` of stage `{name}`"), inherited, problems),
        );
        let mut known = None;
        let mut guesses = 0;
        for (word, inside) in map.iter().filter(|(word, _)| *word != "runtime") {
            match (kinds.iter().find(|kind| kind.kind == word), known) {
                (Some(kind), None) => known = Some((kind, &inside.node)),
                (Some(_), Some((first, _))) => problems.add_with_hint(
                    &inside.key,
                    format!("stage `{name}` has two kinds, `{}` and `{word}`", first.kind),
                    "a stage has one kind, and one that a file extends keeps it",
                ),
                (None, _) => guesses += usize::from(unknown(name, word, inside, kinds, guesses == 0, problems)),
            }
        }
        let Some((kind, params)) = known else {
            if map.keys().all(|word| word == "runtime") {
                problems.add_with_hint(&entry.key, format!("stage `{name}` lacks its kind"), all_kinds(kinds));
            }
            return None;
        };
        if !matches!(params.value, Value::Map(_) | Value::Null) {
            let found = params.value.type_name();
            let hint = params.as_text().and_then(mishap::without_space).map(|meant| format!("write `{meant}`"));
            problems.add_hinted(
                &params.origin,
                format!("the keys of stage `{name}` must be a map, found {found}"),
                hint,
            );
            return None;
        }
        let before = problems.len();
        let links = kind.slots.iter().flat_map(|slot| links(name, params, slot, problems)).collect();
        let complete = problems.len() == before;
        Some(Self { name, key: &entry.key, kind, params, runtime, links, complete })
    }
}

/// Complains about a key that is no kind. Without a near kind only the first is worth a line: most
/// likely the kind itself was left out.
fn unknown(stage: &str, word: &str, inside: &Entry, kinds: &[KindSlots], first: bool, problems: &mut Problems) -> bool {
    let message = format!("unknown stage kind `{word}` in stage `{stage}`");
    match nearest(word, kinds.iter().map(|kind| kind.kind).chain(["runtime"])) {
        Some(near) => problems.add_with_hint(&inside.key, message, format!("did you mean `{near}`?")),
        None if first => problems.add_with_hint(&inside.key, message, all_kinds(kinds)),
        None => return false,
    }
    true
}

fn all_kinds(kinds: &[KindSlots]) -> String {
    let all: Vec<String> = kinds.iter().map(|kind| format!("`{}`", kind.kind)).collect();
    format!("the stage kinds are {}", all.join(", "))
}

/// The references that `params` has under `slot`.
fn links<'a>(stage: &str, params: &'a Node, slot: &'a Slot, problems: &mut Problems) -> Vec<Link<'a>> {
    let Some(node) = slot.of(params).map(|entry| &entry.node).filter(|node| node.value != Value::Null) else {
        if slot.required {
            let message = format!("stage `{stage}` lacks the key `{}`", slot.key);
            problems.add_with_hint(&params.origin, message, format!("it names {}", wanted(slot)));
        }
        return Vec::new();
    };
    let items = match &node.value {
        Value::List(items) if slot.many => items.as_slice(),
        Value::List(_) => {
            problems.add(&node.origin, format!("`{}` takes one stage, found a list", slot.key));
            return Vec::new();
        }
        _ => std::slice::from_ref(node),
    };
    if items.is_empty() && slot.required {
        problems.add(&node.origin, format!("`{}` names no stage", slot.key));
    }
    items.iter().filter_map(|item| link(item, slot, problems)).collect()
}

fn link<'a>(node: &'a Node, slot: &'a Slot, problems: &mut Problems) -> Option<Link<'a>> {
    let Some(text) = node.as_text() else {
        let found = match node.value {
            Value::List(_) | Value::Map(_) | Value::Null => node.value.type_name().to_owned(),
            _ => format!("`{}`", shown(node)),
        };
        problems.add(&node.origin, format!("`{}` must name {}, found {found}", slot.key, wanted(slot)));
        return None;
    };
    match Reference::parse(text) {
        Ok(reference) if reference.members == Members::All && !slot.many => {
            let message = format!("`{}` takes one stage, `{text}` names all members", slot.key);
            let hint = format!("write `{0}` for the sibling or `{0}[axis=value]` for one member", reference.stage);
            problems.add_with_hint(&node.origin, message, hint);
            None
        }
        Ok(reference) => Some(Link { slot, reference, origin: &node.origin }),
        Err(message) => {
            let hint = "a reference is `stage`, `stage[axis=value]` or `stage[*]`";
            problems.add_with_hint(&node.origin, message, hint);
            None
        }
    }
}

/// What a slot takes: ``a `search` or `derive` stage``.
pub(super) fn wanted(slot: &Slot) -> String {
    let kinds: Vec<String> = slot.accepts.iter().map(|kind| format!("`{kind}`")).collect();
    if kinds.is_empty() { "a stage".to_owned() } else { format!("a {} stage", kinds.join(" or ")) }
}
