//! `search`: trains a supernet and keeps its alphas of every epoch.

use super::{
    Site, SpaceFile,
    alphas::{AlphaHistory, EpochAlphas},
    artifacts, augmentation, hyperparameters,
    site::Compute,
    training::{self, Feed, Images, Settings, Watched},
};
use crate::{
    config::Fields,
    data::Dataset,
    model::Model,
    run::{Context, Resource, Stage, StageError, sentence},
    train::{Learner, LearnerConfig, Strategy, Training},
};
use serde_json::{Value as Json, json};
use std::{path::PathBuf, sync::Arc};

struct Search {
    file: Arc<SpaceFile>,
    compute: Compute,
    data_roots: Vec<PathBuf>,
    settings: Settings,
}

pub(super) fn read(fields: &mut Fields<'_>, site: &Site<'_>) -> Option<Box<dyn Stage>> {
    let compute = site.compute(fields);
    let (file, settings) = settings(fields, site)?;
    Some(Box::new(Search { file, compute: compute?, data_roots: site.data_roots(), settings }))
}

/// The space, and all that decides the result besides it and the images.
pub(super) fn settings(fields: &mut Fields<'_>, site: &Site<'_>) -> Option<(Arc<SpaceFile>, Settings)> {
    let file = site.space(fields);
    let skeleton = fields.text("skeleton").unwrap_or_else(|| "search".to_owned());
    let feed = Feed {
        batch: hyperparameters::batch(fields),
        images: fields.choice("images", Images::Fit, &Images::NAMED),
        seed: hyperparameters::seed(fields),
        augment: augmentation::augment(fields, augmentation::SEARCH),
    };
    let edges = hyperparameters::edges(fields);
    let (learner, training) = hyperparameters::search(fields, feed.seed);
    let size = site.size(fields, Some(skeleton), file.as_deref());
    let (file, size) = (file?, size?);
    Some((file, Settings { size, edges, feed, learner, training }))
}

impl Stage for Search {
    /// Under the names that a pipeline file uses, so that a reason to run again reads as an edit of the file.
    fn params(&self) -> Json {
        let Settings { size, edges, feed, learner, training } = &self.settings;
        let LearnerConfig { mixing, perturb, regulariser, sgd, adam, clip_norm, alpha_deviation, .. } = learner;
        let mut keys = json!({
            "skeleton": size.skeleton,
            "channels": size.channels,
            "size": size.size,
            "epochs": training.epochs,
            "warmup_epochs": training.warmup_epochs,
            "batch": feed.batch,
            "images": feed.images,
            "seed": feed.seed,
            "partial_channels": edges.partial_channels,
            "edge_normalisation": edges.edge_normalisation,
            "auxiliary_skip": edges.auxiliary_skip,
            "perturb": hyperparameters::perturb_json(*perturb),
            "regularise": hyperparameters::regularise_json(*regulariser),
            "augment": feed.augment,
            "weights": hyperparameters::weights_json(&training.rate, sgd, *clip_norm),
            "alphas": hyperparameters::alphas_json(&training.alpha_rate, adam, *alpha_deviation),
        });
        for more in [hyperparameters::strategy_json(training.strategy), hyperparameters::mixing_json(*mixing)] {
            if let (Some(keys), Json::Object(more)) = (keys.as_object_mut(), more) {
                keys.extend(more);
            }
        }
        keys
    }

    fn resources(&self) -> Vec<(String, Resource)> {
        vec![("space".to_owned(), Resource::Content(self.file.space.digest()))]
    }

    fn numerics(&self) -> Option<Json> {
        Some(self.compute.numerics())
    }

    fn run(&self, context: &mut Context<'_>) -> Result<(), StageError> {
        let dataset = Arc::new(artifacts::dataset(context.input("data")?, &self.data_roots)?);
        let device = self.compute.open()?;
        let Settings { feed, learner, training, .. } = &self.settings;
        // What is fitted is not watched.
        let watched = if feed.images == Images::Fit { Watched::HeldOut } else { Watched::Nothing };
        let mut task = feed.task(&dataset, watched, device.clone())?;
        if let Strategy::Bilevel(_) = training.strategy {
            task = task.validating(feed.validation(&dataset)?);
        }
        let model = Model::new(self.network(&dataset)?, self.compute.kernels);
        let learner = Learner::new(model, learner, feed.seed, &device);
        let searched = training::train(context, learner, &task, training, watched, &device)?;
        self.publish(&searched, context)
    }
}

impl Search {
    fn network(&self, dataset: &Dataset) -> Result<crate::space::network::Network, StageError> {
        let build = self.settings.supernet(dataset.classes.len(), dataset.shape);
        self.file
            .space
            .supernet(&build)
            .map_err(|error| StageError::Input { message: sentence(&error), hint: error.hint() })
    }

    /// The space as it was searched, the alphas of every epoch, the weights under PyTorch's names, the metrics.
    fn publish(&self, searched: &Training<'_>, context: &mut Context<'_>) -> Result<(), StageError> {
        let (records, learner) = (searched.records(), &searched.learner);
        let alphas = AlphaHistory {
            space: self.file.space.name.clone(),
            mixing: self.settings.learner.mixing,
            epochs: records.iter().map(EpochAlphas::of).collect(),
        };
        context.publish_bytes("space", self.file.text.as_bytes())?;
        context.publish_bytes("alphas", &artifacts::json_bytes(&alphas))?;
        context.publish_bytes("metrics", &artifacts::json_bytes(&training::figures(records, Watched::HeldOut)))?;
        context.publish_bytes(
            "weights",
            &crate::interop::weights::to_safetensors(&[&learner.weights, &learner.running]),
        )?;

        let last = records.last().ok_or_else(|| StageError::failed("the search has no epoch"))?;
        let cost = learner.model.network().cost();
        context.metric("epochs", records.len() as f64);
        context.metric("supernet_parameters", cost.parameters as f64);
        context.metric("supernet_multiply_adds", cost.multiply_adds as f64);
        context.metric("train_loss", last.train_loss);
        context.metric("train_accuracy_percent", last.train_accuracy_percent);
        // A supernet's accuracy is named so: it is no trained network's.
        let watched = last.watched_accuracy_percent;
        if let (Some(accuracy), Some(loss)) = (watched, last.watched_loss) {
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
