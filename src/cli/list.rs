//! `darts-run list`: what a file may name.

use super::{Complaint, output};
use crate::{
    config::{KindSlots, Slot},
    space::{self, Space},
    stages, tasks,
};
use clap::ValueEnum;
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum What {
    /// Kinds of stages, and what each reads
    Kinds,
    /// What a network may be for
    Tasks,
    /// Search spaces that have a name here, `space: NAME`
    Spaces,
    /// Of which the operations of spaces are made
    Primitives,
}

pub(super) fn run(what: What) -> Result<u8, Complaint> {
    output::say_rows(&match what {
        What::Kinds => kinds(),
        What::Tasks => tasks::KINDS.iter().map(|task| (task.name.to_owned(), String::new())).collect(),
        What::Spaces => spaces(),
        What::Primitives => primitives(),
    })?;
    Ok(0)
}

fn kinds() -> Vec<(String, String)> {
    let reads = |slots: &[Slot]| {
        let slots = slots.iter().map(|slot| {
            let many = if slot.many { "one or more of " } else { "" };
            let optional = if slot.required { "" } else { ", may be left out" };
            let of = if slot.accepts.is_empty() { "any kind".to_owned() } else { slot.accepts.join(" or ") };
            format!("{} ({many}{of}{optional})", slot.key)
        });
        slots.collect::<Vec<_>>().join(", ")
    };
    let row = |kind: KindSlots| {
        let of = reads(kind.slots);
        (kind.kind.to_owned(), if of.is_empty() { "reads no stage".to_owned() } else { format!("reads {of}") })
    };
    stages::slots().into_iter().map(row).collect()
}

fn spaces() -> Vec<(String, String)> {
    let row = |path: &PathBuf| match Space::read(path) {
        Ok(space) => (space.name, space.about),
        Err(_) => (path.display().to_string(), "cannot be read: `darts-run show --space` says why".to_owned()),
    };
    space::all(Path::new("")).iter().map(row).collect()
}

fn primitives() -> Vec<(String, String)> {
    let row = |(name, in_heads_only): (&str, bool)| {
        (name.to_owned(), if in_heads_only { "in heads only".to_owned() } else { String::new() })
    };
    space::primitive_names().map(row).collect()
}
