//! All that changes while a network learns.

use super::{Adam, AdamConfig, Average, BetaRecord, Sgd, SgdConfig, TableRecord};
use crate::{
    model::{
        DropPath, Mixing, Mode, Model, TensorGroup, Views, edge_weights, initial_alphas, initial_running,
        initial_weights,
    },
    tasks::{Batch, cross_entropy},
};
use burn::tensor::{Device, Tensor};

/// Weights, alphas, running statistics and the optimisers that move them.
pub struct Learner {
    pub model: Model,
    pub mixing: Mixing,
    /// *w*
    pub weights: TensorGroup,
    /// *α*
    pub alphas: TensorGroup,
    /// Batch norm's running statistics.
    pub running: TensorGroup,
    pub sgd: Sgd,
    pub adam: Adam,
    /// Longest norm of the weights' gradient: a longer one is scaled down to it.
    pub clip_norm: f64,
    /// What the auxiliary head's loss counts, where the network has one.
    pub auxiliary_weight: f64,
    /// See [`cross_entropy`].
    pub label_smoothing: f64,
    /// What the next pass drops; moved on by whoever steps.
    pub drop_path: Option<DropPath>,
    /// Weight of the auxiliary skip connections, where the network has them; moved on by whoever steps.
    pub auxiliary_skip: f64,
    /// Where there is one, it is evaluated and published in the weights' place.
    pub average: Option<Average>,
}

/// Settings of a [`Learner`].
#[derive(Debug, Clone, PartialEq)]
pub struct LearnerConfig {
    pub mixing: Mixing,
    pub sgd: SgdConfig,
    pub adam: AdamConfig,
    /// Longest norm of the weights' gradient.
    pub clip_norm: f64,
    /// Weight of the auxiliary head's loss; no matter where there is no such head.
    pub auxiliary_weight: f64,
    /// Share of the target that is spread over all classes, from 0 to below 1.
    pub label_smoothing: f64,
    /// Decay of the moving average of the weights, where one is kept.
    pub average: Option<f64>,
    /// Standard deviation of the first alphas.
    pub alpha_deviation: f64,
}

/// One forward and one backward pass on one batch.
pub struct Pass {
    /// `[1]`
    pub loss: Tensor<1>,
    /// `[batch, classes]`
    pub logits: Tensor<2>,
    /// The auxiliary head's scores, where the network has one: `[batch, classes]`.
    pub auxiliary: Option<Tensor<2>>,
    /// ∇_w, before clipping, as long as the weights.
    pub weight_gradient: Tensor<1>,
    /// ∇_α, as long as the alphas.
    pub alpha_gradient: Tensor<1>,
    /// The running statistics after the pass.
    pub running: Tensor<1>,
}

impl Learner {
    /// A learner before its first step, its first values drawn from `seed`.
    pub fn new(mut model: Model, config: &LearnerConfig, seed: u64, device: &Device) -> Self {
        model.seed_noise(seed);
        let weights = initial_weights(model.network(), seed, device);
        let running = initial_running(model.network(), device);
        let alphas = initial_alphas(model.network(), config.alpha_deviation, seed, device);
        let average = config.average.map(|decay| Average::new(decay, weights.values(), running.values()));
        Self {
            weights,
            alphas,
            running,
            average,
            drop_path: None,
            auxiliary_skip: 1.0,
            mixing: config.mixing,
            sgd: Sgd::new(config.sgd.clone()),
            adam: Adam::new(config.adam.clone()),
            clip_norm: config.clip_norm,
            auxiliary_weight: config.auxiliary_weight,
            label_smoothing: config.label_smoothing,
            model,
        }
    }

    /// The loss of `batch` in training mode and its gradients in weights and alphas. Moves nothing.
    pub fn pass(&self, batch: &Batch) -> Pass {
        let (weights, alphas) = (self.model.leaves(&self.weights), self.alphas.leaves());
        let mixing = self.edge_weights(&alphas);
        let images = batch.images.clone().autodiff();
        let mode = Mode::Train { drop_path: self.drop_path };
        let output = self.model.forward(mode, &weights, &self.running, &mixing, images);
        let of = |logits: &Tensor<2>| cross_entropy(logits.clone(), batch.labels.clone(), self.label_smoothing);
        let mut loss = of(&output.logits);
        if let Some(auxiliary) = &output.auxiliary {
            loss = loss + of(auxiliary).mul_scalar(self.auxiliary_weight);
        }
        let gradients = loss.backward();
        Pass {
            weight_gradient: self.weights.gradient(&weights, &gradients),
            alpha_gradient: self.alphas.gradient(&alphas, &gradients),
            loss: loss.inner(),
            logits: output.logits.inner(),
            auxiliary: output.auxiliary.map(Tensor::inner),
            running: output.running,
        }
    }

    /// The weights and running statistics that are evaluated and published: their average where one is kept.
    pub fn evaluated(&self) -> (TensorGroup, TensorGroup) {
        match &self.average {
            None => (self.weights.clone(), self.running.clone()),
            Some(average) => {
                (self.weights.with(average.weights().clone()), self.running.with(average.running().clone()))
            }
        }
    }

    /// Logits in evaluation mode: `[batch, classes]`.
    pub fn evaluate(&self, images: Tensor<4>) -> Tensor<2> {
        let mixing = self.edge_weights(&self.alphas.views());
        let (weights, running) = self.evaluated();
        self.model.forward(Mode::Evaluate, &weights.views(), &running, &mixing, images).logits
    }

    /// What everything on an edge is multiplied with, for each table.
    fn edge_weights(&self, alphas: &Views) -> Vec<Tensor<2>> {
        let tables = &self.model.network().alphas;
        edge_weights(tables, self.mixing.weights(tables, alphas), alphas, self.auxiliary_skip)
    }

    /// Each table as it is now.
    pub fn tables(&self) -> Vec<TableRecord> {
        let views = self.alphas.views();
        let weights = self.edge_weights(&views);
        let tables = self.model.network().alphas.iter().zip(weights);
        tables
            .map(|(table, weights)| TableRecord {
                label: table.label.clone(),
                alphas: rows(views.get(&table.label)),
                betas: table.betas.as_ref().map(|betas| BetaRecord {
                    label: betas.label.clone(),
                    values: crate::model::host(views.get::<1>(&betas.label)),
                }),
                weights: rows(weights.narrow(1, 0, table.columns())),
            })
            .collect()
    }
}

fn rows(table: Tensor<2>) -> Vec<Vec<f32>> {
    let [_, columns] = table.dims();
    let numbers = crate::model::host(table);
    numbers.chunks(columns.max(1)).map(<[f32]>::to_vec).collect()
}
