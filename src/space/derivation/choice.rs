//! Which of several cells goes on, by numbers: figures, costs, mixing weights.

use crate::space::Cost;
use std::collections::BTreeMap;

/// Which of two figures is preferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Highest,
    Lowest,
}

/// What a network may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    pub parameters: Option<u64>,
    pub multiply_adds: Option<u64>,
}

/// Of what two networks cost about as much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CostKind {
    MultiplyAdds,
    Parameters,
}

/// What a network must cost about as much as.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Likeness {
    pub kind: CostKind,
    /// Of the network that it must be like.
    pub cost: Cost,
    /// By what share of that cost it may be off.
    pub tolerance: f64,
}

/// Draws against a likeness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Drawn<T> {
    /// The first that is like it: its number, what was drawn, what it costs.
    Like(u64, T, Cost),
    /// None is: what the one that comes nearest costs, where there was a draw.
    Unlike(Option<Cost>),
}

/// An epoch against a budget, with what its network costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Affordable {
    /// The latest that is within.
    Latest(usize, Cost),
    /// The one that comes nearest: none is within.
    Nearest(usize, Cost),
    /// There is no epoch.
    Nothing,
}

impl Direction {
    /// The first of the best.
    pub fn first_best<T>(self, candidates: impl IntoIterator<Item = (T, f64)>) -> Option<(T, f64)> {
        let prefers = |new: f64, old: f64| match self {
            Self::Highest => new > old,
            Self::Lowest => new < old,
        };
        candidates.into_iter().reduce(|best, new| if prefers(new.1, best.1) { new } else { best })
    }

    /// The best of the figures of each epoch of each search: the numbers of search and epoch, and the
    /// figure. Of equal figures the earlier epoch's, then the earlier search's.
    pub fn best_epoch(self, figures: &[Vec<Option<f64>>]) -> Option<((usize, usize), f64)> {
        let epochs = figures.iter().map(Vec::len).max().unwrap_or(0);
        let places = (0..epochs).flat_map(|epoch| (0..figures.len()).map(move |search| (search, epoch)));
        self.first_best(places.filter_map(|(search, epoch)| Some(((search, epoch), (*figures[search].get(epoch)?)?))))
    }
}

impl Budget {
    /// The latest of so many epochs whose network, which has the cost `of` an epoch, is within the
    /// budget. Later epochs are asked for first, and none behind the one that is found.
    ///
    /// # Errors
    /// Those of `of`.
    pub fn latest_within<E>(
        &self,
        epochs: usize,
        mut of: impl FnMut(usize) -> Result<Cost, E>,
    ) -> Result<Affordable, E> {
        let mut nearest: Option<(f64, usize, Cost)> = None;
        for epoch in (0..epochs).rev() {
            let cost = of(epoch)?;
            let excess = self.excess(cost);
            if excess <= 1.0 {
                return Ok(Affordable::Latest(epoch, cost));
            }
            if nearest.is_none_or(|(least, ..)| excess < least) {
                nearest = Some((excess, epoch, cost));
            }
        }
        Ok(nearest.map_or(Affordable::Nothing, |(_, epoch, cost)| Affordable::Nearest(epoch, cost)))
    }

    /// How many times as much as may be the worse of the two costs is.
    fn excess(&self, cost: Cost) -> f64 {
        let share = |most: Option<u64>, found: u64| most.map_or(0.0, |most| found as f64 / most as f64);
        share(self.parameters, cost.parameters).max(share(self.multiply_adds, cost.multiply_adds))
    }
}

impl CostKind {
    pub fn of(self, cost: Cost) -> u64 {
        match self {
            Self::MultiplyAdds => cost.multiply_adds,
            Self::Parameters => cost.parameters,
        }
    }

    pub fn words(self) -> &'static str {
        match self {
            Self::MultiplyAdds => "multiply-adds",
            Self::Parameters => "parameters",
        }
    }
}

impl Likeness {
    /// The first of so many draws that is like it; `draw` gives the one of a number, from 0.
    ///
    /// # Errors
    /// Those of `draw`.
    pub fn first_like<T, E>(
        &self,
        tries: u64,
        mut draw: impl FnMut(u64) -> Result<(T, Cost), E>,
    ) -> Result<Drawn<T>, E> {
        let off = |cost: Cost| self.kind.of(cost).abs_diff(self.kind.of(self.cost));
        let most = self.tolerance * self.kind.of(self.cost) as f64;
        let mut nearest: Option<Cost> = None;
        for number in 0..tries {
            let (drawn, cost) = draw(number)?;
            if off(cost) as f64 <= most {
                return Ok(Drawn::Like(number, drawn, cost));
            }
            if nearest.is_none_or(|least| off(cost) < off(least)) {
                nearest = Some(cost);
            }
        }
        Ok(Drawn::Unlike(nearest))
    }
}

/// The mean of mixing weights of the same tables.
pub fn mean_weights(of: &[BTreeMap<String, Vec<Vec<f64>>>]) -> BTreeMap<String, Vec<Vec<f64>>> {
    let mut mean = of.first().cloned().unwrap_or_default();
    for weights in of.iter().skip(1) {
        for (label, rows) in &mut mean {
            let others = weights.get(label).into_iter().flatten();
            for (sum, value) in rows.iter_mut().zip(others).flat_map(|(row, other)| row.iter_mut().zip(other)) {
                *sum += value;
            }
        }
    }
    mean.values_mut().flatten().flatten().for_each(|sum| *sum /= of.len() as f64);
    mean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_equal_figures_the_earlier_epoch_wins_and_then_the_earlier_search() {
        let figures = |rows: &[&[f64]]| -> Vec<Vec<Option<f64>>> {
            rows.iter().map(|row| row.iter().copied().map(Some).collect()).collect()
        };
        let equal = figures(&[&[50.0, 80.0, 60.0], &[80.0, 70.0, 80.0]]);
        assert_eq!(Direction::Highest.best_epoch(&equal), Some(((1, 0), 80.0)));
        assert_eq!(Direction::Highest.best_epoch(&figures(&[&[1.0], &[1.0, 1.0]])), Some(((0, 0), 1.0)));
        assert_eq!(Direction::Lowest.best_epoch(&equal), Some(((0, 0), 50.0)));
        assert_eq!(Direction::Lowest.best_epoch(&[vec![None, Some(3.0)], vec![]]), Some(((0, 1), 3.0)));
        assert_eq!(Direction::Lowest.best_epoch(&[vec![None], vec![]]), None);
    }

    #[test]
    fn the_latest_epoch_within_the_budget_is_found_or_the_one_nearest_to_it() {
        let costs = [(10, 90), (40, 10), (30, 20), (50, 50)];
        let found = |parameters, multiply_adds| {
            let of = |epoch: usize| Ok::<_, ()>(Cost { parameters: costs[epoch].0, multiply_adds: costs[epoch].1 });
            Budget { parameters, multiply_adds }.latest_within(costs.len(), of).unwrap()
        };
        assert_eq!(found(Some(45), None), Affordable::Latest(2, Cost { parameters: 30, multiply_adds: 20 }));
        assert_eq!(found(Some(45), Some(15)), Affordable::Latest(1, Cost { parameters: 40, multiply_adds: 10 }));
        assert_eq!(found(Some(25), Some(19)), Affordable::Nearest(2, Cost { parameters: 30, multiply_adds: 20 }));
        let none = Budget { parameters: Some(1), multiply_adds: None }.latest_within(0, |_| Err("not asked"));
        assert_eq!(none, Ok(Affordable::Nothing));
    }

    #[test]
    fn the_first_draw_of_equal_cost_is_found_or_the_nearest_cost() {
        let cost = |multiply_adds| Cost { parameters: 7, multiply_adds };
        let costs = [80, 111, 104, 96];
        let found = |tolerance, tries| {
            let likeness = Likeness { kind: CostKind::MultiplyAdds, cost: cost(100), tolerance };
            let draw = |number: u64| Ok::<_, ()>((number + 10, cost(costs[number as usize])));
            likeness.first_like(tries, draw).unwrap()
        };
        assert_eq!(found(0.05, 4), Drawn::Like(2, 12, cost(104)));
        assert_eq!(found(0.2, 4), Drawn::Like(0, 10, cost(80)));
        assert_eq!(found(0.05, 2), Drawn::Unlike(Some(cost(111))));
        assert_eq!(found(0.03, 4), Drawn::Unlike(Some(cost(104))));
        assert_eq!(found(0.03, 0), Drawn::Unlike(None));
        let parameters = Likeness { kind: CostKind::Parameters, cost: cost(100), tolerance: 0.0 };
        assert_eq!(parameters.first_like(1, |_| Ok::<_, ()>(((), cost(80)))), Ok(Drawn::Like(0, (), cost(80))));
    }

    #[test]
    fn weights_have_the_mean_of_each_candidate() {
        let weights = |values: [f64; 2]| [("a".to_owned(), vec![values.to_vec()])].into();
        assert_eq!(mean_weights(&[weights([0.0, 1.0]), weights([1.0, 0.5])]), weights([0.5, 0.75]));
    }
}
