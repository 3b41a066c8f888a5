//! What a kind of stage knows while a pipeline is planned, besides the stage's keys.

use crate::{
    config::{Fields, Runtime},
    data::ImageShape,
    kernels::{Kernels, Precision},
    model::{self, DeviceError, DeviceName, Model},
    recipes::SpaceFile,
    run::{StageError, coordinates::Coordinates},
    space::{Genotype, network::Network},
    tasks::{Measure, TaskKind},
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

const PRECISION: &str = "`bf16` is for `kernels: native` on `cpu` and `cuda`; elsewhere leave `precision` out";

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
    /// The images that its network learns from.
    pub fitted: OnceCell<ImageShape>,
    /// The genotype that is not yet to be found.
    pub genotype: OnceCell<Arc<Genotype>>,
    /// What is measured of its network, besides the loss.
    pub measures: OnceCell<Vec<Measure>>,
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
        model::too_large(network, (self.kernels, self.precision), batch, self.memory?)
    }

    /// The device that a run has chosen, one of this kind.
    ///
    /// # Errors
    /// Where this machine has no such device.
    pub fn open(&self, runtime: &Runtime) -> Result<Device, StageError> {
        runtime
            .device()
            .parse()
            .and_then(DeviceName::open)
            .map_err(|error: DeviceError| StageError::input(error.to_string()))
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

    /// The space that the key `space` names, read and checked, and made known.
    pub(super) fn space(&self, fields: &mut Fields<'_>) -> Option<Arc<SpaceFile>> {
        let file = SpaceFile::read(fields, self.folder)?;
        Some(self.tells.space.get_or_init(|| Arc::new(file)).clone())
    }

    /// The stage's device, which need not be present on this machine yet, and `kernels: native`;
    /// the reference is burn's own operators, to compare with, which have no `precision: bf16`.
    pub(super) fn compute(&self, fields: &mut Fields<'_>) -> Option<Compute> {
        let names = [("native", Kernels::Native), ("reference", Kernels::Reference)];
        let kernels = fields.choice("kernels", Kernels::Native, &names);
        let precision = fields.choice("precision", Precision::F32, &Precision::ALL);
        // Beside the device, as what decides the bits.
        ["kernels", "precision"].into_iter().for_each(|key| fields.exclude_from_hash(key));
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
