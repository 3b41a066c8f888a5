//! `prepare: {catch: {}}` and `prepare: {procgen: {…}}`: a game to learn by playing.

use crate::{
    config::Fields,
    games::{Game, Mode},
    records,
    run::{Context, Stage, StageError, sentence},
    stages::{PlanContext, material::GAME},
    tasks::policy::{GameKind, GameSet, Part},
};
use serde_json::json;
use std::path::PathBuf;

struct PrepareGame {
    game: GameSet,
    data_roots: Vec<PathBuf>,
}

/// Bumped where the same game comes to be another.
const GAME_VERSION: u32 = 1;

/// Of catch, and of Procgen (as OpenAI's `train-procgen`).
const LEVELS: u32 = 200;

pub(super) fn read(fields: &mut Fields<'_>, name: &'static str, context: &PlanContext<'_>) -> Option<Box<dyn Stage>> {
    let kind = match name {
        "catch" => fields.map_called(name, "game `catch`", |keys| {
            let (rows, columns, scale) = (
                keys.integer("rows", 10, 2..=64, "a whole number from 2 to 64"),
                keys.integer("columns", 5, 1..=64, "a whole number from 1 to 64"),
                keys.integer("scale", 1, 1..=8, "a whole number from 1 to 8"),
            );
            let levels = keys.optional_integer("levels", 1..=1_000_000, "a whole number from 1 to 1000000");
            Some(GameSet { kind: GameKind::Catch { rows, columns, scale }, levels })
        }),
        _ => fields.map_called(name, "game `procgen`", |keys| {
            let games: Vec<(&str, &str)> = Game::ALL.iter().map(|game| (game.name(), game.name())).collect();
            keys.required_node("game");
            let game = keys.choice("game", games[0].0, &games).to_owned();
            let modes: Vec<(&str, &str)> = Mode::ALL.iter().map(|mode| (mode.name(), mode.name())).collect();
            let mode = keys.choice("mode", Mode::Easy.name(), &modes).to_owned();
            let levels = Some(keys.integer("levels", LEVELS, 1..=1_000_000_000, "a whole number from 1"));
            Some(GameSet { kind: GameKind::Procgen { game, mode }, levels })
        }),
    };
    fields.exclude_from_hash(name);
    let game = kind?;
    fields.hash("source", json!({"dataset": name, "version": GAME_VERSION, "game": game}));
    context.tells.images.get_or_init(|| game.images());
    let place = fields.origin_of(name).clone();
    // A game that cannot be had is found out before anything runs.
    let data_roots = context.data_roots();
    if let Err(error) = game.check(&data_roots) {
        fields.problems().add_hinted(&place, sentence(&error), error.hint());
        return None;
    }
    Some(Box::new(PrepareGame { game, data_roots }))
}

impl Stage for PrepareGame {
    fn run(&self, context: &mut Context<'_>) -> Result<(), StageError> {
        let opened = self.game.open(Part::Learned, 1, 0, &self.data_roots);
        let games = opened.map_err(|error| StageError::Input { message: sentence(&error), hint: error.hint() })?;
        context.publish_bytes(GAME, &records::bytes(&self.game))?;
        context.metric("actions", f64::from(games.space().actions));
        context.summary(self.game.to_string());
        Ok(())
    }
}
