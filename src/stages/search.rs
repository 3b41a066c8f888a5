//! `search`: trains a supernet and keeps its alphas of every epoch.

use super::{
    PlanContext, figures, fit,
    inherit::{self, INHERIT},
    material::Material,
    plan_context::Compute,
    training,
    trajectory::Trajectory,
};
use crate::{
    config::Fields,
    data::Dataset,
    interop::output_shapes::OutputShapes,
    recipes::{FittedImages, HOLD_OUT, NO_EIGENVALUE, Settings, SpaceFile},
    records::{self, AlphaHistory, EpochAlphas, MEASURES, SHAPES, STOPPED_EARLY, SupernetShapes, Watched},
    run::{Context, Resource, Stage, StageError, sentence},
    space::network::{FeatureMap, OutputSpec},
    tasks::Supervised,
    train::{Diagnosis, DiagnosisConfig, EpochRecord, Learner, Strategy, Training},
};
use serde_json::{Value as Json, json};
use std::{path::PathBuf, sync::Arc};

struct Search {
    file: Arc<SpaceFile>,
    compute: Compute,
    data_roots: Vec<PathBuf>,
    settings: Settings,
    diagnosis: DiagnosisConfig,
}

pub(super) fn read(fields: &mut Fields<'_>, context: &PlanContext<'_>) -> Option<Box<dyn Stage>> {
    let compute = context.compute(fields);
    let file = context.space(fields);
    let space = file.as_deref().map(|file| &file.space);
    let (settings, diagnosis) = Settings::of_search(fields, space, context.tasks)?;
    let (file, compute) = (file?, compute?);
    if let Some(before) = &context.inherited
        && before.space.digest() != file.space.digest()
    {
        let place = fields.origin_of(INHERIT).clone();
        let message = format!(
            "`inherit` names a search of the space `{}`, and this one is of `{}`",
            before.space.name, file.space.name
        );
        fields.problems().add_with_hint(&place, message, "name the same `space`");
        return None;
    }
    settings.tell(context);
    if let Some(images) = context.images()
        && fit::check_task(fields, &settings, images, context.memory)
    {
        fit::check_augment(fields, &settings.feed.augment, images);
        fit::check(fields, context, &compute, &settings, (&file.space, None), images);
    }
    Some(Box::new(Search { file, compute, data_roots: context.data_roots(), settings, diagnosis }))
}

impl Stage for Search {
    fn resources(&self) -> Vec<(String, Resource)> {
        let mut resources = vec![("space".to_owned(), Resource::Content(self.file.space.digest()))];
        let table = Trajectory::table(&self.file.space);
        resources.extend(table.map(|table| ("benchmark".to_owned(), Resource::Path(table.to_owned()))));
        resources
    }

    fn numerics(&self) -> Option<Json> {
        Some(self.compute.numerics())
    }

    fn reads(&self, slot: &str) -> Option<&'static [&'static str]> {
        (slot == INHERIT).then_some(inherit::OUTPUTS)
    }

    fn run(&self, context: &mut Context<'_>) -> Result<(), StageError> {
        let material = Material::read(context.input("data")?, &self.data_roots)?;
        let device = self.compute.open(context.runtime())?;
        let Settings { feed, learner, training, .. } = &self.settings;
        // What is fitted is not watched.
        let watched = match (&material, feed.images) {
            (Material::Examples(_), FittedImages::Fit) => Watched::HeldOut,
            _ => Watched::Nothing,
        };
        let with = |task: Supervised, dataset: &Arc<Dataset>| {
            if let Strategy::Bilevel(_) = training.strategy {
                return Ok(task.validating(feed.validation(dataset)?));
            } else if feed.images == FittedImages::Fit && !dataset.split.held_out.is_empty() {
                return Ok(task.comparing(feed.validation(dataset)?));
            } else if self.diagnosis.eigenvalue_every.is_some() {
                let (message, hint) = (NO_EIGENVALUE.to_owned(), Some(HOLD_OUT.to_owned()));
                return Err(StageError::Input { message, hint });
            }
            Ok(task)
        };
        let task = self.settings.task(&material, watched, (&self.data_roots, device.clone()), with)?;
        let model = self.compute.model(self.network(&material)?);
        training::check_sides(&model, &material, watched)?;
        let mut learner = Learner::new(model, task.objective().clone(), learner, feed.seed, &device);
        if let Some(before) = context.inputs(INHERIT).first() {
            inherit::begin_search(before, &self.file.space, &mut learner)?;
        }
        let measures = task.objective().measures();
        let trajectory = Trajectory::open(&self.file.space, measures.first().copied())?;
        let diagnosis = Diagnosis::new(&self.file.space, learner.model.network(), &self.diagnosis, feed.seed);
        let search = Training::new(learner, task.as_ref(), training).diagnosing(diagnosis);
        let told = |record: &EpochRecord| trajectory.told(record);
        let searched = training::train(context, search, watched, training.epochs, &device, &told)?;
        self.publish(&searched, &trajectory, &material, context)
    }
}

impl Search {
    fn network(&self, material: &Material) -> Result<crate::space::network::Network, StageError> {
        let build = self.settings.supernet(material.images());
        self.file
            .space
            .supernet(&build)
            .map_err(|error| StageError::Input { message: sentence(&error), hint: error.hint() })
    }

    /// The space as it was searched, the alphas of every epoch, the weights under PyTorch's names,
    /// the metrics.
    ///
    /// The alphas of a search that ended early are told up to the epoch whose cell is its result,
    /// all else up to its end.
    fn publish(
        &self,
        searched: &Training<'_>,
        trajectory: &Trajectory<'_>,
        material: &Material,
        context: &mut Context<'_>,
    ) -> Result<(), StageError> {
        let (records, learner) = (searched.records(), &searched.learner);
        let stopped = searched.stopped_early();
        let kept = stopped.as_ref().map_or(records.len(), |stopped| stopped.kept);
        let result = &records[..kept.min(records.len())];
        let alphas = AlphaHistory {
            space: self.file.space.name.clone(),
            mixing: learner.kind_of_mixing(),
            epochs: result.iter().map(EpochAlphas::of).collect(),
        };
        context.publish_bytes("space", self.file.text.as_bytes())?;
        context.publish_bytes("alphas", &records::bytes(&alphas))?;
        let mut figures = figures::of_epochs(records, Watched::HeldOut);
        for (epoch, record) in figures.iter_mut().zip(records) {
            epoch.diagnosis = trajectory.diagnosis(record);
        }
        context.publish_bytes("metrics", &records::sorted_bytes(&figures))?;
        context.publish_bytes(
            "weights",
            &crate::interop::weights::to_safetensors(&[&learner.state.weights, &learner.state.running]),
        )?;

        let last = records.last().ok_or_else(|| StageError::failed("the search has no epoch"))?;
        let cost = learner.model.network().cost();
        context.metric("epochs", records.len() as f64);
        context.metric("supernet_parameters", cost.parameters as f64);
        context.metric("supernet_multiply_adds", cost.multiply_adds as f64);
        figures::fitted(last).into_iter().for_each(|(name, value)| context.metric(name, value));
        // A supernet's figures are named so: they are no trained network's.
        if let Some(watched) = &last.watched {
            if let Some((name, &value)) = watched.measures.first() {
                context.metric(format!("supernet_held_out_{name}"), value);
            }
            context.metric("supernet_held_out_loss", watched.loss);
        }
        for (name, value) in result.last().into_iter().flat_map(|last| trajectory.metrics(last)) {
            context.metric(name, value);
        }
        if let Some(frames) = self.settings.frames(records.len()) {
            context.metric("frames", frames);
        }
        let shown = |figures| figures::shown(learner.objective.as_ref(), figures);
        let mut summary = match &last.watched {
            Some(watched) => format!("supernet {} on the held-out images", shown(watched)),
            None => format!("supernet {} {}", shown(&last.train), self.settings.task.fitted()),
        };
        if let Some(stopped) = stopped {
            summary = format!("ended after epoch {}, the cell is of epoch {}; {summary}", stopped.at, stopped.kept);
            context.metric("stopped_at_epoch", stopped.at as f64);
            context.metric("kept_epoch", stopped.kept as f64);
            context.note(STOPPED_EARLY, json!(stopped));
        }
        let network = learner.model.network();
        let outputs: Vec<OutputSpec> = network.heads.iter().map(|head| head.output.clone()).collect();
        if let Some(outputs) = OutputShapes::of(&outputs) {
            let FeatureMap { channels, height, width } = network.input;
            context.note(
                SHAPES,
                json!(SupernetShapes { input: [channels, height, width], outputs, game: material.game().cloned() }),
            );
        }
        context.note(MEASURES, json!(learner.objective.measures()));
        context.summary(summary);
        Ok(())
    }
}
