//! From one merged map to a [`Pipeline`]: sections, references, matrix.
//!
//! A fault in one stage must not hide those of others, nor make false ones: a stage is *sound* when
//! it and all it reads were understood, and only sound stages are resolved further.

use super::{
    Entry, Fields, KindSlots, Member, Node, Pipeline, Problems, Runtime, Value,
    declaration::{Declaration, Link, wanted},
    matrix::{Matrix, Point, too_long},
    nearest,
    order::order,
    reference::Members,
    template,
    variant::Variants,
};
use indexmap::IndexMap;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// Where data sets lie unless told: a folder of the current directory.
const DATA_ROOT: &str = "data";

/// Resolves `root`. After complaints the pipeline is what could be understood: a stage with a fault
/// in what it reads is there once, its references naming nothing, so that its own keys can still be
/// checked.
pub(super) fn resolve(root: &Node, path: &Path, kinds: &[KindSlots], problems: &mut Problems) -> Pipeline {
    let mut top = Fields::open(root, "the pipeline", problems);
    let name = top.required_text("name");
    // Words for a person; only its type is of interest here.
    top.text("about");
    // `extends` is gone by now; asked for, it is guessed when misspelt.
    for section in ["extends", "data", "runtime", "matrix", "variants"] {
        top.node(section);
    }
    top.required_node("stages");
    top.close();
    let section = |key| root.get(key).filter(|node| node.value != Value::Null);
    if let (Some(node), Some(message)) = (section("name"), too_long("the pipeline", &name)) {
        problems.add(&node.origin, message);
    }
    let data_root = data_root(section("data"), problems);
    let runtime = section("runtime")
        .map_or_else(Runtime::default, |node| Runtime::read(node, "`runtime`", &Runtime::default(), problems));
    let matrix = Matrix::read(section("matrix"), problems);
    let variants = Variants::read(section("variants"), problems);
    let members = match section("stages").map(|node| (node, &node.value)) {
        Some((_, Value::Map(map))) if !map.is_empty() => members(map, &matrix, &variants, kinds, &runtime, problems),
        Some((node, Value::Map(_))) => {
            problems.add(&node.origin, "the pipeline has no stages");
            Vec::new()
        }
        Some((node, other)) => {
            problems.add(&node.origin, format!("`stages` must be a map, found {}", other.type_name()));
            Vec::new()
        }
        None => Vec::new(),
    };
    Pipeline { name, path: path.to_owned(), data_root, matrix: matrix.to_json(), members }
}

fn data_root(node: Option<&Node>, problems: &mut Problems) -> PathBuf {
    let Some(node) = node else { return DATA_ROOT.into() };
    let mut fields = Fields::open(node, "`data`", problems);
    let root = fields.text("root");
    let origin = fields.origin_of("root").clone();
    fields.close();
    root.map_or_else(|| DATA_ROOT.into(), |root| origin.resolve(root))
}

/// What is known of a stage while references are followed.
struct Stage<'a> {
    /// `None` where the stage could not be read.
    declaration: Option<Declaration<'a>>,
    /// The stage of each link, in the links' order; `None` where there is none.
    targets: Vec<Option<usize>>,
    axes: BTreeSet<usize>,
    /// Every `${…}` in it can be filled in.
    fillable: bool,
    sound: bool,
    /// Its members: where each is in the pipeline.
    members: IndexMap<Point, usize>,
}

fn members(
    map: &IndexMap<String, Entry>,
    matrix: &Matrix,
    variants: &Variants<'_>,
    kinds: &[KindSlots],
    runtime: &Runtime,
    problems: &mut Problems,
) -> Vec<Member> {
    let mut stages: Vec<Stage<'_>> = map
        .iter()
        .map(|(name, entry)| {
            let declaration = Declaration::read(name, entry, kinds, runtime, problems);
            let before = problems.len();
            let mut axes =
                template::axes(declaration.as_ref().map_or(&entry.node, |stage| stage.params), matrix, problems);
            if let Some(stage) = &declaration {
                axes.extend(variants.axes(stage.params, stage.kind, matrix, problems));
            }
            let fillable = problems.len() == before;
            let sound = declaration.as_ref().is_some_and(|stage| stage.complete) && fillable;
            Stage { declaration, targets: Vec::new(), axes, fillable, sound, members: IndexMap::new() }
        })
        .collect();
    for index in 0..stages.len() {
        let Some(reader) = &stages[index].declaration else { continue };
        let before = problems.len();
        let targets = reader.links.iter().map(|link| target(link, map, &stages, problems)).collect();
        stages[index].targets = targets;
        stages[index].sound &= problems.len() == before;
    }
    report_unused_axes(&stages, matrix, problems);

    let reads: Vec<BTreeSet<usize>> =
        stages.iter().map(|stage| stage.targets.iter().flatten().copied().collect()).collect();
    let (ordered, cycles) = order(&reads);
    for cycle in &cycles {
        report_cycle(cycle, &stages, map, problems);
    }
    let mut members = Vec::new();
    for index in ordered {
        multiply(index, &mut stages, (matrix, variants), &mut members, problems);
    }
    members.extend(stages.iter().filter(|stage| !stage.sound && stage.fillable).filter_map(|stage| {
        let (point, declaration) = (matrix.points(&stage.axes).next()?, stage.declaration.as_ref()?);
        let nothing = declaration.links.iter().map(|link| (link.slot.key.to_owned(), Vec::new())).collect();
        Some(member((declaration, &stage.axes), (matrix, variants), &point, nothing))
    }));
    members
}

/// The stage that `link` names, where it is there and of a fitting kind.
fn target(
    link: &Link<'_>,
    map: &IndexMap<String, Entry>,
    stages: &[Stage<'_>],
    problems: &mut Problems,
) -> Option<usize> {
    let name = &link.reference.stage;
    let Some(index) = map.get_index_of(name) else {
        let message = format!("`{}` names `{name}`, but there is no such stage", link.slot.key);
        let hint = match nearest(name, map.keys().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the stages are {}", listed(map.keys().map(String::as_str))),
        };
        problems.add_with_hint(&link.origin.narrowed_to(name), message, hint);
        return None;
    };
    let accepts = link.slot.accepts;
    let fits = |stage: &Declaration<'_>| accepts.is_empty() || accepts.contains(&stage.kind.kind);
    if let Some(stage) = &stages[index].declaration
        && !fits(stage)
    {
        let (key, kind) = (link.slot.key, stage.kind.kind);
        let message = format!("`{key}` takes {}, but `{name}` is a `{kind}` stage", wanted(link.slot));
        let fitting = || stages.iter().flat_map(|stage| &stage.declaration).filter(|stage| fits(stage));
        if fitting().next().is_some() {
            let hint = format!("of that kind there is {}", listed(fitting().map(|stage| stage.name)));
            problems.add_with_hint(link.origin, message, hint);
        } else {
            problems.add(link.origin, message);
        }
        return None;
    }
    Some(index)
}

fn report_unused_axes(stages: &[Stage<'_>], matrix: &Matrix, problems: &mut Problems) {
    let used: BTreeSet<usize> = stages.iter().flat_map(|stage| &stage.axes).copied().collect();
    for (axis, name) in matrix.names().enumerate() {
        if !used.contains(&axis) {
            let hint = format!("write `${{matrix.{name}}}` in a stage, or drop the axis");
            problems.add_with_hint(matrix.described(axis).1, format!("no stage uses the axis `{name}`"), hint);
        }
    }
}

/// Names the cycle at the reference in its first stage that leads into it.
fn report_cycle(cycle: &[usize], stages: &[Stage<'_>], map: &IndexMap<String, Entry>, problems: &mut Problems) {
    let next = cycle[1 % cycle.len()];
    let first = &stages[cycle[0]];
    let Some(stage) = &first.declaration else { return };
    let way = first.targets.iter().position(|target| *target == Some(next));
    let origin = way.map_or(stage.key, |link| stage.links[link].origin);
    let message = if cycle.len() == 1 {
        format!("stage `{}` reads itself", stage.name)
    } else {
        let around = cycle.iter().chain(&cycle[..1]);
        let names: Vec<&str> =
            around.filter_map(|&index| map.get_index(index)).map(|(name, _)| name.as_str()).collect();
        format!("stages read each other in a cycle: `{}`", names.join(" → "))
    };
    problems.add(origin, message);
}

/// Adds the members of a stage, all that it reads being there already.
fn multiply(
    index: usize,
    stages: &mut [Stage<'_>],
    (matrix, variants): (&Matrix, &Variants<'_>),
    members: &mut Vec<Member>,
    problems: &mut Problems,
) {
    let before = problems.len();
    let stage = &stages[index];
    let Some(declaration) = &stage.declaration else { return };
    let mut axes = stage.axes.clone();
    let mut sound = stage.sound;
    for (link, target) in declaration.links.iter().zip(&stage.targets) {
        match target.map(|target| &stages[target]) {
            Some(target) if target.sound => axes.extend(shared_axes(link, target, matrix, problems)),
            _ => sound = false,
        }
    }
    sound &= problems.len() == before;
    // What each of its members holds: its keys, and all members that a key names.
    let all = declaration.links.iter().zip(&stage.targets).filter(|(link, _)| link.reference.members == Members::All);
    let named: usize = all.filter_map(|(_, target)| Some(stages[(*target)?].members.len())).sum();
    let parts = declaration.params.size().saturating_add(named);
    sound = sound && matrix.allows(&axes, parts, members.len(), problems);
    let mut own = IndexMap::new();
    if sound {
        for point in matrix.points(&axes) {
            let Some(inputs) = inputs(declaration, &stage.targets, stages, matrix, &point, problems) else {
                sound = false;
                continue;
            };
            own.insert(point.clone(), members.len());
            members.push(member((declaration, &stage.axes), (matrix, variants), &point, inputs));
        }
    }
    let stage = &mut stages[index];
    (stage.axes, stage.sound, stage.members) = (axes, sound, own);
}

/// The axes of `target` that `link` leaves open: the reader is multiplied by them too.
fn shared_axes(link: &Link<'_>, target: &Stage<'_>, matrix: &Matrix, problems: &mut Problems) -> BTreeSet<usize> {
    let Members::At(selected) = &link.reference.members else { return BTreeSet::new() };
    let mut open = target.axes.clone();
    for (name, _) in selected {
        if matrix.axis(name).is_some_and(|axis| target.axes.contains(&axis)) {
            open.retain(|&axis| matrix.described(axis).0 != name);
            continue;
        }
        let names = || target.axes.iter().map(|&axis| matrix.described(axis).0);
        let message = format!("stage `{}` has no axis `{name}`", link.reference.stage);
        let hint = match nearest(name, names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if target.axes.is_empty() => "no axis of the matrix multiplies it".to_owned(),
            None => format!("it has {}", listed(names())),
        };
        problems.add_with_hint(link.origin, message, hint);
    }
    open
}

/// The members that each reference key names for the reader at `point`; `None` after a complaint.
fn inputs(
    reader: &Declaration<'_>,
    targets: &[Option<usize>],
    stages: &[Stage<'_>],
    matrix: &Matrix,
    point: &Point,
    problems: &mut Problems,
) -> Option<IndexMap<String, Vec<usize>>> {
    let mut inputs: IndexMap<String, Vec<usize>> = IndexMap::new();
    for (link, target) in reader.links.iter().zip(targets) {
        let target = &stages[(*target)?];
        let named = inputs.entry(link.slot.key.to_owned()).or_default();
        match &link.reference.members {
            Members::All => named.extend(target.members.values()),
            Members::At(selected) => {
                let wanted = wanted_point(link, selected, target, matrix, point, problems)?;
                named.extend(target.members.get(&wanted));
            }
        }
    }
    Some(inputs)
}

/// Where the member lies that `link` names for the reader at `point`.
fn wanted_point(
    link: &Link<'_>,
    selected: &[(String, String)],
    target: &Stage<'_>,
    matrix: &Matrix,
    point: &Point,
    problems: &mut Problems,
) -> Option<Point> {
    let mut wanted = Point::new();
    for &axis in &target.axes {
        let name = matrix.described(axis).0;
        let Some((_, value)) = selected.iter().find(|(other, _)| other == name) else {
            wanted.insert(axis, *point.get(&axis)?);
            continue;
        };
        let value = template::fill_text(value, matrix, point);
        let Some(index) = matrix.values(axis).get_index_of(&value) else {
            // A handful helps; a page does not.
            let some = listed(matrix.values(axis).keys().take(20).map(String::as_str));
            let more = if matrix.values(axis).len() > 20 { ", …" } else { "" };
            let hint = format!("its values are {some}{more}");
            problems.add_with_hint(link.origin, format!("the axis `{name}` has no value `{value}`"), hint);
            return None;
        };
        wanted.insert(axis, index);
    }
    Some(wanted)
}

fn member(
    (stage, mentions): (&Declaration<'_>, &BTreeSet<usize>),
    (matrix, variants): (&Matrix, &Variants<'_>),
    point: &Point,
    inputs: IndexMap<String, Vec<usize>>,
) -> Member {
    let mut params = variants.fill(stage.params, matrix, point);
    if params.as_map().is_none() {
        // A stage without keys: an empty map at the same place.
        params.value = Value::Map(IndexMap::new());
    }
    let mut references = serde_json::Map::new();
    for slot in stage.kind.slots {
        slot.remove(&mut params);
        if let Some(written) = slot.of(stage.params) {
            slot.insert(written.node.to_json(), &mut references);
        }
    }
    let coordinate =
        |(&axis, &value): (&usize, &usize)| (matrix.described(axis).0.to_owned(), matrix.values(axis)[value].to_json());
    Member {
        name: format!("{}{}", stage.name, matrix.label(point)),
        stage: stage.name.to_owned(),
        point: point.iter().map(coordinate).collect(),
        kind: stage.kind.kind.to_owned(),
        params,
        mentions: mentions.iter().map(|&axis| matrix.described(axis).0.to_owned()).collect(),
        references,
        inputs,
        runtime: stage.runtime.clone(),
        origin: stage.key.clone(),
    }
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
