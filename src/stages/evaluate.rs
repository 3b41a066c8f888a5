//! `evaluate`: a trained network on the full test set.

use super::{
    PlanContext, artifacts, figures::measured, material::Material, network_cost, plan_context::Compute, play::Playing,
    training,
};
use crate::{
    config::Fields,
    data::{Dataset, ImageKind, ImageShape, Loader, LoaderOptions, Part},
    interop::{output_shapes::OutputShapes, state::State, tensor_file::TensorFile},
    model::{Mode, Outputs},
    records::{self, CostAtSize, Evaluation, MEASURES, NetworkCard, Watched},
    run::{Context, Progress, Stage, StageError, sentence},
    space::{Build, Cost, network::FeatureMap},
    tasks::{self, Evaluated, Learned, Supervision, TaskKind, TaskSettings, stream},
};
use burn::tensor::{Device, Tensor};
use serde_json::{Value as Json, json};
use std::{path::PathBuf, sync::Arc};

struct Evaluate {
    compute: Compute,
    data_roots: Vec<PathBuf>,
    batch: usize,
    tasks: &'static [TaskKind],
    /// Of a game.
    playing: Option<Playing>,
}

pub(super) fn read(fields: &mut Fields<'_>, context: &PlanContext<'_>) -> Option<Box<dyn Stage>> {
    let compute = context.compute(fields);
    // The batch counts: an image's logits do not depend on its neighbours, but sums of another
    // shape may round otherwise.
    let batch = fields.integer("batch", 128, 1.., "a whole number from 1");
    // There is no other part to choose, but results know it.
    fields.hash("part", "test");
    let fitted = context.inputs_of("network").first().and_then(|network| network.tells.fitted.get());
    if let (Some(&fitted), Some(images)) = (fitted, context.images())
        && let Err(message) = comparable(fitted, images)
    {
        let place = fields.origin_of("data").clone();
        fields.problems().add_with_hint(&place, message, "test it on what it learned from");
    }
    let is_played = context.images().is_some_and(|images| images.kind == ImageKind::Frames);
    let playing = is_played.then(|| Playing::read(fields));
    Some(Box::new(Evaluate {
        compute: compute?,
        data_roots: context.data_roots(),
        batch,
        tasks: context.tasks,
        playing,
    }))
}

impl Stage for Evaluate {
    fn numerics(&self) -> Option<Json> {
        Some(self.compute.numerics())
    }

    fn run(&self, context: &mut Context<'_>) -> Result<(), StageError> {
        let of = context.input("network")?;
        let space = artifacts::space(of)?;
        let genotype = artifacts::genotype(of, &space)?;
        let card: NetworkCard = records::json(of, "network")?;
        let material = Material::read(context.input("data")?, &self.data_roots)?;
        let named = card.task.as_deref().unwrap_or(tasks::UNNAMED);
        let unknown = || StageError::input(format!("the network is for a task `{named}`, which is not known"));
        let task = (tasks::kind(self.tasks, named).ok_or_else(unknown)?.plain)();
        check(&card, &material, task.as_ref())?;
        if material.statistics() != card.normalise {
            return Err(StageError::input(format!(
                "{} is normalised otherwise than the images that the network was trained on",
                material.name()
            )));
        }

        let device = self.compute.open(context.runtime())?;
        let network = artifacts::network(&card, &space, &genotype)?;
        let weights = of.output("weights")?;
        let file = TensorFile::safetensors(&weights.path(), &weights.bytes()?)
            .map_err(|error| StageError::failed(sentence(&error)))?;
        let groups = State::below(&file, "").groups(&network, &device);
        let (learned, running) = groups.map_err(|error| StageError::failed(sentence(&error)))?;
        let model = self.compute.model(network);
        training::check_sides(&model, &material, Watched::Test)?;
        let views = learned.views();

        let network = |inputs: Tensor<4>| model.forward(Mode::Evaluate, &views, &running, &[], inputs).outputs;
        let (evaluated, measures) = match (&material, task.learned(material.classes()), self.playing) {
            (Material::Game(game), Learned::ByPlaying(_), Some(playing)) => {
                let evaluated = playing.evaluate(context, game, &network, (&self.data_roots, &device))?;
                (evaluated, task.measures(0))
            }
            (Material::Examples(dataset), Learned::FromExamples(supervision), _) => {
                let evaluated = self.test(context, dataset, supervision.as_ref(), &network, &device)?;
                (evaluated, supervision.measures().to_vec())
            }
            _ => {
                return Err(StageError::input(format!("a network for `{named}` is not tested on {}", material.name())));
            }
        };
        let Cost { parameters, multiply_adds } = model.network().cost();
        let Evaluated { evaluation: of, files, metrics, summary } = evaluated;
        let at_size = task.counted_at(material.images()).map(|(size, images)| {
            let [channels, height, width] = images.shape;
            let input = FeatureMap { channels, height, width };
            let build = Build { input, outputs: task.outputs(images), ..card.build() };
            let Cost { multiply_adds, .. } = network_cost::of(&genotype, &space, &build)?;
            Ok::<_, StageError>(CostAtSize { size, multiply_adds })
        });
        let evaluation = Evaluation { of, parameters, multiply_adds, at_size: at_size.transpose()? };
        context.publish_bytes("evaluation", &records::sorted_bytes(&evaluation))?;
        for (name, bytes) in files {
            context.publish_bytes(&name, &bytes)?;
        }
        for (name, value) in metrics {
            context.metric(name, value);
        }
        context.metric("parameters", parameters as f64);
        context.metric("multiply_adds", multiply_adds as f64);
        if let Some(CostAtSize { size, multiply_adds }) = &evaluation.at_size {
            context.metric(format!("multiply_adds_{size}"), *multiply_adds as f64);
        }
        context.note(MEASURES, json!(measures));
        context.summary(summary);
        Ok(())
    }
}

impl Evaluate {
    /// All test examples of a data set.
    fn test(
        &self,
        context: &Context<'_>,
        dataset: &Arc<Dataset>,
        supervision: &dyn Supervision,
        network: &dyn Fn(Tensor<4>) -> Outputs,
        device: &Device,
    ) -> Result<Evaluated, StageError> {
        let indices = dataset.all(Part::Test);
        if indices.is_empty() {
            return Err(StageError::input(format!("data set `{}` has no test images", dataset.name)));
        }
        let loader =
            Arc::new(Loader::new(dataset.clone(), Part::Test, indices, LoaderOptions::evaluation(self.batch))?);
        let steps = loader.steps_per_epoch();
        let mut test = supervision.evaluation(dataset);
        let batches = stream(supervision, &loader, 0, 0, device);
        let batches = batches.map_err(|error| StageError::input(sentence(&error)))?;
        for (step, batch) in batches.enumerate() {
            let batch = batch.map_err(|error| StageError::input(sentence(&error)))?;
            if context.stop_requested() {
                return Err(StageError::Interrupted);
            }
            let outputs = network(batch.inputs.clone());
            test.add(&outputs, &batch);
            let measures = measured(supervision, test.score());
            context.progress(Progress { epochs: 1, step: step + 1, steps, measures, ..Progress::default() });
        }
        Ok(test.finish())
    }
}

/// Whether a network that learned from the one can be tested on the other, as far as both are
/// known.
///
/// # Errors
/// What both are.
fn comparable(fitted: ImageShape, images: ImageShape) -> Result<(), String> {
    let shown = |of: ImageShape| match of.kind {
        ImageKind::Pairs { scale } => format!("pairs of pictures of scale {scale}"),
        ImageKind::Frames => format!("frames of {:?} with {} actions", of.shape, of.classes),
        ImageKind::InMemory | ImageKind::InFiles => format!("images of {:?} with {} classes", of.shape, of.classes),
    };
    let [fitted, images] = [fitted, images].map(shown);
    if fitted == images {
        return Ok(());
    }
    Err(format!("the network learns from {fitted}, and is to be tested on {images}"))
}

/// Whether the network is for images such as those of the data set.
fn check(card: &NetworkCard, material: &Material, task: &dyn TaskSettings) -> Result<(), StageError> {
    let images = material.images();
    task.check(images).map_err(StageError::input)?;
    // Whole pictures are larger than the patches that were trained on.
    let of_any_size = matches!(images.kind, ImageKind::Pairs { .. });
    let as_trained = ImageShape { shape: card.input, ..images };
    if of_any_size && OutputShapes::of(&task.outputs(as_trained)) != card.outputs {
        return Err(StageError::input(format!(
            "the network was trained for pairs of another scale than those of {}",
            material.name()
        )));
    }
    if images.kind == ImageKind::Frames {
        if (OutputShapes::of(&task.outputs(images)), images.shape) != (card.outputs.clone(), card.input) {
            return Err(StageError::input(format!(
                "the network plays another game than {}: it sees frames of {:?}, and these are {:?} with {} actions",
                material.name(),
                card.input,
                images.shape,
                images.classes
            )));
        }
        return Ok(());
    }
    if !of_any_size && (images.classes, images.shape) != (card.class_names.len(), card.input) {
        return Err(StageError::input(format!(
            "the network knows {} classes of images {:?}, {} has {} of {:?}: evaluate it on what it was trained for",
            card.class_names.len(),
            card.input,
            material.name(),
            images.classes,
            images.shape
        )));
    }
    Ok(())
}
