//! How well a network plays, beside actions at random.

use crate::{
    config::Fields,
    model::Outputs,
    run::{Context, Progress, StageError, sentence},
    tasks::{
        Compared, Evaluated, MeasuredEvaluation, MeasuredExample, MeasuredSet, MeasuredValue, as_map,
        policy::{GameSet, Manner, Played, Session, episodes},
    },
};
use burn::tensor::{Device, Tensor};
use std::path::PathBuf;

/// How many episodes are played, and what they are drawn with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Playing {
    episodes: usize,
    seed: u64,
}

/// What an episode is measured by: name, words, unit. The last has no meaning without a range.
const MEASURES: [[&str; 3]; 3] =
    [["return", "return", ""], ["steps", "episode length", "steps"], ["normalised_return", "normalised return", ""]];
const BESIDE: &str = "random";

impl Playing {
    /// `episodes: 100`, `seed: 0`
    pub fn read(fields: &mut Fields<'_>) -> Self {
        Self {
            episodes: fields.integer("episodes", 100, 1..=1_000_000, "a whole number from 1 to 1000000"),
            seed: fields.integer("seed", 0, 0.., "a whole number from 0"),
        }
    }

    /// Plays levels that were learned on and others, by the network's probabilities and by its likeliest
    /// actions.
    ///
    /// # Errors
    /// Where the game cannot be had, and where one is to stop.
    pub fn evaluate(
        self,
        context: &Context<'_>,
        game: &GameSet,
        network: &dyn Fn(Tensor<4>) -> Outputs,
        (roots, device): (&[PathBuf], &Device),
    ) -> Result<Evaluated, StageError> {
        let parts = game.parts();
        // Of each part the random player, the drawing one and the greedy one.
        let steps = 3 * parts.len() * self.episodes;
        let mut done = 0;
        let mut play = |part, manner| -> Result<Session, StageError> {
            let before = done;
            let mut go_on = |played: usize| {
                context.progress(Progress { epochs: 1, step: before + played, steps, ..Progress::default() });
                !context.stop_requested()
            };
            let of = (self.episodes, self.seed);
            let session = episodes((game, part), manner, of, (roots, device), &mut go_on);
            done += self.episodes;
            let failed =
                |error: crate::games::GameError| StageError::Input { message: sentence(&error), hint: error.hint() };
            session.map_err(failed)?.ok_or(StageError::Interrupted)
        };
        let measured = Measured { range: game.range() };
        let (mut sets, mut metrics, mut said, mut files) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for &(name, part) in parts {
            let Session { played: beside, .. } = play(part, Manner::Random)?;
            for (ending, manner) in [("", Manner::Drawn(network)), ("_greedy", Manner::Likeliest(network))] {
                let session = play(part, manner)?;
                let (name, output) = (format!("{name}{ending}"), format!("{name}{ending}/strip.svg"));
                files.push((output.clone(), session.strip().into_bytes()));
                let played = session.played;
                let mean = Compared { network: measured.means(&played), beside: measured.means(&beside) };
                metrics.push((format!("{name}_return"), mean.network[0]));
                metrics.push((format!("{name}_return_error"), standard_error(&played)));
                metrics.push((format!("{name}_random_return"), mean.beside[0]));
                metrics.push((format!("{name}_steps"), mean.network[1]));
                metrics
                    .extend(mean.network.get(2).map(|&normalised| (format!("{name}_normalised_return"), normalised)));
                said.push(format!(
                    "{} {:.2} ± {:.2} ({BESIDE} {:.2})",
                    name.replace('_', " "),
                    mean.network[0],
                    standard_error(&played),
                    mean.beside[0]
                ));
                let example = |(at, (network, beside)): (usize, (&Played, &Played))| MeasuredExample {
                    name: format!("episode {}, level {}", at + 1, network.level),
                    values: Compared { network: measured.values(network), beside: measured.values(beside) },
                };
                let examples = played.iter().zip(&beside).enumerate().map(example).collect();
                let first = played.first().map_or(0.0, |played| played.returned);
                let figure = Some((output, format!("its first episode, with a return of {first:.2}")));
                sets.push(MeasuredSet { name, beside: BESIDE.to_owned(), mean, examples, figure });
            }
        }
        let first: &MeasuredSet = sets.iter().find(|set| !set.name.contains("greedy")).unwrap_or(&sets[0]);
        let measures: Vec<MeasuredValue> = MEASURES
            .iter()
            .zip(&first.mean.network)
            .map(|(words, &value)| {
                let [name, words, unit] = words;
                let words = if parts.len() > 1 { format!("{words} ({})", first.name) } else { (*words).to_owned() };
                MeasuredValue { name: (*name).to_owned(), words, unit: (*unit).to_owned(), value }
            })
            .collect();
        metrics.extend(measures.iter().map(|measure| (measure.name.clone(), measure.value)));
        let evaluation = as_map(&MeasuredEvaluation { examples: self.episodes, loss: None, measures, sets });
        Ok(Evaluated { evaluation, files, metrics, summary: format!("return: {}", said.join(", ")) })
    }
}

/// Episodes in numbers, in the order of [`MEASURES`].
#[derive(Clone, Copy)]
struct Measured {
    /// The returns that normalised ones count from, 0 and 1.
    range: Option<[f64; 2]>,
}

impl Measured {
    fn of(self, returned: f64, steps: f64) -> Vec<f64> {
        let normalised = self.range.map(|[least, most]| (returned - least) / (most - least));
        [Some(returned), Some(steps), normalised].into_iter().flatten().collect()
    }

    fn values(self, played: &Played) -> Vec<f64> {
        self.of(played.returned, played.steps as f64)
    }

    fn means(self, played: &[Played]) -> Vec<f64> {
        self.of(mean(played, |played| played.returned), mean(played, |played| played.steps as f64))
    }
}

fn mean(played: &[Played], of: fn(&Played) -> f64) -> f64 {
    played.iter().map(of).sum::<f64>() / played.len().max(1) as f64
}

/// Of the mean return.
fn standard_error(played: &[Played]) -> f64 {
    let (count, mean) = (played.len() as f64, mean(played, |played| played.returned));
    let squares: f64 = played.iter().map(|played| (played.returned - mean).powi(2)).sum();
    if count > 1.0 { (squares / (count - 1.0) / count).sqrt() } else { 0.0 }
}
