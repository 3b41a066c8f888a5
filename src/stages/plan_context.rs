//! What a kind of stage knows while a pipeline is planned, besides the stage's keys.

use crate::{
    config::Fields,
    kernels::{Kernels, Precision},
    machine,
    model::{self, DeviceName, Model},
    records::Size,
    run::{StageError, coordinates::Coordinates},
    space::{self, Genotype, LARGEST_SIZE, MOST_CHANNELS, Space, network::Network},
    tasks::{self, Measure, TaskKind},
};
use burn::tensor::Device;
use indexmap::IndexMap;
use serde_json::{Value as Json, json};
use std::{
    cell::{OnceCell, RefCell},
    collections::HashMap,
    path::{Path, PathBuf},
    rc::Rc,
    sync::Arc,
};

const PRECISION: &str = "`bf16` is for `runtime.device: cuda` with `kernels: native`; elsewhere leave `precision` out";

/// What keys may be relative to. A stage that runs has a [`Context`](crate::run::Context) instead.
pub struct PlanContext<'a> {
    /// The name of the pipeline.
    pub pipeline: &'a str,
    /// The folder of the pipeline file.
    pub folder: &'a Path,
    /// Where data sets lie.
    pub data_root: &'a Path,
    /// `cpu`, `cuda`, `wgpu`, or one of several as `cuda:1`.
    pub device: &'a str,
    /// The space that the stage's inputs work in.
    pub inherited: Option<Arc<SpaceFile>>,
    /// Bytes of memory that a stage may take; no limit where absent.
    pub memory: Option<u64>,
    /// What the stage makes known to those that read it.
    pub tells: Tells,
    pub answers: Answers,
    /// What a network may be for.
    pub tasks: &'static [TaskKind],
    /// What the stage's reference keys name.
    pub inputs: IndexMap<String, Vec<Named>>,
}

/// What was found of networks so far: members of a matrix ask for the same ones.
#[derive(Debug, Clone, Default)]
pub struct Answers(pub(super) Rc<RefCell<HashMap<String, Answer>>>);

/// What is wrong, the way out, and the keys that may be to blame, the likeliest first; nothing
/// where a network fits.
pub(super) type Answer = Option<(String, Option<String>, &'static [&'static str])>;

/// A member that a stage names, as far as it is known when the pipeline is read.
#[derive(Debug, Clone)]
pub struct Named {
    /// `search[seed=1]`
    pub member: String,
    pub kind: String,
    /// The point of the matrix; empty for a plain stage.
    pub point: Coordinates,
    /// Its hashed parameters; absent where its keys are wrong.
    pub params: Option<Json>,
    pub tells: Tells,
}

/// What is known of a stage's result while the pipeline is read: enough to find what cannot work
/// before anything runs.
#[derive(Debug, Clone, Default)]
pub struct Tells {
    /// The space that it names, or that its inputs work in.
    pub space: OnceCell<Arc<SpaceFile>>,
    /// The images that it prepares.
    pub images: OnceCell<ImageShape>,
    /// The genotype that is not yet to be found.
    pub genotype: OnceCell<Arc<Genotype>>,
    /// What is measured of its network, besides the loss.
    pub measures: OnceCell<Vec<Measure>>,
}

/// The images of a data set, as a network sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageShape {
    /// Channels, height, width.
    pub shape: [usize; 3],
    pub classes: usize,
    /// Whether they are picture files.
    pub in_files: bool,
}

impl ImageShape {
    /// `images: {channels: 3, size: 32, classes: 10}`, of images that are not there yet.
    pub(super) fn read(fields: &mut Fields<'_>, side: usize, classes: usize) -> Self {
        fields.map("images", |keys| {
            let mut count =
                |key, default, least| keys.integer(key, default, least.., &format!("a whole number from {least}"));
            let (channels, side, classes) =
                (count("channels", 3, 1), count("size", side, 4), count("classes", classes, 2));
            Self { shape: [channels, side, side], classes, in_files: false }
        })
    }
}

/// A search space with the text of its file, which is published beside what was made with it.
#[derive(Debug)]
pub struct SpaceFile {
    pub space: Space,
    pub text: String,
}

/// What computes a stage's result.
#[derive(Debug)]
pub(super) struct Compute {
    device: DeviceName,
    kernels: Kernels,
    precision: Precision,
    /// Bytes of memory that a step may take; no limit where absent, and none of a GPU is known.
    memory: Option<u64>,
}

impl Compute {
    /// What of it decides the bits of a result.
    pub fn numerics(&self) -> Json {
        let Self { device, kernels, precision, .. } = self;
        json!({"backend": device.backend(), "kernels": kernels.to_string(), "precision": precision.to_string()})
    }

    /// A network that it computes.
    pub fn model(&self, network: Network) -> Model {
        Model::new(network, self.kernels).in_precision(self.precision)
    }

    /// What is to be said where a step on `batch` images needs more memory than there is.
    pub fn too_large(&self, network: &Network, batch: usize) -> Option<String> {
        let there = self.memory?;
        let needed = model::step_bytes(network, self.kernels, batch);
        let gigabytes = |bytes: u64| bytes as f64 / 1e9;
        (needed > there).then(|| {
            let (needed, there) = (gigabytes(needed), gigabytes(there));
            format!("a step on {batch} images needs about {needed:.1} GB of memory, and there are {there:.1}")
        })
    }

    /// # Errors
    /// Where this machine has no such device.
    pub fn open(&self) -> Result<Device, StageError> {
        self.device.open().map_err(|error| StageError::input(error.to_string()))
    }
}

/// The file that the key `key` names, where it was found, with its text; `None` after a complaint
/// at the key's place.
pub(super) fn found_file(
    fields: &mut Fields<'_>,
    key: &str,
    found: Result<PathBuf, space::NotFound>,
) -> Option<(PathBuf, String)> {
    let place = fields.origin_of(key).clone();
    let path = match found {
        Ok(path) => path,
        Err(error) => {
            fields.problems().add_hinted(&place, error.to_string(), error.hint);
            return None;
        }
    };
    match machine::read_text(&path) {
        Ok(text) => Some((path, text)),
        Err(error) => {
            let reason = machine::reason(&error);
            fields.problems().add(&place, format!("failed to read `{}`: {reason}", path.display()));
            None
        }
    }
}

impl PlanContext<'_> {
    /// The images that the reference key `data` names.
    pub(super) fn images(&self) -> Option<ImageShape> {
        self.inputs_of("data").first()?.tells.images.get().copied()
    }

    /// The members that the reference key `slot` names.
    pub(super) fn inputs_of(&self, slot: &str) -> &[Named] {
        self.inputs.get(slot).map_or(&[], Vec::as_slice)
    }

    /// Where a path to data may lie: beside the pipeline, as what ships does, then where data sets
    /// lie.
    pub(super) fn data_roots(&self) -> Vec<PathBuf> {
        let beside = std::path::absolute(self.folder).unwrap_or_else(|_| self.folder.to_owned());
        vec![beside, self.data_root.to_owned()]
    }

    /// The space that the key `space` names, read and checked.
    pub(super) fn space(&self, fields: &mut Fields<'_>) -> Option<Arc<SpaceFile>> {
        let name = fields.required_text("space");
        // What it says is in the key, by its digest.
        fields.set_apart("space");
        if name.is_empty() {
            return None;
        }
        let (path, text) = found_file(fields, "space", space::find(&name, self.folder))?;
        match Space::parse(&path, text) {
            Ok(space) => {
                let text = space.text().to_owned();
                Some(self.tells.space.get_or_init(|| Arc::new(SpaceFile { space, text })).clone())
            }
            Err(problems) => {
                fields.problems().extend(problems);
                None
            }
        }
    }

    /// `skeleton`, `channels` and `size`: the skeleton must be one of the space's, whose own width
    /// and length hold where none are given.
    pub(super) fn size(
        &self,
        fields: &mut Fields<'_>,
        skeleton: Option<String>,
        file: Option<&SpaceFile>,
    ) -> Option<Size> {
        let mut count = |key, most| fields.optional_integer(key, 1..=most, &format!("a whole number from 1 to {most}"));
        let (channels, size) = (count("channels", MOST_CHANNELS), count("size", LARGEST_SIZE));
        let (skeleton, space) = (skeleton?, &file?.space);
        let Some(defaults) = space.skeleton_defaults(&skeleton) else {
            let known = space.skeleton_names().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            let place = fields.origin_of("skeleton").clone();
            let message = format!("space `{}` has no skeleton `{skeleton}`", space.name);
            fields.problems().add_with_hint(&place, message, format!("it has {known}"));
            return None;
        };
        let (channels, size) = (channels.unwrap_or(defaults.channels), size.unwrap_or(defaults.size));
        fields.note("channels", channels);
        fields.note("size", size);
        Some(Size { skeleton, channels, size })
    }

    /// `task: classification`, what the stage's network is for.
    pub(super) fn task(&self, fields: &mut Fields<'_>) -> TaskKind {
        let names: Vec<_> = self.tasks.iter().map(|kind| (kind.name, kind.name)).collect();
        let name = fields.later_choice("task", tasks::UNNAMED, &names);
        tasks::kind(self.tasks, name).unwrap_or(tasks::classification::KIND)
    }

    /// The stage's device, which need not be present on this machine yet, and `kernels: native`;
    /// the reference is burn's own operators, to compare with. `precision: bf16` is for `cuda`.
    pub(super) fn compute(&self, fields: &mut Fields<'_>) -> Option<Compute> {
        let names = [("native", Kernels::Native), ("reference", Kernels::Reference)];
        let kernels = fields.choice("kernels", Kernels::Native, &names);
        let precision = fields.choice("precision", Precision::F32, &Precision::ALL);
        // Beside the device, as what decides the bits.
        ["kernels", "precision"].into_iter().for_each(|key| fields.set_apart(key));
        match self.device.parse::<DeviceName>() {
            Ok(device) if !device.has(precision, kernels) => {
                let place = fields.origin_of("precision").clone();
                let message =
                    format!("`precision: {precision}` is not to be had on `{device}` with `kernels: {kernels}`");
                fields.problems().add_with_hint(&place, message, PRECISION);
                None
            }
            Ok(device) => {
                let memory = self.memory.filter(|_| device == DeviceName::Cpu);
                Some(Compute { device, kernels, precision, memory })
            }
            Err(error) => {
                let (place, message) = (fields.origin().clone(), format!("`runtime.device`: {error}"));
                fields.problems().add(&place, message);
                None
            }
        }
    }
}
