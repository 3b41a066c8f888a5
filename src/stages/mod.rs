//! The kinds of stages a pipeline is made of, one file each: read inputs, call the domain, publish.
//!
//! [`KINDS`] lists them. A kind has a `read`, which makes a stage of its keys in the surroundings
//! that [`PlanContext`] says, and the stage has a `run`. A short one is `benchmark.rs`; `search.rs` and
//! `retrain.rs` share `training.rs`. The keys of training and their defaults are in
//! the room `recipes`.

mod artifacts;
mod benchmark;
mod cadence;
mod derive;
mod evaluate;
mod export;
mod figures;
mod fit;
mod genotype;
mod inherit;
mod material;
mod network_cost;
mod plan_context;
mod play;
mod prepare;
mod report;
mod retrain;
mod search;
mod training;
mod trajectory;
mod watch;

pub use export::export_report;
pub use plan_context::{Named, PlanContext, Tells};

use crate::{
    config::{Fields, KindSlots, Pipeline, Problems, Slot},
    machine,
    run::{Planned, Stage},
    tasks::TaskKind,
};

/// A kind of stage: what it reads, and how its keys become work.
pub struct StageKind {
    pub slots: KindSlots,
    /// Bumped by hand when the meaning of a result changes: then older results no longer answer.
    pub version: u32,
    read: fn(&mut Fields<'_>, &PlanContext<'_>) -> Option<Box<dyn Stage>>,
}

/// All kinds, in the order of a pipeline.
pub const KINDS: &[StageKind] = &[
    // Read and check a data set, pack it, split it.
    StageKind { slots: KindSlots { kind: "prepare", slots: &[] }, version: 1, read: prepare::read },
    StageKind {
        slots: KindSlots { kind: "search", slots: &[one("data", &["prepare"]), maybe(inherit::INHERIT, &["search"])] },
        version: 2,
        read: search::read,
    },
    StageKind { slots: KindSlots { kind: "derive", slots: DERIVES }, version: 2, read: derive::read },
    // A cell that someone published or that is drawn, in a derived one's place.
    StageKind {
        slots: KindSlots { kind: "genotype", slots: &[maybe(genotype::LIKE, GENOTYPES)] },
        version: 1,
        read: genotype::read,
    },
    StageKind {
        slots: KindSlots { kind: "benchmark", slots: &[one("genotype", GENOTYPES)] },
        version: 1,
        read: benchmark::read,
    },
    // The network of a genotype, trained from its first weights.
    StageKind { slots: KindSlots { kind: "retrain", slots: TRAINS }, version: 1, read: retrain::read },
    // The same on another data set with another skeleton: what differs are the defaults.
    StageKind { slots: KindSlots { kind: "transfer", slots: TRAINS }, version: 1, read: retrain::read_transfer },
    StageKind {
        slots: KindSlots {
            kind: "evaluate",
            slots: &[one("network", &["retrain", "transfer"]), one("data", &["prepare"])],
        },
        version: 1,
        read: evaluate::read,
    },
    StageKind { slots: KindSlots { kind: "report", slots: &[many("of", &[], true)] }, version: 6, read: report::read },
];

const GENOTYPES: &[&str] = &["derive", "genotype"];
const DERIVES: &[Slot] = &[many("search", &["search"], true), many("judged_by", &["retrain", "transfer"], false)];
const TRAINS: &[Slot] = &[
    one("genotype", GENOTYPES),
    one("data", &["prepare"]),
    // The search whose weights the network begins with.
    maybe(inherit::INHERIT, &["search"]),
];

const fn one(key: &'static str, accepts: &'static [&'static str]) -> Slot {
    Slot { key, accepts, many: false, required: true }
}

const fn maybe(key: &'static str, accepts: &'static [&'static str]) -> Slot {
    Slot { key, accepts, many: false, required: false }
}

const fn many(key: &'static str, accepts: &'static [&'static str], required: bool) -> Slot {
    Slot { key, accepts, many: true, required }
}

/// `1 epoch`, `4 searches`.
fn counted(count: usize, what: &str) -> String {
    match (count, what) {
        (1, _) => format!("1 {what}"),
        (_, "search" | "class") => format!("{count} {what}es"),
        _ => format!("{count} {what}s"),
    }
}

/// The version of a kind's results; `None` of a kind that there is not.
pub fn version(kind: &str) -> Option<u32> {
    KINDS.iter().find(|known| known.slots.kind == kind).map(|known| known.version)
}

/// What the configuration must know of the kinds.
pub fn slots() -> Vec<KindSlots> {
    KINDS.iter().map(|kind| kind.slots).collect()
}

/// Reads the keys of every stage of a pipeline, whose networks may be for any of `tasks`.
///
/// # Errors
/// All that is wrong with any of them, each with its place.
pub fn plan(pipeline: &Pipeline, tasks: &'static [TaskKind]) -> Result<Vec<Planned>, Problems> {
    let mut problems = Problems::new();
    let memory = machine::memory();
    let answers = plan_context::Answers::default();
    let mut planned = Vec::with_capacity(pipeline.members.len());
    // By member: what is read comes before what reads it.
    let mut known: Vec<Named> = Vec::with_capacity(pipeline.members.len());
    for member in &pipeline.members {
        let kind = KINDS.iter().find(|kind| kind.slots.kind == member.kind).expect("the configuration knows the kinds");
        let context = PlanContext {
            pipeline: &pipeline.name,
            folder: pipeline.folder(),
            data_root: &pipeline.data_root,
            device: member.runtime.device(),
            memory: memory.filter(|_| !member.runtime.allow_memory),
            inherited: member.inputs.values().flatten().find_map(|&input| known[input].tells.space.get().cloned()),
            tells: Tells::default(),
            answers: answers.clone(),
            tasks,
            inputs: member
                .inputs
                .iter()
                .map(|(slot, inputs)| (slot.clone(), inputs.iter().map(|&input| known[input].clone()).collect()))
                .collect(),
        };
        let what = format!("stage `{}`", member.stage);
        let (stage, settings) =
            Fields::read_all(&member.params, what, &mut problems, |fields| (kind.read)(fields, &context));
        if let Some(space) = context.inherited {
            context.tells.space.get_or_init(|| space);
        }
        known.push(Named {
            member: member.name.clone(),
            kind: member.kind.clone(),
            point: member.point.clone(),
            params: stage.as_ref().map(|_| settings.hashed.clone().into()),
            tells: context.tells,
        });
        planned.extend(stage.map(|stage| Planned { version: kind.version, settings, stage }));
    }
    problems.into_result(planned)
}
