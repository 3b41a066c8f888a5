//! `sum` and `concat`: chains that read the same map, added up or side by side.

use super::steps::Steps;
use super::{Chain, Effect, FeatureMap, Layer, LayerKind, Phase, Place, Primitive, SpaceError};

#[derive(Debug)]
pub struct Sum(pub Vec<Steps>);

impl Primitive for Sum {
    fn effect(&self, before: Effect, edge: usize, phase: Phase) -> Result<Effect, String> {
        let ends = effects(&self.0, before, edge, phase)?;
        match ends.split_first() {
            Some((first, rest)) if rest.iter().all(|end| end == first) => Ok(*first),
            _ => Err("sums chains of unequal width or stride".to_owned()),
        }
    }

    fn lower(&self, place: &Place<'_>, input: FeatureMap) -> Result<Layer, SpaceError> {
        let (chains, maps) = lower(&self.0, place, input)?;
        let output = maps[0];
        match maps.into_iter().find(|map| *map != output) {
            Some(other) => Err(SpaceError::Branches { place: place.name(), first: output, other }),
            None => Ok(Layer::plain(LayerKind::Sum(chains), input, output)),
        }
    }
}

#[derive(Debug)]
pub struct Concat(pub Vec<Steps>);

impl Primitive for Concat {
    fn effect(&self, before: Effect, edge: usize, phase: Phase) -> Result<Effect, String> {
        let ends = effects(&self.0, before, edge, phase)?;
        match ends.split_first() {
            Some((first, rest)) if rest.iter().all(|end| end.shrink == first.shrink) => {
                let width = rest.iter().try_fold(first.width, |sum, end| sum.plus(end.width));
                let width = width.ok_or("concatenates widths that do not add up, some with and some without `C`")?;
                Ok(Effect { width, ..*first })
            }
            _ => Err("concatenates chains of unequal stride".to_owned()),
        }
    }

    fn lower(&self, place: &Place<'_>, input: FeatureMap) -> Result<Layer, SpaceError> {
        let (chains, maps) = lower(&self.0, place, input)?;
        let first = maps[0];
        let sides = |map: &FeatureMap| (map.height, map.width);
        if let Some(&other) = maps.iter().find(|map| sides(map) != sides(&first)) {
            return Err(SpaceError::Branches { place: place.name(), first, other });
        }
        let channels = maps.iter().map(|map| map.channels).sum();
        Ok(Layer::plain(LayerKind::Concat(chains), input, FeatureMap { channels, ..first }))
    }
}

fn effects(branches: &[Steps], before: Effect, edge: usize, phase: Phase) -> Result<Vec<Effect>, String> {
    branches.iter().map(|branch| branch.effect(before, edge, phase)).collect()
}

/// Branches add nothing to a name but their own labels.
fn lower(
    branches: &[Steps],
    place: &Place<'_>,
    input: FeatureMap,
) -> Result<(Vec<Chain>, Vec<FeatureMap>), SpaceError> {
    let lowered = branches.iter().map(|branch| branch.lower(place, input)).collect::<Result<Vec<_>, _>>()?;
    Ok(lowered.into_iter().unzip())
}
