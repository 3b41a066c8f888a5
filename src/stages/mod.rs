//! The kinds of stages a pipeline is made of, one file each: read inputs, call the domain, publish.

mod artifacts;
mod benchmark;
mod derive;
mod export;
mod findings;
mod hyperparameters;
mod image_folder;
mod prepare;
mod report;
mod search;
mod site;
mod watch;

pub use export::export_report;
pub(crate) use findings::drawn_cells;
pub use site::Site;

use crate::{
    config::{Fields, KindSlots, Pipeline, Problems, Slot},
    run::{Planned, Stage},
};

/// A kind of stage: what it reads, and how its keys become work.
pub struct StageKind {
    pub slots: KindSlots,
    /// Bumped by hand when the meaning of a result changes: then older results no longer answer.
    pub version: u32,
    read: fn(&mut Fields<'_>, &Site<'_>) -> Option<Box<dyn Stage>>,
}

/// All kinds, in the order of a pipeline.
pub const KINDS: &[StageKind] = &[
    // Read and check a data set, pack it, split it.
    StageKind { slots: KindSlots { kind: "prepare", slots: &[] }, version: 1, read: prepare::read },
    StageKind {
        slots: KindSlots { kind: "search", slots: &[one("data", &["prepare"])] },
        version: 1,
        read: search::read,
    },
    StageKind {
        slots: KindSlots { kind: "derive", slots: &[one("search", &["search"])] },
        version: 1,
        read: derive::read,
    },
    StageKind {
        slots: KindSlots { kind: "benchmark", slots: &[one("genotype", &["derive"])] },
        version: 1,
        read: benchmark::read,
    },
    StageKind {
        slots: KindSlots { kind: "report", slots: &[Slot { key: "of", accepts: &[], many: true, required: true }] },
        version: 1,
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
    let mut planned = Vec::with_capacity(pipeline.members.len());
    for member in &pipeline.members {
        let kind = KINDS.iter().find(|kind| kind.slots.kind == member.kind).expect("the configuration knows the kinds");
        let site = Site { folder: pipeline.folder(), data_root: &pipeline.data_root, device: &member.runtime.device };
        let mut fields = Fields::open(&member.params, format!("stage `{}`", member.stage), &mut problems);
        let stage = (kind.read)(&mut fields, &site);
        fields.close();
        planned.extend(stage.map(|stage| Planned { version: kind.version, stage }));
    }
    problems.into_result(planned)
}
