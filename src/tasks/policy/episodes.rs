//! Whole episodes, to tell how well a network plays.

use super::{GameSet, actor::Actor, game::Part};
use crate::{data::Picture, games::GameError, model::Outputs, tasks::row::row};
use burn::tensor::{Device, Tensor};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::path::PathBuf;

/// How actions are chosen.
#[derive(Clone, Copy)]
pub enum Manner<'a> {
    /// By a network's probabilities.
    Drawn(&'a dyn Fn(Tensor<4>) -> Outputs),
    /// The likeliest of a network.
    Likeliest(&'a dyn Fn(Tensor<4>) -> Outputs),
    /// Each as likely as any other: what a network is compared with.
    Random,
}

/// An episode that was played to its end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Played {
    pub level: u32,
    pub returned: f64,
    pub steps: usize,
}

/// Episodes, and every frame of the first of them.
#[derive(Debug, Default)]
pub struct Session {
    pub played: Vec<Played>,
    pub film: Vec<Picture>,
}

impl Session {
    /// Some frames of the film in a row, as SVG, the first and the last among them.
    pub fn strip(&self) -> String {
        let last = self.film.len().saturating_sub(1);
        let count = self.film.len().min(STRIP);
        let places = (0..count).map(|at| if count > 1 { at * last / (count - 1) } else { 0 });
        row(&places.map(|at| (format!("step {at}"), self.film[at].clone())).collect::<Vec<_>>())
    }
}

/// Frames of a strip.
const STRIP: usize = 6;

/// Copies that are played side by side at most.
const COPIES: usize = 64;

/// Plays `count` episodes; `None` where `go_on`, which hears how many are done, said no.
///
/// As many of each copy are taken, the first ones: whoever took those that end first would take short
/// ones.
///
/// # Errors
/// Where the game cannot be had.
pub fn episodes(
    (game, part): (&GameSet, Part),
    manner: Manner<'_>,
    (count, seed): (usize, u64),
    (roots, device): (&[PathBuf], &Device),
    go_on: &mut dyn FnMut(usize) -> bool,
) -> Result<Option<Session>, GameError> {
    let copies = count.min(COPIES);
    let mut games = game.open(part, copies, seed, roots)?;
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(1);
    let actions = games.space().actions;
    let mut actor = match manner {
        Manner::Drawn(network) => Some(Actor { network, device, random: Some(random.clone()) }),
        Manner::Likeliest(network) => Some(Actor { network, device, random: None }),
        Manner::Random => None,
    };
    // Of each copy, how many are wanted, the one under way, and those that ended.
    let wanted: Vec<usize> = (0..copies).map(|copy| count / copies + usize::from(copy < count % copies)).collect();
    let mut under_way = vec![Played { level: 0, returned: 0.0, steps: 0 }; copies];
    let mut ended: Vec<Vec<Played>> = vec![Vec::new(); copies];
    let mut film = Vec::new();
    let space = games.space();
    while ended.iter().zip(&wanted).any(|(ended, wanted)| ended.len() < *wanted) {
        if !go_on(ended.iter().map(Vec::len).sum()) {
            return Ok(None);
        }
        under_way.iter_mut().zip(games.observe().levels).for_each(|(played, &level)| played.level = level);
        if ended[0].is_empty() {
            let pixels = games.observe().frames[..space.frame()].to_vec();
            film.push(Picture { width: space.width, height: space.height, pixels, grey: false });
        }
        let chosen: Vec<u32> = match &mut actor {
            Some(actor) => actor.acts(games.as_ref()).iter().map(|acted| acted.action).collect(),
            None => (0..copies).map(|_| random.random_range(0..actions)).collect(),
        };
        games.act(&chosen)?;
        let seen = games.observe();
        for copy in 0..copies {
            let played = &mut under_way[copy];
            played.returned += f64::from(seen.rewards[copy]);
            played.steps += 1;
            if seen.firsts[copy] {
                if ended[copy].len() < wanted[copy] {
                    ended[copy].push(*played);
                }
                *played = Played { level: 0, returned: 0.0, steps: 0 };
            }
        }
    }
    Ok(Some(Session { played: ended.concat(), film }))
}
