//! An episode that a network plays, as a picture that moves.

use super::{Complaint, DataArguments, ExitClass, destination::Destination};
use crate::{
    data::Animation,
    interop::trained::TrainedNetwork,
    model::Outputs,
    run::sentence,
    tasks::policy::{GameSet, Manner, POLICY, Part, Played, Session, VALUE, episodes},
};
use burn::tensor::{Device, Tensor};
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Args, Debug)]
#[command(next_help_heading = "Games (what a network for the task `policy` plays)")]
pub(super) struct EpisodeArguments {
    /// Play an episode and write it as a GIF: of the game that the weights' file names, or GAME:
    /// `catch`, or one of Procgen's as `starpilot` or `starpilot:hard`
    #[arg(long, value_name = "GAME", num_args = 0..=1, conflicts_with = "input")]
    play: Option<Option<String>>,
    /// The level; by default one that was not learned on, as the seed draws it
    #[arg(long, value_name = "N", requires = "play", value_parser = clap::value_parser!(u32).range(0..LEVELS))]
    level: Option<u32>,
    /// Take the likeliest action of each frame; by default actions are drawn by their probabilities
    #[arg(long, requires = "play")]
    greedy: bool,
    /// What levels and actions are drawn by
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    data: DataArguments,
}

/// As many levels as games count.
const LEVELS: i64 = i32::MAX as i64;

/// Milliseconds that a frame is seen, and the last one: Procgen is played by people at 15 a second.
const FRAME: u32 = 70;
const LAST: u32 = 1000;

/// Pixels of the longer side of what is drawn, where a frame is smaller.
const SIDE: usize = 256;

impl EpisodeArguments {
    pub fn is_wanted(&self) -> bool {
        self.play.is_some()
    }

    /// Plays and writes; says what was played and where it is.
    pub fn write(
        &self,
        network: &TrainedNetwork,
        outputs: &dyn Fn(Tensor<4>) -> Outputs,
        (destination, path): (&Destination, &Path),
        device: &Device,
    ) -> Result<String, Complaint> {
        acts(network)?;
        let game = self.game(network)?;
        fits(network, &game)?;
        let part = match (self.level, game.levels) {
            (Some(level), _) => Part::Level(level),
            (None, Some(_)) => Part::Unseen,
            (None, None) => Part::Learned,
        };
        let manner = if self.greedy { Manner::Likeliest(outputs) } else { Manner::Drawn(outputs) };
        let roots = [PathBuf::new(), self.data.data.clone()];
        let played = episodes((&game, part), manner, (1, self.seed), (&roots, device), &mut |_| true);
        let played = played.map_err(|error| Complaint::input(sentence(&error)).hinted(error.hint()))?;
        let Some(Session { played, film }) = played else { return Ok(String::new()) };
        let side = film.iter().map(|frame| frame.width.max(frame.height)).max().unwrap_or(SIDE);
        let scale = (SIDE / side).max(1);
        destination.write(&Animation { pictures: &film, scale, delay: FRAME, pause: LAST }.gif())?;
        let [Played { level, returned, steps }] = played[..] else { return Ok(String::new()) };
        let game = game.kind;
        Ok(format!("{game}, level {level}: a return of {returned:.2} in {steps} steps, {}\n", path.display()))
    }

    /// The one that is asked for, else the one that the network learned.
    fn game(&self, network: &TrainedNetwork) -> Result<GameSet, Complaint> {
        let asked = self.play.as_ref().and_then(Option::as_deref);
        let game = match (asked, &network.description.game) {
            (None, Some(game)) => game.clone(),
            // It says more than the name: the sizes of catch, the levels that were learned on.
            (Some(name), Some(own)) if own.kind.is_called(name) => own.clone(),
            (Some(name), _) => {
                let input = network.network.input;
                GameSet::named(name, [input.height, input.width])
                    .map_err(|error| Complaint::caused(ExitClass::Usage, &error).hinted(error.hint()))?
            }
            (None, None) => {
                return Err(Complaint::input("the weights' file does not say which game its network learned")
                    .hint("name it: `--play starpilot`"));
            }
        };
        Ok(game)
    }
}

/// Whether the network acts at all.
fn acts(network: &TrainedNetwork) -> Result<(), Complaint> {
    match (numbers(network, POLICY), numbers(network, VALUE)) {
        (Some(_), Some(1)) => Ok(()),
        _ => Err(Complaint::input("the network does not act: it has no outputs `policy` and `value`")
            .hint("`--play` is for networks of the task `policy`; others are given `--input`")),
    }
}

/// How many an output has.
fn numbers(network: &TrainedNetwork, name: &str) -> Option<usize> {
    let head = network.network.heads.iter().find(|head| head.output.name == name)?;
    Some(head.output.size.elements())
}

/// Whether the network sees what the game shows, and can do what may be done in it.
fn fits(network: &TrainedNetwork, game: &GameSet) -> Result<(), Complaint> {
    let images = game.images();
    let input = network.network.input;
    let seen = [input.channels, input.height, input.width];
    let actions = numbers(network, POLICY).unwrap_or_default();
    if (actions, seen) == (images.classes, images.shape) {
        return Ok(());
    }
    Err(Complaint::input(format!(
        "the network sees frames of {seen:?} and has {actions} actions, in {} there are frames of {:?} and {}",
        game.kind, images.shape, images.classes
    )))
}
