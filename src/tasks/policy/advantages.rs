//! How much better an action was than what was expected: generalised advantage estimation
//! (Schulman et al. 2016, arXiv 1506.02438).

/// What a rollout gave, step after step and in each the numbers of all actors: `[steps, actors]`.
#[derive(Debug, Clone, Copy)]
pub struct Rewarded<'a> {
    pub rewards: &'a [f32],
    /// What each frame was thought to be worth before the action.
    pub values: &'a [f32],
    /// Whether an episode ended with the action: what comes behind belongs to the next one.
    pub ends: &'a [bool],
    /// Of the frame behind the last step: `[actors]`.
    pub last_values: &'a [f32],
}

/// Discounts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Discount {
    pub gamma: f64,
    pub lambda: f64,
}

impl Discount {
    /// The advantage of each action, and what its frame was worth after all: `[steps, actors]` each.
    pub fn advantages(self, of: Rewarded<'_>) -> [Vec<f32>; 2] {
        let actors = of.last_values.len();
        let mut advantages = vec![0.0; of.rewards.len()];
        let mut behind: Vec<(f64, f64)> = of.last_values.iter().map(|&value| (f64::from(value), 0.0)).collect();
        for at in (0..of.rewards.len()).rev() {
            let (next, advantage) = &mut behind[at % actors];
            let goes_on = if of.ends[at] { 0.0 } else { 1.0 };
            let value = f64::from(of.values[at]);
            let surprise = f64::from(of.rewards[at]) + self.gamma * *next * goes_on - value;
            *advantage = surprise + self.gamma * self.lambda * *advantage * goes_on;
            *next = value;
            advantages[at] = *advantage as f32;
        }
        let returns = advantages.iter().zip(of.values).map(|(advantage, value)| advantage + value).collect();
        [advantages, returns]
    }
}

/// The share of the returns' variance that `values` knew beforehand: 1 at most, below 0 where they
/// are worse than one number for all; 0 where all returns are equal.
pub fn explained(returns: &[f32], values: &[f32]) -> f64 {
    let missed: Vec<f64> = returns.iter().zip(values).map(|(&of, &value)| f64::from(of) - f64::from(value)).collect();
    let all = variance(&returns.iter().map(|&of| f64::from(of)).collect::<Vec<_>>());
    if all > 0.0 { 1.0 - variance(&missed) / all } else { 0.0 }
}

fn variance(numbers: &[f64]) -> f64 {
    let count = numbers.len().max(1) as f64;
    let mean = numbers.iter().sum::<f64>() / count;
    numbers.iter().map(|number| (number - mean).powi(2)).sum::<f64>() / count
}

/// Brings numbers to a mean of 0 and a deviation of 1, those of a minibatch together.
pub fn normalise(numbers: &mut [f32]) {
    let count = numbers.len().max(1) as f64;
    let mean = numbers.iter().map(|&number| f64::from(number)).sum::<f64>() / count;
    let deviation = variance(&numbers.iter().map(|&number| f64::from(number)).collect::<Vec<_>>()).sqrt() + 1e-8;
    numbers.iter_mut().for_each(|number| *number = ((f64::from(*number) - mean) / deviation) as f32);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_explain_all_nothing_or_less() {
        let returns = [1.0, 2.0, 3.0, 6.0];
        assert_eq!(explained(&returns, &returns), 1.0);
        assert_eq!(explained(&returns, &[2.5; 4]), 0.0);
        assert_eq!(explained(&returns, &[-1.0, -2.0, -3.0, -6.0]), -3.0);
        assert_eq!(explained(&[2.0; 4], &returns), 0.0);
    }

    #[test]
    fn an_episode_knows_nothing_of_the_next() {
        let discount = Discount { gamma: 0.5, lambda: 1.0 };
        let of = |ends: &[bool]| {
            let [advantages, returns] = discount.advantages(Rewarded {
                rewards: &[1.0, 2.0, 4.0],
                values: &[0.0, 0.0, 0.0],
                ends,
                last_values: &[8.0],
            });
            assert_eq!(advantages, returns, "values are 0");
            returns
        };
        assert_eq!(of(&[false; 3]), [4.0, 6.0, 8.0]);
        assert_eq!(of(&[false, true, false]), [2.0, 2.0, 8.0]);
        assert_eq!(of(&[false, false, true]), [3.0, 4.0, 4.0]);
    }

    /// Without lambda an advantage is the surprise of one step.
    #[test]
    fn actors_do_not_meet() {
        let discount = Discount { gamma: 1.0, lambda: 0.0 };
        let of = Rewarded {
            rewards: &[1.0, 10.0, 0.0, 0.0],
            values: &[0.0, 0.0, 3.0, 5.0],
            ends: &[false, true, false, false],
            last_values: &[1.0, 2.0],
        };
        assert_eq!(discount.advantages(of)[0], [4.0, 10.0, -2.0, -3.0]);
        let mut numbers = [1.0, 3.0];
        normalise(&mut numbers);
        assert_eq!(numbers, [-1.0, 1.0]);
        let mut alike = [2.0, 2.0];
        normalise(&mut alike);
        assert_eq!(alike, [0.0, 0.0]);
    }
}
