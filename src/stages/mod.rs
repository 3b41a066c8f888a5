//! The kinds of stages a pipeline is made of, one file each: read inputs, call the domain, publish.

mod benchmark;
mod derive;
mod export;
mod findings;
mod prepare;
mod report;
mod search;
mod settings;
mod watch;

pub use export::export_report;
pub(crate) use findings::drawn_cells;

use crate::{
    config::{Fields, KindSlots, Pipeline, Problems, Slot},
    run::{Planned, Stage},
};
use std::path::Path;

/// A kind of stage: what it reads, and how its keys become work.
pub struct StageKind {
    pub slots: KindSlots,
    /// Bumped by hand when the meaning of a result changes: then older results no longer answer.
    pub version: u32,
    /// One line for `--help`.
    pub about: &'static str,
    read: fn(&mut Fields<'_>, &Site<'_>) -> Option<Box<dyn Stage>>,
}

/// Where a stage stands: what its keys may be relative to.
pub struct Site<'a> {
    /// The folder of the pipeline file.
    pub folder: &'a Path,
    /// Where data sets lie.
    pub data_root: &'a Path,
    /// `cpu`, `cuda`, or `cuda:1`.
    pub device: &'a str,
}

/// All kinds, in the order of a pipeline.
pub const KINDS: &[StageKind] = &[
    StageKind {
        slots: KindSlots { kind: "prepare", slots: &[] },
        version: 1,
        about: "read and check a data set, pack it, split it",
        read: prepare::read,
    },
    StageKind {
        slots: KindSlots { kind: "search", slots: &[one("data", &["prepare"])] },
        version: 1,
        about: "train a supernet of a search space: weights and alphas",
        read: search::read,
    },
    StageKind {
        slots: KindSlots { kind: "derive", slots: &[one("search", &["search"])] },
        version: 1,
        about: "choose a genotype from a search's alphas",
        read: derive::read,
    },
    StageKind {
        slots: KindSlots { kind: "benchmark", slots: &[one("genotype", &["derive"])] },
        version: 1,
        about: "look a genotype up in a table of trained cells",
        read: benchmark::read,
    },
    StageKind {
        slots: KindSlots { kind: "report", slots: &[Slot { key: "of", accepts: &[], many: true, required: true }] },
        version: 1,
        about: "tables, curves and drawings of what stages found; checks what was expected",
        read: report::read,
    },
];

const fn one(key: &'static str, accepts: &'static [&'static str]) -> Slot {
    Slot { key, accepts, many: false, required: true }
}

/// What the configuration must know of the kinds.
pub fn slots() -> Vec<KindSlots> {
    KINDS.iter().map(|kind| kind.slots).collect()
}

/// Reads the keys of every stage of a pipeline.
///
/// # Errors
/// All that is wrong with any of them, each with its place.
pub fn plan(pipeline: &Pipeline) -> Result<Vec<Planned>, Problems> {
    let mut problems = Problems::new();
    let folder = pipeline.path.parent().unwrap_or(Path::new(""));
    let mut planned = Vec::with_capacity(pipeline.members.len());
    for member in &pipeline.members {
        let kind = KINDS.iter().find(|kind| kind.slots.kind == member.kind).expect("the configuration knows the kinds");
        let site = Site { folder, data_root: &pipeline.data_root, device: &member.runtime.device };
        let mut fields = Fields::open(&member.params, format!("stage `{}`", member.stage), &mut problems);
        let stage = (kind.read)(&mut fields, &site);
        fields.close();
        planned.extend(stage.map(|stage| Planned { version: kind.version, stage }));
    }
    problems.into_result(planned)
}
