//! `search`: trains a supernet and keeps its alphas of every epoch.

use super::{Site, settings, watch::Watch};
use crate::{
    config::Fields,
    data::{Augment, Dataset, Loader, LoaderOptions, Order, Part},
    kernels::Kernels,
    model::{DeviceName, Mixing, Model},
    run::{Context, Resource, Stage, StageError},
    space::{Build, Space, network::FeatureMap},
    tasks::Classification,
    train::{self, Ended, Learner, LearnerConfig, Schedule, SearchConfig, SearchError},
};
use serde_json::{Value as Json, json};
use std::sync::Arc;

struct Search {
    space: Space,
    /// The space's file as it was read, published with the result.
    space_text: String,
    device: DeviceName,
    kernels: Kernels,
    settings: Settings,
}

/// What decides the result.
struct Settings {
    skeleton: String,
    channels: Option<usize>,
    size: Option<usize>,
    batch: usize,
    /// Which images are fitted: `fit` (the split's) or `all`.
    images: Images,
    seed: u64,
    augment: Augment,
    learner: LearnerConfig,
    search: SearchConfig,
}

#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
enum Images {
    Fit,
    All,
}

pub(super) fn read(fields: &mut Fields<'_>, site: &Site<'_>) -> Option<Box<dyn Stage>> {
    // The one strategy of this version; named in files so that they stay true when there are more.
    fields.choice("strategy", (), &[("single_level", ())]);
    let space = settings::space(fields, site);
    let device = settings::device(fields, site);
    let settings = Settings {
        skeleton: fields.text("skeleton").unwrap_or_else(|| "search".to_owned()),
        channels: settings::optional_count(fields, "channels"),
        size: settings::optional_count(fields, "size"),
        batch: fields.integer("batch", 64, 1.., "a whole number from 1"),
        images: fields.choice("images", Images::Fit, &[("fit", Images::Fit), ("all", Images::All)]),
        seed: fields.integer("seed", 0, 0.., "a whole number from 0"),
        augment: settings::augment(fields),
        learner: LearnerConfig {
            mixing: fields.choice(
                "mixing",
                Mixing::Softmax,
                &[("softmax", Mixing::Softmax), ("sigmoid", Mixing::Sigmoid)],
            ),
            ..settings::learner(fields)
        },
        search: settings::search(fields),
    };
    let kernels =
        fields.choice("kernels", Kernels::Native, &[("native", Kernels::Native), ("reference", Kernels::Reference)]);
    let (space, space_text) = space?;
    if space.skeleton_defaults(&settings.skeleton).is_none() {
        let known = space.skeleton_names().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let place = fields.origin_of("skeleton").clone();
        let message = format!("space `{}` has no skeleton `{}`", space.name, settings.skeleton);
        fields.problems().add_with_hint(&place, message, format!("it has {known}"));
    }
    Some(Box::new(Search { space, space_text, device: device?, kernels, settings }))
}

impl Stage for Search {
    /// Under the names that a pipeline file uses, so that a reason to run again reads as an edit of the file.
    fn params(&self) -> Json {
        let Settings { skeleton, channels, size, batch, images, seed, augment, learner, search } = &self.settings;
        let LearnerConfig { mixing, sgd, adam, clip_norm, alpha_deviation, .. } = learner;
        let (schedule, minimum, by) = match &search.weight_schedule {
            Schedule::Constant => ("constant", None, None),
            Schedule::Cosine { minimum, by } => ("cosine", Some(minimum), Some(by)),
        };
        json!({
            "strategy": "single_level",
            "skeleton": skeleton,
            "channels": channels,
            "size": size,
            "epochs": search.epochs,
            "batch": batch,
            "images": images,
            "seed": seed,
            "mixing": mixing,
            "augment": augment,
            "weights": {
                "learning_rate": search.weight_rate,
                "schedule": schedule,
                "minimum_learning_rate": minimum,
                "schedule_by": by,
                "momentum": sgd.momentum,
                "nesterov": sgd.nesterov,
                "weight_decay": sgd.weight_decay,
                "clip_norm": clip_norm,
            },
            "alphas": {
                "learning_rate": search.alpha_rate,
                "betas": [adam.beta_1, adam.beta_2],
                "epsilon": adam.epsilon,
                "weight_decay": adam.weight_decay,
                "deviation": alpha_deviation,
            },
        })
    }

    fn resources(&self) -> Vec<(String, Resource)> {
        vec![("space".to_owned(), Resource::Content(self.space.digest()))]
    }

    fn numerics(&self) -> Option<Json> {
        Some(json!({"backend": self.device.backend(), "kernels": self.kernels.to_string(), "precision": "f32"}))
    }

    fn run(&self, context: &mut Context<'_>) -> Result<(), StageError> {
        let dataset = Arc::new(settings::dataset(context.input("data")?.output("dataset")?)?);
        let device = self.device.open().map_err(|error| StageError::input(error.to_string()))?;
        let task = self.task(&dataset, device.clone())?;
        let model = Model { network: self.network(&dataset)?, kernels: self.kernels };
        let learner = Learner::new(model, &self.settings.learner, self.settings.seed, &device);

        let mut search = train::Search::new(learner, &task, &self.settings.search);
        let checkpoint = context.work()?.join("checkpoint.safetensors");
        match search.resume(&checkpoint, &device) {
            Ok(Some(at)) => context.resumed(at),
            Ok(None) => {}
            // A checkpoint that does not fit is of another program: the search is done anew, nothing is lost but time.
            Err(error) => context.warn(format!("{error}; the search starts again")),
        }
        let mut watch = Watch::new(context, self.settings.search.epochs);
        let ended = search.run(&checkpoint, &mut watch).map_err(|error| match error {
            SearchError::Checkpoint(error) => settings::checkpoint_error(error),
            other => StageError::failed(settings::with_causes(&other)),
        })?;
        match ended {
            Ended::Stopped => Err(StageError::Interrupted),
            Ended::Completed => self.publish(&search, context),
        }
    }
}

impl Search {
    fn task(&self, dataset: &Arc<Dataset>, device: burn::tensor::Device) -> Result<Classification, StageError> {
        let Settings { images, seed, batch, augment, .. } = &self.settings;
        let fit = match images {
            Images::Fit => dataset.split.fit.clone(),
            Images::All => dataset.all(Part::Train),
        };
        // What is fitted is not watched.
        let held_out = if *images == Images::Fit { dataset.split.held_out.clone() } else { Vec::new() };
        let loader = |indices: Vec<u32>, options: LoaderOptions| {
            Loader::new(dataset.clone(), Part::Train, indices, options).map_err(settings::data_error)
        };
        let (batch, seed, augment) = (*batch, *seed, Some(*augment));
        let options = LoaderOptions { batch, order: Order::Shuffled, seed, augment, drop_last: false };
        let watched =
            if held_out.is_empty() { None } else { Some(loader(held_out, LoaderOptions::evaluation(batch))?) };
        Ok(Classification::new(loader(fit, options)?, watched, device))
    }

    fn network(&self, dataset: &Dataset) -> Result<crate::space::network::Network, StageError> {
        let [channels, height, width] = dataset.shape;
        let build = Build {
            skeleton: self.settings.skeleton.clone(),
            channels: self.settings.channels,
            size: self.settings.size,
            classes: dataset.classes.len(),
            input: FeatureMap { channels, height, width },
            auxiliary: false,
        };
        self.space.supernet(&build).map_err(|error| StageError::input(error.to_string()))
    }

    /// The space as it was searched, the alphas of every epoch, the weights under PyTorch's names, the metrics.
    fn publish(&self, search: &train::Search<'_>, context: &mut Context<'_>) -> Result<(), StageError> {
        let (records, learner) = (search.records(), &search.learner);
        let epochs: Vec<Json> =
            records.iter().map(|record| json!({"epoch": record.epoch, "tables": record.tables})).collect();
        let alphas = json!({"space": self.space.name, "mixing": self.settings.learner.mixing, "epochs": epochs});
        let metrics: Vec<Json> = records
            .iter()
            .map(|record| {
                json!({
                    "epoch": record.epoch,
                    "learning_rate": record.learning_rate,
                    "train_loss": record.train_loss,
                    "train_accuracy_percent": record.train_accuracy_percent,
                    "held_out_loss": record.held_out_loss,
                    "held_out_accuracy_percent": record.held_out_accuracy_percent,
                })
            })
            .collect();
        context.publish_bytes("space", self.space_text.as_bytes())?;
        context.publish_bytes("alphas", &settings::json_bytes(&alphas))?;
        context.publish_bytes("metrics", &settings::json_bytes(&Json::from(metrics)))?;
        context.publish_bytes(
            "weights",
            &crate::interop::weights::to_safetensors(&[&learner.weights, &learner.running]),
        )?;

        let last = records.last().ok_or_else(|| StageError::failed("the search has no epoch"))?;
        let cost = learner.model.network.cost();
        context.metric("epochs", records.len() as f64);
        context.metric("supernet_parameters", cost.parameters as f64);
        context.metric("supernet_multiply_adds", cost.multiply_adds as f64);
        context.metric("train_loss", last.train_loss);
        context.metric("train_accuracy_percent", last.train_accuracy_percent);
        // A supernet's accuracy is named so: it is no trained network's.
        let watched = last.held_out_accuracy_percent;
        if let (Some(accuracy), Some(loss)) = (watched, last.held_out_loss) {
            context.metric("supernet_held_out_accuracy_percent", accuracy);
            context.metric("supernet_held_out_loss", loss);
        }
        context.summary(match watched {
            Some(accuracy) => format!("supernet {accuracy:.2} % on the held-out images"),
            None => format!("supernet {:.2} % on the images it fits", last.train_accuracy_percent),
        });
        Ok(())
    }
}
