//! `retrain` and `transfer`: the network of a genotype, trained from its first weights.
//!
//! Both do the same; what differs is the recipe that holds where the pipeline says nothing: DARTS'
//! on CIFAR, DARTS' on ImageNet.

use super::{
    PlanContext, artifacts, counted, figures,
    fit::{self, SMALLER},
    inherit::{self, INHERIT},
    material::Material,
    plan_context::Compute,
    training,
};
use crate::{
    config::Fields,
    data::Dataset,
    interop::output_shapes::OutputShapes,
    recipes::{FittedImages, Recipe, Settings},
    records::{self, MEASURES, NetworkCard, Watched},
    run::{Context, Stage, StageError},
    tasks,
    train::{Learner, Training},
};
use serde_json::{Value as Json, json};
use std::{path::PathBuf, sync::Arc};

struct Retrain {
    compute: Compute,
    data_roots: Vec<PathBuf>,
    settings: Settings,
}

pub(super) fn read(fields: &mut Fields<'_>, context: &PlanContext<'_>) -> Option<Box<dyn Stage>> {
    read_with(fields, context, &Recipe::CIFAR)
}

pub(super) fn read_transfer(fields: &mut Fields<'_>, context: &PlanContext<'_>) -> Option<Box<dyn Stage>> {
    read_with(fields, context, &Recipe::IMAGENET)
}

fn read_with(fields: &mut Fields<'_>, context: &PlanContext<'_>, recipe: &Recipe) -> Option<Box<dyn Stage>> {
    let compute = context.compute(fields);
    let space = context.inherited.as_deref().map(|file| &file.space);
    let settings = Settings::of_training(fields, space, recipe, context.tasks)?;
    let compute = compute?;
    settings.tell(context);
    if let Some(images) = context.images()
        && fit::check_task(fields, &settings, images, context.memory)
    {
        fit::check_augment(fields, &settings.feed.augment, images);
        let genotype = context.inputs_of("genotype").first().and_then(|of| of.tells.genotype.get());
        match (genotype, &context.inherited) {
            (Some(genotype), Some(file)) => {
                fit::check(fields, context, &compute, &settings, (&file.space, Some(genotype)), images);
            }
            (None, Some(file)) => fit::check_skeleton(fields, &settings, &file.space, images),
            (_, None) => {}
        }
    }
    Some(Box::new(Retrain { compute, data_roots: context.data_roots(), settings }))
}

impl Stage for Retrain {
    fn numerics(&self) -> Option<Json> {
        Some(self.compute.numerics())
    }

    fn reads(&self, slot: &str) -> Option<&'static [&'static str]> {
        if slot == INHERIT { Some(inherit::OUTPUTS) } else { artifacts::genotype_outputs(slot) }
    }

    fn run(&self, context: &mut Context<'_>) -> Result<(), StageError> {
        let of = context.input("genotype")?;
        let space = artifacts::space(of)?;
        let genotype = artifacts::genotype(of, &space)?;
        let (space_text, genotype_text) = (of.output("space")?.text()?, of.output("genotype")?.text()?);
        let material = Material::read(context.input("data")?, &self.data_roots)?;
        let card = self.card(&material);
        let network = artifacts::network(&card, &space, &genotype)?;
        // Of a cell that was published this was asked when the pipeline was read.
        if let Some(message) = self.compute.too_large(&network, self.settings.feed.batch) {
            return Err(StageError::Input { message, hint: Some(SMALLER.to_owned()) });
        }
        let device = self.compute.open(context.runtime())?;

        let Settings { feed, learner, training, .. } = &self.settings;
        let watched = match (&material, feed.images) {
            (Material::Game(_), _) => Watched::Nothing,
            (_, FittedImages::Fit) => Watched::HeldOut,
            (_, FittedImages::All) => Watched::Test,
        };
        let as_it_is = |task, _: &Arc<Dataset>| Ok(task);
        let task = self.settings.task(&material, watched, (&self.data_roots, device.clone()), as_it_is)?;
        let model = self.compute.model(network);
        training::check_sides(&model, &material, watched)?;
        let mut learner = Learner::new(model, task.objective().clone(), learner, feed.seed, &device);
        let search = context.inputs(INHERIT).first().cloned();
        let inherited =
            search.map(|search| inherit::inherit(&search, (&space, &genotype, &card), &mut learner)).transpose()?;
        let trained = training::train(
            context,
            Training::new(learner, task.as_ref(), training),
            watched,
            training.epochs,
            &device,
            &|_| Vec::new(),
        )?;

        context.publish_bytes("space", space_text.as_bytes())?;
        context.publish_bytes("genotype", genotype_text.as_bytes())?;
        context.publish_bytes("network", &records::bytes(&card))?;
        if let Some([inherited, of]) = inherited {
            context.metric("inherited_tensors", inherited as f64);
            context.note("inherited", json!({"tensors": inherited, "of": of}));
        }
        if let Some(frames) = self.settings.frames(trained.records().len()) {
            context.metric("frames", frames);
        }
        publish(&trained, watched, self.settings.task.fitted(), context)
    }
}

impl Retrain {
    fn card(&self, material: &Material) -> NetworkCard {
        let task = &self.settings.task;
        let images = material.images();
        let outputs = task.outputs(images);
        NetworkCard {
            size: self.settings.size.clone(),
            task: Some(task.kind().to_owned()).filter(|kind| kind != tasks::UNNAMED),
            classes: outputs.iter().map(|output| output.size.elements()).sum(),
            outputs: OutputShapes::of(&outputs),
            input: images.shape,
            auxiliary: task.trains_auxiliary(),
            class_names: material.classes().to_vec(),
            normalise: material.statistics(),
            game: material.game().cloned(),
        }
    }
}

/// The weights under PyTorch's names, the figures of every epoch. The result is the last epoch's:
/// none is chosen by what it scores.
fn publish(
    trained: &Training<'_>,
    watched: Watched,
    fitted: &str,
    context: &mut Context<'_>,
) -> Result<(), StageError> {
    let (records, learner) = (trained.records(), &trained.learner);
    let name = watched.name();
    context.publish_bytes("metrics", &records::sorted_bytes(&figures::of_epochs(records, watched)))?;
    let (weights, running) = learner.evaluated();
    context.publish_bytes("weights", &crate::interop::weights::to_safetensors(&[&weights, &running]))?;

    let last = records.last().ok_or_else(|| StageError::failed("the training has no epoch"))?;
    let cost = learner.model.network().cost();
    context.metric("epochs", records.len() as f64);
    context.metric("steps", trained.steps_taken() as f64);
    context.metric("parameters", cost.parameters as f64);
    context.metric("multiply_adds", cost.multiply_adds as f64);
    figures::fitted(last).into_iter().for_each(|(name, value)| context.metric(name, value));
    if let Some(watched) = &last.watched {
        context.metric(format!("{name}_loss"), watched.loss);
        for measure in learner.objective.measures().iter().filter(|measure| measure.told) {
            if let Some(&value) = watched.measures.get(measure.name) {
                context.metric(format!("{name}_{}", measure.name), value);
            }
        }
    }
    let on = match watched {
        Watched::Test => "test images",
        Watched::HeldOut | Watched::Nothing => "held-out images",
    };
    let epochs = counted(records.len(), "epoch");
    context.note(MEASURES, json!(learner.objective.measures()));
    let shown = |figures| figures::shown(learner.objective.as_ref(), figures);
    context.summary(match &last.watched {
        Some(watched) => format!("{} on the {on} after {epochs}", shown(watched)),
        None => format!("{} {fitted} after {epochs}", shown(&last.train)),
    });
    Ok(())
}
