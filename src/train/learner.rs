//! All that changes while a network learns.

use super::{
    AdamConfig, Average, BetaRecord, Clipped, Optimiser, OptimiserConfig, Perturb, Position, Regulariser, TableRecord,
    WidthPasses, clip_norm, clip_together, entropy, expected_cost::ExpectedCost,
};
use crate::{
    model::{
        Computed, DropPath, Mixing, Mixings, Mode, Model, Outputs, Portion, TensorGroup, Views, edge_weights,
        initial_alphas, initial_running, initial_weights,
    },
    space::network::{Level, Widths},
    tasks::{Batch, Objective},
};
use burn::tensor::{Device, Tensor, TensorData};
use std::sync::Arc;

/// A network while it learns.
pub struct Learner {
    pub model: Model,
    /// What its outputs are worth.
    pub objective: Arc<dyn Objective>,
    pub state: LearnerState,
    /// Decides with the kind of mixing what alphas become; set by whoever steps.
    pub position: Position,
    /// What the next pass drops; moved on by whoever steps.
    pub drop_path: Option<DropPath>,
    /// Longest norm of the gradient: a longer one is scaled down to it.
    clip_norm: f64,
    clipped: Clipped,
    /// How alphas are mixed and what pulls at them; of no meaning without alphas.
    of_alphas: AlphaConfig,
    /// Where it is regularised.
    expected_cost: Option<ExpectedCost>,
}

/// All that a step changes, which is what a checkpoint holds.
#[derive(Clone)]
pub struct LearnerState {
    /// *w*
    pub weights: TensorGroup,
    /// *α*
    pub alphas: TensorGroup,
    /// Batch norm's running statistics.
    pub running: TensorGroup,
    /// Moves the weights.
    pub optimiser: Optimiser,
    pub alpha_optimiser: Optimiser,
    /// Where there is one, it is evaluated and published in the weights' place.
    pub average: Option<Average>,
}

impl LearnerState {
    /// One step of the weights.
    pub fn step_weights(&mut self, gradient: Tensor<1>, rate: f64) {
        self.weights.update(|weights| self.optimiser.step(weights, gradient, rate));
    }
}

/// Settings of a [`Learner`].
#[derive(Debug, Clone, PartialEq)]
pub struct LearnerConfig {
    /// Of the weights.
    pub optimiser: OptimiserConfig,
    /// Longest norm of the gradient.
    pub clip_norm: f64,
    /// What of it is clipped.
    pub clipped: Clipped,
    /// Decay of the moving average of the weights, where one is kept.
    pub average: Option<f64>,
    /// Of a supernet.
    pub alphas: Option<AlphaConfig>,
}

/// How alphas begin, what they become, and what moves them.
#[derive(Debug, Clone, PartialEq)]
pub struct AlphaConfig {
    pub mixing: Mixings,
    /// Of a supernet whose nodes choose their widths.
    pub width_passes: WidthPasses,
    /// What the weights' step sees instead of the mixing weights; the same where absent.
    pub perturb: Option<Perturb>,
    pub regulariser: Regulariser,
    pub adam: AdamConfig,
    /// Whether training leaves out candidates whose mixing weight is 0: see [`Computed`].
    pub skip_zero_weights: bool,
    /// Standard deviation of the first alphas.
    pub deviation: f64,
}

impl Default for AlphaConfig {
    /// DARTS' (`architect.py`, `model_search.py`).
    fn default() -> Self {
        Self {
            mixing: Mixing::Softmax.into(),
            width_passes: WidthPasses::default(),
            perturb: None,
            regulariser: Regulariser::default(),
            adam: AdamConfig { beta_1: 0.5, beta_2: 0.999, epsilon: 1e-8, weight_decay: 1e-3 },
            skip_zero_weights: false,
            deviation: 1e-3,
        }
    }
}

/// One forward and one backward pass on one batch.
pub struct Pass {
    /// `[1]`
    pub loss: Tensor<1>,
    pub outputs: Outputs,
    /// ∇_w, before clipping, as long as the weights.
    pub weight_gradient: Tensor<1>,
    /// ∂L/∂p of each table's mixing weights *p*, in their shapes: for candidate *k* of an edge it
    /// is `⟨G, o_k⟩`, the edge's gradient along what the candidate gives.
    pub mixing_gradient: Vec<Tensor<2>>,
    /// The running statistics after the pass.
    pub running: Tensor<1>,
}

/// A pass, and the gradient of the weights where it was asked for.
struct TrackedPass {
    weight_gradient: Option<Tensor<1>>,
    mixing_gradient: Vec<Tensor<2>>,
    loss: Tensor<1>,
    outputs: Outputs,
    running: Tensor<1>,
}

impl TrackedPass {
    /// With the loss of another pass added to this one's.
    fn plus(self, other: Self) -> Self {
        let tables = self.mixing_gradient.into_iter().zip(other.mixing_gradient);
        Self {
            weight_gradient: self.weight_gradient.zip(other.weight_gradient).map(|(one, other)| one + other),
            mixing_gradient: tables.map(|(one, other)| one + other).collect(),
            loss: self.loss + other.loss,
            ..self
        }
    }
}

/// Whose gradients a pass gives.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    MixingWeights,
    All,
}

impl Learner {
    /// A learner before its first step, its first values drawn from `seed`.
    pub fn new(
        mut model: Model,
        objective: Arc<dyn Objective>,
        config: &LearnerConfig,
        seed: u64,
        device: &Device,
    ) -> Self {
        model.seed_noise(seed);
        let weights = initial_weights(model.network(), seed, device);
        let running = initial_running(model.network(), device);
        // Without alphas nothing of this is read.
        let of_alphas = config.alphas.clone().unwrap_or_default();
        let alphas = initial_alphas(model.network(), of_alphas.deviation, seed, device);
        let average = config.average.map(|decay| Average::new(decay, weights.values(), running.values()));
        let state = LearnerState {
            weights,
            alphas,
            running,
            optimiser: Optimiser::new(config.optimiser.clone()),
            alpha_optimiser: Optimiser::new(OptimiserConfig::Adam(of_alphas.adam.clone())),
            average,
        };
        let LearnerConfig { clip_norm, clipped, .. } = *config;
        let position = Position::default();
        let expected_cost = (of_alphas.regulariser.multiply_adds > 0.0)
            .then(|| ExpectedCost::of(model.network()).expect("a supernet has operations for all of its widths"));
        Self { model, objective, state, position, drop_path: None, clip_norm, clipped, of_alphas, expected_cost }
    }

    /// Begins with these weights and running statistics in the place of those that were drawn.
    pub fn begin_at(&mut self, weights: TensorGroup, running: TensorGroup) {
        if let Some(average) = &mut self.state.average {
            average.restore(0, weights.values(), running.values());
        }
        self.state.weights = weights;
        self.state.running = running;
    }

    /// How candidates are mixed.
    pub fn kind_of_mixing(&self) -> Mixings {
        self.of_alphas.mixing
    }

    /// The loss of `batch` in training mode and its gradients at the present weights and mixing
    /// weights. Moves nothing.
    pub fn pass(&self, batch: &Batch) -> Pass {
        self.pass_at(&self.state.weights, &self.mixing(), batch)
    }

    /// A [`pass`](Self::pass) at other weights and mixing weights, with the running statistics and
    /// drop path of here.
    pub fn pass_at(&self, weights: &TensorGroup, mixing: &[Tensor<2>], batch: &Batch) -> Pass {
        let computed = self.of_alphas.skip_zero_weights.then(|| self.computed(mixing)).flatten();
        self.pass_computing(computed.as_ref(), weights, mixing, batch)
    }

    /// ∂L/∂p of a pass that computes all candidates, whatever they weigh: each has the gradient that is
    /// its own.
    pub fn own_mixing_gradient(&self, batch: &Batch) -> Vec<Tensor<2>> {
        self.tracked_pass(None, (&self.state.weights, Of::MixingWeights), &self.mixing(), batch).mixing_gradient
    }

    /// The candidates that weigh something, where others do not.
    fn computed(&self, mixing: &[Tensor<2>]) -> Option<Computed> {
        Computed::of(&self.model.network().alphas, mixing)
    }

    /// ∂L/∂p alone at such weights and mixing weights, and the running statistics after the pass: for
    /// whoever moves the alphas and not the weights.
    pub fn alpha_pass_at(
        &self,
        weights: &TensorGroup,
        mixing: &[Tensor<2>],
        batch: &Batch,
    ) -> (Vec<Tensor<2>>, Tensor<1>) {
        let computed = self.of_alphas.skip_zero_weights.then(|| self.computed(mixing)).flatten();
        let pass = self.tracked_pass(computed.as_ref(), (weights, Of::MixingWeights), mixing, batch);
        (pass.mixing_gradient, pass.running)
    }

    fn pass_computing(
        &self,
        computed: Option<&Computed>,
        weights: &TensorGroup,
        mixing: &[Tensor<2>],
        batch: &Batch,
    ) -> Pass {
        let TrackedPass { weight_gradient, mixing_gradient, loss, outputs, running } =
            self.tracked_pass(computed, (weights, Of::All), mixing, batch);
        let weight_gradient = weight_gradient.unwrap_or_else(|| weights.values().zeros_like());
        Pass { loss, outputs, weight_gradient, mixing_gradient, running }
    }

    /// A pass at drawn widths, where nodes choose theirs, and those that are added to it. Each is run back
    /// before the next begins, so that there are the maps of one in memory.
    fn tracked_pass(
        &self,
        computed: Option<&Computed>,
        weights: (&TensorGroup, Of),
        mixing: &[Tensor<2>],
        batch: &Batch,
    ) -> TrackedPass {
        let drawn = self.model.drawn_widths(mixing);
        let portion = Portion { computed, widths: drawn.as_deref(), scored: drawn.is_some() };
        let pass = self.pass_of(portion, weights, mixing, batch);
        let Some(drawn) = &drawn else { return pass };
        let WidthPasses { largest, smallest } = self.of_alphas.width_passes;
        let narrowest = self.model.network().widths.as_ref().map_or(0, Widths::narrowest);
        let narrowest = vec![narrowest; drawn.len()];
        let others = [largest.then_some(None), smallest.then_some(Some(narrowest.as_slice()))].into_iter().flatten();
        others.fold(pass, |pass, widths| {
            let portion = Portion { computed, widths, scored: false };
            pass.plus(self.pass_of(portion, weights, mixing, batch))
        })
    }

    /// A pass of a portion of the network, with gradients of the mixing weights, and of the weights if
    /// asked for.
    fn pass_of(
        &self,
        portion: Portion<'_>,
        (weights, of): (&TensorGroup, Of),
        mixing: &[Tensor<2>],
        batch: &Batch,
    ) -> TrackedPass {
        // The mixing weights are leaves themselves: how alphas become them is a small graph of its
        // own, see `alpha_gradient`.
        let mixing: Vec<Tensor<2>> = mixing.iter().map(|table| table.clone().autodiff().require_grad()).collect();
        let leaves = if of == Of::All { self.model.leaves(weights) } else { weights.untracked() };
        let inputs = batch.inputs.clone().autodiff();
        let mode = Mode::Train { drop_path: self.drop_path };
        let passed = self.model.forward_of(mode, portion, &leaves, &self.state.running, &mixing, inputs);
        let loss = self.objective.loss(&passed.outputs, &batch.targets);
        let gradients = loss.backward();
        let of_table = |table: &Tensor<2>| match table.grad(&gradients) {
            Some(gradient) => gradient.inner(),
            None => table.clone().inner().zeros_like(),
        };
        TrackedPass {
            weight_gradient: (of == Of::All).then(|| weights.gradient(&leaves, &gradients)),
            mixing_gradient: mixing.iter().map(of_table).collect(),
            loss: loss.inner(),
            outputs: passed.outputs.inner(),
            running: passed.running,
        }
    }

    /// The mixing weights *p(α)* of each table that a pass of this position is taken at,
    /// `[edges, mixing columns]`, untracked.
    pub fn mixing(&self) -> Vec<Tensor<2>> {
        let alphas = self.state.alphas.views();
        self.edge_weights(self.relaxed(&alphas), &alphas)
    }

    /// What the relaxation of this position makes of the candidates' alphas, `[edges, candidates]`.
    fn relaxed(&self, alphas: &Views) -> Vec<Tensor<2>> {
        self.position.relaxations(self.of_alphas.mixing).weights(&self.model.network().alphas, alphas)
    }

    /// ∇_α from ∂L/∂p, by the chain rule through the relaxation *p(α)*; as long as the alphas.
    pub fn alpha_gradient(&self, mixing_gradient: &[Tensor<2>]) -> Tensor<1> {
        let leaves = self.state.alphas.leaves();
        let mixing = self.edge_weights(self.relaxed(&leaves), &leaves);
        let along = |(p, gradient): (Tensor<2>, &Tensor<2>)| (p * gradient.clone().autodiff()).sum();
        match mixing.into_iter().zip(mixing_gradient).map(along).reduce(|sum, table| sum + table) {
            Some(sum) => self.state.alphas.gradient(&leaves, &sum.backward()),
            None => self.state.alphas.values(),
        }
    }

    /// What the weights' step on `batch` is taken at instead of [`mixing`](Self::mixing), where
    /// candidates' weights are moved.
    pub fn perturbed(&self, batch: &Batch) -> Option<Vec<Tensor<2>>> {
        let alphas = self.state.alphas.views();
        let (weights, edges) = (self.relaxed(&alphas), self.model.edges());
        let loss = |candidates| self.evaluation_loss(candidates, batch);
        let moved = self.of_alphas.perturb?.moved(
            self.of_alphas.mixing.of(Level::Operations),
            self.position,
            &edges,
            &weights,
            loss,
        )?;
        Some(self.edge_weights(moved, &alphas))
    }

    /// The gradients of a step on one batch, those that are clipped cut down to the longest norm,
    /// with the norm that they had.
    pub fn clip(&self, weights: Tensor<1>, alphas: Option<Tensor<1>>) -> (Tensor<1>, Option<Tensor<1>>, Tensor<1>) {
        match (self.clipped, alphas) {
            (Clipped::All, Some(alphas)) => {
                let ([weights, alphas], norm) = clip_together([weights, alphas], self.clip_norm);
                (weights, Some(alphas), norm)
            }
            (_, alphas) => {
                let (weights, norm) = clip_norm(weights, self.clip_norm);
                (weights, alphas, norm)
            }
        }
    }

    /// The gradient of a step of the alphas alone, clipped by itself where theirs is clipped.
    pub fn clip_alphas(&self, gradient: Tensor<1>) -> Tensor<1> {
        match self.clipped {
            Clipped::Weights => gradient,
            Clipped::All => clip_norm(gradient, self.clip_norm).0,
        }
    }

    /// One step of the alphas, along the gradient of the loss and that of what regularises them.
    pub fn step_alphas(&mut self, gradient: Tensor<1>, rate: f64) {
        let (regulariser, network) = (self.of_alphas.regulariser, self.model.network());
        let more = regulariser.gradient(&self.model.edges(), network.exit.as_ref(), &self.state.alphas, &self.position);
        let of_cost =
            self.expected_cost.as_ref().map(|cost| self.cost_gradient(cost).mul_scalar(regulariser.multiply_adds));
        let gradient = more.into_iter().chain(of_cost).fold(gradient, |gradient, more| gradient + more);
        let optimiser = &mut self.state.alpha_optimiser;
        self.state.alphas.update(|alphas| optimiser.step(alphas, gradient, rate));
    }

    /// ∇_α of the expected cost, of candidates and widths as they are compared.
    fn cost_gradient(&self, cost: &ExpectedCost) -> Tensor<1> {
        let (share, tables) = (self.position.share_of_steps(), &self.model.network().alphas);
        let relaxations = self.of_alphas.mixing.relaxations(|mixing| mixing.compared(share));
        let leaves = self.state.alphas.leaves();
        let weights = relaxations.weights(tables, &leaves);
        let wide = |row: &Vec<f32>| row.iter().copied().map(f64::from).collect();
        let host = weights.iter().map(|table| rows(table.clone()).iter().map(wide).collect()).collect();
        let (_, slopes) = cost.at(&host);
        let along = |(weights, slopes): (Tensor<2>, Vec<Vec<f64>>)| {
            let numbers: Vec<f32> = slopes.iter().flatten().map(|slope| *slope as f32).collect();
            let slopes = Tensor::<2>::from_data(TensorData::new(numbers, weights.dims()), &weights.device());
            (weights * slopes).sum()
        };
        match weights.into_iter().zip(slopes).map(along).reduce(|sum, table| sum + table) {
            Some(sum) => self.state.alphas.gradient(&leaves, &sum.backward()),
            None => self.state.alphas.values(),
        }
    }

    /// The loss of `batch` in evaluation mode at the present weights, where candidates are mixed
    /// so: see [`evaluate_at`](Self::evaluate_at).
    pub fn evaluation_loss(&self, candidates: Vec<Tensor<2>>, batch: &Batch) -> f64 {
        let outputs = self.evaluate_at(candidates, batch.inputs.clone());
        f64::from(self.objective.loss(&outputs, &batch.targets).into_scalar::<f32>())
    }

    /// The weights and running statistics that are evaluated and published: their average where one
    /// is kept.
    pub fn evaluated(&self) -> (TensorGroup, TensorGroup) {
        match &self.state.average {
            None => (self.state.weights.clone(), self.state.running.clone()),
            Some(average) => {
                (self.state.weights.with(average.weights().clone()), self.state.running.with(average.running().clone()))
            }
        }
    }

    /// Outputs in evaluation mode.
    pub fn evaluate(&self, inputs: Tensor<4>) -> Outputs {
        let share = self.position.share_of_steps();
        let relaxations = self.of_alphas.mixing.relaxations(|mixing| mixing.evaluated(share));
        self.evaluate_at(relaxations.weights(&self.model.network().alphas, &self.state.alphas.views()), inputs)
    }

    /// Outputs in evaluation mode where candidates are mixed so, `[edges, candidates]` a table.
    pub fn evaluate_at(&self, candidates: Vec<Tensor<2>>, inputs: Tensor<4>) -> Outputs {
        let (weights, running) = self.evaluated();
        let mixing = self.edge_weights(candidates, &self.state.alphas.views());
        // What weighs nothing adds nothing, and nobody asks for its gradient.
        let (computed, widths) = (self.computed(&mixing), self.model.drawn_widths(&mixing));
        let portion = Portion { computed: computed.as_ref(), widths: widths.as_deref(), scored: false };
        self.model.forward_of(Mode::Evaluate, portion, &weights.views(), &running, &mixing, inputs).outputs
    }

    /// What everything on an edge is multiplied with, for each table, where candidates are mixed
    /// so.
    fn edge_weights(&self, candidates: Vec<Tensor<2>>, alphas: &Views) -> Vec<Tensor<2>> {
        edge_weights(&self.model.network().alphas, candidates, alphas, self.position.auxiliary_skip())
    }

    /// Each table as it is now, with what its candidates are [compared](Mixing::compared) by.
    pub fn tables(&self) -> Vec<TableRecord> {
        let views = self.state.alphas.views();
        let share = self.position.share_of_steps();
        let relaxations = self.of_alphas.mixing.relaxations(|mixing| mixing.compared(share));
        let weights = self.edge_weights(relaxations.weights(&self.model.network().alphas, &views), &views);
        let tables = self.model.network().alphas.iter().zip(weights);
        tables
            .map(|(table, weights)| (table, rows(weights.narrow(1, 0, table.columns()))))
            .map(|(table, weights)| TableRecord {
                label: table.label.clone(),
                alphas: rows(views.get(&table.label)),
                entropy: weights.iter().map(|edge| entropy(edge)).collect(),
                betas: table.betas.as_ref().map(|betas| BetaRecord {
                    label: betas.label.clone(),
                    values: crate::model::host(views.get::<1>(&betas.label)),
                }),
                weights,
            })
            .collect()
    }
}

fn rows(table: Tensor<2>) -> Vec<Vec<f32>> {
    let [_, columns] = table.dims();
    let numbers = crate::model::host(table);
    numbers.chunks(columns.max(1)).map(<[f32]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::host, train::tiny};

    /// One is drawn of three; that the others have the weight 0 does not hide what they would give.
    #[test]
    fn a_candidate_that_is_not_drawn_learns_what_it_would_give() {
        let learner = tiny::learner(tiny::SPACE, &tiny::config(Mixing::GUMBEL));
        let batch = tiny::batches().remove(0);
        let pass = learner.pass(&batch);
        let drawn = learner.mixing().remove(0);
        let found = host(pass.mixing_gradient[0].clone());
        let numbers = host(drawn.clone());
        assert!(numbers.iter().all(|&weight| weight == 0.0 || weight == 1.0), "{numbers:?}");
        // Candidates of the ragged space: none, skip, conv; skip; conv, none.
        let mut learned = 0;
        for at in [0, 1, 2, 3, 6, 7] {
            let loss = |by: f32| {
                let mut moved = numbers.clone();
                moved[at] += by;
                let moved = Tensor::<1>::from_floats(moved.as_slice(), &drawn.device()).reshape(drawn.dims());
                f64::from(learner.pass_at(&learner.state.weights, &[moved], &batch).loss.into_scalar::<f32>())
            };
            let expected = (loss(0.01) - loss(-0.01)) / 0.02;
            assert!((f64::from(found[at]) - expected).abs() < 2e-3, "{at}: {} is not {expected}", found[at]);
            learned += usize::from(numbers[at] == 0.0 && expected.abs() > 1e-2);
        }
        assert!(learned > 0, "{found:?}");
    }
}
