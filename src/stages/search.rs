//! `search`: trains a supernet and keeps its alphas of every epoch.

use super::{Site, artifacts, hyperparameters, watch::Watch};
use crate::{
    config::Fields,
    data::{Augment, Dataset, Loader, LoaderOptions, Order, Part},
    kernels::Kernels,
    model::{DeviceName, Model},
    run::{Context, Resource, Stage, StageError, sentence},
    space::{Build, Space, network::FeatureMap},
    tasks::Classification,
    train::{self, CheckpointError, Ended, Learner, LearnerConfig, Schedule, SearchConfig, SearchError},
};
use serde_json::{Value as Json, json};
use std::{path::PathBuf, sync::Arc};

struct Search {
    space: Space,
    /// The space's file as it was read, published with the result.
    space_text: String,
    device: DeviceName,
    kernels: Kernels,
    data_roots: Vec<PathBuf>,
    settings: Settings,
}

/// What decides the result.
struct Settings {
    skeleton: String,
    channels: usize,
    size: usize,
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
    let space = site.space(fields);
    let device = site.device(fields);
    let skeleton = fields.text("skeleton").unwrap_or_else(|| "search".to_owned());
    let (channels, size) =
        (hyperparameters::optional_count(fields, "channels"), hyperparameters::optional_count(fields, "size"));
    let batch = hyperparameters::batch(fields);
    let images = fields.choice("images", Images::Fit, &[("fit", Images::Fit), ("all", Images::All)]);
    let seed = hyperparameters::seed(fields);
    let augment = hyperparameters::augment(fields);
    let (learner, search) = hyperparameters::search(fields);
    let kernels =
        fields.choice("kernels", Kernels::Native, &[("native", Kernels::Native), ("reference", Kernels::Reference)]);

    let (space, space_text) = space?;
    let Some(defaults) = space.skeleton_defaults(&skeleton) else {
        let known = space.skeleton_names().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let place = fields.origin_of("skeleton").clone();
        let message = format!("space `{}` has no skeleton `{skeleton}`", space.name);
        fields.problems().add_with_hint(&place, message, format!("it has {known}"));
        return None;
    };
    let (channels, size) = (channels.unwrap_or(defaults.channels), size.unwrap_or(defaults.size));
    let settings = Settings { skeleton, channels, size, batch, images, seed, augment, learner, search };
    Some(Box::new(Search { space, space_text, device: device?, kernels, data_roots: site.data_roots(), settings }))
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
        let dataset = Arc::new(artifacts::dataset(context.input("data")?, &self.data_roots)?);
        let device = self.device.open().map_err(|error| StageError::input(error.to_string()))?;
        let task = self.task(&dataset, device.clone())?;
        let model = Model { network: self.network(&dataset)?, kernels: self.kernels };
        let learner = Learner::new(model, &self.settings.learner, self.settings.seed, &device);

        let mut search = train::Search::new(learner, &task, &self.settings.search);
        let checkpoint = context.work()?.join("checkpoint.safetensors");
        match search.resume(&checkpoint, &device) {
            Ok(Some(at)) => context.resumed(at),
            Ok(None) => {}
            // Damaged, or of another version of the program: the search is done anew, nothing is lost but time.
            Err(error) => context.warn(format!("{}; the search starts again", sentence(&error))),
        }
        let mut watch = Watch::new(context, self.settings.search.epochs);
        let ended = search.run(&checkpoint, &mut watch).map_err(|error| match error {
            SearchError::Checkpoint(CheckpointError::Store(error)) => StageError::Store(error),
            other => StageError::failed(sentence(&other)),
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
        let loader =
            |indices: Vec<u32>, options: LoaderOptions| Loader::new(dataset.clone(), Part::Train, indices, options);
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
            channels: Some(self.settings.channels),
            size: Some(self.settings.size),
            classes: dataset.classes.len(),
            input: FeatureMap { channels, height, width },
            auxiliary: false,
        };
        self.space.supernet(&build).map_err(|error| StageError::Input { message: sentence(&error), hint: error.hint() })
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
        context.publish_bytes("alphas", &artifacts::json_bytes(&alphas))?;
        context.publish_bytes("metrics", &artifacts::json_bytes(&Json::from(metrics)))?;
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
