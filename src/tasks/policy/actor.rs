//! A network that acts.

use super::ppo::{POLICY, VALUE};
use crate::{
    games::{Games, Space},
    model::{Outputs, host},
};
use burn::tensor::{Device, Tensor, TensorData, activation};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// What a network did with a frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Acted {
    pub action: u32,
    /// Of the action.
    pub log_probability: f32,
    /// What it thinks that the frame is worth.
    pub value: f32,
}

/// Acts as a network says: by its probabilities, or the likeliest action where there is no generator.
pub struct Actor<'a> {
    pub network: &'a dyn Fn(Tensor<4>) -> Outputs,
    pub device: &'a Device,
    pub random: Option<ChaCha8Rng>,
}

impl Actor<'_> {
    /// An action for each copy.
    pub fn acts(&mut self, games: &dyn Games) -> Vec<Acted> {
        let space = games.space();
        let copies: Vec<usize> = (0..games.copies()).collect();
        let outputs = (self.network)(frames(games.observe().frames, &copies, space, self.device));
        let log_probabilities = host(activation::log_softmax(outputs.scores(POLICY), 1));
        let values = host(outputs.scores(VALUE));
        let of_copies = log_probabilities.chunks_exact(space.actions as usize).zip(values);
        let act = |(of_actions, value): (&[f32], f32)| {
            let action = match &mut self.random {
                Some(random) => drawn(of_actions, random.random_range(0.0..1.0)),
                None => likeliest(of_actions),
            };
            Acted { action: action as u32, log_probability: of_actions[action], value }
        };
        of_copies.map(act).collect()
    }
}

/// The action that a number from 0 to 1 falls to, each having its probability of it.
fn drawn(log_probabilities: &[f32], number: f64) -> usize {
    let mut sum = 0.0;
    let reached = |&log: &f32| {
        sum += f64::from(log).exp();
        number < sum
    };
    // Sums of rounded numbers may fall short of 1.
    log_probabilities.iter().position(reached).unwrap_or(log_probabilities.len() - 1)
}

/// The first of the largest.
fn likeliest(log_probabilities: &[f32]) -> usize {
    let before = |best: usize, at: usize| if log_probabilities[at] > log_probabilities[best] { at } else { best };
    (0..log_probabilities.len()).reduce(before).unwrap_or(0)
}

/// Some of many frames, `[frame, height, width, channel]` bytes, as a network reads them: channels
/// first, white 1.
pub fn frames(bytes: &[u8], which: &[usize], space: Space, device: &Device) -> Tensor<4> {
    let Space { height, width, channels, .. } = space;
    let pixels = height * width;
    let mut numbers = vec![0.0; which.len() * space.frame()];
    for (&at, numbers) in which.iter().zip(numbers.chunks_exact_mut(space.frame())) {
        let frame = &bytes[at * space.frame()..][..space.frame()];
        for (channel, plane) in numbers.chunks_exact_mut(pixels).enumerate() {
            for (number, pixel) in plane.iter_mut().zip(frame.chunks_exact(channels)) {
                *number = f32::from(pixel[channel]) / 255.0;
            }
        }
    }
    Tensor::from_data(TensorData::new(numbers, [which.len(), channels, height, width]), device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::OUTPUT;

    #[test]
    fn an_action_is_drawn_as_often_as_it_is_likely() {
        let log: Vec<f32> = [0.5_f32, 0.0, 0.25, 0.25].iter().map(|p| p.ln()).collect();
        let drawn = [0.0, 0.49, 0.5, 0.74, 0.76, 1.0].map(|number| drawn(&log, number));
        assert_eq!(drawn, [0, 0, 2, 2, 3, 3]);
        assert_eq!(likeliest(&[-2.0, -1.0, -1.0]), 1);
    }

    #[test]
    fn frames_are_channels_first_and_white_is_1() {
        let space = Space { height: 1, width: 2, channels: 3, actions: 2 };
        let bytes: Vec<u8> = (0..12).chain([255; 6]).collect();
        let found = frames(&bytes, &[2, 1], space, &Device::flex());
        assert_eq!(found.dims(), [2, 3, 1, 2]);
        let numbers = host(Outputs::new([(OUTPUT.to_owned(), found)]).scores(OUTPUT));
        assert_eq!(numbers[..6], [1.0; 6]);
        assert_eq!(
            numbers[6..].iter().map(|n| (n * 255.0).round()).collect::<Vec<_>>(),
            [6.0, 9.0, 7.0, 10.0, 8.0, 11.0]
        );
    }
}
