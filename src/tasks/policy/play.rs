//! Learning by playing: in each epoch a rollout is played by the network as it is, and learned from in
//! minibatches.

use super::{
    Discount, GameSet, Known, PolicySettings, Ppo, Rated, RewardScale, Rewarded,
    actor::{Acted, Actor},
    explained,
    game::Part,
    normalise,
    ppo::{ACTION, KNOWN, KNOWN_NUMBERS},
};
use crate::{
    games::Games,
    model::Outputs,
    tasks::{Batch, Batches, Objective, Target, Targets, Task, TaskError},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use burn::tensor::{Device, Tensor, TensorData};
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use std::{
    cell::{Ref, RefCell},
    collections::VecDeque,
    path::PathBuf,
    sync::Arc,
};

/// Episodes whose mean return is told.
const LATEST: usize = 100;

/// The task of one who learns a game by playing it.
pub struct Play {
    objective: Arc<dyn Objective>,
    settings: PolicySettings,
    /// Frames of a minibatch.
    batch: usize,
    seed: u64,
    /// Whether half of the actors play for the alphas alone.
    is_parted: bool,
    device: Device,
    playing: RefCell<Playing>,
}

/// What goes on from one epoch to the next, and the rollout of this one.
struct Playing {
    games: Box<dyn Games>,
    scale: RewardScale,
    episodes: Episodes,
    rollout: Rollout,
}

/// The episodes under way and those that ended last.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Episodes {
    under_way: Vec<Episode>,
    latest: VecDeque<Episode>,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Episode {
    returned: f64,
    steps: u64,
}

/// What was played, step after step and in each the actors: `[steps, actors]`.
#[derive(Default)]
struct Rollout {
    /// `[steps, actors, height, width, channel]`
    frames: Vec<u8>,
    acted: Vec<Acted>,
    advantages: Vec<f32>,
    returns: Vec<f32>,
    rated: Rated,
}

/// All that an epoch begins with and that is no function of its number.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    games: String,
    scale: RewardScale,
    episodes: Episodes,
}

impl Episodes {
    /// An actor's reward, and whether its episode ended with it.
    fn add(&mut self, actor: usize, reward: f32, ended: bool) {
        let episode = &mut self.under_way[actor];
        episode.returned += f64::from(reward);
        episode.steps += 1;
        if ended {
            if self.latest.len() == LATEST {
                self.latest.pop_front();
            }
            self.latest.push_back(std::mem::take(episode));
        }
    }

    /// The mean return and length of the latest; of those under way before the first has ended.
    fn means(&self) -> [f64; 2] {
        let (latest, under_way) = (self.latest.iter(), self.under_way.iter());
        let of: Vec<&Episode> = if self.latest.is_empty() { under_way.collect() } else { latest.collect() };
        let mean = |number: fn(&Episode) -> f64| {
            of.iter().map(|episode| number(episode)).sum::<f64>() / of.len().max(1) as f64
        };
        [mean(|episode| episode.returned), mean(|episode| episode.steps as f64)]
    }
}

impl Play {
    /// # Errors
    /// Where the game cannot be had.
    pub fn new(
        settings: PolicySettings,
        game: &GameSet,
        (batch, seed, is_parted): (usize, u64, bool),
        roots: &[PathBuf],
        device: Device,
    ) -> Result<Self, TaskError> {
        let games = game.open(Part::Learned, settings.actors, seed, roots)?;
        let playing = Playing {
            games,
            scale: RewardScale::new(settings.actors),
            episodes: Episodes { under_way: vec![Episode::default(); settings.actors], latest: VecDeque::new() },
            rollout: Rollout::default(),
        };
        let objective: Arc<dyn Objective> = Arc::new(Ppo { ..settings.ppo });
        Ok(Self { objective, settings, batch, seed, is_parted, device, playing: RefCell::new(playing) })
    }

    /// The actors whose frames are learned from, or judged on.
    fn actors(&self, judged: bool) -> std::ops::Range<usize> {
        let actors = self.settings.actors;
        match (self.is_parted, judged) {
            (false, _) => 0..actors,
            (true, false) => 0..actors / 2,
            (true, true) => actors / 2..actors,
        }
    }

    /// The places of a rollout in the order in which one pass takes them.
    fn order(&self, epoch: usize, pass: usize, judged: bool) -> Vec<usize> {
        let (actors, own) = (self.settings.actors, self.actors(judged));
        let mut places: Vec<usize> =
            (0..self.settings.steps).flat_map(|step| own.clone().map(move |actor| step * actors + actor)).collect();
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(stream(epoch, 2 * pass as u64 + u64::from(judged) + 1));
        places.shuffle(&mut random);
        places
    }

    fn batch(&self, places: &[usize]) -> Batch {
        let Playing { games, rollout, .. } = &*self.playing();
        let space = games.space();
        let inputs = super::actor::frames(&rollout.frames, places, space, &self.device);
        let mut advantages: Vec<f32> = places.iter().map(|&at| rollout.advantages[at]).collect();
        if self.settings.normalise_advantages {
            normalise(&mut advantages);
        }
        let known = places.iter().zip(advantages).flat_map(|(&at, advantage)| {
            let Acted { log_probability, value, .. } = rollout.acted[at];
            let (returned, rollout) = (rollout.returns[at], rollout.rated);
            Known { log_probability, advantage, value, returned, rollout }.numbers()
        });
        let known: Vec<f32> = known.collect();
        let actions: Vec<i64> = places.iter().map(|&at| i64::from(rollout.acted[at].action)).collect();
        let count = places.len();
        let known = Tensor::from_data(TensorData::new(known, [count, KNOWN_NUMBERS]), &self.device);
        let actions = Tensor::from_data(TensorData::new(actions, [count]), &self.device);
        Batch { inputs, targets: Targets::new([(ACTION, Target::Whole(actions)), (KNOWN, Target::Real(known))]) }
    }

    fn playing(&self) -> Ref<'_, Playing> {
        self.playing.borrow()
    }

    fn per_pass(&self, judged: bool) -> usize {
        (self.actors(judged).len() * self.settings.steps / self.batch).max(1)
    }

    /// A minibatch of an epoch by its number; the last of a pass has what is left.
    fn minibatch(&self, epoch: usize, number: usize, judged: bool) -> Batch {
        let per_pass = self.per_pass(judged);
        let order = self.order(epoch, number / per_pass, judged);
        let at = number % per_pass;
        let end = if at + 1 == per_pass { order.len() } else { (at + 1) * self.batch };
        self.batch(&order[at * self.batch..end])
    }
}

/// A stream of random numbers of its own for each use in an epoch.
fn stream(epoch: usize, purpose: u64) -> u64 {
    ((epoch as u64) << 16) + purpose
}

impl Task for Play {
    fn objective(&self) -> &Arc<dyn Objective> {
        &self.objective
    }

    fn batches_per_epoch(&self) -> usize {
        self.settings.passes * self.per_pass(false)
    }

    fn batches(&self, epoch: usize, first: usize) -> Result<Batches<'_>, TaskError> {
        let numbers = first..self.batches_per_epoch();
        Ok(Box::new(numbers.map(move |number| Ok(self.minibatch(epoch, number, false)))))
    }

    /// Of each epoch as many as are fitted, of the actors that play for the alphas.
    fn validation(&self, first: u64) -> Result<Batches<'_>, TaskError> {
        if !self.is_parted {
            return Ok(Box::new(std::iter::empty()));
        }
        let per_epoch = self.batches_per_epoch() as u64;
        let numbers = first..;
        Ok(Box::new(
            numbers.map(move |number| {
                Ok(self.minibatch((number / per_epoch) as usize, (number % per_epoch) as usize, true))
            }),
        ))
    }

    fn fitted_again(&self, epoch: usize, count: usize) -> Result<Vec<Batch>, TaskError> {
        self.batches(epoch, 0)?.take(count).collect()
    }

    fn independent(&self, _: usize, _: usize) -> Result<Option<Vec<Batch>>, TaskError> {
        Ok(None)
    }

    /// How well it plays is in the rollouts.
    fn watched(&self) -> Result<Option<Batches<'_>>, TaskError> {
        Ok(None)
    }

    /// Plays the epoch's rollout.
    fn begin_epoch(
        &self,
        epoch: usize,
        network: &dyn Fn(Tensor<4>) -> Outputs,
        go_on: &mut dyn FnMut(usize, usize) -> bool,
    ) -> Result<bool, TaskError> {
        let PolicySettings { actors, steps, discount, scale_rewards, .. } = self.settings;
        let mut playing = self.playing.borrow_mut();
        let Playing { games, scale, episodes, rollout } = &mut *playing;
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(stream(epoch, 0));
        let mut actor = Actor { network, device: &self.device, random: Some(random) };
        *rollout = Rollout::default();
        let (mut rewards, mut ends) = (Vec::new(), Vec::new());
        for step in 0..steps {
            if !go_on(step, steps) {
                return Ok(false);
            }
            let acted = actor.acts(games.as_ref());
            rollout.frames.extend_from_slice(games.observe().frames);
            let actions: Vec<u32> = acted.iter().map(|acted| acted.action).collect();
            rollout.acted.extend(acted);
            games.act(&actions)?;
            let seen = games.observe();
            for (actor, (&reward, &ended)) in seen.rewards.iter().zip(seen.firsts).enumerate() {
                episodes.add(actor, reward, ended);
            }
            let scaled = scale.scaled(seen.rewards, seen.firsts);
            rewards.extend(if scale_rewards { scaled } else { seen.rewards.to_vec() });
            ends.extend_from_slice(seen.firsts);
        }
        let last_values: Vec<f32> = actor.acts(games.as_ref()).iter().map(|acted| acted.value).collect();
        debug_assert_eq!(last_values.len(), actors);
        let values: Vec<f32> = rollout.acted.iter().map(|acted| acted.value).collect();
        let discount: Discount = discount;
        let of = Rewarded { rewards: &rewards, values: &values, ends: &ends, last_values: &last_values };
        [rollout.advantages, rollout.returns] = discount.advantages(of);
        let [episode_return, episode_steps] = episodes.means().map(|mean| mean as f32);
        rollout.rated = Rated { episode_return, episode_steps, explained: explained(&rollout.returns, &values) as f32 };
        Ok(true)
    }

    fn state(&self) -> Result<Json, TaskError> {
        let mut playing = self.playing.borrow_mut();
        let Playing { games, scale, episodes, .. } = &mut *playing;
        let games = STANDARD.encode(games.save()?);
        Ok(json!(State { games, scale: scale.clone(), episodes: episodes.clone() }))
    }

    fn restore(&self, state: &Json) -> Result<(), String> {
        let State { games, scale, episodes } = State::deserialize(state).map_err(|error| error.to_string())?;
        let mut playing = self.playing.borrow_mut();
        if episodes.under_way.len() != self.settings.actors {
            return Err(format!("it has {} actors, not {}", episodes.under_way.len(), self.settings.actors));
        }
        let bytes = STANDARD.decode(games).map_err(|error| error.to_string())?;
        playing.games.restore(&bytes).map_err(|error| error.to_string())?;
        (playing.scale, playing.episodes) = (scale, episodes);
        Ok(())
    }

    /// A rollout is too much to keep: an epoch that is stopped is played again.
    fn may_checkpoint(&self, step: usize) -> bool {
        step == 0
    }
}
